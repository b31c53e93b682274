// This file tests that refusals of one user, app or group hold nobody else where Okta
// documents no such limit, and what finding that out may cost.

package pace_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/oktatest"
)

// serveOnes returns a fake that limits what pattern names one by one, to a few calls in
// each window.
func serveOnes(pattern string, few int, window time.Duration, opts ...oktatest.Option) *oktatest.Okta {
	ones := oktatest.Limit{
		Name: "one by one", Patterns: []string{pattern}, Max: few, Window: window,
		Key: func(r oktatest.Request) string { return r.Path + "?" + r.RawQuery },
	}
	serve := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{}`) }
	return oktatest.New(append(opts, oktatest.WithLatency(200*time.Millisecond), oktatest.WithLimits(ones),
		oktatest.WithHandler(pattern, http.HandlerFunc(serve)))...)
}

// callOf returns a maker of calls in which {} stands for the one.
func callOf(method, target string) callMaker {
	if method == "POST" {
		return post(target, `{}`)
	}
	return func(t *testing.T, rt http.RoundTripper, one string) rig.Call {
		return rig.Do(t, t.Context(), rt, method, rig.Org+fill(target, one), "")
	}
}

// Five workers each of some users never stop. All other calls of their bucket once
// waited up to a minute.
func TestRefusalsOfOnesHoldNobodyElseInAnyBucket(t *testing.T) {
	for _, tt := range []struct{ method, pattern, target, bucket string }{
		{"POST", "/api/v1/users/{id}/lifecycle/reset_password", "/api/v1/users/{}/lifecycle/reset_password", "/api/v1/users"},
		{"PUT", "/api/v1/groups/{group}/users/{user}", "/api/v1/groups/{}/users/u", "/api/v1/groups"},
		{"GET", "/api/v1/apps/{id}/users", "/api/v1/apps/{}/users", "/api/v1/apps"},
		{"GET", "/api/v1/logs", "/api/v1/logs?q={}", "/api/v1/logs"},
	} {
		for _, headers := range []oktatest.Headers{oktatest.HeadersOfRefusal, oktatest.HeadersOfBucket} {
			for _, ones := range []int{1, 3} {
				for _, window := range []time.Duration{5 * time.Second, time.Minute} {
					rig.Virtual(t, fmt.Sprintf("%s %s, headers %d, %d of them for %s", tt.method, tt.pattern, headers, ones, window), func(t *testing.T) {
						okta := serveOnes(tt.method+" "+tt.pattern, 4, window, oktatest.WithLimitHeaders(headers), oktatest.WithLimit(tt.bucket, 6000))
						rt, call := rig.Over(t, okta.Transport(), nil), callOf(tt.method, tt.target)
						var hammering, others sync.WaitGroup
						over := make(chan struct{})
						for i := range 5 * ones {
							hammering.Go(func() {
								for {
									select {
									case <-over:
										return
									case <-time.After(200 * time.Millisecond):
										call(t, rt, fmt.Sprint("mallory", i%ones))
									}
								}
							})
						}
						for i := range 60 {
							others.Go(func() {
								time.Sleep(time.Duration(i) * time.Second)
								if c := call(t, rt, fmt.Sprint("user", i)).Is(200); c.Took > 3*time.Second {
									t.Errorf("the call of another took %s, want 3s at most", c.Took)
								}
							})
						}
						others.Wait()
						close(over)
						if okta.Answered(429) == 0 {
							t.Error("nothing was refused, so nothing was tested")
						}
						hammering.Wait()
					})
				}
			}
		}
	}
}

// What is refused to all is found out as cheaply after refusals of one were seen.
func TestShareOfATokenCostsFewRefusalsAfterThoseOfOne(t *testing.T) {
	for _, distinct := range []int{1, 2, 400} {
		rig.Virtual(t, fmt.Sprint(distinct, " URLs"), func(t *testing.T) {
			okta := serveOnes("POST /api/v1/users/{id}/lifecycle/reset_password", 4, 5*time.Second, oktatest.WithCredentialShare(0.5), oktatest.WithLimit("/api/v1/users", 200))
			rt, call := rig.Over(t, okta.Transport(), nil), callOf("POST", "/api/v1/users/{}/lifecycle/reset_password")
			var hammering sync.WaitGroup
			for range 5 {
				hammering.Go(func() {
					for range 3 {
						call(t, rt, "mallory").Is(200)
					}
				})
			}
			for i := range 10 { // whose calls show that nobody else is refused
				time.Sleep(300 * time.Millisecond)
				call(t, rt, fmt.Sprint("user", i)).Is(200)
			}
			hammering.Wait()
			time.Sleep(time.Minute)
			before := okta.Answered(429)
			var all sync.WaitGroup
			list := callOf("GET", "/api/v1/users?q={}")
			for i := range 50 {
				all.Go(func() {
					for j := range 8 {
						list(t, rt, fmt.Sprint((i*8+j)%distinct)).Is(200)
					}
				})
			}
			all.Wait()
			if before == 0 {
				t.Error("nobody was refused alone, so nothing was tested")
			}
			if n := okta.Answered(429) - before; n > 3*4 {
				t.Errorf("%d refusals in 4 windows, want 3 a window at most", n)
			}
		})
	}
}
