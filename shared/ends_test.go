// This file tests what becomes of places that a process leases and does not use, since
// it has no more to do.

package shared_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/shared"
)

// jobTime returns how long n processes of so many workers take for their own calls
// each, and how many 429s they meet.
func jobTime(t *testing.T, n, workers, calls, limit int, window time.Duration, store shared.Store) (took time.Duration, refused int) {
	synctest.Test(t, func(t *testing.T) {
		all, okta, target := newProcesses(t, n, limit, store, nil, oktatest.WithWindowLength(window))
		began := time.Now()
		var wg sync.WaitGroup
		for i, p := range all {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 30 * time.Millisecond)
				runCalls(t, []process{p}, target, workers, calls)
			})
		}
		wg.Wait()
		took, refused = time.Since(began), okta.Answered(429)
	})
	return took, refused
}

// A process that ended with places of its own once made the others wait for the next
// window: 30 s instead of 24 s.
func TestProcessesThatEndMakeNobodyWaitLonger(t *testing.T) {
	for _, tt := range []struct {
		n, workers, calls, limit int
		window                   time.Duration
	}{
		{4, 4, 60, 60, 6 * time.Second},
		{4, 10, 60, 60, 6 * time.Second},
		{4, 1, 60, 60, 6 * time.Second},
		{4, 5, 60, 60, 20 * time.Second},
		{4, 20, 45, 60, 20 * time.Second},
		{8, 5, 30, 60, 10 * time.Second},
		{3, 7, 50, 50, time.Minute},
		{10, 3, 25, 100, time.Minute},
	} {
		t.Run(fmt.Sprintf("%d of %d workers, %d calls each, %d per %s", tt.n, tt.workers, tt.calls, tt.limit, tt.window), func(t *testing.T) {
			alone, met := jobTime(t, tt.n, tt.workers, tt.calls, tt.limit, tt.window, nil)
			shared, refused := jobTime(t, tt.n, tt.workers, tt.calls, tt.limit, tt.window, sharedtest.NewMemory())
			t.Logf("without a store %s and %d 429s, with it %s and %d", alone, met, shared, refused)
			if shared > alone+time.Second {
				t.Errorf("it took %s, without a store %s", shared, alone)
			}
			if refused > 1 {
				t.Errorf("%d answers of 429", refused)
			}
		})
	}
}

// runsInto runs a call of a process and returns how long it took.
func runsInto(t *testing.T, p process, target string) time.Duration {
	return send(t, t.Context(), p, target).Is(200).Took
}

// A process that is killed can return nothing: the next one finds out when its lease has
// lapsed, by a single call.
func TestPlacesOfADeadProcessAreFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewMemory()
		all, okta, target := newProcesses(t, 1, 20, store, nil)
		runCalls(t, all, target, 1, 5)
		b := store.Buckets()[0]
		for _, dead := range []string{"dead 1", "dead 2"} {
			l, err := store.Lease(t.Context(), b, shared.LeaseRequest{Holder: dead, Prefetch: 20, Interactive: 20, MaxUtilization: 1})
			if err != nil || l.Places == 0 {
				t.Fatal(l, err)
			}
		}
		began := time.Now()
		runCalls(t, all, target, 3, 15)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %s until places of dead processes were used", took)
		}
		if n := okta.Answered(429); n > 0 {
			t.Errorf("%d answers of 429", n)
		}
	})
}

// The place that is found out may be gone: the dead process used it.
func TestPlacesThatADeadProcessUsedCostOne429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewMemory()
		all, okta, target := newProcesses(t, 1, 20, store, nil)
		runCalls(t, all, target, 1, 5)
		l, err := store.Lease(t.Context(), store.Buckets()[0], shared.LeaseRequest{Holder: "dead", Prefetch: 20, Interactive: 20, MaxUtilization: 1})
		if err != nil || l.Places == 0 {
			t.Fatal(l, err)
		}
		okta.Consume(rig.UserBucket, l.Places)
		runCalls(t, all, target, 5, 10)
		if n := okta.Answered(429); n > 1 {
			t.Errorf("%d answers of 429, want one", n)
		}
	})
}

func TestCloseReturnsPlacesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, okta, target := newProcesses(t, 2, 20, store, nil)
		runCalls(t, all[:1], target, 4, 12)
		for range 2 {
			if err := all[0].Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if took := runsInto(t, all[1], target); took > 100*time.Millisecond {
			t.Errorf("a call of the other process took %s", took)
		}
		runCalls(t, all[1:], target, 7, 7)
		if used := okta.Used(rig.UserBucket); used != 20 {
			t.Errorf("%d of 20 places were used", used)
		}
		runsInto(t, all[0], target) // it still serves
	})
}

func TestCloseEndsWithItsContextAndWithoutAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, _, target := newProcesses(t, 1, 20, store, nil)
		runCalls(t, all, target, 1, 5)
		store.Set(sharedtest.Hangs)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		began := time.Now()
		if err := all[0].Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 100*time.Millisecond {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		var zero oktaretry.Transport
		alone, err := oktaretry.NewTransport(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, rt := range []*oktaretry.Transport{&zero, alone} {
			if err := rt.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// A store that hangs keeps Close for one answer, however many buckets have places.
func TestCloseGivesUpOnAStoreThatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, _, target := newProcesses(t, 1, 600, store, nil, oktatest.WithLimitPerCredential())
		var wg sync.WaitGroup
		for i := range 50 { // each credential has a bucket of its own, and places left in it
			wg.Go(func() {
				for range 5 {
					rig.Do(t, t.Context(), all[0], "GET", target, "", "Authorization", fmt.Sprintf("SSWS token %d", i))
				}
			})
		}
		wg.Wait()
		store.Set(sharedtest.Hangs)
		began := time.Now()
		if err := all[0].Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("it took %s", took)
		}
	})
}

// A call waits for places that others hold when the store is lost: it goes by what its
// process knows as soon as another call has noticed.
func TestWaitingCallsHearOfTheStoresLossAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, _, target := newProcesses(t, 1, 20, store, nil)
		runCalls(t, all, target, 1, 3)
		time.Sleep(time.Second)
		for all := 0; all < 17; { // the window's other places
			l, err := store.Lease(t.Context(), store.Buckets()[0], shared.LeaseRequest{Holder: "other", Interactive: 20, Unused: all, MaxUtilization: 1})
			if err != nil || l.Places == 0 {
				t.Fatal(l, err)
			}
			all += l.Places
		}
		waits := make(chan time.Duration)
		go func() { waits <- runsInto(t, all[0], target) }()
		time.Sleep(310 * time.Millisecond) // it asked just now, and asks again in 400 ms
		store.Set(sharedtest.Fails)
		send(t, t.Context(), all[0], rig.AppURL) // of another bucket, and notices
		if took := <-waits; took < 310*time.Millisecond || took > 310*time.Millisecond+2*50*time.Millisecond {
			t.Errorf("it went after %s, though the store was lost after 310 ms", took)
		}
	})
}
