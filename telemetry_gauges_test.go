package oktaretry_test

// The gauges say how a Transport stands when somebody looks.

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/oktaretry/oktaretry"
)

// telRead returns the values of a metric that counts or gauges, by the values
// of its labels in the order of their names.
func (r *telRig) telRead(t testing.TB, name string) map[string]float64 {
	t.Helper()
	values := map[string]float64{}
	note := func(set attribute.Set, v float64) {
		var words []string
		for _, kv := range set.ToSlice() {
			words = append(words, kv.Value.String())
		}
		key := strings.Join(words, " ")
		if _, twice := values[key]; twice {
			t.Errorf("%s has two points for %s", name, key)
		}
		values[key] = v
	}
	switch d := r.metrics(t)[name].Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			note(p.Attributes, float64(p.Value))
		}
	case metricdata.Gauge[int64]:
		for _, p := range d.DataPoints {
			note(p.Attributes, float64(p.Value))
		}
	case metricdata.Gauge[float64]:
		for _, p := range d.DataPoints {
			note(p.Attributes, p.Value)
		}
	}
	return values
}

// wantGauge checks all points of a metric.
func (r *telRig) wantGauge(t testing.TB, name string, want map[string]float64) {
	t.Helper()
	telEqual(t, name, r.telRead(t, name), want)
}

// as sends a request with a credential of its own.
func (r *telRig) as(ctx context.Context, credential, url string) error {
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "SSWS "+credential)
	resp, err := r.Transport.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// telWindow answers 200 and says how the bucket stands.
func telWindow(limit, remaining int, left time.Duration) telStep {
	return telLimits(telOK, limit, remaining, left)
}

// telLimits adds the headers of a window to an answer.
func telLimits(step telStep, limit, remaining int, left time.Duration) telStep {
	return func(req *http.Request) (*http.Response, error) {
		resp, err := step(req)
		if err == nil {
			now := time.Now()
			resp.Header.Set("Date", now.UTC().Format(http.TimeFormat))
			resp.Header.Set("X-Rate-Limit-Limit", fmt.Sprint(limit))
			resp.Header.Set("X-Rate-Limit-Remaining", fmt.Sprint(remaining))
			resp.Header.Set("X-Rate-Limit-Reset", fmt.Sprint(now.Add(left).Unix()))
		}
		return resp, err
	}
}

const telBucket = "GET /api/v1/users/{id} acme.okta.com 443"

func TestBucketGaugesShowTheWindowWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, nil, telWindow(600, 150, 30*time.Second))
		if n := len(r.telRead(t, "oktaretry.bucket.limit")); n != 0 {
			t.Errorf("%d buckets before the first call", n)
		}
		r.do(t.Context(), "GET", telURL)
		r.wantGauge(t, "oktaretry.bucket.limit", map[string]float64{telBucket: 600})
		r.wantGauge(t, "oktaretry.bucket.remaining", map[string]float64{telBucket: 150})
		r.wantGauge(t, "oktaretry.bucket.utilization", map[string]float64{telBucket: 0.75})
		r.wantGauge(t, "oktaretry.bucket.in_flight", map[string]float64{telBucket: 0})
		r.wantGauge(t, "oktaretry.bucket.waiting", map[string]float64{telBucket: 0})

		// What is left of a window that is over says nothing of the next one.
		time.Sleep(40 * time.Second)
		r.wantGauge(t, "oktaretry.bucket.limit", map[string]float64{telBucket: 600})
		r.wantGauge(t, "oktaretry.bucket.remaining", map[string]float64{})
		r.wantGauge(t, "oktaretry.bucket.utilization", map[string]float64{})
		r.wantGauge(t, "oktaretry.bucket.in_flight", map[string]float64{telBucket: 0})
	})
}

func TestAttemptSpansHaveWhatTheAnswerSaidOfItsBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, nil, telWindow(600, 150, 30*time.Second), telOK)
		for range 2 {
			r.do(t.Context(), "GET", telURL)
		}
		_, attempts := r.split(t)
		for i, want := range [][3]any{{int64(600), int64(150), time.Now().Unix() + 30}, {}} {
			got := telMap(attempts[i].Attributes())
			telEqual(t, "limit, remaining and reset", [3]any{got["oktaretry.limit"], got["oktaretry.remaining"], got["oktaretry.reset"]}, want)
		}
	})
}

// A bucket of which Okta said nothing has no limit; its calls count all the same.
func TestABucketWithoutHeadersHasLoadAndNoLimit(t *testing.T) {
	r := telNew(t, nil, telOK)
	r.do(t.Context(), "GET", telURL)
	for _, name := range []string{"limit", "remaining", "utilization"} {
		r.wantGauge(t, "oktaretry.bucket."+name, map[string]float64{})
	}
	r.wantGauge(t, "oktaretry.bucket.in_flight", map[string]float64{telBucket: 0})
}

