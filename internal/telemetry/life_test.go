// This file tests the gauges over time: while calls run, after a new policy,
// after their Transport.

package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestGaugesAreReadWhileCallsRun(t *testing.T) {
	r := recorders.Observe(t, func(p *oktaretry.Policy) {
		rig.QuickWaits(p)
		p.Breaker, p.Budget = oktaretry.DefaultPolicy().Breaker, oktaretry.DefaultPolicy().Budget
	},
		window(600, 500, time.Minute))
	r.With(t, oktaretry.WithLogThreshold(time.Hour))
	fast := oktaretry.DefaultPolicy()
	fast.Breaker.MinCalls++
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			switch {
			case i%10 == 0:
				var rm metricdata.ResourceMetrics
				if err := r.Reader.Collect(t.Context(), &rm); err != nil {
					t.Error(err)
				}
			case i == 55:
				if err := r.SetPolicy(fast); err != nil {
					t.Error(err)
				}
			default:
				url := fmt.Sprintf("https://h%d.okta.com/api/v1/users/00u1", i%7)
				if err := r.Do(t.Context(), []string{"GET", "PURGE", "ANN"}[i%3], url); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := len(r.Values(t, "oktaretry.bucket.in_flight")); n == 0 {
		t.Error("no bucket was read")
	}
}

// Changed settings of circuits begin a new register, which nothing is in yet:
// that of the old one would be yesterday's.
func TestGaugesFollowANewPolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := oktaretry.DefaultPolicy()
		p.Breaker.MinCalls = 1
		r := recorders.Observe(t, func(q *oktaretry.Policy) { *q = p }, script.Down(), script.OK())
		const url = "http://a.b/api/v1/users/00u1"
		r.Do(oktaretry.WithNoRetry(t.Context()), "GET", url)
		open := map[string]float64{"GET endpoint a.b 80 /api/v1/users/{id}": 2, "host a.b 80": 0}
		r.WantValues(t, "oktaretry.circuit.state", open)
		p.ServerError.MaxAttempts++
		if err := r.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		r.WantValues(t, "oktaretry.circuit.state", open) // the same circuits
		p.Breaker.MinCalls++
		if err := r.SetPolicy(p); err != nil {
			t.Fatal(err)
		}
		r.WantValues(t, "oktaretry.circuit.state", map[string]float64{})
		r.WantValues(t, "oktaretry.retry_budget.remaining", map[string]float64{})
		r.Do(t.Context(), "GET", url)
		r.WantValues(t, "oktaretry.circuit.state", map[string]float64{"GET endpoint a.b 80 /api/v1/users/{id}": 0, "host a.b 80": 0})
		// The buckets are the governor's, which stays.
		r.WantValues(t, "oktaretry.bucket.in_flight", map[string]float64{"GET /api/v1/users/{id} a.b 80": 0})
	})
}

// register counts the callbacks of a meter provider.
type register struct {
	metric.MeterProvider
	registered, unregistered atomic.Int64
	refuse                   error
}

type registerMeter struct {
	metric.Meter
	r *register
}

type registration struct {
	metric.Registration
	r *register
}

func (r *register) Meter(name string, o ...metric.MeterOption) metric.Meter {
	return registerMeter{r.MeterProvider.Meter(name, o...), r}
}

func (m registerMeter) RegisterCallback(f metric.Callback, o ...metric.Observable) (metric.Registration, error) {
	if m.r.refuse != nil {
		return nil, m.r.refuse
	}
	m.r.registered.Add(1)
	reg, err := m.Meter.RegisterCallback(f, o...)
	return registration{reg, m.r}, err
}

func (r registration) Unregister() error {
	r.r.unregistered.Add(1)
	return r.Registration.Unregister()
}

// A Transport needs no closing, so nothing unregisters its callback explicitly.
func TestMeterProviderKeepsNoTransportAlive(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	meters := &register{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))}
	newOne := func() *oktaretry.Transport {
		tr, err := oktaretry.NewTransport(plainBase{}, oktaretry.WithMeterProvider(meters))
		if err != nil {
			t.Fatal(err)
		}
		req, _ := http.NewRequest("GET", rig.UserURL, nil)
		resp, err := tr.RoundTrip(req)
		rig.Text(t, resp, err)
		return tr
	}
	points := func() int {
		var rm metricdata.ResourceMetrics
		if err := reader.Collect(context.Background(), &rm); err != nil {
			t.Fatal(err)
		}
		for _, s := range rm.ScopeMetrics {
			for _, m := range s.Metrics {
				if m.Name == "oktaretry.bucket.in_flight" {
					return len(recorders.Labels(m))
				}
			}
		}
		return 0
	}
	const dropped = 3
	var gone []weak.Pointer[oktaretry.Transport]
	for range dropped {
		gone = append(gone, weak.Make(newOne()))
	}
	kept := newOne()
	for begun := time.Now(); meters.unregistered.Load() < dropped && time.Since(begun) < 10*time.Second; {
		runtime.GC()
		points() // collecting keeps none of them either
		time.Sleep(time.Millisecond)
	}
	for _, p := range gone {
		if p.Value() != nil {
			t.Error("a Transport that nobody uses was kept")
		}
	}
	rig.Equal(t, "callbacks", [2]int64{meters.registered.Load(), meters.unregistered.Load()}, [2]int64{dropped + 1, dropped})
	rig.Equal(t, "buckets of the one that is in use", points(), 1)
	runtime.KeepAlive(kept)
}

// plainBase is a base that refers to nothing.
type plainBase struct{}

func (plainBase) RoundTrip(req *http.Request) (*http.Response, error) {
	return script.OK().Respond(req)
}

func TestMeterProviderErrorFailsNewTransport(t *testing.T) {
	refusal := errors.New("no more callbacks")
	meters := &register{MeterProvider: metricnoop.NewMeterProvider(), refuse: refusal}
	if _, err := oktaretry.NewTransport(nil, oktaretry.WithMeterProvider(meters)); !errors.Is(err, refusal) {
		t.Errorf("got %v, want the refusal", err)
	}
}
