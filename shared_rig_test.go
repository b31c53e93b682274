package oktaretry_test

// This file holds what the tests of shared state are made of: processes, which
// are Transports over one fake Okta, and a store that can be made sick.

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/shared"
)

// illness is what is wrong with a store.
type illness int32

const (
	well illness = iota
	slow         // answers after 200 ms, and heeds its context
	deaf         // answers after 200 ms, and heeds nothing
	hung         // never answers, and heeds nothing
	failing
	panicking
	absurdPlaces
	absurdRetry
	absurdWindow
	absurdCircuits
)

// sickStore is a store in memory that takes its time and can be made sick.
type sickStore struct {
	*sharedtest.Memory
	takes atomic.Int64 // of a question, when it is well
	ill   atomic.Int32
	asked atomic.Int64 // while it is ill
	freed chan struct{}
	extra atomic.Pointer[shared.Circuit] // one more that it tells of
}

func newSickStore(t *testing.T) *sickStore {
	s := &sickStore{Memory: sharedtest.NewMemory(), freed: make(chan struct{})}
	s.takes.Store(int64(300 * time.Microsecond))
	t.Cleanup(func() { close(s.freed) })
	return s
}

func (s *sickStore) becomes(i illness) { s.ill.Store(int32(i)) }

// suffer does what the illness does before an answer.
func (s *sickStore) suffer(ctx context.Context) (illness, error) {
	i := illness(s.ill.Load())
	if i != well {
		s.asked.Add(1)
	}
	switch i {
	case slow:
		return i, script.Sleep(ctx, 200*time.Millisecond)
	case deaf:
		time.Sleep(200 * time.Millisecond)
	case hung:
		<-s.freed
		return i, errors.New("freed")
	case failing:
		return i, errors.New("WRONGPASS invalid username-password pair or user is disabled.")
	case panicking:
		panic("out of luck")
	default:
		return i, script.Sleep(ctx, time.Duration(s.takes.Load()))
	}
	return i, nil
}

func (s *sickStore) Lease(ctx context.Context, b shared.Bucket, r shared.LeaseRequest) (shared.Lease, error) {
	i, err := s.suffer(ctx)
	if err != nil {
		return shared.Lease{}, err
	}
	l, err := s.Memory.Lease(ctx, b, r)
	switch i {
	case absurdPlaces:
		l.Places = 1 << 40
	case absurdRetry:
		l.Places, l.Retry = 0, 1000*time.Hour
	case absurdWindow:
		l.Window = shared.Window{ID: 1, Limit: 10, Remaining: 11, Ends: time.Minute}
	}
	return l, err
}

func (s *sickStore) Circuits(ctx context.Context, host string) ([]shared.Circuit, error) {
	i, err := s.suffer(ctx)
	if err != nil {
		return nil, err
	}
	list, err := s.Memory.Circuits(ctx, host)
	if extra := s.extra.Load(); extra != nil {
		list = append(list, *extra)
	}
	if i == absurdCircuits {
		list = append(list, shared.Circuit{State: 77, Wait: -time.Hour})
	}
	return list, err
}

func (s *sickStore) Probe(ctx context.Context, id shared.CircuitID, holder string, ttl time.Duration) (shared.Circuit, error) {
	if _, err := s.suffer(ctx); err != nil {
		return shared.Circuit{}, err
	}
	return s.Memory.Probe(ctx, id, holder, ttl)
}

func (s *sickStore) Report(ctx context.Context, id shared.CircuitID, r shared.Report) (shared.Circuit, error) {
	if _, err := s.suffer(ctx); err != nil {
		return shared.Circuit{}, err
	}
	return s.Memory.Report(ctx, id, r)
}

// process is one of a fleet.
type process struct {
	*oktaretry.Transport
	log *bytes.Buffer // slog's handlers lock
}

// lines returns the log lines about the store.
func (p process) lines() (lines []string) {
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, "shared store") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// processesOf makes processes over one fake Okta, as orgOf does.
func processesOf(t *testing.T, n, limit int, store shared.Store, edit func(*oktaretry.Policy), opts ...oktatest.Option) ([]process, *oktatest.Okta, string) {
	t.Helper()
	okta := oktatest.New(append([]oktatest.Option{
		oktatest.WithUsers(1), oktatest.WithLimit(rig.UserBucket, limit), oktatest.WithLatency(50 * time.Millisecond),
	}, opts...)...)
	p := oktaretry.DefaultPolicy()
	if edit != nil {
		edit(&p)
	}
	var all []process
	for range n {
		log := new(bytes.Buffer)
		rt, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithPolicy(p), oktaretry.WithShared(store),
			oktaretry.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, process{rt, log})
	}
	return all, okta, rig.Org + "/api/v1/users/" + okta.UserIDs()[0]
}

// fleetCalls makes calls by so many workers of each process, and checks that
// each succeeds.
func fleetCalls(t *testing.T, all []process, target string, workers, calls int) []rig.Call {
	t.Helper()
	var mu sync.Mutex
	var done []rig.Call
	left := calls
	var wg sync.WaitGroup
	for _, p := range all {
		for range workers {
			wg.Go(func() {
				for {
					mu.Lock()
					left--
					more := left >= 0
					mu.Unlock()
					if !more {
						return
					}
					c := rig.Do(t, t.Context(), p, "GET", target, "", "Authorization", "SSWS the-token").Is(200)
					mu.Lock()
					done = append(done, c)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	return done
}