// Okta has counted more than it allows at times, and a header can say anything.
func TestUtilizationStaysBetweenNothingAndAll(t *testing.T) {
	for _, tt := range []struct {
		limit, remaining int
		used             float64
	}{{600, 600, 0}, {600, 700, 0}, {600, 0, 1}, {100, 400, 0}} {
		synctest.Test(t, func(t *testing.T) {
			r := telNew(t, nil, telWindow(600, 600, 30*time.Second), telWindow(tt.limit, tt.remaining, 30*time.Second))
			for range 2 {
				r.do(t.Context(), "GET", telURL)
			}
			r.wantGauge(t, "oktaretry.bucket.utilization", map[string]float64{telBucket: tt.used})
		})
	}
}

func TestOfTwoCredentialsTheTightestBucketIsShownAndTheLoadIsTheirSum(t *testing.T) {
	for _, first := range []string{"loose", "tight"} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			r := telNew(t, nil, func(req *http.Request) (*http.Response, error) {
				tight := strings.HasSuffix(req.Header.Get("Authorization"), "tight")
				if req.URL.RawQuery == "hang" {
					<-release
				}
				if tight {
					return telWindow(100, 20, time.Minute)(req)
				}
				return telWindow(600, 500, time.Minute)(req)
			})
			r.as(t.Context(), first, telURL)
			r.as(t.Context(), map[string]string{"loose": "tight", "tight": "loose"}[first], telURL)
			r.wantGauge(t, "oktaretry.bucket.limit", map[string]float64{telBucket: 100})
			r.wantGauge(t, "oktaretry.bucket.remaining", map[string]float64{telBucket: 20})
			r.wantGauge(t, "oktaretry.bucket.utilization", map[string]float64{telBucket: 0.8})

			var calls sync.WaitGroup
			for _, who := range []string{"loose", "loose", "tight"} {
				calls.Go(func() { r.as(t.Context(), who, telURL+"?hang") })
			}
			synctest.Wait()
			r.wantGauge(t, "oktaretry.bucket.in_flight", map[string]float64{telBucket: 3})
			close(release)
			calls.Wait()
			r.wantGauge(t, "oktaretry.bucket.in_flight", map[string]float64{telBucket: 0})
		})
	}
}

// Which of two equally used buckets was shown changed with each look, and with
// it the limit on the dashboard.
func TestOfTwoEquallyUsedBucketsTheSmallerOneIsShownAlways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, nil, func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.Header.Get("Authorization"), "small") {
				return telWindow(100, 50, 30*time.Second)(req)
			}
			return telWindow(600, 300, 30*time.Second)(req)
		})
		for _, who := range []string{"small", "large"} {
			r.as(t.Context(), who, telURL)
		}
		for _, running := range []bool{true, false} {
			remaining := map[string]float64{telBucket: 50}
			if !running {
				time.Sleep(time.Minute)
				delete(remaining, telBucket)
			}
			for range 20 {
				r.wantGauge(t, "oktaretry.bucket.limit", map[string]float64{telBucket: 100})
				r.wantGauge(t, "oktaretry.bucket.remaining", remaining)
			}
		}
	})
}

func TestABucketThatIsHeldIsUsedUpAndHasItsCallsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, nil, telLimits(telCode(429, "E0000047"), 600, 0, 30*time.Second), telWindow(600, 599, time.Minute))
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() {
				if err := r.do(t.Context(), "GET", telURL); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		time.Sleep(time.Second)
		r.wantGauge(t, "oktaretry.bucket.remaining", map[string]float64{telBucket: 0})
		r.wantGauge(t, "oktaretry.bucket.utilization", map[string]float64{telBucket: 1})
		r.wantGauge(t, "oktaretry.bucket.waiting", map[string]float64{telBucket: 3})
		r.wantGauge(t, "oktaretry.bucket.in_flight", map[string]float64{telBucket: 0})
		calls.Wait()
		r.wantGauge(t, "oktaretry.bucket.waiting", map[string]float64{telBucket: 0})
		r.wantGauge(t, "oktaretry.bucket.remaining", map[string]float64{telBucket: 599})
	})
}

func TestCircuitGaugesFollowTheirCircuits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		r := telNew(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls, p.Breaker.Probes = 2, 1 }, telDown, telDown,
			func(req *http.Request) (*http.Response, error) { <-hang; return telOK(req) })
		ctx := oktaretry.WithNoRetry(t.Context())
		want := func(endpoint float64) {
			t.Helper()
			r.wantGauge(t, "oktaretry.circuit.state", map[string]float64{
				"GET endpoint acme.okta.com 443 /api/v1/users/{id}": endpoint, "host acme.okta.com 443": 0})
		}
		r.do(ctx, "GET", telURL)
		want(0)
		r.do(ctx, "GET", telURL)
		want(2)
		time.Sleep(6 * time.Second)
		done := make(chan error)
		go func() { done <- r.do(ctx, "GET", telURL) }() // the probe
		synctest.Wait()
		want(1)
		close(hang)
		<-done
		want(0)
	})
}

