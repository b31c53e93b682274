package outage_test

// This file holds the clients that are compared, each with its
// defaults and tuned for outages.

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/oktaretry/oktaretry/benchmarks/internal/peers"
	"github.com/oktaretry/oktaretry/benchmarks/internal/sdks"
)

// contender is a client that is compared with others.
type contender struct {
	name, module string
	form         string // "defaults", "tuned"; "" if there is one only
	setup        string // in words, for RESULTS.md
	client       func(base http.RoundTripper) client
}

func (c contender) title() string {
	t := peers.Title(c.name, c.module)
	if c.form != "" {
		t += ", " + c.form
	}
	return t
}

const (
	asItComes = "defaults"
	atItsBest = "tuned"
)

var (
	ours = contender{"oktaretry", "", "", "`NewTransport(base)` with the default policy.", over(peers.Oktaretry)}
	bare = contender{"net/http", "", "", "`http.Client` and nothing else: the bare client.", over(peers.Bare)}
)

var compared = []contender{
	ours, bare,
	{"go-retryablehttp", peers.RetryableModule, asItComes, "`NewClient()` as a `RoundTripper`: 4 retries of any method, after 1 to 30 s.", over(peers.Retryable)},
	{"go-retryablehttp", peers.RetryableModule, atItsBest, "3 retries, after ½ to 8 s and spread at random, of GETs only; 10 s for each attempt. It has no circuit breaker.",
		over(bestRetryable)},
	{"failsafehttp", peers.FailsafeModule, asItComes, "`NewRetryPolicyBuilder()` with 3 retries of any method and backoff from 1 to 30 s, around a circuit breaker that " +
		"opens for 5 s when half of at least 20 answers in 30 s failed.", over(peers.Failsafe)},
	{"failsafehttp", peers.FailsafeModule, atItsBest, "3 retries of GETs only, backoff from ½ to 8 s ± ½ of it, none while the circuit is open; a circuit breaker that " +
		"opens for 5 s after 20 failures in a row and lets one probe out; 10 s for each attempt.", over(bestFailsafe)},
	{"okta-sdk-golang", sdks.V6Module, "", "`NewAPIClient` with its own defaults. Its settings are about 429s only.", sdk6},
}

const org = "https://example.okta.com"

// over makes calls with an http.Client over a transport.
func over(wrap func(http.RoundTripper) http.RoundTripper) func(http.RoundTripper) client {
	return func(base http.RoundTripper) client {
		c := &http.Client{Transport: wrap(base)}
		return func(ctx context.Context, endpoint string) error {
			method, path, _ := strings.Cut(endpoint, " ")
			var body io.Reader
			if method == http.MethodPost {
				body = strings.NewReader(bodies[endpoint])
			}
			req, err := http.NewRequestWithContext(ctx, method, org+strings.Replace(path, "{id}", "00a1", 1), body)
			if err != nil {
				return err
			}
			req.Header.Set("Authorization", "SSWS token")
			resp, err := c.Do(req)
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
}

// attemptLimit is what tuned peers give an attempt.
const attemptLimit = 10 * time.Second

func bestRetryable(base http.RoundTripper) http.RoundTripper {
	c := peers.RetryableClient(base)
	c.HTTPClient.Timeout = attemptLimit
	c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = 3, 500*time.Millisecond, 8*time.Second
	c.Backoff = func(least, most time.Duration, n int, resp *http.Response) time.Duration {
		d := retryablehttp.DefaultBackoff(least, most, n, resp)
		return d/2 + rand.N(d)
	}
	c.CheckRetry = func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		// When there is no response, only the error knows the method.
		if failed := (*url.Error)(nil); errors.As(err, &failed) && failed.Op != "Get" || resp != nil && resp.Request.Method != http.MethodGet {
			return false, nil
		}
		return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
	}
	return &retryablehttp.RoundTripper{Client: c}
}

func bestFailsafe(base http.RoundTripper) http.RoundTripper {
	// 20 in a row, and not half of those in 30 s: after half a minute of
	// successes that would take 15 s to open.
	breaker := circuitbreaker.NewBuilder[*http.Response]().
		HandleIf(func(resp *http.Response, err error) bool { return err != nil || resp != nil && resp.StatusCode >= 500 }).
		WithFailureThreshold(20).
		WithSuccessThreshold(1). // else it takes 20 probes at a time
		WithDelay(5 * time.Second).
		Build()
	retry := failsafehttp.NewRetryPolicyBuilder().
		WithMaxRetries(3).
		WithBackoff(500*time.Millisecond, 8*time.Second).
		WithJitterFactor(0.5).
		AbortOnErrors(circuitbreaker.ErrOpen).
		ReturnLastFailure().
		Build()
	limit := timeout.New[*http.Response](attemptLimit)
	return byMethod{
		get:   failsafehttp.NewRoundTripper(base, retry, breaker, limit),
		other: failsafehttp.NewRoundTripper(base, breaker, limit),
	}
}

// byMethod keeps what must not be sent twice from being retried: a retry policy
// doesn't see the method of a request that brought no response.
type byMethod struct{ get, other http.RoundTripper }

func (m byMethod) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet {
		return m.get.RoundTrip(req)
	}
	return m.other.RoundTrip(req)
}
