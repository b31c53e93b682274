// This file tests what a store that is slow, hangs, fails or is wrong does to
// calls: nothing beyond its bound, once in a while.

package shared_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/shared"
)

func TestFaultyStoreDelaysNoCallBeyondItsBound(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault sharedtest.Fault
		kind  string        // in the log
		bound time.Duration // what it costs a call at most
	}{
		{"slow", sharedtest.Slow, "timeout", 50 * time.Millisecond},
		{"slow, and heeds no context", sharedtest.SlowIgnoring, "timeout", 50 * time.Millisecond},
		{"hangs", sharedtest.Hangs, "timeout", 50 * time.Millisecond},
		{"fails", sharedtest.Fails, "error", 0},
		{"panics", sharedtest.Panics, "panic", 0},
		{"absurdly many places", sharedtest.TooManyPlaces, "absurd", time.Millisecond},
		{"absurdly long waits", sharedtest.TooLongRetry, "absurd", time.Millisecond},
		{"absurd windows", sharedtest.BadWindow, "absurd", time.Millisecond},
		{"absurd circuits", sharedtest.UnknownCircuit, "absurd", time.Millisecond},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			store := sharedtest.NewFaulty(t)
			all, okta, target := newProcesses(t, 2, 6000, store, nil)
			runCalls(t, all, target, 5, 100)

			store.Set(tt.fault)
			began := time.Now()
			paid := 0
			for _, c := range runCalls(t, all, target, 5, 1000) {
				if over := c.Took - 50*time.Millisecond; over > time.Millisecond {
					paid++
					if over > tt.bound+2*time.Millisecond {
						t.Fatalf("a call took %s longer", over)
					}
				}
			}
			took := time.Since(began)
			// One asks now and then; when the loss is noticed, the line waits with it.
			if asked := int(store.AskedFaulty.Load()); paid > 2*asked+20 || asked > 40 && tt.fault != sharedtest.UnknownCircuit {
				t.Errorf("%d of 1000 calls paid, the store was asked %d times in %s", paid, asked, took)
			}
			if n := okta.Answered(429); n > 0 {
				t.Errorf("%d answers of 429", n)
			}
			for _, p := range all {
				if lines := p.storeLines(); tt.fault != sharedtest.UnknownCircuit && (len(lines) != 1 || !strings.Contains(lines[0], "lost") || !strings.Contains(lines[0], "kind="+tt.kind)) {
					t.Errorf("log %q, want one line", lines)
				}
			}

			store.Set(sharedtest.None)
			time.Sleep(3 * time.Second)
			runCalls(t, all, target, 5, 100)
			for _, p := range all {
				lines := p.storeLines()
				if tt.fault == sharedtest.UnknownCircuit { // places are well: it comes and goes
					continue
				}
				if len(lines) != 2 || !strings.Contains(lines[1], "back") {
					t.Errorf("log %q, want a second line that it is back", lines)
				}
			}
		})
	}
}

// Within its bound a slow store is waited for.
func TestStoreWithinItsTimeoutIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		store.Takes.Store(int64(45 * time.Millisecond))
		all, okta, target := newProcesses(t, 3, 100, store, nil)
		runCalls(t, all, target, 5, 250)
		if n := okta.Answered(429); n > 0 {
			t.Errorf("%d answers of 429", n)
		}
		for _, p := range all {
			if lines := p.storeLines(); len(lines) > 0 {
				t.Errorf("log %q", lines)
			}
		}
	})
}

// A store that hangs holds a bounded number of goroutines, however long it does.
func TestHangingStoreHoldsFewGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, _, target := newProcesses(t, 1, 1<<20, store, nil)
		store.Set(sharedtest.Hangs)
		for range 300 {
			runCalls(t, all, target, 1, 1)
			time.Sleep(time.Second)
		}
		if n := store.AskedFaulty.Load(); n > 20 {
			t.Errorf("%d questions hang", n)
		}
	})
}

// The store is emptied while processes run: they teach it anew.
func TestEmptiedStoreIsFilledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, okta, target := newProcesses(t, 4, 100, store, nil)
		runCalls(t, all, target, 5, 60)
		store.Flush()
		runCalls(t, all, target, 5, 240)
		if n := okta.Answered(429); n > 6 { // 2 %
			t.Errorf("%d answers of 429 for 300 calls", n)
		}
	})
}

// A store that is back was once asked only by calls that went out: those that waited
// began the next window without it, and took one another's places for many windows.
func TestFleetThatWaitsFindsItsStoreBackBeforeTheNextWindow(t *testing.T) {
	for _, fault := range []sharedtest.Fault{sharedtest.Slow, sharedtest.Fails} {
		rig.Virtual(t, fmt.Sprint("fault ", fault), func(t *testing.T) {
			const window, limit = 10 * time.Second, 100
			store := sharedtest.NewFaulty(t)
			all, okta, target := newProcesses(t, 4, limit, store, nil, oktatest.WithWindow(window, 0))
			go func() {
				time.Sleep(2*window + window/2) // all places are used, and all calls wait
				store.Set(fault)
				time.Sleep(2 * window)
				store.Flush()
				store.Set(sharedtest.None)
			}()
			began := time.Now()
			runCalls(t, all, target, 12, 8*limit)
			refused := 0
			for _, r := range okta.Requests() {
				if r.Status == http.StatusTooManyRequests && r.Time.Sub(began) > 4*window+window/2+3*time.Second {
					refused++
				}
			}
			if refused > 0 {
				t.Errorf("%d answers of 429 from 3 s after the store is back", refused)
			}
		})
	}
}

