// This file holds a store that takes its time and can be made to fail.

package sharedtest

import (
	"context"
	"errors"
	"math"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// Fault is what is wrong with a Faulty store.
type Fault int32

const (
	None           Fault = iota
	Slow                 // answers after 200 ms, and heeds its context
	SlowIgnoring         // answers after 200 ms, and ignores its context
	Hangs                // does not answer, and ignores its context
	Fails                // answers with an error
	Panics               // panics
	TooManyPlaces        // leases more places than there can be
	TooLongRetry         // leases nothing for longer than there is reason to
	BadWindow            // leases in a window that cannot be
	UnknownCircuit       // knows of a circuit in no known state
)

// Faulty is a store in memory that can be made to fail. It is safe for
// concurrent use.
type Faulty struct {
	*Memory
	Takes       atomic.Int64                   // nanoseconds to answer without a fault; 300 µs
	AskedFaulty atomic.Int64                   // questions while there was a fault
	Extra       atomic.Pointer[shared.Circuit] // one more that it knows of

	fault atomic.Int32
	freed chan struct{}
}

// NewFaulty returns a store without a fault. What hangs in it ends with the
// test.
func NewFaulty(t testing.TB) *Faulty {
	s := &Faulty{Memory: NewMemory(), freed: make(chan struct{})}
	s.Takes.Store(int64(300 * time.Microsecond))
	t.Cleanup(func() { close(s.freed) })
	return s
}

// Set sets the fault from here on.
func (s *Faulty) Set(f Fault) { s.fault.Store(int32(f)) }

// apply does what the fault does before an answer.
func (s *Faulty) apply(ctx context.Context) (Fault, error) {
	f := Fault(s.fault.Load())
	if f != None {
		s.AskedFaulty.Add(1)
	}
	switch f {
	case Slow:
		return f, sleep(ctx, 200*time.Millisecond)
	case SlowIgnoring:
		time.Sleep(200 * time.Millisecond)
	case Hangs:
		<-s.freed
		return f, errors.New("freed")
	case Fails:
		return f, errors.New("WRONGPASS invalid username-password pair or user is disabled")
	case Panics:
		panic("out of luck")
	default:
		return f, sleep(ctx, time.Duration(s.Takes.Load()))
	}
	return f, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Lease answers as Memory does, or as the fault does.
func (s *Faulty) Lease(ctx context.Context, b shared.Bucket, r shared.LeaseRequest) (shared.Lease, error) {
	f, err := s.apply(ctx)
	if err != nil {
		return shared.Lease{}, err
	}
	l, err := s.Memory.Lease(ctx, b, r)
	switch f {
	case TooManyPlaces:
		l.Places = math.MaxInt
	case TooLongRetry:
		l.Places, l.Retry = 0, 1000*time.Hour
	case BadWindow:
		l.Window = shared.Window{ID: 1, Limit: 10, Remaining: 11, Ends: time.Minute}
	}
	return l, err
}

// Circuits answers as Memory does, or as the fault does.
func (s *Faulty) Circuits(ctx context.Context, host string) ([]shared.Circuit, error) {
	f, err := s.apply(ctx)
	if err != nil {
		return nil, err
	}
	list, err := s.Memory.Circuits(ctx, host)
	if extra := s.Extra.Load(); extra != nil {
		list = append(list, *extra)
	}
	if f == UnknownCircuit {
		list = append(list, shared.Circuit{State: 77, Wait: -time.Hour})
	}
	return list, err
}

// Probe answers as Memory does, or as the fault does.
func (s *Faulty) Probe(ctx context.Context, id shared.CircuitID, holder string, ttl time.Duration) (shared.Circuit, error) {
	if _, err := s.apply(ctx); err != nil {
		return shared.Circuit{}, err
	}
	return s.Memory.Probe(ctx, id, holder, ttl)
}

// Report answers as Memory does, or as the fault does.
func (s *Faulty) Report(ctx context.Context, id shared.CircuitID, r shared.Report) (shared.Circuit, error) {
	if _, err := s.apply(ctx); err != nil {
		return shared.Circuit{}, err
	}
	return s.Memory.Report(ctx, id, r)
}
