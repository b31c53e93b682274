// This file holds the options of a Transport.

package oktaretry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry/internal/telemetry"
)

// Option configures a [Transport]. Only the functions of this package return
// Options; [NewTransport] refuses nil and invalid arguments, all at once.
type Option interface {
	apply(*config) error
}

type optionFunc func(*config) error

func (f optionFunc) apply(c *config) error { return f(c) }

// config is the sum of the options.
type config struct {
	policy       Policy
	prepareRetry func(*http.Request) error
	buckets      func(*http.Request) string
	caller       func(*http.Request) string
	orgs         map[string]string // by host: the first host of its org
	circuits     func(*http.Request) string
	errorKind    func(error) ErrorKind
	tracers      trace.TracerProvider
	meters       metric.MeterProvider
	propagators  propagation.TextMapPropagator
	logger       *slog.Logger
	sharing      *sharedConfig
	logFrom      time.Duration
	observers    observers

	noAttemptSpans, noAttemptMetrics bool
}

// telemetry returns the part of the options that internal/telemetry needs.
func (c *config) telemetry() telemetry.Config {
	return telemetry.Config{
		Tracers: c.tracers, Meters: c.meters, Propagators: c.propagators, Version: Version,
		Logger: c.logger, LogFrom: c.logFrom,
		NoAttemptSpans: c.noAttemptSpans, NoAttemptMetrics: c.noAttemptMetrics,
	}
}

// defaultLogFrom is the shortest wait, and the shortest call, that is logged.
const defaultLogFrom = 5 * time.Second

// newConfig applies the options. Its error joins all of their problems.
func newConfig(opts []Option) (config, error) {
	c := config{policy: DefaultPolicy(), logFrom: defaultLogFrom}
	var bad []error
	for i, o := range opts {
		if o == nil {
			bad = append(bad, fmt.Errorf("oktaretry: option %d is nil", i+1))
			continue
		}
		bad = append(bad, o.apply(&c))
	}
	return c, errors.Join(bad...)
}

// WithPolicy sets the policy, which [Policy.Validate] must accept. Default:
// [DefaultPolicy]. [Transport.SetPolicy] replaces it later.
func WithPolicy(p Policy) Option {
	return optionFunc(func(c *config) error {
		c.policy = p.clone()
		return p.Validate()
	})
}

// WithTracerProvider sets the provider of spans. Default: the global provider,
// also one installed later; until then spans cost nothing.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(c *config) error {
		c.tracers = p
		return notNil("WithTracerProvider", p == nil)
	})
}

// WithMeterProvider sets the provider of metrics. Default: the global provider,
// also one installed later.
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(c *config) error {
		c.meters = p
		return notNil("WithMeterProvider", p == nil)
	})
}

// WithPropagators sets the propagators that write the trace context into the
// headers of each attempt. Default: the global propagators, also those installed
// later.
func WithPropagators(p propagation.TextMapPropagator) Option {
	return optionFunc(func(c *config) error {
		c.propagators = p
		return notNil("WithPropagators", p == nil)
	})
}

// WithAttemptSpans switches the CLIENT span of each attempt on or off. Default: on.
// Switch it off above a base that makes one for each request, such as otelhttp's:
// the call's span then has an event for each attempt instead, and the base gets the
// call's trace context.
func WithAttemptSpans(on bool) Option {
	return optionFunc(func(c *config) error {
		c.noAttemptSpans = !on
		return nil
	})
}

// WithAttemptMetrics switches the metric http.client.request.duration, the duration
// of each attempt, on or off. Default: on. Switch it off where another layer above or
// below records that metric, such as otelhttp's: else it has every request twice.
func WithAttemptMetrics(on bool) Option {
	return optionFunc(func(c *config) error {
		c.noAttemptMetrics = !on
		return nil
	})
}

// WithLogThreshold sets from which duration on [WithLogger] logs what takes long: a
// wait when it begins, by what is then known of it, and a call when it ends, waits
// and attempts included. 0: every wait and every call. Default: 5 s. A call that was
// given up is logged in any case, and so is the end of one with a wait that was.
func WithLogThreshold(d time.Duration) Option {
	return optionFunc(func(c *config) error {
		c.logFrom = d
		if d < 0 {
			return fmt.Errorf("oktaretry: WithLogThreshold: %v is negative", d)
		}
		return nil
	})
}

// WithLogger logs each long wait ([WithLogThreshold]) when it begins and every 30 s
// after that, each call that took long or was given up when it ends, and each change
// of a circuit, with the ids of the trace. Default: nothing is logged. docs/telemetry.md
// lists the lines.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) error {
		c.logger = l
		return notNil("WithLogger", l == nil)
	})
}

// WithPrepareRetry sets a hook that runs before each resend and poll, on the
// request about to be sent, which it may change: sign it anew there. The request's
// context has the answer before: see [PreviousAnswer]. The hook must
// be safe for concurrent use, and must close a Body that it replaces. Its error ends
// the call and is returned, wrapped. With a hook, requests with a DPoP header, and
// token requests, are resent like others. Default: no hook; a request with a DPoP
// header is then resent only if it never reached Okta, and a token request also
// after a rate limit.
func WithPrepareRetry(hook func(*http.Request) error) Option {
	return optionFunc(func(c *config) error {
		c.prepareRetry = hook
		return notNil("WithPrepareRetry", hook == nil)
	})
}

