// This file holds the options: of a Transport at its construction, and of a
// single call through its context.

package oktaretry

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/oktaretry/oktaretry/internal/telemetry"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Option configures a [Transport]. The functions of this package that return
// an Option are the only ones.
type Option interface {
	apply(*config) error
}

type optionFunc func(*config) error

func (f optionFunc) apply(c *config) error { return f(c) }

// config is what the options add up to.
type config struct {
	policy       Policy
	prepareRetry func(*http.Request) error
	buckets      func(*http.Request) string
	tracers      trace.TracerProvider
	meters       metric.MeterProvider
	propagators  propagation.TextMapPropagator
	logger       *slog.Logger
	sharing      *sharedConfig
	logWaitFrom  time.Duration

	noAttemptSpans, noAttemptMetrics bool
}

// telemetry is what the options set of telemetry.
func (c *config) telemetry() telemetry.Config {
	return telemetry.Config{
		Tracers: c.tracers, Meters: c.meters, Propagators: c.propagators, Logger: c.logger, LogWaitFrom: c.logWaitFrom,
		NoAttemptSpans: c.noAttemptSpans, NoAttemptMetrics: c.noAttemptMetrics,
	}
}

// defaultLogWaitFrom is how long a wait must be to be logged, unless the user
// says otherwise.
const defaultLogWaitFrom = time.Second

// newConfig applies the options and reports everything that is wrong with
// them at once.
func newConfig(opts []Option) (config, error) {
	c := config{policy: DefaultPolicy(), logWaitFrom: defaultLogWaitFrom}
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

// WithPolicy sets the policy; [DefaultPolicy] without it. See also
// [Transport.SetPolicy].
func WithPolicy(p Policy) Option {
	return optionFunc(func(c *config) error {
		c.policy = p.clone()
		return p.Validate()
	})
}

// WithTracerProvider sets where spans go; the global provider without it, also
// one that is installed later. As long as none is, calls cost nothing for it.
func WithTracerProvider(p trace.TracerProvider) Option {
	return optionFunc(func(c *config) error {
		c.tracers = p
		return notNil("WithTracerProvider", p == nil)
	})
}

// WithMeterProvider sets where metrics go; the global provider without it.
func WithMeterProvider(p metric.MeterProvider) Option {
	return optionFunc(func(c *config) error {
		c.meters = p
		return notNil("WithMeterProvider", p == nil)
	})
}

// WithPropagators sets how the trace context is written into the headers of
// each attempt; the global propagators without it.
func WithPropagators(p propagation.TextMapPropagator) Option {
	return optionFunc(func(c *config) error {
		c.propagators = p
		return notNil("WithPropagators", p == nil)
	})
}

// WithAttemptSpans says whether each attempt has a CLIENT span of its own; it
// does without it. Turn it off where the base has one for each, as otelhttp's:
// then the call's span has an event for each attempt instead, and the trace
// context in the headers is the call's until the base writes its own.
func WithAttemptSpans(on bool) Option {
	return optionFunc(func(c *config) error {
		c.noAttemptSpans = !on
		return nil
	})
}

// WithAttemptMetrics says whether the duration of each attempt is recorded as
// http.client.request.duration; it is without it. Turn it off where the base
// records that metric, as otelhttp's.
func WithAttemptMetrics(on bool) Option {
	return optionFunc(func(c *config) error {
		c.noAttemptMetrics = !on
		return nil
	})
}

// WithLogThreshold sets how long a wait must be to be logged: a second without
// it, every wait with 0. It is of use with [WithLogger] only.
func WithLogThreshold(d time.Duration) Option {
	return optionFunc(func(c *config) error {
		c.logWaitFrom = d
		if d < 0 {
			return fmt.Errorf("oktaretry: WithLogThreshold: %v is negative", d)
		}
		return nil
	})
}

// WithLogger logs each wait above a threshold ([WithLogThreshold]), each call
// that was given up and each change of a circuit, with the ids of the trace.
// Nothing is logged without it.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(c *config) error {
		c.logger = l
		return notNil("WithLogger", l == nil)
	})
}

// WithPrepareRetry sets a hook that runs before each resend on the request
// about to be sent, which is the call's own and may be changed: sign it anew
// there. With it, requests with a DPoP header are resent like others. A hook
// that replaces the Body closes the one it replaces. It must be safe for
// concurrent use. An error ends the call and is returned, wrapped.
func WithPrepareRetry(hook func(*http.Request) error) Option {
	return optionFunc(func(c *config) error {
		c.prepareRetry = hook
		return notNil("WithPrepareRetry", hook == nil)
	})
}

// WithBuckets sets a function that names the rate-limit bucket of a request, for
// orgs whose buckets are not the documented ones, for custom domains and
// proxies with limits of their own. Calls of one host, credential and bucket
// share what is learned of a limit and wait in one line, so name two requests
// alike only if Okta counts them together. For "" the built-in bucket counts.
// Of a name the first 128 bytes do.
//
// The function is called once for each call, and again when the call turns to
// polling another URL, on a request that it must neither change nor keep and
// whose Body it must not read: that is nil. It must be fast and safe for
// concurrent use.
//
// The name shows up in [Outcome], [RateLimitError], [Snapshot], spans and log
// lines, as it is: build it from what is no personal data, never from an id, a
// login or a query. However many names there are, only the some ten thousand
// that were used last are remembered.
func WithBuckets(name func(*http.Request) string) Option {
	return optionFunc(func(c *config) error {
		c.buckets = name
		return notNil("WithBuckets", name == nil)
	})
}

func notNil(option string, isNil bool) error {
	if isNil {
		return fmt.Errorf("oktaretry: %s: is nil", option)
	}
	return nil
}
