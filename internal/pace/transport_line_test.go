// This file tests through a Transport which calls wait for a bucket together,
// in which order they go, and how far apart.

package pace_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
	"github.com/oktaretry/oktaretry/oktatest"
)

// refusesOnce makes a Transport over a base that refuses the first request to a path for a while and
// answers every other one.
func refusesOnce(t *testing.T, path string, reset time.Duration) (*oktaretry.Transport, *script.Base) {
	rt, base := rig.New(t, nil)
	var once sync.Once
	base.Choose(func(req *http.Request) script.Step {
		a := script.OK()
		if req.URL.Path == path {
			once.Do(func() { a = script.Limited(script.Date(0), script.ResetIn(0, reset)) })
		}
		return a
	})
	return rt, base
}

func Test429HoldsTheCallersOfItsBucketOnly(t *testing.T) {
	for _, tt := range []struct {
		name           string
		method, target string
		token          string
		waits          bool
	}{
		{"the same", "GET", rig.UserURL, "SSWS a", true},
		{"another user", "GET", rig.Org + "/api/v1/users/00u2", "SSWS a", true},
		{"the host in capitals", "GET", "https://EXAMPLE.okta.com/api/v1/users/00u2", "SSWS a", true},
		{"another method's bucket", "POST", rig.UserURL, "SSWS a", false},
		{"another bucket", "GET", rig.AppURL, "SSWS a", false},
		{"an endpoint without limits", "GET", rig.Org + "/oauth2/v1/keys", "SSWS a", false},
		{"another host", "GET", "https://other.okta.com/api/v1/users/00u1", "SSWS a", false},
		{"another credential", "GET", rig.UserURL, "SSWS b", false},
		{"no credential", "GET", rig.UserURL, "", false},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, _ := refusesOnce(t, "/api/v1/users/00u1", time.Minute)
			first := make(chan rig.Call, 1)
			go func() {
				first <- rig.Do(t, t.Context(), rt, "GET", rig.UserURL, "", "Authorization", "SSWS a")
			}()
			synctest.Wait()
			c := rig.Do(t, t.Context(), rt, tt.method, tt.target, "", "Authorization", tt.token).Is(200)
			if tt.waits {
				c.TookBetween(time.Minute, time.Minute+3*rig.Spread)
			} else {
				c.TookBetween(0, 0)
			}
			(<-first).Is(200)
		})
	}
}

func Test429NarrowerThanABucketHoldsNobodyElse(t *testing.T) {
	for name, a := range map[string]script.Step{
		"E0000109":    script.Code(429, "E0000109", script.Date(0), script.ResetIn(0, 50*time.Second)),
		"E0000118":    script.Code(429, "E0000118", script.Set("Retry-After", "50")),
		"E0000146":    script.Code(429, "E0000146"),
		"E0000150":    script.Code(403, "E0000150", script.Date(0), script.ResetIn(0, 50*time.Second)),
		"concurrency": script.Concurrency(script.Date(0), script.ResetIn(0, 2*time.Minute), script.Set("Retry-After", "5")),
	} {
		rig.Virtual(t, name, func(t *testing.T) {
			rt, _ := rig.New(t, nil, a, script.OK(), script.OK())
			first := rig.Start(t, rt, rig.UserURL)
			rig.Get(t, rt, rig.UserURL).Is(200).TookBetween(0, 0)
			for _, b := range rt.Snapshot().Buckets {
				if !b.HeldUntil.IsZero() {
					t.Errorf("bucket %s is held until %s", b.Bucket, b.HeldUntil)
				}
			}
			<-first
		})
	}
}

func Test429HoldsTheBucketAlsoWhenItsCallGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil, script.Limited(script.Date(0), script.ResetIn(0, 30*time.Second)), script.OK().After(30*time.Second, rig.Spread))
		rig.Failure[*oktaretry.RateLimitError](rig.Do(t, oktaretry.WithNoRetry(t.Context()), rt, "GET", rig.UserURL, ""))
		rig.Get(t, rt, rig.UserURL).Is(200)
		base.WantSent(2)
	})
}

