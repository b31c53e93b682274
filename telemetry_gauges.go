// This file holds the metrics that are read off a Transport when somebody
// collects them: its buckets, circuits and retry budgets as they stand.

package oktaretry

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"runtime"
	"time"
	"weak"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/oktaretry/oktaretry/internal/pace"
)

type gauges struct {
	limit, remaining, inFlight, waiting metric.Int64ObservableGauge
	utilization                         metric.Float64ObservableGauge
	circuit, budget                     metric.Int64ObservableGauge
}

func newGauges(m metric.Meter) (gauges, error) {
	var bad []error
	gauge := func(name, unit, description string) metric.Int64ObservableGauge {
		g, err := m.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
		bad = append(bad, err)
		return g
	}
	g := gauges{
		limit: gauge("oktaretry.bucket.limit", "{request}",
			"Requests that the rate limit allows in a window."),
		remaining: gauge("oktaretry.bucket.remaining", "{request}",
			"Requests left in the window that runs."),
		inFlight: gauge("oktaretry.bucket.in_flight", "{request}",
			"Requests sent and not answered."),
		waiting: gauge("oktaretry.bucket.waiting", "{call}",
			"Calls that wait for their turn."),
		circuit: gauge("oktaretry.circuit.state", "{state}",
			"State of circuits: 0 closed, 1 half-open, 2 open."),
		budget: gauge("oktaretry.retry_budget.remaining", "{resend}",
			"Resends after errors that the retry budget still has."),
	}
	var err error
	g.utilization, err = m.Float64ObservableGauge("oktaretry.bucket.utilization", metric.WithUnit("1"),
		metric.WithDescription("Share of the window that runs which is used, by anyone."))
	return g, errors.Join(append(bad, err)...)
}

// observe has t's gauges read for as long as t is in use: a Transport needs no
// closing, and a meter provider that outlives it must not keep it.
func (t *Transport) observe() error {
	m := &t.telemetry.metrics
	g, alive := m.gauges, weak.Make(t)
	r, err := m.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if t := alive.Value(); t != nil {
			t.observeBuckets(o, g)
			t.observeCircuits(o, g)
		}
		return nil
	}, g.limit, g.remaining, g.utilization, g.inFlight, g.waiting, g.circuit, g.budget)
	if err == nil {
		runtime.AddCleanup(t, func(r metric.Registration) { r.Unregister() }, r)
	}
	return err
}

// observeBuckets reports the buckets by server and name. Of credentials that have
// a share each, the tightest one counts: they have no names. So it is with a
// server that goes by two names, with its port and without.
func (t *Transport) observeBuckets(o metric.Observer, g gauges) {
	type load struct {
		inFlight, waiting int
		limit, remaining  int
		utilization       float64
	}
	now, e := time.Now(), t.settings.Load().endpoints
	all := make(map[attribute.Set]load)
	for _, s := range t.governor.States(now) {
		k := attribute.NewSet(append(serverAttributes(s.Host, e.port(s.Host)), keyBucket.String(s.Bucket))...)
		b, seen := all[k]
		if !seen {
			b = load{limit: -1, remaining: -1, utilization: -1}
		}
		b.inFlight += s.InFlight
		b.waiting += s.Waiting
		u := utilization(s, now)
		if s.Limit > 0 && (b.limit < 0 || u > b.utilization || u == b.utilization && s.Limit < b.limit) {
			b.limit, b.utilization, b.remaining = s.Limit, u, -1
			if u >= 0 {
				b.remaining = s.Remaining
			}
		}
		all[k] = b
	}
	for k, b := range all {
		labels := metric.WithAttributeSet(k)
		o.ObserveInt64(g.inFlight, int64(b.inFlight), labels)
		o.ObserveInt64(g.waiting, int64(b.waiting), labels)
		if b.limit >= 0 {
			o.ObserveInt64(g.limit, int64(b.limit), labels)
		}
		if b.remaining >= 0 {
			o.ObserveInt64(g.remaining, int64(b.remaining), labels)
			o.ObserveFloat64(g.utilization, b.utilization, labels)
		}
	}
}

// utilization is the used share of the window that runs; -1 where none does as
// far as is known, for then nothing is known of its use.
func utilization(s pace.State, now time.Time) float64 {
	if s.Limit <= 0 || s.Remaining < 0 || !now.Before(s.Reset) {
		return -1
	}
	return min(max(float64(s.Limit-s.Remaining)/float64(s.Limit), 0), 1)
}

// observeCircuits reports the circuits, and the retry budgets beside them. Of
// those that share their labels, as methods that nobody knows do, the worst one
// counts.
func (t *Transport) observeCircuits(o metric.Observer, g gauges) {
	e := t.settings.Load().endpoints
	states := make(map[attribute.Set]int64)
	e.circuits(func(c *circuit) {
		k := attribute.NewSet(circuitAttributes(c.id, e.port(c.id.Host))...)
		states[k] = max(states[k], stateNumber(c.standing(time.Now())))
	})
	for k, state := range states {
		o.ObserveInt64(g.circuit, state, metric.WithAttributeSet(k))
	}
	now := time.Now()
	budgets := make(map[attribute.Set]int64)
	for name, h := range e.allHosts() {
		if h.budget == nil {
			continue
		}
		k, left := attribute.NewSet(serverAttributes(name, h.port)...), int64(h.budget.left(now))
		if least, seen := budgets[k]; !seen || left < least {
			budgets[k] = left
		}
	}
	for k, left := range budgets {
		o.ObserveInt64(g.budget, left, metric.WithAttributeSet(k))
	}
}

func stateNumber(s gobreaker.State) int64 {
	switch s {
	case gobreaker.StateHalfOpen:
		return 1
	case gobreaker.StateOpen:
		return 2
	}
	return 0
}

// circuitAttributes names a circuit; port is that of its host.
func circuitAttributes(id CircuitID, port int) []attribute.KeyValue {
	list := append(serverAttributes(id.Host, port), keyScope.String(id.Scope.String()))
	if id.Scope == TripsEndpoint {
		list = append(list, methodAttribute(id.Method), semconv.URLTemplate(id.Template))
	}
	return list
}

// serverAttributes splits a host that may hold a port; port is the one it means
// if it does not.
func serverAttributes(host string, port int) []attribute.KeyValue {
	u := url.URL{Host: host}
	return []attribute.KeyValue{semconv.ServerAddress(cmp.Or(u.Hostname(), host)), semconv.ServerPort(port)}
}
