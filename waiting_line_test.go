package oktaretry_test

// This file tests who waits for a bucket with whom, in which order the waiting
// calls go, and how far apart.

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
)

// closedFor is a base that refuses the first request to a path for a while and
// answers every other one.
func closedFor(t *testing.T, path string, reset time.Duration) (*oktaretry.Transport, *script) {
	rt, base := newScript(t, nil)
	var once sync.Once
	base.answers = func(req *http.Request) step {
		a := ok()
		if req.URL.Path == path {
			once.Do(func() { a = limited(dated(0), resets(0, reset)) })
		}
		return then(a)
	}
	return rt, base
}

func Test429StopsTheOtherCallersOfItsBucketOnly(t *testing.T) {
	for _, tt := range []struct {
		name           string
		method, target string
		token          string
		waits          bool
	}{
		{"the same", "GET", usersURL, "SSWS a", true},
		{"another user", "GET", org + "/api/v1/users/00u2", "SSWS a", true},
		{"the host in capitals", "GET", "https://EXAMPLE.okta.com/api/v1/users/00u2", "SSWS a", true},
		{"another method's bucket", "POST", usersURL, "SSWS a", false},
		{"another bucket", "GET", appsURL, "SSWS a", false},
		{"an endpoint without limits", "GET", org + "/oauth2/v1/keys", "SSWS a", false},
		{"another host", "GET", "https://other.okta.com/api/v1/users/00u1", "SSWS a", false},
		{"another credential", "GET", usersURL, "SSWS b", false},
		{"no credential", "GET", usersURL, "", false},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, _ := closedFor(t, "/api/v1/users/00u1", 59*time.Second)
			first := make(chan call, 1)
			go func() {
				first <- do(t.Context(), rt, "GET", usersURL, "", "Authorization", "SSWS a")
			}()
			synctest.Wait()
			c := do(t.Context(), rt, tt.method, tt.target, "", "Authorization", tt.token).is(t, 200)
			if tt.waits {
				c.took(t, time.Minute, time.Minute+3*gap)
			} else {
				c.took(t, 0, 0)
			}
			(<-first).is(t, 200)
		})
	}
}

func Test429AboutLessThanABucketStopsNobodyElse(t *testing.T) {
	for name, a := range map[string]answer{
		"E0000109":    code(429, "E0000109", dated(0), resets(0, 50*time.Second)),
		"E0000118":    code(429, "E0000118", set("Retry-After", "50")),
		"E0000146":    code(429, "E0000146"),
		"E0000150":    code(403, "E0000150", dated(0), resets(0, 50*time.Second)),
		"concurrency": concurrency(dated(0), resets(0, 2*time.Minute), set("Retry-After", "5")),
	} {
		virtually(t, name, func(t *testing.T) {
			rt, _ := newScript(t, nil, then(a), then(ok()), then(ok()))
			first := start(t, rt, usersURL)
			get(t, rt, usersURL).is(t, 200).took(t, 0, 0)
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
		rt, base := newScript(t, nil, then(limited(dated(0), resets(0, 29*time.Second))), at(30*time.Second, gap, ok()))
		failure[*oktaretry.RateLimitError](t, do(oktaretry.WithNoRetry(t.Context()), rt, "GET", usersURL, ""))
		get(t, rt, usersURL).is(t, 200)
		base.sends(2)
	})
}

// line sends n calls at the same time, as fast as call i's path says, has all
// of them refused until a reset, and returns their paths in the order in which
// they came again, with the times.
func line(t *testing.T, n int, ctx func(int) context.Context) (order []string, times []time.Time, reset time.Time) {
	t.Helper()
	reset = time.Now().Add(time.Minute)
	rt, base := newScript(t, nil)
	base.answers = func(*http.Request) step {
		if time.Now().Before(reset) {
			return then(limited(dated(0), resets(0, 59*time.Second)))
		}
		return then(ok())
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(ctx(i), rt, "GET", fmt.Sprintf("%s/api/v1/users/%03d", org, i), "").is(t, 200) })
		synctest.Wait() // so that the order in which they come is known
	}
	all.Wait()
	for _, r := range base.requests() {
		if r.at.Before(reset) {
			continue
		}
		order = append(order, strings.TrimPrefix(r.url.Path, "/api/v1/users/"))
		times = append(times, r.at)
	}
	base.sends(n + 1) // the first was refused; the others waited with it
	return order, times, reset
}

func Test100WaitersAreNotReleasedInOneInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		order, times, reset := line(t, 100, func(int) context.Context { return t.Context() })
		if len(order) != 100 {
			t.Fatalf("%d came again, want 100", len(order))
		}
		if !slices.IsSorted(order) {
			t.Errorf("not first come, first served: %v", order)
		}
		if times[0].Sub(reset) > gap {
			t.Errorf("the first came %s after the reset, want %s at most", times[0].Sub(reset), gap)
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

func TestInteractiveCallsGoBeforeBackgroundOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		background := func(i int) bool { return i > 0 && i <= 5 }
		order, _, _ := line(t, 10, func(i int) context.Context {
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

func TestCallThatWasRefusedGoesBeforeThoseThatWereNeverSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := time.Now().Add(time.Minute)
		rt, base := newScript(t, nil)
		base.answers = func(req *http.Request) step {
			refused := limited(dated(0), func(h http.Header, now time.Time) { resets(0, reset.Sub(now)-time.Second)(h, now) })
			switch {
			case !time.Now().Before(reset):
				return then(ok())
			case req.URL.Path == "/api/v1/users/slow":
				return slowly(20*time.Second, refused)
			}
			return then(refused)
		}
		slow := start(t, rt, org+"/api/v1/users/slow")
		first := start(t, rt, org+"/api/v1/users/first")
		never := start(t, rt, org+"/api/v1/users/never-sent")
		(<-slow).is(t, 200)
		(<-first).is(t, 200)
		(<-never).is(t, 200)
		var order []string
		for _, r := range base.requests()[2:] {
			order = append(order, strings.TrimPrefix(r.url.Path, "/api/v1/users/"))
		}
		if want := []string{"first", "slow", "never-sent"}; !slices.Equal(order, want) {
			t.Errorf("they went in the order %v, want %v", order, want)
		}
	})
}

func TestWaiterThatLeavesHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := closedFor(t, "/api/v1/users/00u1", 59*time.Second)
		first := make(chan call, 1)
		go func() { first <- do(cancelAfter(t, 30*time.Second, errShutdown), rt, "GET", usersURL, "") }()
		synctest.Wait()
		second := start(t, rt, usersURL)
		third := start(t, rt, usersURL)
		(<-first).stopped(t, oktaretry.StopCanceled).took(t, 30*time.Second, 30*time.Second)
		(<-second).is(t, 200).took(t, time.Minute, time.Minute+2*gap)
		(<-third).is(t, 200).took(t, time.Minute, time.Minute+4*gap)
		base.sends(3)
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
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, func(p *oktaretry.Policy) { p.Pace.MaxRate, p.Pace.Burst = 10, tt.burst })
			base.answers = func(*http.Request) step { return then(ok()) }
			began := time.Now()
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() { get(t, rt, usersURL).is(t, 200) })
			}
			all.Wait()
			if took := time.Since(began); took < tt.from || took > tt.to {
				t.Errorf("50 calls at 10 a second took %s, want %s to %s", took, tt.from, tt.to)
			}
			sent := base.requests()
			for i := range sent {
				for j := i + 1; j < len(sent); j++ {
					d := sent[j].at.Sub(sent[i].at)
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
		rt, base := newScript(t, func(p *oktaretry.Policy) { p.Pace.MaxRate = 1 })
		base.answers = func(*http.Request) step { return then(ok()) }
		get(t, rt, usersURL).took(t, 0, 0)
		get(t, rt, "https://other.okta.com/api/v1/users/00u1").took(t, 0, 0)
		c := get(t, rt, appsURL).took(t, time.Second, time.Second+gap)
		if w := c.outcome.Attempts[0].Waits; len(w) != 1 || w[0].Reason != oktaretry.WaitCeiling {
			t.Errorf("it waited for %v, want the ceiling", w)
		}
	})
}

func TestMaxRateWaitThatDoesNotFitIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, func(p *oktaretry.Policy) { p.Pace.MaxRate = 0.1 })
		base.answers = func(*http.Request) step { return then(ok()) }
		get(t, rt, usersURL).is(t, 200)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		e := failure[*oktaretry.RateLimitError](t, do(ctx, rt, "GET", usersURL, "").stopped(t, oktaretry.StopDeadline).took(t, 0, 0))
		if !e.ClientSide || e.RetryAfter < 10*time.Second || e.RetryAfter > 10*time.Second+gap {
			t.Errorf("client-side %t, RetryAfter %s; want true, 10s", e.ClientSide, e.RetryAfter)
		}
		base.sends(1)
	})
}

// Failing fast is about Okta's limit, not the user's own.
func TestMaxRateSpacesCallsThatWaitForNoRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, func(p *oktaretry.Policy) {
			p.Pace.MaxRate = 0.1
			p.RateLimited.Action = oktaretry.FailFast
		}, then(ok()), at(10*time.Second, gap, ok()))
		get(t, rt, usersURL).is(t, 200)
		get(t, rt, usersURL).is(t, 200)
		base.sends(2)
	})
}

// The second that a reset's rounding costs holds the bucket also where the
// reset is as far ahead as one is believed.
func TestResetOfAnHourClosesTheBucketForAllOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, func(p *oktaretry.Policy) { p.RateLimited.MaxElapsed = 2 * time.Hour },
			then(limited(dated(0), resets(0, time.Hour))), at(time.Hour+time.Second, gap, ok()), then(ok()))
		first, second := start(t, rt, usersURL), start(t, rt, usersURL)
		(<-first).is(t, 200)
		(<-second).is(t, 200)
		base.sends(3)
	})
}

func TestNewPolicyReachesCallsThatWaitForTheOldCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, func(p *oktaretry.Policy) { p.Pace.MaxRate = 0.01 })
		base.answers = func(*http.Request) step { return then(ok()) }
		get(t, rt, usersURL).is(t, 200)
		waiting := start(t, rt, usersURL)
		time.Sleep(time.Second)
		if err := rt.SetPolicy(oktaretry.DefaultPolicy()); err != nil {
			t.Fatal(err)
		}
		(<-waiting).is(t, 200).took(t, time.Second, time.Second+gap)
	})
}
