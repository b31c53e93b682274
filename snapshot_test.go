// This file tests what a Snapshot holds, and in which order.

package oktaretry_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/internal/show"
)

func TestSnapshotHasTheStateOfAHeldBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		rt, _ := rig.New(t, nil,
			script.OK().Takes(50*time.Second),
			script.Limited(script.Date(0), script.ResetIn(0, 20*time.Second), script.Set("Retry-After", "40"),
				script.Set("X-Rate-Limit-Limit", "600"), script.Set("X-Rate-Limit-Remaining", "0")),
			script.OK(), script.OK(), script.OK())
		calls := []<-chan rig.Call{rig.Start(t, rt, rig.UserURL), rig.Start(t, rt, rig.UserURL), rig.Start(t, rt, rig.UserURL), rig.Start(t, rt, rig.UserURL)}
		buckets := rt.Snapshot().Buckets
		if len(buckets) != 1 {
			t.Fatalf("%d buckets, want 1", len(buckets))
		}
		b := buckets[0]
		if b.Host != "example.okta.com" || b.Limit != 600 || b.Remaining != 0 || b.InFlight != 1 || b.Waiting != 3 {
			t.Errorf("%+v", b)
		}
		if reset, held := b.Reset.Sub(began), b.HeldUntil.Sub(began); reset < 20*time.Second || reset > 22*time.Second || held < 40*time.Second || held > 42*time.Second {
			t.Errorf("resets in %s and is held for %s, want 20s and 40s", reset, held)
		}
		for _, c := range calls {
			(<-c).Is(http.StatusOK)
		}
		if b := rt.Snapshot().Buckets[0]; !b.HeldUntil.IsZero() || b.InFlight != 0 || b.Waiting != 0 {
			t.Errorf("afterwards %+v", b)
		}
	})
}

func TestSnapshotCountsTheVerdictsOfACircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _ := rig.New(t, nil, script.OK(), pending(""), script.Bare(404), script.Code(500, "E0000009"))
		for range 4 {
			rig.Do(t, oktaretry.WithNoRetry(t.Context()), rt, http.MethodGet, rig.UserURL, "")
		}
		for _, c := range rt.Snapshot().Circuits {
			failures := 1 // a pending answer is a success, and a 4xx is neither
			if c.Scope == oktaretry.TripsHost {
				failures = 0 // it is one endpoint's word
			}
			if c.Successes != 2 || c.Failures != failures || c.State != "closed" || c.RetryAfter != 0 {
				t.Errorf("%+v, want 2 successes and %d failures", c, failures)
			}
		}
	})
}

// A health page would go on to show the failures of an endpoint that nobody
// calls any more: gobreaker moves its window on only when it is asked for
// something else.
func TestSnapshotForgetsFailuresOlderThanTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _ := rig.New(t, nil, script.Bare(503))
		rig.Do(t, oktaretry.WithNoRetry(t.Context()), rt, http.MethodGet, rig.UserURL, "")
		time.Sleep(oktaretry.DefaultPolicy().Breaker.Window)
		for _, c := range rt.Snapshot().Circuits {
			if c.Failures != 0 {
				t.Errorf("%+v, want no failures", c)
			}
		}
	})
}

func TestSnapshotIsSorted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		base.Always(script.OK())
		for _, target := range []string{"https://b.okta.com/api/v1/users/1", "https://a.okta.com/api/v1/users/1",
			"https://a.okta.com/api/v1/apps/1", "https://a.okta.com/api/v1/groups/1", "https://a.okta.com/api/v1/logs"} {
			for _, method := range []string{http.MethodPut, http.MethodGet} {
				rig.Do(t, t.Context(), rt, method, target, "").Is(http.StatusOK)
			}
		}
		s := rt.Snapshot()
		var buckets, circuits []string
		for _, b := range s.Buckets {
			buckets = append(buckets, b.Host+" "+b.Bucket)
		}
		for _, c := range s.Circuits {
			circuits = append(circuits, c.Host+" "+c.Method+" "+c.Template)
		}
		if len(buckets) < 5 || len(circuits) != 12 {
			t.Errorf("%d buckets and %d circuits", len(buckets), len(circuits))
		}
		if !slices.IsSorted(buckets) {
			t.Errorf("buckets not by host and name: %q", buckets)
		}
		if !slices.IsSorted(circuits) {
			t.Errorf("circuits not by host, method and template, a host's own first: %q", circuits)
		}
	})
}

