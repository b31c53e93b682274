// This file holds what a user can set.

package pace

import "maps"

// Config is what a user can set.
type Config struct {
	MaxUtilization float64 // the share of each window to use at most; 0 counts as 1
	MaxInFlight    int     // calls in flight for each host at most; 0: no cap
	Smooth         bool    // spread calls evenly over each window
	MaxRate        float64 // calls a second for each host; 0: no ceiling
	Burst          int     // calls that may be sent at once under a ceiling; 0 counts as 1

	BucketRates map[string]float64 // calls a second by bucket, for each host; never changed
}

func (c *Config) equal(o *Config) bool {
	return c.MaxUtilization == o.MaxUtilization && c.MaxInFlight == o.MaxInFlight && c.Smooth == o.Smooth &&
		c.MaxRate == o.MaxRate && c.Burst == o.Burst && maps.Equal(c.BucketRates, o.BucketRates)
}

func (c *Config) utilization() float64 {
	if c.MaxUtilization == 0 {
		return 1
	}
	return c.MaxUtilization
}

// hasCeilings reports whether the user limits calls a second.
func (c *Config) hasCeilings() bool { return c.MaxRate > 0 || len(c.BucketRates) > 0 }
