// This file tests what a Snapshot holds, and in which order.

package oktaretry_test

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
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