func TestSnapshotTellsCredentialsApartWithoutRevealingThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		base.Always(script.OK())
		for _, token := range []string{"SSWS 00one", "SSWS 00two", ""} {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, rig.UserURL, nil)
			if token != "" {
				req.Header.Set("Authorization", token)
			}
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		labels := map[string]bool{}
		for _, b := range rt.Snapshot().Buckets {
			labels[b.Credential] = true
			if len(b.Credential) != 8 && b.Credential != "" || b.Share != 1 {
				t.Errorf("%+v", b)
			}
		}
		if len(labels) != 3 || !labels[""] {
			t.Errorf("labels %v, want none and two others", labels)
		}
	})
}

func TestSnapshotHasWhatOpenedACircuitAndWhatIsLeftOfTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		rt, base := rig.New(t, nil)
		base.Always(script.Bare(503))
		left := rt.Snapshot().Budgets
		if len(left) != 0 {
			t.Errorf("budgets before the first call: %+v", left)
		}
		for range 20 {
			rig.Do(t, t.Context(), rt, http.MethodGet, rig.UserURL, "")
			time.Sleep(100 * time.Millisecond)
		}
		s := rt.Snapshot()
		if !s.At.Equal(time.Now()) || len(s.Budgets) != 1 || s.Budgets[0].Host != "example.okta.com" || s.Budgets[0].Remaining <= 0 {
			t.Errorf("at %s: budgets %+v", s.At, s.Budgets)
		}
		for _, c := range s.Circuits {
			if c.State != "open" || c.Class != oktaretry.ClassServerError || c.Failure != "503" || !c.Since.After(began) || c.RetryAfter <= 0 {
				t.Errorf("%+v", c)
			}
		}
		base.Always(script.OK())
		time.Sleep(time.Minute)
		for range 10 {
			rig.Do(t, t.Context(), rt, http.MethodGet, rig.UserURL, "")
		}
		for _, c := range rt.Snapshot().Circuits {
			if c.State != "closed" || c.Class != 0 || c.Failure != "" || !c.Since.IsZero() {
				t.Errorf("closed again: %+v", c)
			}
		}
	})
}

func TestSnapshotHasTheCallsThatCameToNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil, script.OK(), script.Bare(404))
		for range 2 {
			rig.Do(t, t.Context(), rt, http.MethodGet, rig.UserURL, "")
		}
		base.Always(script.Code(500, "E0000009"))
		rig.Do(t, t.Context(), rt, http.MethodGet, rig.UserURL, "")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		rig.Do(t, gone, rt, http.MethodGet, rig.UserURL, "")
		base.Always(script.Limited(script.Date(0), script.Set("Retry-After", "3000")))
		rig.Do(t, t.Context(), rt, http.MethodGet, rig.UserURL, "")
		all := rt.Snapshot().GivenUp
		if len(all) != 2 {
			t.Fatalf("%d calls, want the 500 and the 429: %+v", len(all), all)
		}
		limited, failed := all[0].Outcome, all[1].Outcome
		var rle *oktaretry.RateLimitError
		if limited.Class != oktaretry.ClassRateLimited || !errors.As(limited.Err, &rle) || limited.Needed < 3000*time.Second {
			t.Errorf("%s, %v, needed %s", limited.Class, limited.Err, limited.Needed)
		}
		if failed.Code != "E0000009" || len(failed.Attempts) < 3 || failed.Stop != oktaretry.StopMaxElapsed || failed.Waited() == 0 || all[1].Times != 1 {
			t.Errorf("%s after %d attempts, %s", failed.Code, len(failed.Attempts), failed.Stop)
		}
		for _, a := range append(failed.Attempts, oktaretry.Attempt{Classification: failed.Classification}) {
			if a.Error != nil {
				t.Errorf("it keeps what Okta wrote: %v", a.Error)
			}
		}
	})
}

