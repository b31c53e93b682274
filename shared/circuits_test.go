// This file tests circuits that processes share: what one learns, all know; one
// probe goes for all of them.

package shared_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/shared"
)

// keysURL is of a bucket without limits: no call waits for scouts.
const keysURL = rig.Org + "/oauth2/v1/keys"

// outage is processes over one base, which fails while it is down.
type outage struct {
	all   []process
	base  *script.Base
	store *sharedtest.Faulty
	down  atomic.Bool
	takes atomic.Int64 // of an answer
}

func newOutage(t *testing.T, n int, edit func(*oktaretry.Policy), opts ...oktaretry.SharedOption) *outage {
	b := &outage{base: script.New(t), store: sharedtest.NewFaulty(t)}
	b.down.Store(true)
	b.base.Choose(func(*http.Request) script.Step {
		s := script.OK()
		if b.down.Load() {
			s = script.Fail(script.Reset)
		}
		return s.Takes(time.Duration(b.takes.Load()))
	})
	p := oktaretry.DefaultPolicy()
	rig.OpensAfter4(&p)
	if edit != nil {
		edit(&p)
	}
	for range n {
		log := new(bytes.Buffer)
		rt, err := oktaretry.NewTransport(b.base, oktaretry.WithPolicy(p), oktaretry.WithShared(b.store, opts...),
			oktaretry.WithLogger(slog.New(slog.NewTextHandler(log, nil))))
		if err != nil {
			t.Fatal(err)
		}
		b.all = append(b.all, process{rt, log})
	}
	return b
}

// tripped is how many calls trip sends of two processes.
const tripped = 5

// trip sends calls of the first process until the host's circuit is open, and one of
// the second, which confirms it for all.
func (b *outage) trip(t *testing.T) {
	t.Helper()
	for range 4 {
		rig.GetOnce(t, b.all[0], keysURL)
	}
	b.base.WantSent(4)
	if len(b.all) > 1 {
		time.Sleep(time.Second)
		rig.GetOnce(t, b.all[1], keysURL)
		b.base.WantSent(tripped)
	}
}

// refusedCalls counts the calls that an open circuit refused.
func refusedCalls(calls []rig.Call) (n int) {
	for _, c := range calls {
		var e *oktaretry.CircuitOpenError
		if errors.As(c.Err, &e) {
			n++
		}
	}
	return n
}

// each makes a call of each process at once.
func (b *outage) each(t *testing.T) []rig.Call {
	calls := make([]rig.Call, len(b.all))
	var wg sync.WaitGroup
	for i, p := range b.all {
		wg.Go(func() { calls[i] = rig.GetOnce(t, p, keysURL) })
	}
	wg.Wait()
	return calls
}

// Two processes saw it: that the network of one is broken is no reason.
func TestConfirmedOpeningReachesAllProcessesWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newOutage(t, 8, nil)
		b.trip(t)
		time.Sleep(time.Second)
		calls := b.each(t)
		if n := refusedCalls(calls); n != 8 {
			t.Errorf("%d of 8 processes refuse calls after a second", n)
		}
		for i, c := range calls { // the store has no cause
			want := ""
			if i < 2 {
				want = "connection reset by peer"
			}
			if e := rig.Failure[*oktaretry.CircuitOpenError](c); e.Class != oktaretry.ClassNetwork || e.Failure != want || e.Since.IsZero() {
				t.Errorf("process %d: opened by %s %q at %s, want %q and a time", i, e.Class, e.Failure, e.Since, want)
			}
		}
		b.base.WantSent(tripped)
		for i, p := range b.all {
			if got := rig.Circuits(p.Transport, "open"); len(got) != 1 || got[0] != rig.HostCircuit {
				t.Errorf("process %d: open are %q", i, got)
			}
			if n := strings.Count(p.log.String(), "from=closed to=open"); n != 1 {
				t.Errorf("process %d: %d log lines say that the circuit is open", i, n)
			}
		}
	})
}

func TestFleetSendsOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newOutage(t, 8, nil)
		b.trip(t)
		time.Sleep(time.Second)
		b.each(t)
		time.Sleep(4 * time.Second) // OpenFor is over
		b.takes.Store(int64(400 * time.Millisecond))
		b.down.Store(false)
		var wg sync.WaitGroup
		for _, p := range b.all {
			for range 5 {
				wg.Go(func() { rig.GetOnce(t, p, keysURL) })
			}
		}
		wg.Wait()
		b.base.WantSent(tripped + 1)
		time.Sleep(time.Second)
		if n := refusedCalls(b.each(t)); n != 0 {
			t.Errorf("%d of 8 processes refuse calls a second after the probe", n)
		}
		for i, p := range b.all {
			if got := rig.Circuits(p.Transport, "closed"); len(got) != 2 {
				t.Errorf("process %d: closed are %q", i, got)
			}
		}
	})
}