// The two hosts' circuits differ in their scope only from the endpoints'.
func TestAHostsCircuitHasAGaugeOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 2 }, telAnswer(502, ""))
		for range 2 {
			r.do(oktaretry.WithNoRetry(t.Context()), "GET", telURL)
		}
		r.wantGauge(t, "oktaretry.circuit.state", map[string]float64{
			"GET endpoint acme.okta.com 443 /api/v1/users/{id}": 0, "host acme.okta.com 443": 2})
	})
}

// Any text can be a method. Those that are not known share a circuit, so that
// nobody can fill memory or a dashboard with them.
func TestUnknownMethodsShareACircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 1 }, telDown)
		ctx := oktaretry.WithNoRetry(t.Context())
		for _, method := range []string{"PURGE", "ANN", "get"} {
			r.do(ctx, method, telURL)
		}
		telEqual(t, "requests sent", len(r.sent), 1)
		r.wantGauge(t, "oktaretry.circuit.state", map[string]float64{
			"_OTHER endpoint acme.okta.com 443 /api/v1/users/{id}": 2, "host acme.okta.com 443": 0})
		r.wantGauge(t, "oktaretry.circuit.changes", map[string]float64{
			"_OTHER closed endpoint open acme.okta.com 443 /api/v1/users/{id}": 1})
	})
}

func TestRetryBudgetGaugeGoesDownWithResendsAndFillsUpAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, func(p *oktaretry.Policy) {
			p.Budget = oktaretry.Budget{Ratio: 0.5, Reserve: 1, TTL: 10 * time.Second}
		}, telDown, telDown, telDown, telOK)
		if n := len(r.telRead(t, "oktaretry.retry_budget.remaining")); n != 0 {
			t.Errorf("%d budgets before the first call", n)
		}
		r.do(t.Context(), "GET", telURL)
		r.wantGauge(t, "oktaretry.retry_budget.remaining", map[string]float64{"acme.okta.com 443": 7}) // 10 + 0.5 - 3
		time.Sleep(11 * time.Second)
		r.wantGauge(t, "oktaretry.retry_budget.remaining", map[string]float64{"acme.okta.com 443": 10})
	})
}

func TestWhatIsOffHasNoGauge(t *testing.T) {
	r := telNew(t, func(p *oktaretry.Policy) { p.Breaker.Disabled, p.Budget.Disabled = true, true }, telOK)
	r.do(t.Context(), "GET", telURL)
	r.wantGauge(t, "oktaretry.circuit.state", map[string]float64{})
	r.wantGauge(t, "oktaretry.retry_budget.remaining", map[string]float64{})
}

func TestGaugesHaveThePortThatTheirURLMeans(t *testing.T) {
	for url, want := range map[string]string{
		"http://a.b/api/v1/users": "a.b 80", "https://a.b/api/v1/users": "a.b 443",
		"https://a.b:8443/api/v1/users": "a.b 8443", "http://127.0.0.1:8080/api/v1/users": "127.0.0.1 8080",
		"https://[::1]:8443/api/v1/users": "::1 8443", "https://[::1]/api/v1/users": "::1 443",
		"https://A.b/api/v1/users": "a.b 443",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := telNew(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 1 },
				telLimits(telCode(429, "E0000047", "Retry-After", "1"), 600, 0, time.Second), telPending,
				telLimits(telDown, 600, 100, time.Minute))
			r.do(t.Context(), "GET", url)
			for name, m := range r.metrics(t) {
				for _, set := range telLabels(m) {
					telEqual(t, url+": "+name, fmt.Sprint(set["server.address"], " ", set["server.port"]), want)
				}
			}
		})
	}
}

// A host with its port and the host without it, or in capitals, are one server.
// Their buckets and circuits are apart, and one hid the other.
func TestOneServerUnderTwoNamesIsOneSeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		r := telNew(t, nil, func(req *http.Request) (*http.Response, error) { <-release; return telOK(req) })
		var calls sync.WaitGroup
		for _, host := range []string{"acme.okta.com", "acme.okta.com:443", "ACME.okta.com"} {
			calls.Go(func() { r.do(t.Context(), "GET", "https://"+host+"/api/v1/users/00u1") })
		}
		synctest.Wait()
		for range 20 {
			r.wantGauge(t, "oktaretry.bucket.in_flight", map[string]float64{telBucket: 3})
		}
		close(release)
		calls.Wait()
	})
}

func TestOneServerUnderTwoNamesShowsTheSmallerBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := telNew(t, func(p *oktaretry.Policy) {
			p.Budget = oktaretry.Budget{Ratio: 0.5, Reserve: 1, TTL: 10 * time.Second}
		}, telDown, telDown, telDown, telOK)
		for _, host := range []string{"acme.okta.com", "acme.okta.com:443"} {
			r.do(t.Context(), "GET", "https://"+host+"/api/v1/users/00u1")
		}
		for range 20 {
			r.wantGauge(t, "oktaretry.retry_budget.remaining", map[string]float64{"acme.okta.com 443": 7}) // the other has 10
		}
	})
}
