package contract_test

// This file holds the libraries that are compared, each set up as its own
// documentation advises for calls to an API.

import (
	"net/http"

	"github.com/oktaretry/oktaretry/benchmarks/internal/peers"
)

type peer struct {
	name, module string // of the column; of the version, if it is not this library's
	setup        string // in words, for RESULTS.md
	wrap         func(http.RoundTripper) http.RoundTripper
}

var compared = []peer{
	{"oktaretry", "", "`NewTransport(base)`: the default policy.", peers.Oktaretry},
	{"go-retryablehttp", peers.RetryableModule,
		"`NewClient()` as a `RoundTripper` (what `StandardClient` returns), its `HTTPClient.Transport` the base, without logger, " +
			"with `PassthroughErrorHandler`, so that the last answer is handed out instead of an error. What is retried is its default; a `CheckRetry` of the user's can be stricter.", peers.Retryable},
	{"failsafehttp", peers.FailsafeModule,
		"`failsafehttp.NewRoundTripper(base, retry, breaker)`: `failsafehttp.NewRetryPolicyBuilder()` with 3 retries, backoff from 1 s to 30 s " +
			"and `ReturnLastFailure`, around a circuit breaker that counts 5xx and errors, with this library's thresholds. What is retried is its default; a `HandleIf` of the user's can be stricter.", peers.Failsafe},
	{"rehttp", peers.RehttpModule,
		"`NewTransport` with 3 retries, put together from the package's own parts: 429 for any method, 5xx and temporary errors (as in its " +
			"example) for idempotent methods; `ExpJitterDelay` from 1 s to 30 s. A delay by `Retry-After` would be the user's to write.", peers.Rehttp},
	{"net/http", "", "The base by itself: `http.Transport`, or the suite's stand-in for it.", peers.Bare},
}
