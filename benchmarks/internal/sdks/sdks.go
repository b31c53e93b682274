// Package sdks sets up Okta's own SDKs. It is apart from the other peers because
// the SDKs take long to compile.
package sdks

import (
	"context"
	"net/http"

	okta2 "github.com/okta/okta-sdk-golang/v2/okta"
	okta6 "github.com/okta/okta-sdk-golang/v6/okta"
)

// The modules of the SDKs.
const (
	V2Module = "github.com/okta/okta-sdk-golang/v2"
	V6Module = "github.com/okta/okta-sdk-golang/v6"
)

// V2 is a client of okta-sdk-golang v2 without its cache. It panics where the
// SDK refuses the settings.
func V2(base http.RoundTripper, org, token string, set ...okta2.ConfigSetter) (client *okta2.Client) {
	set = append([]okta2.ConfigSetter{
		okta2.WithOrgUrl(org), okta2.WithToken(token), okta2.WithCache(false), okta2.WithHttpClientPtr(&http.Client{Transport: base}),
	}, set...)
	outside(func() (err error) {
		_, client, err = okta2.NewClient(context.Background(), set...)
		return err
	})
	return client
}

// V6 is a client of okta-sdk-golang v6 without its cache. It panics where the
// SDK refuses the settings.
func V6(base http.RoundTripper, org, token string, set ...okta6.ConfigSetter) (client *okta6.APIClient) {
	set = append([]okta6.ConfigSetter{
		okta6.WithOrgUrl(org), okta6.WithToken(token), okta6.WithCache(false), okta6.WithHttpClientPtr(&http.Client{Transport: base}),
	}, set...)
	outside(func() error {
		cfg, err := okta6.NewConfiguration(set...)
		if err == nil {
			client = okta6.NewAPIClient(cfg)
		}
		return err
	})
	return client
}

// outside runs f in a goroutine that belongs to no bubble of synctest, and
// panics with its error. The SDKs' clients start a goroutine for a cache of
// tokens, which lives until the garbage collector finds the client.
func outside(f func() error) {
	jobs <- f
	if err := <-jobErrors; err != nil {
		panic(err)
	}
}

var (
	jobs      = make(chan func() error)
	jobErrors = make(chan error)
)

func init() { // no bubble has begun yet
	go func() {
		for f := range jobs {
			jobErrors <- f()
		}
	}()
}
