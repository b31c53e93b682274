package pace_test

// This file drives the retries of other SDKs: Okta's own, and the adaptive mode
// of AWS's.

import (
	"context"
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/okta/okta-sdk-golang/v2/okta/query"
	okta6 "github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry/benchmarks/internal/sdks"
)

const awsModule = "github.com/aws/aws-sdk-go-v2"

// rateLimit is how SDK v6 retries. nil: as by default.
type rateLimit struct {
	maxRetries int32
	maxBackoff int64 // seconds
}

// endless outlasts any window.
var endless = &rateLimit{10_000, 300}

// sdk2 is okta-sdk-golang v2 as by default. Tuned, it does what v6 does.
func sdk2(base http.RoundTripper, token string, _ scenario) call {
	client := sdks.V2(base, org, token)
	return func(ctx context.Context) error {
		_, _, err := client.User.ListUsers(ctx, query.NewQueryParams(query.WithLimit(1)))
		return err
	}
}

func sdk6(limit *rateLimit) func(http.RoundTripper, string, scenario) call {
	return func(base http.RoundTripper, token string, _ scenario) call {
		var set []okta6.ConfigSetter
		if limit != nil {
			set = append(set, okta6.WithRateLimitMaxRetries(limit.maxRetries), okta6.WithRateLimitMaxBackOff(limit.maxBackoff))
		}
		client := sdks.V6(base, org, token, set...)
		return func(ctx context.Context) error {
			_, _, err := client.UserAPI.ListUsers(ctx).Limit(1).Execute()
			return err
		}
	}
}

// adaptive puts a retryer of the AWS SDK around attempts, as the SDK's own
// retry.Attempt does.
type adaptive struct {
	base    http.RoundTripper
	retryer aws.RetryerV2
	turn    chan struct{} // held by the one who asks for an attempt's token
}

func newAdaptive(base http.RoundTripper, set func(*retry.AdaptiveModeOptions)) *adaptive {
	return &adaptive{base, retry.NewAdaptiveMode(func(o *retry.AdaptiveModeOptions) {
		// Its own sleep may be shorter than a nanosecond, which never ends
		// where time is virtual.
		o.FailOnNoAttemptTokens = true
		set(o)
	}), make(chan struct{}, 1)}
}

// token waits for an attempt's token.
func (a *adaptive) token(ctx context.Context) (release func(error) error, err error) {
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		if release, err = a.retryer.GetAttemptToken(ctx); err == nil {
			return release, nil
		}
		if !sleep(ctx, time.Millisecond) {
			return nil, ctx.Err()
		}
	}
}

func awsAdaptive(base http.RoundTripper) http.RoundTripper {
	return newAdaptive(base, func(*retry.AdaptiveModeOptions) {})
}

func bestAWSAdaptive(base http.RoundTripper) http.RoundTripper {
	return newAdaptive(base, func(o *retry.AdaptiveModeOptions) {
		o.StandardOptions = append(o.StandardOptions, func(o *retry.StandardOptions) {
			o.MaxAttempts = math.MaxInt32 // 0 is the default, 3
			o.RateLimiter = ratelimit.None
			own := retry.NewExponentialJitterBackoff(o.MaxBackoff)
			o.Backoff = retry.BackoffDelayerFunc(func(attempt int, err error) (time.Duration, error) {
				if refused := (*statusError)(nil); errors.As(err, &refused) {
					if wait, ok := advised(refused.resp.Header); ok {
						return wait, nil
					}
				}
				return own.BackoffDelay(attempt, err)
			})
		})
	})
}

// ErrorCode makes a 429 one of the errors that the AWS SDK takes for throttling.
func (e *statusError) ErrorCode() string {
	if e.resp.StatusCode == http.StatusTooManyRequests {
		return "TooManyRequestsException"
	}
	return "Other"
}

func (a *adaptive) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	release := func(error) error { return nil }
	for n := 1; ; n++ {
		answered, err := a.token(ctx)
		if err != nil {
			return nil, err
		}
		resp, err := a.base.RoundTrip(req.Clone(ctx))
		if err == nil && resp.StatusCode >= 400 {
			err = &statusError{resp}
		}
		if e := errors.Join(release(err), answered(err)); e != nil {
			return nil, e
		}
		if err == nil {
			return resp, nil
		}
		if most := a.retryer.MaxAttempts(); !a.retryer.IsErrorRetryable(err) || most > 0 && n >= most {
			return resp, nil
		}
		if release, err = a.retryer.GetRetryToken(ctx, err); err != nil {
			return resp, nil
		}
		refused := &statusError{resp}
		wait, err := a.retryer.RetryDelay(n, refused)
		if err != nil {
			return nil, err
		}
		resp.Body.Close()
		if !sleep(ctx, wait) {
			return nil, ctx.Err()
		}
	}
}
