// Package chaos makes Okta fail now and then for a running program, in staging or on a day of rehearsal: an
// http.RoundTripper that stands below oktaretry's Transport and answers some of the requests itself, with Okta's own
// errors, an edge's pages, broken connections and latency.
//
//	base, err := chaos.NewTransport(nil, chaos.Config{
//		On: switchedOn.Load, // an atomic.Bool
//		Faults: []chaos.Fault{
//			chaos.Code("E0000009").On("GET /api/v1/users/*").Rate(0.01),
//			chaos.EdgePage(503).Rate(0.005),
//			chaos.Latency(2 * time.Second).Rate(0.02),
//		},
//	})
//	transport, err := oktaretry.NewTransport(base)
//
// # Off unless it is switched on
//
// Without faults, with a rate of 0 (each Fault's default), and while it is switched off, every request goes to the base
// as it came. It is switched on by Config.On, or, without that, by the environment variable OKTARETRY_CHAOS=on; and
// OKTARETRY_CHAOS=off is off whatever On says. Both are asked for each request, so that either ends it at once.
//
// # It makes no duplicates
//
// A fault strikes before the request is sent: Okta does not see it. Fault.AfterSend lets reads be sent first. A request
// that may change something (any but GET, HEAD, OPTIONS and TRACE) is sent first only by Fault.EvenWrites: then Okta has
// done it, its caller does not know, and a program that sends it again makes a duplicate, which may be what is to be found
// out.
//
// # Each fault is marked
//
// An answer that is injected, or delayed, carries the Header X-Oktaretry-Chaos with the name of the fault; a broken
// connection is an *Error. The span of the request's context gets the attribute oktaretry.chaos with the names, and an
// event oktaretry.chaos for each fault. Transport.Injected counts.
//
// For tests there is more in oktatest: a fake org, bad days, virtual time. This package imports no package of tests.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry/internal/pattern"
)

const (
	// Header marks answers that a fault has made, broken or delayed, with the names of the faults: "E0000009",
	// "edge-503", "latency".
	Header = "X-Oktaretry-Chaos"

	// Environment is the variable that switches chaos on and off.
	Environment = "OKTARETRY_CHAOS"

	// Attribute is set on the span of a request's context, and on the event of the same name: the fault's name.
	Attribute = "oktaretry.chaos"
)

// Config is what a Transport injects, and when.
type Config struct {
	// On switches chaos on: while it returns true, and the environment variable does not say "off". It is called for
	// each request, by many goroutines at a time. Nil: chaos is on while OKTARETRY_CHAOS is "on".
	On func() bool

	// Faults are tried in order. A request meets at most one of them, and beside it each Latency before that; for each
	// that matches, its Rate decides by itself.
	Faults []Fault

	// Seed makes what chance brings the same in each run, in the order of the requests. 0: different in each.
	Seed uint64
}

// Transport injects faults. Its zero value injects none and sends by http.DefaultTransport. It is safe for concurrent use.
type Transport struct {
	base   http.RoundTripper
	on     func() bool
	faults []fault
	rates  ratesSeen

	mu       sync.Mutex
	random   *rand.Rand // nil: the process's
	injected map[string]int
}

// fault is a Fault, ready to be matched.
type fault struct {
	Fault
	patterns []pattern.Pattern
}

// NewTransport makes a Transport that sends by base; nil: by http.DefaultTransport. It returns all that is wrong with
// the config at once.
func NewTransport(base http.RoundTripper, c Config) (*Transport, error) {
	t := &Transport{base: base, on: c.On}
	if c.Seed != 0 {
		t.random = rand.New(rand.NewPCG(c.Seed, 0))
	}
	var problems []error
	for i, f := range c.Faults {
		ready, err := f.ready()
		if err != nil {
			problems = append(problems, fmt.Errorf("chaos: Faults[%d]: %w", i, err))
		}
		t.faults = append(t.faults, ready)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return t, nil
}

// RoundTrip sends a request, or injects a fault.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if len(t.faults) == 0 || req.URL == nil || !t.enabled() {
		return t.pass(req)
	}
	latency, hit := t.draw(req)
	if len(latency) == 0 && hit == nil {
		return t.send(req)
	}
	return t.inject(req, latency, hit)
}

// CloseIdleConnections closes those of the base, if it has any.
func (t *Transport) CloseIdleConnections() {
	if c, ok := t.next().(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Injected is how often each fault was injected, by its name. The map is the caller's.
func (t *Transport) Injected() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[string]int{}
	maps.Copy(all, t.injected)
	return all
}

// pass sends a request by the base, which owes an answer with headers and a body or an error.
func (t *Transport) pass(req *http.Request) (*http.Response, error) {
	resp, err := t.next().RoundTrip(req)
	switch {
	case err != nil && resp != nil && resp.Body != nil:
		resp.Body.Close()
		fallthrough
	case err != nil:
		return nil, err
	case resp == nil:
		return nil, errors.New("chaos: the base returned neither an answer nor an error")
	case resp.Body == nil:
		resp.Body = http.NoBody
	}
	if resp.Header == nil {
		resp.Header = http.Header{}
	}
	return resp, nil
}

func (t *Transport) next() http.RoundTripper {
	if t.base == nil {
		return http.DefaultTransport
	}
	return t.base
}

func (t *Transport) enabled() bool {
	switch os.Getenv(Environment) {
	case "off":
		return false
	case "on":
		return t.on == nil || t.on()
	}
	return t.on != nil && t.on()
}

// draw decides which faults a request meets.
func (t *Transport) draw(req *http.Request) (latency []*fault, hit *fault) {
	var segments []string
	for i := range t.faults {
		f := &t.faults[i]
		if f.rate == 0 {
			continue
		}
		if segments == nil {
			segments = pattern.Segments(req.URL.EscapedPath())
		}
		switch {
		case !f.matches(req.Method, segments) || !t.strikes(f.rate):
		case f.kind == kindLatency:
			latency = append(latency, f)
		default:
			return latency, f
		}
	}
	return latency, nil
}

func (t *Transport) strikes(rate float64) bool {
	if t.random == nil {
		return rand.Float64() < rate
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.random.Float64() < rate
}

// mark records in the trace which faults a request has met so far, and counts the last.
func (t *Transport) mark(req *http.Request, names []string) {
	name := names[len(names)-1]
	span := trace.SpanFromContext(req.Context())
	span.SetAttributes(attribute.String(Attribute, strings.Join(names, ", ")))
	span.AddEvent(Attribute, trace.WithAttributes(attribute.String(Attribute, name)))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.injected == nil {
		t.injected = map[string]int{}
	}
	t.injected[name]++
}

// wait waits for d, and reports whether the context lasted so long.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
