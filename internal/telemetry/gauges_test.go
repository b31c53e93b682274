// This file tests the gauges: the state of buckets, circuits and budgets when
// they are read.

package telemetry_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestBucketGaugesShowTheWindowWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, window(600, 150, 30*time.Second))
		if n := len(r.Values(t, "oktaretry.bucket.limit")); n != 0 {
			t.Errorf("%d buckets before the first call", n)
		}
		r.Do(t.Context(), "GET", rig.UserURL)
		r.WantValues(t, "oktaretry.bucket.limit", map[string]float64{userBucket: 600})
		r.WantValues(t, "oktaretry.bucket.remaining", map[string]float64{userBucket: 150})
		r.WantValues(t, "oktaretry.bucket.utilization", map[string]float64{userBucket: 0.75})
		r.WantValues(t, "oktaretry.bucket.in_flight", map[string]float64{userBucket: 0})
		r.WantValues(t, "oktaretry.bucket.waiting", map[string]float64{userBucket: 0})

		// The rest of a past window is not the next one's.
		time.Sleep(40 * time.Second)
		r.WantValues(t, "oktaretry.bucket.limit", map[string]float64{userBucket: 600})
		r.WantValues(t, "oktaretry.bucket.remaining", map[string]float64{})
		r.WantValues(t, "oktaretry.bucket.utilization", map[string]float64{})
		r.WantValues(t, "oktaretry.bucket.in_flight", map[string]float64{userBucket: 0})
	})
}

func TestAttemptSpansHaveTheRateLimitHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, window(600, 150, 30*time.Second), script.OK())
		for range 2 {
			r.Do(t.Context(), "GET", rig.UserURL)
		}
		_, attempts := r.Ended(t)
		for i, want := range [][3]any{{int64(600), int64(150), time.Now().Unix() + 30}, {}} {
			got := recorders.Attributes(attempts[i].Attributes())
			rig.Equal(t, "limit, remaining and reset", [3]any{got["oktaretry.limit"], got["oktaretry.remaining"], got["oktaretry.reset"]}, want)
		}
	})
}

// A bucket of which Okta said nothing has no limit; its calls count all the same.
func TestBucketWithoutHeadersHasLoadButNoLimit(t *testing.T) {
	r := recorders.Observe(t, nil, script.OK())
	r.Do(t.Context(), "GET", rig.UserURL)
	for _, name := range []string{"limit", "remaining", "utilization"} {
		r.WantValues(t, "oktaretry.bucket."+name, map[string]float64{})
	}
	r.WantValues(t, "oktaretry.bucket.in_flight", map[string]float64{userBucket: 0})
}

// Okta has counted more than it allows at times, and a header can hold anything.
func TestUtilizationStaysBetween0And1(t *testing.T) {
	for _, tt := range []struct {
		limit, remaining int
		used             float64
	}{{600, 600, 0}, {600, 700, 0}, {600, 0, 1}, {100, 400, 0}} {
		synctest.Test(t, func(t *testing.T) {
			r := recorders.Observe(t, nil, window(600, 600, 30*time.Second), window(tt.limit, tt.remaining, 30*time.Second))
			for range 2 {
				r.Do(t.Context(), "GET", rig.UserURL)
			}
			r.WantValues(t, "oktaretry.bucket.utilization", map[string]float64{userBucket: tt.used})
		})
	}
}

func TestBucketsOfTwoCredentialsShowTheTighterLimitAndTheSummedLoad(t *testing.T) {
	for _, first := range []string{"loose", "tight"} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			r := recorders.Observe(t, nil, script.Do(func(req *http.Request) (*http.Response, error) {
				tight := strings.HasSuffix(req.Header.Get("Authorization"), "tight")
				if req.URL.RawQuery == "hang" {
					<-release
				}
				if tight {
					return window(100, 20, time.Minute).Respond(req)
				}
				return window(600, 500, time.Minute).Respond(req)
			}))
			getAs(r, t.Context(), first, rig.UserURL)
			getAs(r, t.Context(), map[string]string{"loose": "tight", "tight": "loose"}[first], rig.UserURL)
			r.WantValues(t, "oktaretry.bucket.limit", map[string]float64{userBucket: 100})
			r.WantValues(t, "oktaretry.bucket.remaining", map[string]float64{userBucket: 20})
			r.WantValues(t, "oktaretry.bucket.utilization", map[string]float64{userBucket: 0.8})

			var calls sync.WaitGroup
			for _, who := range []string{"loose", "loose", "tight"} {
				calls.Go(func() { getAs(r, t.Context(), who, rig.UserURL+"?hang") })
			}
			synctest.Wait()
			r.WantValues(t, "oktaretry.bucket.in_flight", map[string]float64{userBucket: 3})
			close(release)
			calls.Wait()
			r.WantValues(t, "oktaretry.bucket.in_flight", map[string]float64{userBucket: 0})
		})
	}
}