// A lost store is not asked for a bucket that is idle. The call that wakes it does, even
// where it has to wait first.
func TestCallThatWaitedAsksALostStoreForItsIdleBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, _, target := newProcesses(t, 1, 1, store, nil)
		store.Set(sharedtest.Fails)
		runCalls(t, all, target, 1, 1) // uses the only place of its window
		time.Sleep(20 * time.Second)
		store.Set(sharedtest.None)
		time.Sleep(5 * time.Second)
		if n := store.Asked("lease"); n > 0 {
			t.Fatalf("the store was asked %d times for an idle bucket", n)
		}
		began := time.Now()
		runCalls(t, all, target, 1, 1)
		if time.Since(began) < 10*time.Second {
			t.Fatal("the call did not wait")
		}
		if store.Asked("lease") == 0 {
			t.Error("the store was not asked")
		}
	})
}

// Calls that wait while the store is lost have it probed, whoever noticed the loss and
// however long ago: else they would begin the next window without a store that is back.
func TestCallInLineHasALostStoreProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, _, target := newProcesses(t, 1, 1, store, nil)
		store.Set(sharedtest.Fails)
		runCalls(t, all, target, 1, 1) // uses the only place of its window
		time.Sleep(20 * time.Second)   // an idle bucket is watched no longer
		done := make(chan struct{})
		go func() {
			defer close(done)
			runCalls(t, all, target, 1, 1)
		}()
		time.Sleep(5 * time.Second)
		store.Set(sharedtest.None)
		time.Sleep(2 * time.Second)
		select {
		case <-done:
			t.Fatal("the call did not wait")
		default:
		}
		if store.Asked("lease") == 0 {
			t.Error("the store was not asked while the call waited")
		}
		<-done
	})
}

// Close ends the probes of a lost store: whoever closes a Transport may close its store next.
func TestNoStoreIsProbedAfterClose(t *testing.T) {
	for name, lost := range map[string]bool{"lost before": true, "lost by Close": false} {
		rig.Virtual(t, name, func(t *testing.T) {
			store := sharedtest.NewFaulty(t)
			all, _, target := newProcesses(t, 1, 20, store, nil)
			if lost {
				store.Set(sharedtest.Fails)
			}
			runCalls(t, all, target, 1, 5)
			store.Set(sharedtest.Fails)
			if err := all[0].Close(t.Context()); err != nil {
				t.Error(err)
			}
			asked := store.AskedFaulty.Load()
			if asked == 0 {
				t.Fatal("Close returned nothing")
			}
			time.Sleep(time.Minute)
			if n := store.AskedFaulty.Load() - asked; n > 0 {
				t.Errorf("the store was asked %d times after Close", n)
			}
			store.Set(sharedtest.None)
			before := store.Asked("lease")
			runCalls(t, all, target, 4, 12) // it still serves, and finds its store back
			if store.Asked("lease") == before {
				t.Error("the store is not used any more")
			}
		})
	}
}

// The store is gone for some windows and comes back in the middle of one.
func TestFleetRunsWithoutItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, okta, target := newProcesses(t, 4, 600, store, nil)
		runCalls(t, all, target, 10, 900)
		store.Set(sharedtest.Fails)
		before := okta.Answered(429)
		runCalls(t, all, target, 10, 1200)
		store.Set(sharedtest.None)
		runCalls(t, all, target, 10, 900)
		if n := okta.Answered(429) - before; n > 60 { // 2 %
			t.Errorf("%d answers of 429 for 3000 calls", n)
		}
	})
}

// Windows that others learned of are known when the store is lost.
func TestWindowFromTheStoreOutlivesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, okta, target := newProcesses(t, 2, 50, store, nil)
		runCalls(t, all[:1], target, 5, 50)
		c := make(chan rig.Call)
		go func() { c <- send(t, t.Context(), all[1], target) }()
		time.Sleep(time.Second)
		store.Set(sharedtest.Fails)
		(<-c).Is(200)
		if n := okta.Answered(429); n > 0 {
			t.Errorf("%d answers of 429", n)
		}
		for _, b := range all[1].Snapshot().Buckets {
			if b.Limit != 50 {
				t.Errorf("limit %d", b.Limit)
			}
		}
	})
}

