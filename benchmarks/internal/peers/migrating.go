package peers

// This file holds the code of other libraries that docs/migrating.md begins from, so
// that it compiles. A test of internal/docs compares the two.

import (
	"context"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/hashicorp/go-retryablehttp"
)

var _ = []any{beforeRetryable, beforeFailsafe}

func beforeRetryable() *http.Client {
	// before
	retrying := retryablehttp.NewClient()
	retrying.RetryMax = 5
	retrying.RetryWaitMin, retrying.RetryWaitMax = time.Second, time.Minute
	retrying.CheckRetry = func(ctx context.Context, resp *http.Response, err error) (bool, error) {
		if resp != nil && resp.StatusCode == http.StatusConflict {
			return true, nil
		}
		return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
	}
	return retrying.StandardClient()
}

func beforeFailsafe() *http.Client {
	// before
	retry := failsafehttp.NewRetryPolicyBuilder().
		WithMaxRetries(5).WithBackoff(time.Second, time.Minute).ReturnLastFailure().Build()
	breaker := circuitbreaker.NewBuilder[*http.Response]().
		HandleIf(func(resp *http.Response, err error) bool { return err != nil || resp.StatusCode >= 500 }).
		WithFailureRateThreshold(0.5, 20, 30*time.Second).WithDelay(10 * time.Second).Build()
	limiter := ratelimiter.NewSmooth[*http.Response](600, time.Minute)
	limit := timeout.New[*http.Response](10 * time.Second)
	return &http.Client{Transport: failsafehttp.NewRoundTripper(nil, retry, breaker, limiter, limit)}
}
