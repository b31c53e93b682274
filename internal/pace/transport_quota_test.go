// This file tests the governor through a Transport, against a fake Okta in
// virtual time: no 429, honest waits, and what a user can set.

package pace_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
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

// overOkta makes a Transport over a fake Okta with one user, whose calls take 50 ms
// and of which limit may come in a minute.
func overOkta(t *testing.T, limit int, edit func(*oktaretry.Policy), opts ...oktatest.Option) (*oktaretry.Transport, *oktatest.Okta, string) {
	t.Helper()
	okta := oktatest.New(append([]oktatest.Option{
		oktatest.WithUsers(1), oktatest.WithLimit(rig.UserBucket, limit), oktatest.WithLatency(50 * time.Millisecond),
	}, opts...)...)
	return rig.Over(t, okta.Transport(), edit), okta, rig.Org + "/api/v1/users/" + okta.UserIDs()[0]
}

// runWorkers makes calls by so many workers and checks that each succeeds.
func runWorkers(t *testing.T, rt http.RoundTripper, target string, workers, calls int) []rig.Call {
	t.Helper()
	done := make([]rig.Call, calls)
	var next, all = make(chan int, calls), sync.WaitGroup{}
	for i := range calls {
		next <- i
	}
	close(next)
	for range workers {
		all.Go(func() {
			for i := range next {
				done[i] = rig.Get(t, rt, target).Is(200)
			}
		})
	}
	all.Wait()
	return done
}

// In one window that is begun in the middle, one that is whole, and the beginning of
// another. Where a case differs by its clock or windows only, a small limit will do.
func TestManyWorkersUseTheWholeQuotaWithoutA429(t *testing.T) {
	for _, tt := range []struct {
		name    string
		limit   int
		workers int
		opts    []oktatest.Option
	}{
		{"50 workers", 600, 50, nil},
		{"200 workers, a small limit", 50, 200, nil},
		{"windows on the full minute", 100, 50, []oktatest.Option{oktatest.WithWindow(time.Minute, 0)}},
		{"a window from the middle of a minute on", 100, 50, []oktatest.Option{oktatest.WithWindow(time.Minute, 23*time.Second)}},
		{"a window of 10 s", 100, 50, []oktatest.Option{oktatest.WithWindow(10*time.Second, 3*time.Second)}},
		{"clock 10 minutes ahead", 100, 50, []oktatest.Option{oktatest.WithClockSkew(10 * time.Minute)}},
		{"clock 10 minutes behind", 100, 50, []oktatest.Option{oktatest.WithClockSkew(-10 * time.Minute)}},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, okta, target := overOkta(t, tt.limit, nil, tt.opts...)
			began := time.Now()
			calls := 2*tt.limit + tt.limit/2
			done := runWorkers(t, rt, target, tt.workers, calls)
			if n := okta.Answered(429); n > 0 {
				t.Errorf("%d answers of 429, want none", n)
			}
			if took := time.Since(began); took > 3*time.Minute {
				t.Errorf("it took %s, want the windows that it needs", took)
			}
			waited := 0
			reasons := map[oktaretry.WaitReason]time.Duration{}
			for _, c := range done {
				if len(c.Outcome.Attempts) != 1 {
					t.Fatalf("%d attempts, want one", len(c.Outcome.Attempts))
				}
				if w := c.Outcome.Waited(); w > 0 {
					waited++
					if c.Took < w || c.Took > w+60*time.Millisecond {
						t.Fatalf("it took %s and waited for %s of it, want all but 50ms", c.Took, w)
					}
					for _, w := range c.Outcome.Attempts[0].Waits {
						reasons[w.Reason] += w.Duration
					}
				}
			}
			if waited == 0 {
				t.Error("nobody waited")
			}
			windows := reasons[oktaretry.WaitRateLimit]
			caution := reasons[oktaretry.WaitLearning] + reasons[oktaretry.WaitTurn]
			delete(reasons, oktaretry.WaitRateLimit)
			delete(reasons, oktaretry.WaitLearning)
			delete(reasons, oktaretry.WaitTurn)
			if len(reasons) > 0 || windows <= 5*caution || caution == 0 {
				t.Errorf("waits for windows %s, of caution %s, of others %v", windows, caution, reasons)
			}
		})
	}
}

func TestMaxUtilizationLeavesTheRestToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, okta, target := overOkta(t, 100, func(p *oktaretry.Policy) { p.Pace.MaxUtilization = 0.7 })
		began := time.Now()
		runWorkers(t, rt, target, 20, 70)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the first 70 took %s", took)
		}
		rig.Get(t, rt, target).Is(200)
		if took := time.Since(began); took < time.Minute {
			t.Errorf("71 calls took %s, want a minute", took)
		}
		if n := okta.Answered(429); n > 0 {
			t.Errorf("%d answers of 429", n)
		}
	})
}

func TestWaitForAPlaceThatDoesNotFitIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, okta, target := overOkta(t, 10, nil)
		runWorkers(t, rt, target, 3, 10)
		opens := time.Now().Truncate(time.Minute).Add(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		c := rig.Do(t, ctx, rt, "GET", target, "").Stopped(oktaretry.StopDeadline).TookBetween(0, 0)
		e := rig.Failure[*oktaretry.RateLimitError](c)
		if !e.ClientSide || e.Attempts != 0 || e.Bucket != rig.UserBucket || !errors.Is(c.Err, context.DeadlineExceeded) {
			t.Errorf("client-side %t, %d attempts, bucket %q, error %v", e.ClientSide, e.Attempts, e.Bucket, c.Err)
		}
		if late := e.Reset.Sub(opens); late < 0 || late > time.Second {
			t.Errorf("reset %s after the window's end, want at most a second", late)
		}
		if wait := time.Until(e.Reset); e.RetryAfter != wait || c.Outcome.Needed != wait {
			t.Errorf("RetryAfter %s, needed %s; want %s", e.RetryAfter, c.Outcome.Needed, wait)
		}
		if !strings.Contains(e.Error(), "client-side, nothing was sent") {
			t.Errorf("error %q", e)
		}
		if n := okta.Arrived(); n != 10 {
			t.Errorf("%d requests arrived, want 10", n)
		}
		if b := rig.Bucket(t, rt, rig.UserBucket); b.Waiting != 0 || b.InFlight != 0 {
			t.Errorf("%d wait and %d are in flight", b.Waiting, b.InFlight)
		}
	})
}

// A call far down the line that fits into a window to come is not refused, one
// that does not is.
func TestLongLineRefusesOnlyCallsThatCannotGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, target := overOkta(t, 10, nil)
		runWorkers(t, rt, target, 3, 20) // so that the window's length is known
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+30*time.Second)
		defer cancel()
		var all sync.WaitGroup
		var mu sync.Mutex
		ok, refused := 0, 0
		for range 50 {
			all.Go(func() {
				c := rig.Do(t, ctx, rt, "GET", target, "")
				mu.Lock()
				defer mu.Unlock()
				switch {
				case c.Err == nil:
					ok++
				case c.Took < time.Second:
					refused++
				}
			})
		}
		all.Wait()
		if ok < 20 || ok > 30 || refused < 15 {
			t.Errorf("%d succeeded and %d were refused at once, want 20 to 30 and about 20", ok, refused)
		}
	})
}

func TestWaitForASlotIsRecordedAsConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, target := overOkta(t, 10_000, func(p *oktaretry.Policy) { p.Pace.MaxInFlight = 2 })
		rig.Get(t, rt, target).Is(200) // so that the limit is known
		time.Sleep(time.Second)
		done := runWorkers(t, rt, target, 10, 50)
		reasons := map[oktaretry.WaitReason]int{}
		for _, c := range done {
			for _, w := range c.Outcome.Attempts[0].Waits {
				reasons[w.Reason]++
			}
		}
		if reasons[oktaretry.WaitConcurrency] < 40 || len(reasons) != 1 {
			t.Errorf("waits by reason %v, want more than 40 for concurrency and no other", reasons)
		}
	})
}

func TestConcurrencyLimitOfOktaIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, okta, target := overOkta(t, 1_000_000, nil, oktatest.WithConcurrencyLimit(20))
		done := runWorkers(t, rt, target, 60, 3000)
		if n := okta.Answered(429); n < 1 || n > 150 {
			t.Errorf("%d answers of 429, want some at first, 150 at most", n)
		}
		seen := false
		for _, c := range done {
			for _, a := range c.Outcome.Attempts {
				for _, w := range a.Waits {
					seen = seen || w.Reason == oktaretry.WaitConcurrency
				}
			}
		}
		if !seen {
			t.Error("no call has a wait for concurrency")
		}
		if b := rig.Bucket(t, rt, rig.UserBucket); b.Limit != 1_000_000 || !b.HeldUntil.IsZero() {
			t.Errorf("bucket %+v, want one that concurrency has not touched", b)
		}
	})
}

func TestSnapshotHasTheStateOfABucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, target := overOkta(t, 5, nil)
		runWorkers(t, rt, target, 1, 3)
		go runWorkers(t, rt, target, 4, 4)
		time.Sleep(10 * time.Millisecond)
		b := rig.Bucket(t, rt, rig.UserBucket)
		if b.Host != "example.okta.com" || b.Limit != 5 || b.Remaining != 2 || b.InFlight != 2 || b.Waiting != 2 || !b.HeldUntil.IsZero() {
			t.Errorf("%+v; want 2 of 5 left, 2 in flight and 2 waiting", b)
		}
		if late := b.Reset.Sub(time.Now().Truncate(time.Minute).Add(time.Minute)); late < 0 || late > time.Second {
			t.Errorf("reset %s after the window's end", late)
		}
		time.Sleep(2 * time.Minute)
		if b := rig.Bucket(t, rt, rig.UserBucket); b.InFlight != 0 || b.Waiting != 0 || b.Remaining != 3 {
			t.Errorf("afterwards %+v; want 3 left, none in flight and none waiting", b)
		}
	})
}

func TestNewPaceReachesWaitingCalls(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*oktaretry.Pace)
	}{
		{"MaxInFlight", func(p *oktaretry.Pace) { p.MaxInFlight = 1 }},
		{"MaxRate", func(p *oktaretry.Pace) { p.MaxRate, p.Burst = 0.01, 1 }},
		{"BucketRates", func(p *oktaretry.Pace) { p.BucketRates = map[string]float64{rig.UserBucket: 0.01} }},
		{"MaxUtilization", func(p *oktaretry.Pace) { p.MaxUtilization = 0.01 }},
		{"Smooth", func(p *oktaretry.Pace) { p.Smooth = true }},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, okta, target := overOkta(t, 10, nil)
			rig.Get(t, rt, target).Is(200)
			p := oktaretry.DefaultPolicy()
			tt.edit(&p.Pace)
			if err := rt.SetPolicy(p); err != nil {
				t.Fatal(err)
			}
			okta.SetLatency(10 * time.Second)
			began := time.Now()
			finished := make(chan []rig.Call)
			go func() { finished <- runWorkers(t, rt, target, 5, 5) }()
			time.Sleep(time.Second)
			if b := rig.Bucket(t, rt, rig.UserBucket); b.Waiting < 4 {
				t.Errorf("%d wait, want 4 at least", b.Waiting)
			}
			if err := rt.SetPolicy(oktaretry.DefaultPolicy()); err != nil {
				t.Fatal(err)
			}
			<-finished
			if took := time.Since(began); took > 11*time.Second+5*rig.Spread {
				t.Errorf("it took %s, want all to go after a second", took)
			}
		})
	}
}

func TestBucketRatesBoundOneBucketOfAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rates := map[string]float64{rig.UserBucket: 2}
		rt, base := rig.New(t, func(p *oktaretry.Policy) { p.Pace.BucketRates = rates })
		delete(rates, rig.UserBucket) // the policy's own is a copy
		base.Always(script.OK())
		rig.Get(t, rt, rig.UserURL).TookBetween(0, 0)
		rig.Get(t, rt, rig.AppURL).TookBetween(0, 0)
		rig.Get(t, rt, "https://other.okta.com/api/v1/users/00u1").TookBetween(0, 0)
		c := rig.Do(t, t.Context(), rt, "GET", rig.UserURL, "", "Authorization", "SSWS other").TookBetween(500*time.Millisecond, 510*time.Millisecond)
		if w := c.Outcome.Attempts[0].Waits; len(w) != 1 || w[0].Reason != oktaretry.WaitCeiling {
			t.Errorf("it waited for %v, want the ceiling", w)
		}
		rig.Do(t, t.Context(), rt, "POST", rig.UserURL, "{}").TookBetween(0, 0)
	})
}

func TestInteractiveCallsGoFirstIntoANewWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _, target := overOkta(t, 10, nil)
		runWorkers(t, rt, target, 3, 10)
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		for i := range 12 {
			ctx, name := oktaretry.WithPriority(t.Context(), oktaretry.PriorityBackground), "background"
			if i >= 6 {
				ctx, name = t.Context(), "interactive"
			}
			all.Go(func() {
				rig.Do(t, ctx, rt, "GET", target, "").Is(200)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, name)
			})
			synctest.Wait()
		}
		all.Wait()
		want := append(slices.Repeat([]string{"interactive"}, 6), slices.Repeat([]string{"background"}, 6)...)
		if !slices.Equal(order, want) {
			t.Errorf("they ended in the order %v", order)
		}
	})
}

