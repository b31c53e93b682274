// Package oktav5 makes clients of okta-sdk-golang/v5 whose calls go through
// oktaretry:
//
//	transport, err := oktaretry.NewTransport(nil) // one for all clients of an org
//	client, err := oktav5.NewClient(ctx, transport, okta.WithOrgUrl(url), okta.WithToken(token))
//
//	for users, err := range oktav5.Pages(ctx, client.UserAPI.ListUsers(ctx).Limit(200)) { … }
//
// docs/okta-sdks.md in the repository lists what it does, for those who set a
// client up by hand.
package oktav5

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"

	"github.com/okta/okta-sdk-golang/v5/okta"
)

// NewClient returns a client of the SDK all of whose requests, API and token calls
// alike, go through transport: an [*oktaretry.Transport] or a RoundTripper on top of
// one. It is safe for concurrent use, as transport is.
//
// The SDK's own retries, time limit and cache are off, also where the
// environment or an okta.yaml switches them on. A setting that switches one on, and
// an HTTP client of the caller's, are refused, all at once and each by its name.
// The port of an OrgUrl counts. A proxy of the SDK's configuration does not: a
// proxy is the business of the transport's base.
//
// The pages after the first go with the context of the call that began them, whether
// [Pages] asks for them or the response's Next. ctx is for token calls, which the
// SDK makes without a context: they get its values, such as a Recorder, and neither
// its deadline nor its cancellation, so that a client outlives the run that made it.
func NewClient(ctx context.Context, transport http.RoundTripper, settings ...okta.ConfigSetter) (*okta.APIClient, error) {
	if transport == nil || reflect.ValueOf(transport).Kind() == reflect.Pointer && reflect.ValueOf(transport).IsNil() {
		return nil, errors.New("oktav5: no transport")
	}
	cfg, err := okta.NewConfiguration(append([]okta.ConfigSetter{
		okta.WithHttpClientPtr(nil), // reading the environment has made an empty one
		okta.WithRateLimitMaxRetries(0), okta.WithRequestTimeout(0), okta.WithCache(false),
	}, settings...)...)
	if err != nil {
		return nil, fmt.Errorf("oktav5: OrgUrl: %w", err)
	}
	org, err := url.Parse(cfg.Okta.Client.OrgUrl)
	if err != nil {
		return nil, fmt.Errorf("oktav5: OrgUrl: %w", err)
	}
	if err := errors.Join(append(refused(cfg), checkOrg(org))...); err != nil {
		return nil, err
	}
	cfg.Okta.Client.OrgUrl = strings.TrimRight(cfg.Okta.Client.OrgUrl, "/") // the SDK appends "/oauth2/v1/token"
	cfg.Scheme, cfg.Host = org.Scheme, org.Host                             // the SDK has dropped the port

	client := okta.NewAPIClient(cfg)
	// Afterwards: NewAPIClient replaces the configuration's HTTP client where a proxy is configured.
	cfg.HTTPClient = &http.Client{Transport: newFollower(ctx, transport)}
	return client, nil
}

// refused returns an error for each setting that would work against the transport.
func refused(cfg *okta.Configuration) []error {
	var errs []error
	refuse := func(is bool, setting, why string) {
		if is {
			errs = append(errs, fmt.Errorf("oktav5: %s: %s", setting, why))
		}
	}
	refuse(cfg.Okta.Client.RateLimit.MaxRetries > 0, fmt.Sprintf("WithRateLimitMaxRetries(%d)", cfg.Okta.Client.RateLimit.MaxRetries),
		"the SDK would send again what the transport has given up: leave it out, and set oktaretry's Policy")
	refuse(cfg.Okta.Client.RequestTimeout > 0, fmt.Sprintf("WithRequestTimeout(%d)", cfg.Okta.Client.RequestTimeout),
		"it would cut the transport's waits short: give the call's context a deadline")
	refuse(cfg.Okta.Client.Cache.Enabled, "WithCache(true)",
		"an answer from the cache passes the transport by, and its next page has no context")
	refuse(cfg.HTTPClient != nil, "WithHttpClientPtr",
		"the client would send past the transport: give what it is for to the transport's base")
	return errs
}

func checkOrg(org *url.URL) error {
	if org.Host == "" || org.Scheme != "https" && org.Scheme != "http" {
		return errors.New("oktav5: OrgUrl: want one such as https://example.okta.com")
	}
	return nil
}