// A circuit of a busy program refuses a hundred calls in no time: what opened it must
// still be there.
func TestSnapshotCountsRefusedCallsOfAnEndpointAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		base.Always(script.Bare(503))
		for range 500 {
			rig.Do(t, oktaretry.WithNoRetry(t.Context()), rt, http.MethodGet, rig.UserURL, "")
			time.Sleep(10 * time.Millisecond)
		}
		refused, failed := 0, 0
		for _, g := range rt.Snapshot().GivenUp {
			if len(g.Outcome.Attempts) > 0 {
				failed++
				continue
			}
			refused += g.Times
			var open *oktaretry.CircuitOpenError
			if g.Outcome.Stop != oktaretry.StopCircuitOpen || !errors.As(g.Outcome.Err, &open) {
				t.Errorf("%s: %v", g.Outcome.Stop, g.Outcome.Err)
			}
		}
		if failed == 0 || refused+failed != 500 {
			t.Errorf("%d failed and %d refused, want 500 in all", failed, refused)
		}
	})
}

// What the caller's own error refers to must not be kept alive by a page.
func TestSnapshotKeepsNoErrorOfTheCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		base.Always(script.Fail(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}))
		rig.Do(t, oktaretry.WithNoRetry(t.Context()), rt, http.MethodGet, rig.UserURL, "")
		all := rt.Snapshot().GivenUp
		if len(all) != 1 {
			t.Fatalf("%d calls, want 1", len(all))
		}
		o := all[0].Outcome
		for _, err := range []error{o.Err, o.Attempts[0].Err} {
			if err == nil || errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestSnapshotHasTheStateOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if rt, _ := rig.New(t, nil); rt.Snapshot().Store != (oktaretry.StoreState{}) {
			t.Errorf("without a store: %+v", rt.Snapshot().Store)
		}
		store := sharedtest.NewFaulty(t)
		base := script.New(t)
		base.Always(script.OK())
		rt := rig.Over(t, base, nil, oktaretry.WithShared(store))
		rig.Do(t, t.Context(), rt, http.MethodGet, rig.UserURL, "").Is(http.StatusOK)
		if s := rt.Snapshot().Store; s != (oktaretry.StoreState{Shared: true}) {
			t.Errorf("of a store that works: %+v", s)
		}
		store.Set(sharedtest.Fails)
		time.Sleep(time.Minute)
		rig.Do(t, t.Context(), rt, http.MethodGet, rig.UserURL, "").Is(http.StatusOK)
		lost := rt.Snapshot().Store
		if !lost.Lost || lost.LastError != "error" || lost.LastOperation == "" || lost.Since.IsZero() || lost.LastErrorAt.Before(lost.Since) {
			t.Errorf("of a store that is lost: %+v", lost)
		}
		store.Set(sharedtest.None)
		time.Sleep(time.Minute)
		rig.Do(t, t.Context(), rt, http.MethodGet, rig.UserURL, "").Is(http.StatusOK)
		if back := rt.Snapshot().Store; back.Lost || back.LastError != "error" || !back.Since.Equal(lost.Since) {
			t.Errorf("of a store that is back: %+v", back)
		}
	})
}

// A name that the user's function gave can hold anything: each value stays on its line.
func TestTextOfAValueQuotesWhatWouldBreakIt(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "name=plain", "two words": `name="two words"`, "a\nb": `name="a\nb"`, "a\tb": `name="a\tb"`,
		"/api/v1/users (limit 50)": `name="/api/v1/users (limit 50)"`, "a=b": `name="a=b"`, "\x1b[1m": `name="\x1b[1m"`,
	} {
		var a show.Attrs
		a.Text("name", text)
		if got := a.Line(); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
