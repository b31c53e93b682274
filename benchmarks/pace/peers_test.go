package pace_test

// This file holds the libraries that are compared, each with its
// defaults and tuned to wait for Okta's resets.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/benchmarks/internal/peers"
	"github.com/oktaretry/oktaretry/benchmarks/internal/sdks"
)

// call makes one call and reports whether it ended well.
type call func(context.Context) error

type peer struct {
	name, module string
	best         bool   // tuned, not with its defaults
	setup        string // in words, for RESULTS.md
	client       func(base http.RoundTripper, token string, s scenario) call
}

func (p peer) title() string { return peers.Title(p.name, p.module) }

func (p peer) form() string {
	if p.best {
		return "tuned"
	}
	return "defaults"
}

var compared = []peer{
	{"oktaretry", "", false, "`NewTransport(base)` with the default policy; `Pace.MaxUtilization = 0.7` where 30 % of the window are to stay free.", ours},
	{"go-retryablehttp", peers.RetryableModule, false, "`NewClient()` as a `RoundTripper`: 4 retries, 1 to 30 s, or as `Retry-After` says, which Okta does not send.",
		over(peers.Retryable)},
	{"go-retryablehttp", peers.RetryableModule, true, "The same with no end of retries and a `Backoff` that waits for Reset − Date + 1 s, or half a second for a place in flight.",
		over(bestRetryable)},
	{"failsafehttp", peers.FailsafeModule, false, "`NewRetryPolicyBuilder()` with 3 retries and backoff from 1 to 30 s, or as `Retry-After` says, around a circuit breaker.",
		over(peers.Failsafe)},
	{"failsafehttp", peers.FailsafeModule, true, "The same with no end of retries and a `DelayFunc` that waits likewise.",
		over(bestFailsafe)},
	{"okta-sdk-golang", sdks.V2Module, false, "`NewClient` with its own defaults: 2 retries, each after Reset − Date + 1 s or 30 s, whichever is less.", sdk2},
	{"okta-sdk-golang", sdks.V6Module, false, "`NewAPIClient` with its own defaults: no retries.", sdk6(nil)},
	{"okta-sdk-golang", sdks.V6Module, true, "The same with `WithRateLimitMaxRetries(10000)` and `WithRateLimitMaxBackOff(300)`.", sdk6(endless)},
	{"AWS adaptive mode", awsModule, false, "`retry.NewAdaptiveMode()` of the AWS SDK around each call, 429 as its throttling error: 3 attempts, up to 20 s apart, " +
		"a quota of retries, and a rate that follows the refusals.", over(awsAdaptive)},
	{"AWS adaptive mode", awsModule, true, "The same with no end of attempts, no quota of retries, and a `Backoff` that waits likewise.", over(bestAWSAdaptive)},
}

func ours(base http.RoundTripper, token string, s scenario) call {
	policy := oktaretry.DefaultPolicy()
	if s.utilization > 0 {
		policy.Pace.MaxUtilization = s.utilization
	}
	return plain(peers.OktaretryWith(base, policy), token)
}

// over makes calls with an http.Client over a transport.
func over(wrap func(http.RoundTripper) http.RoundTripper) func(http.RoundTripper, string, scenario) call {
	return func(base http.RoundTripper, token string, _ scenario) call { return plain(wrap(base), token) }
}

// plain makes calls with an http.Client and nothing else.
func plain(transport http.RoundTripper, token string) call {
	client := &http.Client{Transport: transport}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, org+"/api/v1/users?limit=1", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "SSWS "+token)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}
}

// advised is the wait that Okta advises: Reset − Date, and a second more
// because both are whole ones. In a refusal because of calls in flight (0/0) the
// reset says nothing, but slots come free within a second. It is false where
// nothing is advised.
func advised(h http.Header) (time.Duration, bool) {
	if h.Get("X-Rate-Limit-Limit") == "0" {
		return 250*time.Millisecond + rand.N(500*time.Millisecond), true
	}
	reset, err := strconv.ParseInt(h.Get("X-Rate-Limit-Reset"), 10, 64)
	if err != nil {
		return 0, false
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0, false
	}
	return time.Duration(reset-date.Unix()+1) * time.Second, true
}

func bestRetryable(base http.RoundTripper) http.RoundTripper {
	c := peers.RetryableClient(base)
	c.RetryMax = math.MaxInt32
	c.Backoff = func(least, most time.Duration, n int, resp *http.Response) time.Duration {
		if resp != nil && resp.StatusCode == http.StatusTooManyRequests {
			if wait, ok := advised(resp.Header); ok {
				return wait
			}
		}
		return retryablehttp.DefaultBackoff(least, most, n, resp)
	}
	return &retryablehttp.RoundTripper{Client: c}
}

func bestFailsafe(base http.RoundTripper) http.RoundTripper {
	retry := peers.FailsafeRetry().
		WithMaxRetries(-1).
		WithDelayFunc(func(exec failsafe.ExecutionAttempt[*http.Response]) time.Duration {
			if resp := exec.LastResult(); resp != nil && resp.StatusCode == http.StatusTooManyRequests {
				if wait, ok := advised(resp.Header); ok {
					return wait
				}
			}
			return -1 // its own backoff
		}).
		Build()
	return peers.FailsafeWith(base, retry)
}

// statusError is an answer as an error, for clients that know nothing of HTTP.
type statusError struct{ resp *http.Response }

func (e *statusError) Error() string { return fmt.Sprintf("status %d", e.resp.StatusCode) }