// It waits for answers that may free a place: until then there may be one.
func TestFailFastNeverWaitsForAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, okta, target := overOkta(t, 10, func(p *oktaretry.Policy) { p.RateLimited.Action = oktaretry.FailFast })
		runWorkers(t, rt, target, 10, 10)
		e := rig.Failure[*oktaretry.RateLimitError](rig.Get(t, rt, target).Stopped(oktaretry.StopFailFast).TookBetween(0, 0))
		if !e.ClientSide || e.RetryAfter < 50*time.Second || okta.Arrived() != 10 {
			t.Errorf("client-side %t, RetryAfter %s, %d requests", e.ClientSide, e.RetryAfter, okta.Arrived())
		}
	})
}

func TestWithBucketsNamesTheBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.New(t)
		var asked []string
		rt, err := oktaretry.NewTransport(base, oktaretry.WithBuckets(func(req *http.Request) string {
			asked = append(asked, req.Method+" "+req.URL.Path)
			if req.Body != nil || req.GetBody != nil {
				t.Error("it was given the body")
			}
			if strings.HasPrefix(req.URL.Path, "/api/v1/users/") {
				return "people of " + req.Header.Get("Tenant")
			}
			return ""
		}))
		if err != nil {
			t.Fatal(err)
		}
		base.Always(script.Bare(200, script.Set("X-Rate-Limit-Limit", "7"), script.Set("X-Rate-Limit-Remaining", "0"), script.Date(0), script.ResetIn(0, 30*time.Second)))
		c := rig.Do(t, t.Context(), rt, "POST", rig.UserURL, "{}", "Tenant", "a").Is(200)
		if c.Outcome.Bucket != "people of a" {
			t.Errorf("the outcome has bucket %q", c.Outcome.Bucket)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		// A GET, which has another bucket by itself, shares this one.
		e := rig.Failure[*oktaretry.RateLimitError](rig.Do(t, ctx, rt, "GET", rig.UserURL+"/groups", "", "Tenant", "a"))
		if e.Bucket != "people of a" {
			t.Errorf("the error has bucket %q", e.Bucket)
		}
		rig.Do(t, ctx, rt, "GET", rig.UserURL, "", "Tenant", "b").Is(200)
		rig.Do(t, ctx, rt, "GET", rig.AppURL, "").Is(200)
		rig.Bucket(t, rt, "people of b")
		rig.Bucket(t, rt, "GET /api/v1/apps/{id}")
		if want := []string{"POST /api/v1/users/00u1", "GET /api/v1/users/00u1/groups", "GET /api/v1/users/00u1", "GET /api/v1/apps/0oa1"}; !slices.Equal(asked, want) {
			t.Errorf("it was asked for %q, want %q", asked, want)
		}
	})
}

func TestPollHasItsOwnBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.New(t, script.Reply(202, `{"errorCode":"E0000070","_links":{"poll":{"href":"`+rig.Org+`/poll"}}}`), script.OK())
		rt, err := oktaretry.NewTransport(base, oktaretry.WithBuckets(func(req *http.Request) string { return req.Method + req.URL.Path }))
		if err != nil {
			t.Fatal(err)
		}
		rig.Do(t, t.Context(), rt, "POST", rig.Org+"/api/v1/authn", "{}").Is(200)
		rig.Bucket(t, rt, "POST/api/v1/authn")
		rig.Bucket(t, rt, "GET/poll")
	})
}

func TestBucketNamesStayWithinBounds(t *testing.T) {
	if testing.Short() {
		t.Skip("a second")
	}
	n := 0
	long := strings.Repeat("é", 200)
	rt, err := oktaretry.NewTransport(script.Func(script.Bare(200).Respond), oktaretry.WithBuckets(func(*http.Request) string {
		n++
		return strconv.Itoa(n) + long
	}))
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest("GET", rig.UserURL, nil)
	for range 20_000 { // the bound is 1<<14
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	buckets := rt.Snapshot().Buckets
	if len(buckets) > 1<<14 {
		t.Errorf("%d buckets are remembered", len(buckets))
	}
	for _, b := range buckets {
		if len(b.Bucket) > 128 || strings.ToValidUTF8(b.Bucket, "?") != b.Bucket {
			t.Fatalf("a bucket's name has %d bytes: %q", len(b.Bucket), b.Bucket)
		}
	}
}