// Which of two equally used buckets was shown changed with each look, and with
// it the limit on the dashboard.
func TestEquallyUsedBucketsAlwaysShowTheSmallerLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.Do(func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.Header.Get("Authorization"), "small") {
				return window(100, 50, 30*time.Second).Respond(req)
			}
			return window(600, 300, 30*time.Second).Respond(req)
		}))
		for _, who := range []string{"small", "large"} {
			getAs(r, t.Context(), who, rig.UserURL)
		}
		for _, running := range []bool{true, false} {
			remaining := map[string]float64{userBucket: 50}
			if !running {
				time.Sleep(time.Minute)
				delete(remaining, userBucket)
			}
			for range 20 {
				r.WantValues(t, "oktaretry.bucket.limit", map[string]float64{userBucket: 100})
				r.WantValues(t, "oktaretry.bucket.remaining", remaining)
			}
		}
	})
}

func TestHeldBucketIsFullyUsedWithCallsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, nil, script.LimitedFor(30*time.Second), window(600, 599, time.Minute))
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() {
				if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		time.Sleep(time.Second)
		r.WantValues(t, "oktaretry.bucket.remaining", map[string]float64{userBucket: 0})
		r.WantValues(t, "oktaretry.bucket.utilization", map[string]float64{userBucket: 1})
		r.WantValues(t, "oktaretry.bucket.waiting", map[string]float64{userBucket: 3})
		r.WantValues(t, "oktaretry.bucket.in_flight", map[string]float64{userBucket: 0})
		calls.Wait()
		r.WantValues(t, "oktaretry.bucket.waiting", map[string]float64{userBucket: 0})
		r.WantValues(t, "oktaretry.bucket.remaining", map[string]float64{userBucket: 599})
	})
}

func TestCircuitGaugeFollowsItsState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		r := recorders.Observe(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls, p.Breaker.Probes = 2, 1 }, script.Down(), script.Down(),
			script.Do(func(req *http.Request) (*http.Response, error) { <-hang; return script.OK().Respond(req) }))
		ctx := oktaretry.WithNoRetry(t.Context())
		want := func(endpoint float64) {
			t.Helper()
			r.WantValues(t, "oktaretry.circuit.state", map[string]float64{
				"GET endpoint example.okta.com 443 /api/v1/users/{id}": endpoint, "host example.okta.com 443": 0})
		}
		r.Do(ctx, "GET", rig.UserURL)
		want(0)
		r.Do(ctx, "GET", rig.UserURL)
		want(2)
		time.Sleep(6 * time.Second)
		done := make(chan error)
		go func() { done <- r.Do(ctx, "GET", rig.UserURL) }() // the probe
		synctest.Wait()
		want(1)
		close(hang)
		<-done
		want(0)
	})
}

// The two hosts' circuits differ in their scope only from the endpoints'.
func TestHostCircuitHasItsOwnGauge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 2 }, script.Fail(script.Refused))
		for range 2 {
			r.Do(oktaretry.WithNoRetry(t.Context()), "GET", rig.UserURL)
		}
		r.WantValues(t, "oktaretry.circuit.state", map[string]float64{
			"GET endpoint example.okta.com 443 /api/v1/users/{id}": 0, "host example.okta.com 443": 2})
	})
}

