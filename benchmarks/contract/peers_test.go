package contract_test

// This file holds the libraries that are compared, each set up as its own
// documentation advises for calls to an API.

import (
	"net/http"
	"time"

	"github.com/PuerkitoBio/rehttp"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/oktaretry/oktaretry"
)

type peer struct {
	name, module string // of the column; of the version, if it is not this library's
	setup        string // in words, for RESULTS.md
	wrap         func(http.RoundTripper) http.RoundTripper
}

var peers = []peer{
	{"oktaretry", "", "`NewTransport(base)`: the default policy.", ours},
	{"go-retryablehttp", "github.com/hashicorp/go-retryablehttp",
		"`NewClient()` as a `RoundTripper` (what `StandardClient` returns), its `HTTPClient.Transport` the base, without logger, " +
			"with `PassthroughErrorHandler`, so that the last answer is handed out instead of an error. What is retried is its default; a `CheckRetry` of the user's can be stricter.", retryable},
	{"failsafehttp", "github.com/failsafe-go/failsafe-go",
		"`failsafehttp.NewRoundTripper(base, retry, breaker)`: `failsafehttp.NewRetryPolicyBuilder()` with 3 retries, backoff from 1 s to 30 s " +
			"and `ReturnLastFailure`, around a circuit breaker that counts 5xx and errors, with this library's thresholds. What is retried is its default; a `HandleIf` of the user's can be stricter.", failsafe},
	{"rehttp", "github.com/PuerkitoBio/rehttp",
		"`NewTransport` with 3 retries, put together from the package's own parts: 429 for any method, 5xx and temporary errors (as in its " +
			"example) for idempotent methods; `ExpJitterDelay` from 1 s to 30 s. A delay by `Retry-After` would be the user's to write.", rehttpTransport},
	{"net/http", "", "The base by itself: `http.Transport`, or the suite's stand-in for it.", bare},
}

func ours(base http.RoundTripper) http.RoundTripper {
	t, err := oktaretry.NewTransport(base)
	if err != nil {
		panic(err)
	}
	return t
}

func retryable(base http.RoundTripper) http.RoundTripper {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: base}
	c.Logger = nil
	c.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return &retryablehttp.RoundTripper{Client: c}
}

func failsafe(base http.RoundTripper) http.RoundTripper {
	retry := failsafehttp.NewRetryPolicyBuilder().
		WithMaxRetries(3).
		WithBackoff(time.Second, 30*time.Second).
		ReturnLastFailure().
		Build()
	breaker := circuitbreaker.NewBuilder[*http.Response]().
		HandleIf(func(resp *http.Response, err error) bool { return err != nil || resp != nil && resp.StatusCode >= 500 }).
		WithFailureRateThreshold(0.5, 20, 30*time.Second).
		WithDelay(5 * time.Second).
		Build()
	return failsafehttp.NewRoundTripper(base, retry, breaker)
}

func rehttpTransport(base http.RoundTripper) http.RoundTripper {
	failed := rehttp.RetryAny(
		rehttp.RetryStatusInterval(500, 600),
		rehttp.RetryTemporaryErr(),
	)
	return rehttp.NewTransport(base,
		rehttp.RetryAll(rehttp.RetryMaxRetries(3), rehttp.RetryAny(
			rehttp.RetryStatuses(http.StatusTooManyRequests),
			rehttp.RetryAll(rehttp.RetryHTTPMethods("GET", "HEAD", "OPTIONS", "PUT", "DELETE"), failed),
		)),
		rehttp.ExpJitterDelay(time.Second, 30*time.Second))
}

func bare(base http.RoundTripper) http.RoundTripper { return base }
