// This file converts outcomes, attempts and the state of a Transport to what
// internal/telemetry reports.

package oktaretry

import (
	"runtime"
	"time"
	"weak"

	"go.opentelemetry.io/otel/metric"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/fault"
	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/telemetry"
)

func resultOf(c Classification, err error) telemetry.Result {
	return telemetry.Result{
		Class: c.Class.String(), Code: shownCode(c.Code), RequestID: c.RequestID, Status: c.Status,
		Err: err, Kind: errorKindName, Terminal: c.Terminal, NotSent: c.NotSent,
	}
}

// errorKindName returns the part of the network that an error is about, as error.type
// shows it; "" if it is not about the network.
func errorKindName(err error) string {
	if isLost(err) {
		return fault.KindConnection
	}
	return fault.Kind(err)
}

// callEnd converts the outcome of a call. left: its caller had canceled it. by is
// the circuit that refused it, if one did.
func callEnd(o *Outcome, left bool, by Scope) telemetry.CallEnd {
	end := telemetry.CallEnd{
		Result: resultOf(o.Classification, o.Err), Stop: o.Stop.String(), Bucket: o.Bucket, Attempts: len(o.Attempts),
		Elapsed: o.Elapsed, Waited: o.Waited(), Needed: o.Needed,
	}
	if o.Stop == StopCircuitOpen {
		end.Circuit = by.String()
	}
	end.Failed, end.GivenUp = hasFailed(o, left), isGivenUp(o, left)
	return end
}

// attemptEnd converts an attempt, whose record is a, and its answer.
func attemptEnd(a *Attempt, answer *answer, left bool) telemetry.AttemptEnd {
	return telemetry.AttemptEnd{
		Result: resultOf(a.Classification, a.Err), Start: a.Start, Duration: a.Duration, Poll: a.Poll, Left: left,
		Protocol: telemetry.ProtocolVersion(answer.resp),
		Limit:    answer.limits.Limit, Remaining: answer.limits.Remaining, Reset: answer.limits.Reset,
	}
}

// observe registers t's gauges for as long as t is in use. A Transport needs no
// closing, so the meter provider gets no strong reference to it.
func observe(t *Transport) error {
	alive := weak.Make(t)
	r, err := t.telemetry.Observe(func() (telemetry.Readings, bool) {
		if t := alive.Value(); t != nil {
			return readings(t), true
		}
		return telemetry.Readings{}, false
	})
	if err == nil {
		runtime.AddCleanup(t, func(r metric.Registration) { r.Unregister() }, r)
	}
	return err
}

func readings(t *Transport) (r telemetry.Readings) {
	now, e := time.Now(), t.settings.Load().endpoints
	for _, s := range t.governor.States(now) {
		r.Buckets = append(r.Buckets, telemetry.Bucket{
			Server: telemetry.Server{Host: s.Host, Port: e.port(s.Host)}, Name: s.Bucket,
			Limit: s.Limit, Remaining: s.Remaining, InFlight: s.InFlight, Waiting: s.Waiting, Utilization: utilization(s, now),
		})
	}
	e.eachCircuit(func(b *circuit.Breaker) {
		id := circuitID(b.ID())
		r.Circuits = append(r.Circuits, telemetry.Circuit{
			CircuitChange: telemetry.CircuitChange{Scope: id.Scope.String(), Host: id.Host, Name: id.Name, Method: id.Method, Template: id.Template},
			Port:          e.port(id.Host), State: int64(b.Standing(now)),
		})
	})
	for name, h := range e.allHosts() {
		if h.budget != nil {
			r.Budgets = append(r.Budgets, telemetry.Budget{Server: telemetry.Server{Host: name, Port: h.port}, Left: int64(h.budget.Left(now))})
		}
	}
	return r
}

// utilization is the used share of the current window; -1 if none is known.
func utilization(s pace.State, now time.Time) float64 {
	if s.Limit <= 0 || s.Remaining < 0 || !now.Before(s.Reset) {
		return -1
	}
	return min(max(float64(s.Limit-s.Remaining)/float64(s.Limit), 0), 1)
}