// Any text can be a method. Those that are not known share a circuit, so that
// nobody can fill memory or a dashboard with them.
func TestUnknownMethodsShareOneCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 1 }, script.Down())
		ctx := oktaretry.WithNoRetry(t.Context())
		for _, method := range []string{"PURGE", "ANN", "get"} {
			r.Do(ctx, method, rig.UserURL)
		}
		rig.Equal(t, "requests sent", len(r.Base.Sent()), 1)
		r.WantValues(t, "oktaretry.circuit.state", map[string]float64{
			"_OTHER endpoint example.okta.com 443 /api/v1/users/{id}": 2, "host example.okta.com 443": 0})
		r.WantValues(t, "oktaretry.circuit.changes", map[string]float64{
			"_OTHER closed endpoint open example.okta.com 443 /api/v1/users/{id}": 1})
	})
}

func TestRetryBudgetGaugeFallsWithResendsAndRefills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, func(p *oktaretry.Policy) {
			p.Budget = oktaretry.Budget{Ratio: 0.5, Reserve: 1, TTL: 10 * time.Second}
		}, script.Down(), script.Down(), script.Down(), script.OK())
		if n := len(r.Values(t, "oktaretry.retry_budget.remaining")); n != 0 {
			t.Errorf("%d budgets before the first call", n)
		}
		r.Do(t.Context(), "GET", rig.UserURL)
		r.WantValues(t, "oktaretry.retry_budget.remaining", map[string]float64{"example.okta.com 443": 7}) // 10 + 0.5 - 3
		time.Sleep(11 * time.Second)
		r.WantValues(t, "oktaretry.retry_budget.remaining", map[string]float64{"example.okta.com 443": 10})
	})
}

func TestDisabledBreakerAndBudgetHaveNoGauges(t *testing.T) {
	r := recorders.Observe(t, func(p *oktaretry.Policy) { p.Breaker.Disabled, p.Budget.Disabled = true, true }, script.OK())
	r.Do(t.Context(), "GET", rig.UserURL)
	r.WantValues(t, "oktaretry.circuit.state", map[string]float64{})
	r.WantValues(t, "oktaretry.retry_budget.remaining", map[string]float64{})
}

func TestGaugesHaveThePortOfTheURL(t *testing.T) {
	for url, want := range map[string]string{
		"http://a.b/api/v1/users": "a.b 80", "https://a.b/api/v1/users": "a.b 443",
		"https://a.b:8443/api/v1/users": "a.b 8443", "http://127.0.0.1:8080/api/v1/users": "127.0.0.1 8080",
		"https://[::1]:8443/api/v1/users": "::1 8443", "https://[::1]/api/v1/users": "::1 443",
		"https://A.b/api/v1/users": "a.b 443",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := recorders.Observe(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 1 },
				script.LimitedFor(time.Second).With(script.Set("Retry-After", "1")), pending,
				script.Down().With(script.Window(600, 100, time.Minute)...))
			r.Do(t.Context(), "GET", url)
			for name, m := range r.Metrics(t) {
				for _, set := range recorders.Labels(m) {
					rig.Equal(t, url+": "+name, fmt.Sprint(set["server.address"], " ", set["server.port"]), want)
				}
			}
		})
	}
}

// A host with its port and the host without it, or in capitals, are one server. One
// once hid the other.
func TestHostSpellingsShareOneSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := recorders.Observe(t, nil, script.Do(func(req *http.Request) (*http.Response, error) { <-release; return script.OK().Respond(req) }))
		var calls sync.WaitGroup
		for _, host := range []string{"example.okta.com", "example.okta.com:443", "EXAMPLE.okta.com"} {
			calls.Go(func() { r.Do(t.Context(), "GET", "https://"+host+"/api/v1/users/00u1") })
		}
		synctest.Wait()
		for range 20 {
			r.WantValues(t, "oktaretry.bucket.in_flight", map[string]float64{userBucket: 3})
		}
		close(release)
		calls.Wait()
	})
}

func TestHostSpellingsShareOneBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := recorders.Observe(t, func(p *oktaretry.Policy) {
			p.Budget = oktaretry.Budget{Ratio: 0.5, Reserve: 1, TTL: 10 * time.Second}
		}, script.Down(), script.Down(), script.Down(), script.OK())
		for _, host := range []string{"example.okta.com", "example.okta.com:443"} {
			r.Do(t.Context(), "GET", "https://"+host+"/api/v1/users/00u1")
		}
		for range 20 {
			r.WantValues(t, "oktaretry.retry_budget.remaining", map[string]float64{"example.okta.com 443": 8}) // 10, a half for each call, less 3 resends
		}
	})
}