// releaseOrder sends n calls at the same time, as fast as call i's path says, has all
// of them refused until a reset, and returns their paths in the order in which
// they came again, with the times.
func releaseOrder(t *testing.T, n int, ctx func(int) context.Context) (order []string, times []time.Time, reset time.Time) {
	t.Helper()
	reset = time.Now().Add(time.Minute)
	rt, base := rig.New(t, nil)
	base.Choose(func(*http.Request) script.Step {
		if time.Now().Before(reset) {
			return script.Limited(script.Date(0), script.ResetIn(0, time.Minute))
		}
		return script.OK()
	})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { rig.Do(t, ctx(i), rt, "GET", fmt.Sprintf("%s/api/v1/users/%03d", rig.Org, i), "").Is(200) })
		synctest.Wait() // so that the order in which they come is known
	}
	all.Wait()
	for _, r := range base.Sent() {
		if r.At.Before(reset) {
			continue
		}
		order = append(order, strings.TrimPrefix(r.URL.Path, "/api/v1/users/"))
		times = append(times, r.At)
	}
	base.WantSent(n + 1) // the first was refused; the others waited with it
	return order, times, reset
}

func Test100WaitersAreNotReleasedInOneInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		order, times, reset := releaseOrder(t, 100, func(int) context.Context { return t.Context() })
		if len(order) != 100 {
			t.Fatalf("%d came again, want 100", len(order))
		}
		if !slices.IsSorted(order) {
			t.Errorf("not first come, first served: %v", order)
		}
		if times[0].Sub(reset) > rig.Spread {
			t.Errorf("the first came %s after the reset, want %s at most", times[0].Sub(reset), rig.Spread)
		}
		if took := times[99].Sub(times[0]); took < 100*time.Millisecond || took > 300*time.Millisecond {
			t.Errorf("they came within %s, want spread over about 200ms", took)
		}
		distinct := map[time.Time]bool{}
		for _, at := range times {
			distinct[at] = true
		}
		if len(distinct) < 95 {
			t.Errorf("they came at %d different times, want nearly 100", len(distinct))
		}
	})
}

func TestInteractiveWaitersGoBeforeBackgroundOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		background := func(i int) bool { return i > 0 && i <= 5 }
		order, _, _ := releaseOrder(t, 10, func(i int) context.Context {
			if background(i) {
				return oktaretry.WithPriority(t.Context(), oktaretry.PriorityBackground)
			}
			return t.Context()
		})
		want := []string{"000", "006", "007", "008", "009", "001", "002", "003", "004", "005"}
		if !slices.Equal(order, want) {
			t.Errorf("they went in the order %v, want %v", order, want)
		}
	})
}

func TestRefusedCallGoesBeforeThoseNeverSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := time.Now().Add(time.Minute)
		rt, base := rig.New(t, nil)
		base.Choose(func(req *http.Request) script.Step {
			refused := script.Limited(script.Date(0), func(h http.Header, now time.Time) { script.ResetIn(0, reset.Sub(now))(h, now) })
			switch {
			case !time.Now().Before(reset):
				return script.OK()
			case req.URL.Path == "/api/v1/users/slow":
				return refused.Takes(20 * time.Second)
			}
			return refused
		})
		slow := rig.Start(t, rt, rig.Org+"/api/v1/users/slow")
		first := rig.Start(t, rt, rig.Org+"/api/v1/users/first")
		never := rig.Start(t, rt, rig.Org+"/api/v1/users/never-sent")
		(<-slow).Is(200)
		(<-first).Is(200)
		(<-never).Is(200)
		var order []string
		for _, r := range base.Sent()[2:] {
			order = append(order, strings.TrimPrefix(r.URL.Path, "/api/v1/users/"))
		}
		if want := []string{"first", "slow", "never-sent"}; !slices.Equal(order, want) {
			t.Errorf("they went in the order %v, want %v", order, want)
		}
	})
}

func TestCanceledWaiterDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := refusesOnce(t, "/api/v1/users/00u1", time.Minute)
		first := make(chan rig.Call, 1)
		go func() {
			first <- rig.Do(t, rig.CancelAfter(t, 30*time.Second, errors.New("shutting down")), rt, "GET", rig.UserURL, "")
		}()
		synctest.Wait()
		second := rig.Start(t, rt, rig.UserURL)
		third := rig.Start(t, rt, rig.UserURL)
		(<-first).Stopped(oktaretry.StopCanceled).TookBetween(30*time.Second, 30*time.Second)
		(<-second).Is(200).TookBetween(time.Minute, time.Minute+2*rig.Spread)
		(<-third).Is(200).TookBetween(time.Minute, time.Minute+4*rig.Spread)
		base.WantSent(3)
	})
}

