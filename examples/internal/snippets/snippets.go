// Package snippets holds the blocks of Go code in README.md and docs/*.md that are
// compiled and not run, each in a function: it has no test, so that none is linked for
// them. A test of internal/docs compares the two. Code that is run is in a test of
// examples/sdkv6, contract or oktatest; that of other retry libraries, before a
// migration, is in benchmarks/internal/peers.
package snippets

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"time"

	"github.com/okta/okta-sdk-golang/v6/okta"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/fleet"
	"github.com/oktaretry/oktaretry/oktav6"
	"github.com/oktaretry/oktaretry/policyfile"
)

// To be compiled is what they are here for.
var _ = []any{
	readmeRules, readmeOutcome, rulesEdit, paceSettings, fleetStore, byHand,
	beforeSDK, afterSDK, afterRetryable, afterFailsafe, policyRead, policyWatch, policyCount,
}

func readmeRules() error {
	policy := oktaretry.DefaultPolicy()
	policy.RateLimited.MaxElapsed = 2 * time.Minute // for every 429 code
	if err := policy.Edit("E0000112", func(r *oktaretry.Rule) {
		r.Action = oktaretry.Backoff // "still being activated, try again in a few minutes"
	}); err != nil {
		return err
	}
	fmt.Println(policy) // a table: what happens to each class, code and status
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(policy))
	_ = transport
	return err
}

func readmeOutcome(ctx context.Context, client *okta.APIClient, id string) (*okta.UserGetSingleton, error) {
	ctx, recorder := oktaretry.WithRecorder(ctx)
	user, _, err := client.UserAPI.GetUser(ctx, id).Execute()
	if out, ok := recorder.Outcome(); ok {
		fmt.Println(out.Class, out.Code, out.RequestID, out.Stop, len(out.Attempts), out.Waited())
	}
	return user, err
}

func rulesEdit(policy *oktaretry.Policy) error {
	err := policy.Edit("502", func(r *oktaretry.Rule) { r.MaxAttempts = 6 }) // answers without a code go by their status
	return err
}

func paceSettings(ctx context.Context, policy *oktaretry.Policy) context.Context {
	policy.Pace.MaxUtilization = 0.7                                  // leave 30 % of each window to the org's own logins
	policy.Pace.MaxInFlight = 30                                      // of the 75 (or 35) calls that Okta lets run at once
	policy.Pace.Smooth = true                                         // spread calls evenly over the window
	policy.Pace.MaxRate = 5                                           // calls a second, for each host
	policy.Pace.BucketRates = map[string]float64{"/api/v1/logs": 0.5} // and for one bucket
	policy.Pace.MaxWait = 20 * time.Second                            // in line; a call whose turn comes later is refused
	ctx = oktaretry.WithPriority(ctx, oktaretry.PriorityBackground)   // let interactive calls go first
	return ctx
}

func fleetStore(addr string) error {
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, MaxRetries: -1})
	store, err := fleet.New(client)
	if err != nil {
		return err
	}
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithShared(store))
	_ = transport
	return err
}

func byHand(url, token string, transport *oktaretry.Transport) error {
	cfg, err := okta.NewConfiguration(okta.WithOrgUrl(url), okta.WithToken(token),
		okta.WithRateLimitMaxRetries(0), okta.WithRequestTimeout(0), okta.WithCache(false))
	if err != nil {
		return err
	}
	client := okta.NewAPIClient(cfg)
	client.GetConfig().HTTPClient = transport.Client() // after NewAPIClient
	return nil
}

func beforeSDK(url, token string) (*okta.APIClient, error) {
	// before
	cfg, err := okta.NewConfiguration(okta.WithOrgUrl(url), okta.WithToken(token),
		okta.WithRateLimitMaxRetries(5), okta.WithRateLimitMaxBackOff(60), okta.WithRequestTimeout(120))
	if err != nil {
		return nil, err
	}
	return okta.NewAPIClient(cfg), nil
}

func afterSDK(ctx context.Context, url, token string) (*okta.APIClient, error) {
	// after
	policy := oktaretry.DefaultPolicy()
	policy.RateLimited.MaxElapsed = 2 * time.Minute // 10 minutes by default
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(policy))
	if err != nil {
		return nil, err
	}
	return oktav6.NewClient(ctx, transport, okta.WithOrgUrl(url), okta.WithToken(token))
}

func afterRetryable() (*http.Client, error) {
	// after
	policy := oktaretry.DefaultPolicy()
	policy.ServerError.MaxAttempts, policy.Network.MaxAttempts = 6, 6 // 5 retries
	policy.ServerError.InitialWait, policy.ServerError.MaxWait = time.Second, time.Minute
	policy.ServerError.MaxElapsed = 2 * time.Minute // 30 s by default
	err := policy.Edit("409", func(r *oktaretry.Rule) { r.Action = oktaretry.Backoff })
	if err != nil {
		return nil, err
	}
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(policy))
	if err != nil {
		return nil, err
	}
	return transport.Client(), nil
}

func afterFailsafe() (*http.Client, error) {
	// after
	policy := oktaretry.DefaultPolicy()
	policy.ServerError.MaxAttempts, policy.Network.MaxAttempts = 6, 6 // 5 retries
	policy.ServerError.InitialWait, policy.ServerError.MaxWait = time.Second, time.Minute
	policy.Breaker.FailureRatio, policy.Breaker.OpenFor = 0.5, 10*time.Second // 0.8 and 5 s by default
	policy.AttemptTimeout = 10 * time.Second                                  // 60 s by default
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(policy))
	if err != nil {
		return nil, err
	}
	return transport.Client(), nil
}

func policyRead() (*oktaretry.Transport, error) {
	policy, err := policyfile.Read("policy.yaml") // or policyfile.FromEnv()
	if err != nil {
		log.Fatal(err) // every problem, with line and column
	}
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(policy))
	return transport, err
}

func policyWatch(ctx context.Context, transport *oktaretry.Transport) <-chan struct{} {
	watcher, err := policyfile.Watch(ctx, transport, "/etc/okta/policy.yaml", policyfile.WithLogger(slog.Default()))
	if err != nil {
		log.Fatal(err) // the file is bad, or is not there: nothing has changed
	}
	return watcher.Done()
}

func policyCount(ctx context.Context, changes metric.Int64Counter) policyfile.Option {
	count := policyfile.OnChange(func(c policyfile.Change) {
		changes.Add(ctx, 1, metric.WithAttributes(attribute.Bool("refused", c.Err != nil)))
	})
	return count
}
