// Package oktav2 makes clients of okta-sdk-golang/v2 whose calls go through
// oktaretry:
//
//	transport, err := oktaretry.NewTransport(nil) // one for all clients of an org
//	client, err := oktav2.NewClient(ctx, transport, okta.WithOrgUrl(url), okta.WithToken(token))
//
// This SDK keeps what a call's error wraps: [errors.As] finds oktaretry's in it.
//
// docs/okta-sdks.md in the repository lists what the package does, for those who set
// a client up by hand.
package oktav2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/okta/okta-sdk-golang/v2/okta"
)

// NewClient returns a client of the SDK all of whose requests, API and token calls
// alike, go through transport: an [*oktaretry.Transport] or a RoundTripper on top of
// one. It is safe for concurrent use, as transport is.
//
// The SDK's own retries, time limit and cache are off, also where they are on by
// default or by the environment or an okta.yaml. A setting that switches one on, and
// an HTTP client of the caller's, are refused, all at once and each by its name. The
// SDK has no use for its proxy settings: a proxy is the business of the transport's
// base.
//
// ctx is for token calls, which the SDK makes without a context: they get its values,
// such as a Recorder, and neither its deadline nor its cancellation, so that a client
// outlives the run that made it.
func NewClient(ctx context.Context, transport http.RoundTripper, settings ...okta.ConfigSetter) (*okta.Client, error) {
	if transport == nil || reflect.ValueOf(transport).Kind() == reflect.Pointer && reflect.ValueOf(transport).IsNil() {
		return nil, errors.New("oktav2: no transport")
	}
	settings = append([]okta.ConfigSetter{
		okta.WithHttpClientPtr(nil), // reading the environment has made an empty one
		okta.WithRateLimitMaxRetries(0), okta.WithRequestTimeout(0), okta.WithCache(false),
	}, settings...)
	// The configuration's type is not exported: what the settings amount to can only
	// be read from a client.
	_, first, err := okta.NewClient(ctx, settings...)
	if err != nil {
		return nil, fmt.Errorf("oktav2: %w", err)
	}
	if err := errors.Join(refused(first)...); err != nil {
		return nil, err
	}
	_, client, err := okta.NewClient(ctx, append(settings,
		okta.WithOrgUrl(strings.TrimRight(first.GetConfig().Okta.Client.OrgUrl, "/")), // the SDK appends "/api/v1/…"
		okta.WithHttpClientPtr(&http.Client{Transport: &tokenContext{transport, context.WithoutCancel(ctx)}}))...)
	return client, err
}

// refused returns an error for each setting that would work against the transport.
func refused(client *okta.Client) []error {
	cfg := client.GetConfig()
	var errs []error
	refuse := func(is bool, setting, why string) {
		if is {
			errs = append(errs, fmt.Errorf("oktav2: %s: %s", setting, why))
		}
	}
	refuse(cfg.Okta.Client.RateLimit.MaxRetries > 0, fmt.Sprintf("WithRateLimitMaxRetries(%d)", cfg.Okta.Client.RateLimit.MaxRetries),
		"the SDK would send again what the transport has given up: leave it out, and set oktaretry's Policy")
	refuse(cfg.Okta.Client.RequestTimeout > 0, fmt.Sprintf("WithRequestTimeout(%d)", cfg.Okta.Client.RequestTimeout),
		"it would cut the transport's waits short: give the call's context a deadline")
	refuse(cfg.Okta.Client.Cache.Enabled, "WithCache(true)", "an answer from the cache passes the transport by")
	refuse(cfg.HttpClient != nil, "WithHttpClientPtr",
		"the client would send past the transport: give what it is for to the transport's base")
	return errs
}

// tokenContext is the RoundTripper between the SDK and the transport. It gives token
// calls a context.
type tokenContext struct {
	transport http.RoundTripper
	ctx       context.Context
}

// RoundTrip sends req.
func (t *tokenContext) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Context() == context.Background() && strings.HasSuffix(req.URL.Path, "/oauth2/v1/token") {
		req = req.WithContext(t.ctx)
	}
	return t.transport.RoundTrip(req)
}

// CloseIdleConnections closes those of the transport.
func (t *tokenContext) CloseIdleConnections() {
	if c, ok := t.transport.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