// Previous is the answer that a resend or poll follows.
type Previous struct {
	Classification
	Header http.Header // the hook's own copy; nil if there was no answer
	Err    error       // the network error; nil if there was an answer
}

// PreviousAnswer returns the answer that the request of a [WithPrepareRetry] hook
// follows: its status, code and header fields, such as a DPoP-Nonce. ctx is the
// context of that request; with any other it returns false.
func PreviousAnswer(ctx context.Context) (Previous, bool) {
	p, ok := ctx.Value(previousKey{}).(Previous)
	return p, ok
}

type previousKey struct{}

// WithBuckets sets a function that names the rate-limit bucket of a request: for
// orgs whose buckets are not the documented ones, for custom domains, and for
// proxies with limits of their own. Calls of one host, credential and bucket share
// one window and wait in one line, so give two requests the same name only if Okta
// counts them together: a bucket that has a name is not split, whatever limits its
// answers name. "" stands for the documented bucket. Names are truncated to 128
// bytes. Default: the documented buckets.
//
// The function runs once for each call, and once more when the call begins to poll
// another URL. It must not change or keep the request, whose Body is nil. It must
// be fast and safe for concurrent use.
//
// [Outcome], [RateLimitError], [Snapshot], spans, metrics and log lines show the
// name as it is: derive it from no personal data, such as an id, a login or a
// query. Only about ten thousand buckets are kept, those used last.
func WithBuckets(name func(*http.Request) string) Option {
	return optionFunc(func(c *config) error {
		c.buckets = name
		return notNil("WithBuckets", name == nil)
	})
}

// WithCaller sets a function that names whom Okta counts a request for, beside its
// credential: for limits of single users, clients or tenants that the request
// shows. Requests of different callers have windows of their own and never wait for
// each other. "" stands for none. Default: none, but at the login endpoints the
// session's and the device's cookies, X-Device-Token, X-Forwarded-For and client_id.
//
// The name is hashed and never shown. The function must not change or keep the
// request, whose Body is nil. It must be fast and safe for concurrent use.
func WithCaller(name func(*http.Request) string) Option {
	return optionFunc(func(c *config) error {
		c.caller = name
		return notNil("WithCaller", name == nil)
	})
}

// WithOrgHosts names hosts that are one org, such as its domain at Okta and a custom
// domain: they share their rate limits. Each keeps a circuit of its own. It can be
// given once for each org. Default: each host is an org of its own; a port that the
// scheme implies makes no other host.
func WithOrgHosts(hosts ...string) Option {
	return optionFunc(func(c *config) error {
		if len(hosts) < 2 {
			return fmt.Errorf("oktaretry: WithOrgHosts: %d hosts, want 2 or more", len(hosts))
		}
		if c.orgs == nil {
			c.orgs = make(map[string]string)
		}
		for _, h := range hosts {
			h = strings.ToLower(h)
			if h == "" || strings.ContainsAny(h, "/@ ") {
				return fmt.Errorf("oktaretry: WithOrgHosts: %q is no host", h)
			}
			if _, twice := c.orgs[h]; twice {
				return fmt.Errorf("oktaretry: WithOrgHosts: %q is of two orgs", h)
			}
			c.orgs[h] = strings.ToLower(hosts[0])
		}
		return nil
	})
}

// WithCircuits sets a function that names the circuits of a request, for what
// fails apart from the rest of its host: the orgs behind one gateway, where the
// Host header does not tell them apart already. Requests of one host and name have a
// host's circuit and endpoints' circuits of their own. For "" those without a name count.
//
// The function is called as that of [WithBuckets] is, under the same conditions.
// The name shows up in [CircuitID], spans, metrics and log lines, as it is, and is
// truncated to 128 bytes. Circuits that are idle are forgotten.
func WithCircuits(name func(*http.Request) string) Option {
	return optionFunc(func(c *config) error {
		c.circuits = name
		return notNil("WithCircuits", name == nil)
	})
}

// WithErrorClassifier sets a function that says what an error of the base means, for
// layers below of the user's own: [ErrorFinal], [ErrorNeutral], or [ErrorDefault].
// It gets each error as the base returned it, unless the caller's context has ended
// or a Transport below made it. It must be fast and safe for concurrent use.
//
// By default only errors of the network count against a circuit: those with a type of
// package net, a [syscall.Errno] or an end of file in them, and net/http's own about
// connections and what came over them. All others (a token that was refused, a body
// of the caller's that cannot be read, a proxy's refusal, a TLS alert, a request that
// net/http refuses to send) are final, and neutral if they report Timeout or
// Temporary. So is the time in the queue of an [http.Transport] with MaxConnsPerHost.
func WithErrorClassifier(kind func(error) ErrorKind) Option {
	return optionFunc(func(c *config) error {
		c.errorKind = kind
		return notNil("WithErrorClassifier", kind == nil)
	})
}

func notNil(option string, isNil bool) error {
	if isNil {
		return fmt.Errorf("oktaretry: %s: is nil", option)
	}
	return nil
}

// isNilPointer reports whether an interface holds a pointer that is nil, which it
// hides from a comparison.
func isNilPointer(v any) bool {
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}