func TestFailedProbeKeepsTheFleetsCircuitOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newOutage(t, 4, nil)
		b.trip(t)
		time.Sleep(time.Second)
		b.each(t)
		time.Sleep(4100 * time.Millisecond)
		for range 20 { // two seconds and a half: OpenFor is 5 s
			b.each(t)
			time.Sleep(125 * time.Millisecond)
		}
		b.base.WantSent(tripped + 1)
	})
}

// A process dies with the probe: another one gets it after ProbeTimeout.
func TestProbeOfADeadProcessExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newOutage(t, 2, nil)
		b.trip(t)
		time.Sleep(time.Second)
		b.each(t)
		time.Sleep(4100 * time.Millisecond)
		b.down.Store(false)
		host := shared.CircuitID{Host: "example.okta.com"}
		if c, err := b.store.Memory.Probe(t.Context(), host, "dies", 10*time.Second); err != nil || !c.Yours {
			t.Fatal(c, err)
		}
		if n := refusedCalls(b.each(t)); n != 2 {
			t.Errorf("%d of 2 processes refuse calls while the probe is out", n)
		}
		time.Sleep(11 * time.Second)
		b.each(t)
		time.Sleep(time.Second)
		if n := refusedCalls(b.each(t)); n != 0 {
			t.Errorf("%d of 2 processes refuse calls", n)
		}
	})
}

// A probe that its caller cancels, or that meets a 429, gives its place back at once.
func TestInconclusiveProbeIsReturnedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newOutage(t, 2, nil)
		b.trip(t)
		time.Sleep(time.Second)
		b.each(t)
		time.Sleep(4100 * time.Millisecond)
		b.base.Always(script.Limited(script.Set("Retry-After", "1")))
		rig.GetOnce(t, b.all[1], keysURL)
		b.base.WantSent(tripped + 1)
		time.Sleep(2 * time.Second)
		b.base.Always(script.OK())
		rig.GetOnce(t, b.all[0], keysURL).Is(200)
	})
}

func TestFleetNeedsAsManyProbesAsThePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newOutage(t, 2, func(p *oktaretry.Policy) { p.Breaker.Probes = 3 })
		b.trip(t)
		time.Sleep(time.Second)
		b.each(t)
		time.Sleep(4100 * time.Millisecond)
		b.down.Store(false)
		b.takes.Store(int64(100 * time.Millisecond))
		for i := range 3 {
			if n := refusedCalls(b.each(t)); n != 1 {
				t.Errorf("probe %d: %d calls were refused, want 1 of 2", i+1, n)
			}
			time.Sleep(time.Second)
		}
		if n := refusedCalls(b.each(t)); n != 0 {
			t.Errorf("%d calls were refused after three probes", n)
		}
	})
}

// Without its store each process has its own circuits, as ever.
func TestCircuitsWorkWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newOutage(t, 2, nil)
		b.store.Set(sharedtest.Fails)
		b.trip(t)
		if n := refusedCalls([]rig.Call{rig.GetOnce(t, b.all[0], keysURL)}); n != 1 {
			t.Error("the process's own circuit is not open")
		}
		rig.GetOnce(t, b.all[1], keysURL)
		b.base.WantSent(tripped + 1)
		b.down.Store(false)
		time.Sleep(6 * time.Second)
		for range 3 {
			rig.GetOnce(t, b.all[0], keysURL).Is(200)
		}
	})
}

// A store that was emptied while a circuit was open does not close it.
func TestEmptiedStoreClosesNoCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newOutage(t, 1, nil)
		b.store.Set(sharedtest.Fails)
		b.trip(t)
		b.store.Set(sharedtest.None)
		time.Sleep(6 * time.Second) // its time is over
		b.each(t)                   // a probe of its own, which fails
		if n := refusedCalls(b.each(t)); n != 1 {
			t.Error("the circuit is closed without a probe")
		}
		b.base.WantSent(5)
	})
}

