// This file holds the gauges: a Transport's buckets, circuits and retry budgets,
// read when metrics are collected.

package telemetry

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
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
			"Requests left in the current window."),
		inFlight: gauge("oktaretry.bucket.in_flight", "{request}",
			"Requests sent and not answered."),
		waiting: gauge("oktaretry.bucket.waiting", "{call}",
			"Calls waiting for their turn."),
		circuit: gauge("oktaretry.circuit.state", "{state}",
			"State of circuits: 0 closed, 1 half-open, 2 open."),
		budget: gauge("oktaretry.retry_budget.remaining", "{resend}",
			"Resends after errors left in the retry budget."),
	}
	var err error
	g.utilization, err = m.Float64ObservableGauge("oktaretry.bucket.utilization", metric.WithUnit("1"),
		metric.WithDescription("Used share of the current window, by anyone."))
	return g, errors.Join(append(bad, err)...)
}

// Readings are a Transport's buckets, circuits and retry budgets at one moment.
type Readings struct {
	Buckets  []Bucket
	Circuits []Circuit
	Budgets  []Budget
}

// Server is a host, which may contain a port, and the port that it stands for.
type Server struct {
	Host string
	Port int
}

// Bucket is a rate-limit bucket. Limit, Remaining and Utilization are -1 if no
// current window is known.
type Bucket struct {
	Server
	Name                                string
	Limit, Remaining, InFlight, Waiting int
	Utilization                         float64
}

// Circuit is a circuit and its state: 0 closed, 1 half-open, 2 open.
type Circuit struct {
	CircuitChange // without From and To
	Port          int
	State         int64
}

// Budget is the retry budget of a host.
type Budget struct {
	Server
	Left int64
}

// Observe registers read for the gauges, until the registration is unregistered.
// read is false once there is nothing left to read.
func (t *Telemetry) Observe(read func() (Readings, bool)) (metric.Registration, error) {
	g := t.metrics.gauges
	return t.metrics.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if r, ok := read(); ok {
			g.buckets(o, r.Buckets)
			g.circuits(o, r.Circuits)
			g.budgets(o, r.Budgets)
		}
		return nil
	}, g.limit, g.remaining, g.utilization, g.inFlight, g.waiting, g.circuit, g.budget)
}

// buckets reports the buckets by server and name. Of several credentials, which have
// no names, the one with the highest utilization is reported. The same applies to a
// server with two names, with its port and without.
func (g *gauges) buckets(o metric.Observer, list []Bucket) {
	all := make(map[attribute.Set]Bucket)
	for _, s := range list {
		k := attribute.NewSet(append(serverAttributes(s.Host, s.Port), keyBucket.String(s.Name))...)
		b, seen := all[k]
		if !seen {
			b = Bucket{Limit: -1, Remaining: -1, Utilization: -1}
		}
		b.InFlight += s.InFlight
		b.Waiting += s.Waiting
		if s.Limit > 0 && (b.Limit < 0 || s.Utilization > b.Utilization || s.Utilization == b.Utilization && s.Limit < b.Limit) {
			b.Limit, b.Utilization, b.Remaining = s.Limit, s.Utilization, -1
			if s.Utilization >= 0 {
				b.Remaining = s.Remaining
			}
		}
		all[k] = b
	}
	for k, b := range all {
		labels := metric.WithAttributeSet(k)
		o.ObserveInt64(g.inFlight, int64(b.InFlight), labels)
		o.ObserveInt64(g.waiting, int64(b.Waiting), labels)
		if b.Limit >= 0 {
			o.ObserveInt64(g.limit, int64(b.Limit), labels)
		}
		if b.Remaining >= 0 {
			o.ObserveInt64(g.remaining, int64(b.Remaining), labels)
			o.ObserveFloat64(g.utilization, b.Utilization, labels)
		}
	}
}

// circuits reports the circuits. Of those with the same attributes, such as those of
// unknown methods, the worst one is reported.
func (g *gauges) circuits(o metric.Observer, list []Circuit) {
	states := make(map[attribute.Set]int64)
	for _, c := range list {
		k := attribute.NewSet(c.attributes(c.Port)...)
		states[k] = max(states[k], c.State)
	}
	for k, state := range states {
		o.ObserveInt64(g.circuit, state, metric.WithAttributeSet(k))
	}
}

func (g *gauges) budgets(o metric.Observer, list []Budget) {
	budgets := make(map[attribute.Set]int64)
	for _, b := range list {
		k := attribute.NewSet(serverAttributes(b.Host, b.Port)...)
		if least, seen := budgets[k]; !seen || b.Left < least {
			budgets[k] = b.Left
		}
	}
	for k, left := range budgets {
		o.ObserveInt64(g.budget, left, metric.WithAttributeSet(k))
	}
}

// attributes returns the attributes of a circuit; port is that of its host.
func (c *CircuitChange) attributes(port int) []attribute.KeyValue {
	list := append(serverAttributes(c.Host, port), keyScope.String(c.Scope))
	if c.Name != "" {
		list = append(list, keyCircuit.String(c.Name))
	}
	if c.Template != "" {
		list = append(list, methodAttribute(c.Method), semconv.URLTemplate(c.Template))
	}
	return list
}
