package oktaretry_test

// This file tests what a store does to calls that is slow, silent, mad or gone:
// nothing but the bound, once in a while.

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/oktatest"
)

func TestASickStoreHurtsNoCall(t *testing.T) {
	for _, tt := range []struct {
		name string
		illness
		kind  string        // in the log
		bound time.Duration // what it costs a call at most
	}{
		{"slow", slow, "timeout", 50 * time.Millisecond},
		{"slow, and heeds no context", deaf, "timeout", 50 * time.Millisecond},
		{"hangs", hung, "timeout", 50 * time.Millisecond},
		{"fails", failing, "error", 0},
		{"panics", panicking, "panic", 0},
		{"absurdly many places", absurdPlaces, "absurd", time.Millisecond},
		{"absurdly long waits", absurdRetry, "absurd", time.Millisecond},
		{"absurd windows", absurdWindow, "absurd", time.Millisecond},
		{"absurd circuits", absurdCircuits, "absurd", time.Millisecond},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			store := newSickStore(t)
			all, okta, target := processesOf(t, 2, 6000, store, nil)
			fleetCalls(t, all, target, 5, 100)

			store.becomes(tt.illness)
			began := time.Now()
			paid := 0
			for _, c := range fleetCalls(t, all, target, 5, 1000) {
				if over := c.Took - 50*time.Millisecond; over > time.Millisecond {
					paid++
					if over > tt.bound+2*time.Millisecond {
						t.Fatalf("a call took %s longer", over)
					}
				}
			}
			took := time.Since(began)
			// One asks now and then; when the loss is noticed, the line waits with it.
			if asked := int(store.asked.Load()); paid > 2*asked+20 || asked > 40 && tt.illness != absurdCircuits {
				t.Errorf("%d of 1000 calls paid, the store was asked %d times in %s", paid, asked, took)
			}
			if n := okta.Answered(429); n > 0 {
				t.Errorf("%d answers of 429", n)
			}
			for _, p := range all {
				if lines := p.lines(); tt.illness != absurdCircuits && (len(lines) != 1 || !strings.Contains(lines[0], "lost") || !strings.Contains(lines[0], "kind="+tt.kind)) {
					t.Errorf("log %q, want one line", lines)
				}
			}

			store.becomes(well)
			time.Sleep(3 * time.Second)
			fleetCalls(t, all, target, 5, 300)
			for _, p := range all {
				lines := p.lines()
				if tt.illness == absurdCircuits { // places are well: it comes and goes
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
func TestAStoreWithinItsBoundIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSickStore(t)
		store.takes.Store(int64(45 * time.Millisecond))
		all, okta, target := processesOf(t, 3, 100, store, nil)
		fleetCalls(t, all, target, 5, 250)
		if n := okta.Answered(429); n > 0 {
			t.Errorf("%d answers of 429", n)
		}
		for _, p := range all {
			if lines := p.lines(); len(lines) > 0 {
				t.Errorf("log %q", lines)
			}
		}
	})
}

// A store that hangs holds a bounded number of goroutines, however long it does.
func TestAHungStoreHoldsFewGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSickStore(t)
		all, _, target := processesOf(t, 1, 1<<20, store, nil)
		store.becomes(hung)
		for range 300 {
			fleetCalls(t, all, target, 1, 1)
			time.Sleep(time.Second)
		}
		if n := store.asked.Load(); n > 20 {
			t.Errorf("%d questions hang", n)
		}
	})
}

// The store is emptied while processes run: they teach it anew.
func TestAnEmptiedStoreLearnsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSickStore(t)
		all, okta, target := processesOf(t, 4, 100, store, nil)
		fleetCalls(t, all, target, 5, 60)
		store.Flush()
		fleetCalls(t, all, target, 5, 240)
		if n := okta.Answered(429); n > 6 { // 2 %
			t.Errorf("%d answers of 429 for 300 calls", n)
		}
	})
}

// The store is gone for some windows and comes back in the middle of one.
func TestAFleetGoesOnWithoutItsStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSickStore(t)
		all, okta, target := processesOf(t, 4, 600, store, nil)
		fleetCalls(t, all, target, 10, 900)
		store.becomes(failing)
		before := okta.Answered(429)
		fleetCalls(t, all, target, 10, 1200)
		store.becomes(well)
		fleetCalls(t, all, target, 10, 900)
		if n := okta.Answered(429) - before; n > 60 { // 2 %
			t.Errorf("%d answers of 429 for 3000 calls", n)
		}
	})
}

// Windows that others learned of are known when the store is lost.
func TestWhatTheStoreToldIsKnownWhenItIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSickStore(t)
		all, okta, target := processesOf(t, 2, 50, store, nil)
		fleetCalls(t, all[:1], target, 5, 50)
		c := make(chan rig.Call)
		go func() { c <- rig.Do(t, t.Context(), all[1], "GET", target, "", "Authorization", "SSWS the-token") }()
		time.Sleep(time.Second)
		store.becomes(failing)
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
func TestAPanicOfSharedCredentialLeavesNoBucketWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		name := func(*http.Request) string {
			if asked++; asked == 2 { // of the scout, which tells what it has found
				panic("boom")
			}
			return "client"
		}
		okta := oktatest.New(oktatest.WithUsers(1), oktatest.WithLatency(50*time.Millisecond))
		rt, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithShared(newSickStore(t), oktaretry.SharedCredential(name)))
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