// The answer once came to a call that had ended, and whose memory was another's:
// a nil pointer in a goroutine, which nobody can recover.
func TestCanceledCallLeavesTheStoresAnswerToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newOutage(t, 3, nil)
		b.down.Store(false)
		rig.GetOnce(t, b.all[2], keysURL).Is(200) // it knows the bucket: no limits
		time.Sleep(time.Minute)
		b.down.Store(true)
		for i := range tripped {
			rig.GetOnce(t, b.all[i/4], keysURL)
			time.Sleep(time.Second / 4)
		}
		time.Sleep(time.Second)
		b.store.Takes.Store(int64(40 * time.Millisecond))
		rig.Do(t, rig.CancelAfter(t, 10*time.Millisecond, nil), b.all[2], http.MethodGet, keysURL, "").TookBetween(10*time.Millisecond, 10*time.Millisecond)
		time.Sleep(100 * time.Millisecond)
		if got := rig.Circuits(b.all[2].Transport, "open"); len(got) != 1 || got[0] != rig.HostCircuit {
			t.Errorf("open are %q", got)
		}
	})
}

// One call asks for a probe and waits; meanwhile the store is lost, and another
// call wants the probe when it is time to see whether the store is back. It once
// took that task and never did it, so the store stayed lost for ever.
func TestStoreReturnsWhileAProbeIsRequested(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newOutage(t, 1, nil, oktaretry.SharedTimeout(time.Second))
		b.trip(t)
		time.Sleep(4500 * time.Millisecond)
		b.each(t) // knows of the circuits, for 750 ms
		time.Sleep(550 * time.Millisecond)
		b.store.Set(sharedtest.Hangs)
		waits := make(chan rig.Call)
		go func() { waits <- rig.GetOnce(t, b.all[0], keysURL) }()
		time.Sleep(10 * time.Millisecond)
		b.store.Set(sharedtest.Fails)
		b.down.Store(false)
		rig.GetOnce(t, b.all[0], rig.AppURL) // asks for places
		time.Sleep(100 * time.Millisecond)
		b.store.Set(sharedtest.None)
		rig.GetOnce(t, b.all[0], keysURL)
		<-waits
		for range 5 {
			time.Sleep(5 * time.Second)
			rig.GetOnce(t, b.all[0], keysURL)
		}
		if lines := b.all[0].storeLines(); len(lines) != 2 || !strings.Contains(lines[1], "back") {
			t.Errorf("log %q, want that the store is lost, and back", lines)
		}
	})
}

// A circuit that another process had opened was once reported to the store again,
// by whichever call ended next: it stayed open for longer each time.
func TestCircuitOpenedElsewhereIsNotReportedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newOutage(t, 2, nil)
		b.down.Store(false)
		rig.GetOnce(t, b.all[1], keysURL).Is(200) // it knows the bucket: no limits
		time.Sleep(time.Second)
		b.takes.Store(int64(2 * time.Second))
		slow := make(chan rig.Call)
		go func() { slow <- rig.GetOnce(t, b.all[1], keysURL) }()
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		b.takes.Store(0)
		b.down.Store(true)
		for range 4 {
			rig.GetOnce(t, b.all[0], keysURL)
		}
		time.Sleep(time.Second)
		b.store.Takes.Store(int64(40 * time.Millisecond))
		rig.Do(t, rig.CancelAfter(t, 10*time.Millisecond, nil), b.all[1], http.MethodGet, keysURL, "") // asks, and is gone
		<-slow
		if n := b.store.Asked("report"); n != 1 {
			t.Errorf("%d reports reached the store, want once", n)
		}
	})
}

// An answer about what was not asked for is a fault of the store.
func TestUnrequestedCircuitsAreRefused(t *testing.T) {
	for name, id := range map[string]shared.CircuitID{
		"another host":             {Host: "other.okta.com"},
		"a method of no endpoint":  {Host: "example.okta.com", Method: "GET"},
		"a template of no methods": {Host: "example.okta.com", Template: "/api/v1/users"},
	} {
		rig.Virtual(t, name, func(t *testing.T) {
			b := newOutage(t, 1, nil)
			b.down.Store(false)
			b.store.Extra.Store(&shared.Circuit{CircuitID: id, State: shared.Open, Wait: time.Hour})
			for range 3 {
				rig.GetOnce(t, b.all[0], keysURL).Is(200)
				time.Sleep(time.Second)
			}
			if lines := b.all[0].storeLines(); len(lines) == 0 || !strings.Contains(lines[0], "kind=absurd") {
				t.Errorf("log %q", lines)
			}
		})
	}
}
