// Package peers sets up the libraries that this one is compared with, each as
// its own documentation advises for calls to an API.
package peers

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/PuerkitoBio/rehttp"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/oktaretry/oktaretry"
)

// The modules of the peers.
const (
	RetryableModule = "github.com/hashicorp/go-retryablehttp"
	FailsafeModule  = "github.com/failsafe-go/failsafe-go"
	RehttpModule    = "github.com/PuerkitoBio/rehttp"
)

// Oktaretry is this library with its default policy.
func Oktaretry(base http.RoundTripper) http.RoundTripper {
	return OktaretryWith(base, oktaretry.DefaultPolicy())
}

// OktaretryWith is this library with a policy.
func OktaretryWith(base http.RoundTripper, p oktaretry.Policy) http.RoundTripper {
	t, err := oktaretry.NewTransport(base, oktaretry.WithPolicy(p))
	if err != nil {
		panic(err)
	}
	return t
}

// RetryableClient is go-retryablehttp without logger; the last answer is
// handed out instead of an error.
func RetryableClient(base http.RoundTripper) *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: base}
	c.Logger = nil
	c.ErrorHandler = retryablehttp.PassthroughErrorHandler
	return c
}

// Retryable is go-retryablehttp.
func Retryable(base http.RoundTripper) http.RoundTripper {
	return &retryablehttp.RoundTripper{Client: RetryableClient(base)}
}

// FailsafeRetry is failsafehttp's retry policy with 3 retries and backoff.
func FailsafeRetry() retrypolicy.Builder[*http.Response] {
	return failsafehttp.NewRetryPolicyBuilder().
		WithMaxRetries(3).
		WithBackoff(time.Second, 30*time.Second).
		ReturnLastFailure()
}

// FailsafeWith is failsafehttp's RoundTripper with a retry policy around a
// circuit breaker that opens as breakers usually do, at half of the answers, and
// counts and waits as this library's does.
func FailsafeWith(base http.RoundTripper, retry retrypolicy.RetryPolicy[*http.Response]) http.RoundTripper {
	return failsafehttp.NewRoundTripper(base, retry, FailsafeBreaker().Build())
}

// FailsafeBreaker is failsafe-go's circuit breaker with this library's
// thresholds.
func FailsafeBreaker() circuitbreaker.Builder[*http.Response] {
	return circuitbreaker.NewBuilder[*http.Response]().
		HandleIf(func(resp *http.Response, err error) bool { return err != nil || resp != nil && resp.StatusCode >= 500 }).
		WithFailureRateThreshold(0.5, 20, 30*time.Second).
		WithDelay(5 * time.Second)
}

// Failsafe is failsafehttp.
func Failsafe(base http.RoundTripper) http.RoundTripper {
	return FailsafeWith(base, FailsafeRetry().Build())
}

// FailsafeFull is failsafehttp with what comes nearest to all that this library
// does to a call that goes well: a rate limiter, here one that nobody has to
// wait for, and a time limit for each attempt, too.
func FailsafeFull(base http.RoundTripper) http.RoundTripper {
	return failsafehttp.NewRoundTripper(base,
		FailsafeRetry().Build(),
		ratelimiter.NewBursty[*http.Response](1<<30, time.Second),
		FailsafeBreaker().Build(),
		timeout.New[*http.Response](time.Minute),
	)
}

// Rehttp is rehttp, put together from its own parts.
func Rehttp(base http.RoundTripper) http.RoundTripper {
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

// Bare is the base by itself.
func Bare(base http.RoundTripper) http.RoundTripper { return base }

// Title is a peer's name with the version of its module; the name alone if
// that is empty.
func Title(name, module string) string {
	if module == "" {
		return name
	}
	return name + " " + strings.TrimPrefix(versions()[module], "v")
}

// versions are those of the modules that are compiled in. It asks the go
// command: the test binary of a workspace doesn't know.
var versions = sync.OnceValue(func() map[string]string {
	byModule := make(map[string]string)
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Path}} {{.Version}}", "all").Output()
	if err != nil {
		panic(fmt.Sprintf("go list -m: %v", err))
	}
	for line := range strings.Lines(string(out)) {
		if module, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			byModule[module] = version
		}
	}
	return byModule
})
