// This file holds what shapes a circuit, and its states.

package circuit

import (
	"time"

	"github.com/sony/gobreaker/v2"
)

// Config shapes a circuit. Its fields are those of oktaretry.Breaker, in the
// same order.
type Config struct {
	Disabled     bool
	Window       time.Duration
	MinCalls     int
	FailureRatio float64
	OpenFor      time.Duration
	Probes       int
	ProbeTimeout time.Duration
	SlowAfter    time.Duration // its caller's matter
}

// bucketPeriod is how far the rolling window moves in a step.
func (c *Config) bucketPeriod() time.Duration { return max(c.Window/steps, 1) }

// several is how many failures besides those of one endpoint show that it is not that
// endpoint alone.
func (c *Config) several() int { return max(1, c.MinCalls/restOfMinCalls) }

// probeHolds is how long a probe keeps others out: no longer than OpenFor, or a
// silent probe would keep calls from a server that is back for longer than one
// that failed.
func (c *Config) probeHolds() time.Duration { return min(c.OpenFor, c.ProbeTimeout) }

// State is the state of a circuit; its String is "closed", "half-open" or "open".
type State = gobreaker.State

const (
	Closed   = gobreaker.StateClosed
	HalfOpen = gobreaker.StateHalfOpen
	Open     = gobreaker.StateOpen
)
