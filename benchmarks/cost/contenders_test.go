package cost_test

// This file holds who is compared: this library, its peers, and what people
// assemble of them to get the same.

import (
	"context"
	"hash/maphash"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/benchmarks/internal/peers"
)

// contender is a transport that is put above the base.
type contender struct {
	name    string
	module  string // whose version stands in the tables; "" for none
	traces  string // what becomes of its spans; "": it makes none, or has no provider
	retries bool
	breaks  bool
	wrap    func(http.RoundTripper) http.RoundTripper
}

const (
	bare         = "bare base"
	ours         = "oktaretry"
	retryable    = "go-retryablehttp"
	failsafe     = "failsafehttp, retry + breaker"
	failsafeBare = "failsafehttp, defaults"
	failsafeFull = "failsafehttp, four policies"
	rehttp       = "rehttp"
	otelAlone    = "otelhttp"
	assembled    = "otelhttp + failsafehttp, retry + breaker"
	necessary    = "what every call needs, no decision"
	twoSpans     = "OpenTelemetry's SDK, two spans alone"

	unsampled  = ", no span sampled"
	sampled    = ", all spans sampled"
	propagated = ", all sampled and propagated"
)

const otelModule = "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

var contenders = append([]contender{
	{name: bare, wrap: peers.Bare},
	{name: ours, retries: true, breaks: true, wrap: peers.Oktaretry},
	{name: retryable, module: peers.RetryableModule, retries: true, wrap: peers.Retryable},
	{name: failsafeBare, module: peers.FailsafeModule, retries: true, wrap: func(base http.RoundTripper) http.RoundTripper {
		return failsafehttp.NewRoundTripper(base, failsafehttp.NewRetryPolicyBuilder().Build())
	}},
	{name: failsafe, module: peers.FailsafeModule, retries: true, breaks: true, wrap: peers.Failsafe},
	{name: failsafeFull, module: peers.FailsafeModule, retries: true, breaks: true, wrap: peers.FailsafeFull},
	{name: rehttp, module: peers.RehttpModule, retries: true, wrap: peers.Rehttp},
	{name: otelAlone, module: otelModule, wrap: func(base http.RoundTripper) http.RoundTripper { return otelhttp.NewTransport(base) }},
	{name: assembled, retries: true, breaks: true, wrap: func(base http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(peers.Failsafe(base))
	}},
	{name: necessary, wrap: func(base http.RoundTripper) http.RoundTripper {
		return &necessities{base: base, seed: maphash.MakeSeed()}
	}},
}, append(traced(unsampled, sdktrace.NeverSample(), nil), append(
	append(traced(sampled, sdktrace.AlwaysSample(), nil), spansAlone),
	traced(propagated, sdktrace.AlwaysSample(), propagation.TraceContext{})...)...)...)

var spansAlone = contender{name: twoSpans, traces: sampled, wrap: func(base http.RoundTripper) http.RoundTripper {
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(dropSpans{}))
	call, attempt := spansOfAGet()
	return &spansOnly{base, provider.Tracer("spans alone"), call, attempt}
}}

// traced are those that make spans, with a provider of OpenTelemetry's SDK.
func traced(how string, sampler sdktrace.Sampler, propagator propagation.TextMapPropagator) []contender {
	provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithSpanProcessor(dropSpans{}))
	ownOpts := []oktaretry.Option{oktaretry.WithTracerProvider(provider)}
	opts := []otelhttp.Option{otelhttp.WithTracerProvider(provider)}
	if propagator != nil {
		ownOpts = append(ownOpts, oktaretry.WithPropagators(propagator))
		opts = append(opts, otelhttp.WithPropagators(propagator))
	}
	return []contender{
		{name: ours + how, traces: how, retries: true, breaks: true, wrap: func(base http.RoundTripper) http.RoundTripper {
			t, err := oktaretry.NewTransport(base, ownOpts...)
			if err != nil {
				panic(err)
			}
			return t
		}},
		{name: otelAlone + how, module: otelModule, traces: how, wrap: func(base http.RoundTripper) http.RoundTripper {
			return otelhttp.NewTransport(base, opts...)
		}},
		{name: assembled + how, traces: how, retries: true, breaks: true, wrap: func(base http.RoundTripper) http.RoundTripper {
			return otelhttp.NewTransport(peers.Failsafe(base), opts...)
		}},
	}
}

// dropSpans stands where an exporter does, which works in a goroutine of its own.
type dropSpans struct{}

func (dropSpans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (dropSpans) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (dropSpans) Shutdown(context.Context) error                  { return nil }
func (dropSpans) ForceFlush(context.Context) error                { return nil }

// open are those that have a circuit breaker, with the circuit open for as long
// as anybody measures.
var open = []contender{
	{name: ours, wrap: func(base http.RoundTripper) http.RoundTripper {
		policy := oktaretry.DefaultPolicy()
		policy.Breaker.OpenFor = time.Hour
		return openBy(peers.OktaretryWith(base, policy), oktaretry.WithNoRetry(context.Background()))
	}},
	{name: failsafe, module: peers.FailsafeModule, wrap: func(base http.RoundTripper) http.RoundTripper {
		breaker := peers.FailsafeBreaker().WithDelay(time.Hour).Build()
		openBy(failsafehttp.NewRoundTripper(base, breaker), context.Background())
		// Else it would wait and try again after each refusal.
		retry := peers.FailsafeRetry().AbortOnErrors(circuitbreaker.ErrOpen).Build()
		return failsafehttp.NewRoundTripper(base, retry, breaker)
	}},
}

// openBy makes calls until a circuit must be open.
func openBy(tr http.RoundTripper, ctx context.Context) http.RoundTripper {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, userURL, nil)
	if err != nil {
		panic(err)
	}
	for range 100 {
		if resp, err := tr.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}
	return tr
}

// named are the contenders of some names.
func named(names ...string) (some []contender) {
	for _, name := range names {
		for _, c := range contenders {
			if c.name == name {
				some = append(some, c)
			}
		}
	}
	return some
}
