// This file holds what a user can set.

package pace

import (
	"maps"
	"slices"
	"time"
)

// Config is what a user can set. Its fields are those of oktaretry.Pace, in the
// same order.
type Config struct {
	MaxUtilization float64 // the share of each window to use at most; 0 counts as 1
	MaxInFlight    int     // calls in flight for each host at most; 0: no cap
	Smooth         bool    // spread calls evenly over each window
	MaxRate        float64 // calls a second for each host; 0: no ceiling
	Burst          int     // calls that may be sent at once under a ceiling; 0 counts as 1

	BucketRates map[string]float64 // calls a second by bucket, for each host; never changed

	MaxWait             time.Duration // in line; for the caller, who sleeps
	RefusalsOnly        bool          // an exhausted window is full only when a call was refused
	RefusalsOnlyBuckets []string      // RefusalsOnly by bucket; never changed
	Disabled            bool          // no call waits
}

func (c *Config) equal(o *Config) bool {
	return c.MaxUtilization == o.MaxUtilization && c.MaxInFlight == o.MaxInFlight && c.Smooth == o.Smooth &&
		c.MaxRate == o.MaxRate && c.Burst == o.Burst && maps.Equal(c.BucketRates, o.BucketRates) && c.MaxWait == o.MaxWait &&
		c.RefusalsOnly == o.RefusalsOnly && slices.Equal(c.RefusalsOnlyBuckets, o.RefusalsOnlyBuckets) && c.Disabled == o.Disabled
}

// refusalsOnly reports whether the headers of a bucket's accepted calls are
// ignored.
func (c *Config) refusalsOnly(bucket string) bool {
	return c.RefusalsOnly || slices.Contains(c.RefusalsOnlyBuckets, bucket)
}

func (c *Config) utilization() float64 {
	if c.MaxUtilization == 0 {
		return 1
	}
	return c.MaxUtilization
}

// hasCeilings reports whether the user limits calls a second.
func (c *Config) hasCeilings() bool { return c.MaxRate > 0 || len(c.BucketRates) > 0 }