// The bucket waited for the answer to a question that was never put.
func TestPanicInSharedCredentialLeavesNoBucketWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		name := func(*http.Request) string {
			if asked++; asked == 2 { // of the scout, which reports what it has found
				panic("boom")
			}
			return "client"
		}
		okta := oktatest.New(oktatest.WithUsers(1), oktatest.WithLatency(50*time.Millisecond))
		rt, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithShared(sharedtest.NewFaulty(t), oktaretry.SharedCredential(name)))
		if err != nil {
			t.Fatal(err)
		}
		target := rig.Org + "/api/v1/users/" + okta.UserIDs()[0]
		func() {
			defer func() {
				if got := recover(); got != "boom" {
					t.Errorf("recovered %v", got)
				}
			}()
			rig.GetOnce(t, rt, target)
		}()
		for range 40 { // more than were leased
			rig.Get(t, rt, target).Is(200).TookBetween(0, 2*time.Second)
		}
	})
}

// dialFailure is a store whose error quotes the URL that it was set up with.
type dialFailure struct{ shared.Store }

func (dialFailure) Lease(context.Context, shared.Bucket, shared.LeaseRequest) (shared.Lease, error) {
	return shared.Lease{}, errors.New("dialing redis://fleet:hunter2@cache.example:6379/0?key=s3cret: refused")
}

func TestLogShowsNoPasswordOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, _, target := newProcesses(t, 1, 600, dialFailure{sharedtest.NewFaulty(t)}, nil)
		runCalls(t, all, target, 1, 1)
		text := all[0].log.String()
		for _, secret := range []string{"hunter2", "s3cret", "fleet:"} {
			if strings.Contains(text, secret) {
				t.Errorf("the log holds %q: %s", secret, text)
			}
		}
		if !strings.Contains(text, "cache.example:6379") || !strings.Contains(text, "refused") {
			t.Errorf("the log does not show what is wrong: %s", text)
		}
	})
}

// A call in flight probes a lost store. Its permit was lost with the call, and the store
// was never asked again.
func TestPanicInSharedCredentialLosesNoProbeOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		panics, store := false, sharedtest.NewFaulty(t)
		name := func(*http.Request) string {
			if panics {
				panic("boom")
			}
			return "client"
		}
		okta := oktatest.New(oktatest.WithUsers(1), oktatest.WithLatency(50*time.Millisecond))
		rt, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithShared(store, oktaretry.SharedCredential(name)))
		if err != nil {
			t.Fatal(err)
		}
		target := rig.Org + "/api/v1/users/" + okta.UserIDs()[0]
		store.Set(sharedtest.Fails)
		rig.Get(t, rt, target).Is(200)
		store.Set(sharedtest.None)
		time.Sleep(3 * time.Second)
		panics = true
		if got := rig.Panicked(func() { rig.GetOnce(t, rt, target) }); got != "boom" {
			t.Fatalf("recovered %v", got)
		}
		panics = false
		for range 5 {
			time.Sleep(3 * time.Second)
			rig.Get(t, rt, target).Is(200)
		}
		if rt.Snapshot().Store.Lost {
			t.Error("the store is still lost, 15 s after it is back")
		}
	})
}

// panicHandler is a log handler that panics.
type panicHandler struct{ slog.Handler }

func (panicHandler) Handle(context.Context, slog.Record) error { panic("no space left") }

// Places are returned by no call: a panic there would end the program.
func TestPanicOfTheLogEndsNoProgram(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		okta, store := oktatest.New(oktatest.WithUsers(1)), sharedtest.NewFaulty(t)
		rt, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithShared(store),
			oktaretry.WithLogger(slog.New(panicHandler{slog.NewTextHandler(io.Discard, nil)})))
		if err != nil {
			t.Fatal(err)
		}
		target := rig.Org + "/api/v1/users/" + okta.UserIDs()[0]
		for range 3 { // the last leases some ahead
			rig.Get(t, rt, target).Is(200)
		}
		asked := store.AskedFaulty.Load()
		store.Set(sharedtest.Fails)
		time.Sleep(time.Second) // the idle bucket returns its places
		if store.AskedFaulty.Load() == asked {
			t.Fatal("no places were returned")
		}
	})
}

// The time that a call in line waited for the store's answer was of no reason.
func TestWaitsOfACallInLineAddUpWithASlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		store.Takes.Store(int64(30 * time.Millisecond))
		all, _, target := newProcesses(t, 2, 20, store, nil)
		asked := false
		for _, c := range runCalls(t, all, target, 5, 50) {
			spent := c.Outcome.Waited()
			for _, a := range c.Outcome.Attempts {
				spent += a.Duration
				asked = asked || slices.ContainsFunc(a.Waits, func(w oktaretry.Wait) bool { return w.Reason == oktaretry.WaitLearning })
			}
			if rest := c.Outcome.Elapsed - spent; rest > 61*time.Millisecond || rest < 0 { // the store's list of circuits, and what the answer reports
				t.Errorf("%s of %s are of no attempt and no wait: %v", rest, c.Outcome.Elapsed, c.Outcome)
			}
		}
		if !asked {
			t.Error("no call waited for the store")
		}
	})
}
