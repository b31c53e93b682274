package circuit

import (
	"time"

	"github.com/sony/gobreaker/v2"
)

// Config shapes a circuit. Its fields are those of oktaretry.Breaker, in the same order.
type Config struct {
	Disabled     bool
	Window       time.Duration
	MinCalls     int
	FailureRatio float64
	OpenFor      time.Duration
	Probes       int
	ProbeTimeout time.Duration
}

// State is the state of a circuit; its String is the one that telemetry shows.
type State = gobreaker.State

const (
	Closed   = gobreaker.StateClosed
	HalfOpen = gobreaker.StateHalfOpen
	Open     = gobreaker.StateOpen
)