func TestMaxRateSpacesTheCallsOfAHost(t *testing.T) {
	for _, tt := range []struct {
		name     string
		burst    int
		from, to time.Duration
	}{
		{"one at a time", 1, 4900 * time.Millisecond, 5 * time.Second},
		{"in bursts", 10, 4 * time.Second, 4100 * time.Millisecond},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, func(p *oktaretry.Policy) { p.Pace.MaxRate, p.Pace.Burst = 10, tt.burst })
			base.Always(script.OK())
			began := time.Now()
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() { rig.Get(t, rt, rig.UserURL).Is(200) })
			}
			all.Wait()
			if took := time.Since(began); took < tt.from || took > tt.to {
				t.Errorf("50 calls at 10 a second took %s, want %s to %s", took, tt.from, tt.to)
			}
			sent := base.Sent()
			for i := range sent {
				for j := i + 1; j < len(sent); j++ {
					d := sent[j].At.Sub(sent[i].At)
					if n := j - i + 1; float64(n) > float64(tt.burst)+10*d.Seconds()+1e-6 {
						t.Fatalf("%d calls within %s", n, d)
					}
				}
			}
		})
	}
}

func TestMaxRateCountsAllBucketsOfAHostAndNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) { p.Pace.MaxRate = 1 })
		base.Always(script.OK())
		rig.Get(t, rt, rig.UserURL).TookBetween(0, 0)
		rig.Get(t, rt, "https://other.okta.com/api/v1/users/00u1").TookBetween(0, 0)
		c := rig.Get(t, rt, rig.AppURL).TookBetween(time.Second, time.Second+rig.Spread)
		if w := c.Outcome.Attempts[0].Waits; len(w) != 1 || w[0].Reason != oktaretry.WaitCeiling {
			t.Errorf("it waited for %v, want the ceiling", w)
		}
	})
}

func TestMaxRateWaitThatDoesNotFitIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) { p.Pace.MaxRate = 0.1 })
		base.Always(script.OK())
		rig.Get(t, rt, rig.UserURL).Is(200)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		e := rig.Failure[*oktaretry.RateLimitError](rig.Do(t, ctx, rt, "GET", rig.UserURL, "").Stopped(oktaretry.StopDeadline).TookBetween(0, 0))
		if !e.ClientSide || e.RetryAfter < 10*time.Second || e.RetryAfter > 10*time.Second+rig.Spread {
			t.Errorf("client-side %t, RetryAfter %s; want true, 10s", e.ClientSide, e.RetryAfter)
		}
		base.WantSent(1)
	})
}

// Failing fast is about Okta's limit, not the user's own.
func TestMaxRateSpacesCallsThatWaitForNoRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) {
			p.Pace.MaxRate = 0.1
			p.RateLimited.Action = oktaretry.FailFast
		}, script.OK(), script.OK().After(10*time.Second, rig.Spread))
		rig.Get(t, rt, rig.UserURL).Is(200)
		rig.Get(t, rt, rig.UserURL).Is(200)
		base.WantSent(2)
	})
}

// One answer, however absurd, holds the call that met it; the bucket it closes for
// a minute, and then a call finds out.
func TestResetOfAnHourClosesTheBucketForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) { p.RateLimited.MaxElapsed, p.RateLimited.Jitter = 2*time.Hour, 0 },
			script.Limited(script.Date(0), script.ResetIn(0, time.Hour)), script.OK().After(time.Minute+time.Second, rig.Spread), script.OK())
		first, second := rig.Start(t, rt, rig.UserURL), rig.Start(t, rt, rig.UserURL)
		(<-second).Is(200).TookBetween(time.Minute+time.Second, time.Minute+time.Second+2*rig.Spread)
		(<-first).Is(200).TookBetween(time.Hour, time.Hour+2*rig.Spread)
		base.WantSent(3)
	})
}

// What the line takes is progress: neither the policy's rule for rate limits nor
// that of the call's own 429 bounds it.
func TestLineCountsForNoRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		okta := oktatest.New(oktatest.WithUsers(1), oktatest.WithLimit(rig.UserBucket, 50), oktatest.WithLatency(50*time.Millisecond))
		rt, err := oktaretry.NewTransport(okta.Transport())
		if err != nil {
			t.Fatal(err)
		}
		target := rig.Org + "/api/v1/users/" + okta.UserIDs()[0]
		var calls []<-chan rig.Call
		for range 700 {
			calls = append(calls, rig.Start(t, rt, target))
		}
		longest := time.Duration(0)
		for _, c := range calls {
			longest = max(longest, (<-c).Is(200).Took)
		}
		if most := rt.Policy().RateLimited.MaxElapsed; longest <= most {
			t.Errorf("the last call took %s, so nothing was tested beyond %s", longest, most)
		}
	})
}

func TestMaxWaitBoundsTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) { p.Pace.MaxWait = 10 * time.Second },
			script.Limited(script.Date(0), script.ResetIn(0, 30*time.Second)), script.OK())
		first := rig.Start(t, rt, rig.UserURL)
		e := rig.Failure[*oktaretry.RateLimitError](rig.Get(t, rt, rig.UserURL).Stopped(oktaretry.StopMaxWait).TookBetween(0, 0))
		if !e.ClientSide || e.RetryAfter < 30*time.Second || e.RetryAfter > 31*time.Second+2*rig.Spread {
			t.Errorf("client-side %t, RetryAfter %s; want true and the rest of the hold", e.ClientSide, e.RetryAfter)
		}
		(<-first).Is(200).TookBetween(30*time.Second, 31*time.Second+rig.Spread) // as its own refusal ordered
		base.WantSent(2)
	})
}

// What Okta named is apart from what the library does out of caution, and the parts
// of a wait are its whole.
func TestEachCauseOfAWaitHasItsOwnReason(t *testing.T) {
	type parts = map[oktaretry.WaitReason]time.Duration
	// waits sends n calls at once and returns the waits of all, by reason.
	waits := func(t *testing.T, rt *oktaretry.Transport, target string, n int) (all parts) {
		all = parts{}
		for _, c := range runWorkers(t, rt, target, n, n) {
			var sum time.Duration
			for _, a := range c.Outcome.Attempts {
				for _, w := range a.Waits {
					all[w.Reason] += w.Duration
					sum += w.Duration
				}
				sum += a.Duration
			}
			if sum != c.Outcome.Elapsed {
				t.Errorf("waits and attempts sum up to %s of %s", sum, c.Outcome.Elapsed)
			}
		}
		return all
	}
	only := func(t *testing.T, got parts, want ...oktaretry.WaitReason) {
		t.Helper()
		for reason := range got {
			if !slices.Contains(want, reason) {
				t.Errorf("waits for %s in %v, want %v", reason, got, want)
			}
		}
		for _, reason := range want {
			if got[reason] == 0 {
				t.Errorf("no wait for %s in %v", reason, got)
			}
		}
	}
	rig.Virtual(t, "a new bucket", func(t *testing.T) {
		rt, _, target := overOkta(t, 600, nil)
		only(t, waits(t, rt, target, 20), oktaretry.WaitLearning, oktaretry.WaitTurn)
	})
	rig.Virtual(t, "a window that is used up", func(t *testing.T) {
		rt, _, target := overOkta(t, 10, nil)
		runWorkers(t, rt, target, 1, 10)
		got := waits(t, rt, target, 5)
		only(t, got, oktaretry.WaitRateLimit, oktaretry.WaitLearning, oktaretry.WaitTurn)
		if caution := got[oktaretry.WaitLearning] + got[oktaretry.WaitTurn]; caution > 5*time.Second {
			t.Errorf("%s of caution in %v", caution, got)
		}
	})
	rig.Virtual(t, "the share that MaxUtilization leaves to others", func(t *testing.T) {
		rt, _, target := overOkta(t, 100, func(p *oktaretry.Policy) { p.Pace.MaxUtilization = 0.5 })
		runWorkers(t, rt, target, 1, 50)
		only(t, waits(t, rt, target, 1), oktaretry.WaitCeiling)
	})
	rig.Virtual(t, "another call's 429", func(t *testing.T) {
		rt, okta, target := overOkta(t, 600, nil)
		rig.Get(t, rt, target).Is(200)
		okta.Script("*", oktatest.RateLimited(20*time.Second))
		go func() { rig.Get(t, rt, target).Is(200) }()
		time.Sleep(time.Second)
		got := waits(t, rt, target, 1)
		only(t, got, oktaretry.WaitRateLimit, oktaretry.WaitTurn) // the refused call goes first
		if got[oktaretry.WaitRateLimit] < 19*time.Second {
			t.Errorf("%v, want 19 s and more for the rate limit", got)
		}
	})
	rig.Virtual(t, "spread over the window", func(t *testing.T) {
		rt, _, target := overOkta(t, 60, func(p *oktaretry.Policy) { p.Pace.Smooth = true })
		rig.Get(t, rt, target).Is(200)
		rig.Get(t, rt, target).Is(200)
		only(t, waits(t, rt, target, 1), oktaretry.WaitTurn)
	})
}
