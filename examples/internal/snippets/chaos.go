package snippets

import (
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/chaos"
)

var _ = faulty

func faulty(on *atomic.Bool) (*oktaretry.Transport, error) {
	base, err := chaos.NewTransport(nil, chaos.Config{ // nil: over http.DefaultTransport
		On: on.Load,
		Faults: []chaos.Fault{
			chaos.Code("E0000009").On("GET /api/v1/users/*").Rate(0.01),
			chaos.EdgePage(503).Rate(0.005),
			chaos.RateLimited(10 * time.Second).On("GET /api/v1/groups").Rate(0.001),
			chaos.Latency(2 * time.Second).Rate(0.02),
			chaos.Reset().AfterSend().Rate(0.001),
		},
	})
	if err != nil {
		return nil, err // all that is wrong with the faults, at once
	}
	return oktaretry.NewTransport(base)
}
