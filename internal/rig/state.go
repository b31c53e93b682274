// This file holds the state that a Transport is left in, as tests ask for it.

package rig

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
)

// UserURL's bucket and circuits, as Bucket and Circuits name them.
const (
	UserBucket  = "GET /api/v1/users/{id}"
	HostCircuit = "host example.okta.com"
	UserCircuit = "endpoint GET example.okta.com/api/v1/users/{id}"
)

// OpensAfter4 makes circuits open after four answers, half of them failed, and
// bounds an attempt to 3 s.
func OpensAfter4(p *oktaretry.Policy) {
	p.Breaker.MinCalls, p.Breaker.FailureRatio = 4, 0.5
	p.AttemptTimeout = 3 * time.Second
}

// Circuits returns the circuits in a state, as HostCircuit and UserCircuit are
// written, with the name that WithCircuits gave after the host's.
func Circuits(tr *oktaretry.Transport, state string) (found []string) {
	for _, c := range tr.Snapshot().Circuits {
		host := c.Host
		if c.Name != "" {
			host += " " + c.Name
		}
		switch {
		case c.State != state:
		case c.Scope == oktaretry.TripsHost:
			found = append(found, "host "+host)
		default:
			found = append(found, fmt.Sprintf("endpoint %s %s%s", c.Method, host, c.Template))
		}
	}
	return found
}

// Bucket returns the first bucket of a name, and ends the test if there is
// none.
func Bucket(t testing.TB, tr *oktaretry.Transport, name string) oktaretry.BucketState {
	t.Helper()
	for _, b := range tr.Snapshot().Buckets {
		if b.Bucket == name {
			return b
		}
	}
	t.Fatalf("there is no bucket %s", name)
	return oktaretry.BucketState{}
}

// WantIdle checks that no bucket has a call in flight or waiting.
func WantIdle(t testing.TB, tr *oktaretry.Transport) {
	t.Helper()
	for _, b := range tr.Snapshot().Buckets {
		if b.InFlight != 0 || b.Waiting != 0 {
			t.Errorf("bucket %s is left with %d in flight and %d waiting", b.Bucket, b.InFlight, b.Waiting)
		}
	}
}

// CancelAfter returns a context of the test that is canceled after d, with a
// cause or without.
func CancelAfter(t testing.TB, d time.Duration, cause error) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	timer := time.AfterFunc(d, func() { cancel(cause) })
	t.Cleanup(func() {
		timer.Stop()
		cancel(nil)
	})
	return ctx
}

// HeapInUse returns how many bytes are reachable.
func HeapInUse() uint64 {
	var m runtime.MemStats
	for range 3 { // sync.Pools let go in two steps
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
