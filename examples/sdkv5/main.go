// Command sdkv5 shows okta-sdk-golang/v5 over oktaretry: copy newClient. The
// rest is a sync of 250 users from a fake Okta that allows 5 requests in 2 s.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/okta/okta-sdk-golang/v5/okta"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

// newClient is the set-up: the org's own settings, and three lines that put
// oktaretry under the SDK and leave the retrying to it.
func newClient(ctx context.Context, transport *oktaretry.Transport, org ...okta.ConfigSetter) (*okta.APIClient, error) {
	cfg, err := okta.NewConfiguration(append(org,
		okta.WithRateLimitMaxRetries(0), // the SDK's own retry would wait on top of oktaretry's
		okta.WithRequestTimeout(0),      // the SDK's limit would cut waits short: put a deadline into ctx instead
	)...)
	if err != nil {
		return nil, err
	}
	useWholeURL(cfg)
	cfg.Context = ctx // or else the second page and all that follow have no deadline, span or Recorder

	client := okta.NewAPIClient(cfg)
	// Every call goes through oktaretry. Not by WithHttpClientPtr: NewAPIClient
	// puts a client of its own in that one's place if OKTA_CLIENT_PROXY_HOST
	// or okta.yaml names a proxy. (Give the proxy to NewTransport's base.)
	client.GetConfig().HTTPClient = transport.Client()
	return client, nil
}

// useWholeURL is for an OrgUrl with a port, which the SDK drops. The addresses
// of real orgs have none.
func useWholeURL(cfg *okta.Configuration) {
	if u, err := url.Parse(cfg.Okta.Client.OrgUrl); err == nil {
		cfg.Scheme, cfg.Host = u.Scheme, u.Host
	}
}

// syncUsers reads all users, page by page. There is nothing about rate limits in it.
func syncUsers(ctx context.Context, client *okta.APIClient) (int, error) {
	users, resp, err := client.UserAPI.ListUsers(ctx).Limit(25).Execute()
	n := len(users)
	for err == nil && resp.HasNextPage() { // after an error HasNextPage panics
		var page []okta.User // a new one for each page: the SDK decodes into what is there
		resp, err = resp.Next(&page)
		n += len(page)
		if err == nil && resp.StatusCode != http.StatusOK {
			// Next takes an error with an empty body, such as the 401 of a
			// token that has expired, for a last page without users.
			err = errors.New(resp.Status)
		}
	}
	return n, err
}

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer) error {
	org := startOrg()
	defer org.Close()

	transport, err := oktaretry.NewTransport(nil) // one for the whole program
	if err != nil {
		return err
	}
	ctx, recorder := oktaretry.WithRecorder(ctx)
	client, err := newClient(ctx, transport,
		okta.WithOrgUrl(org.URL), okta.WithToken("a-token"), okta.WithAuthorizationMode("SSWS"))
	if err != nil {
		return err
	}

	began := time.Now()
	n, err := syncUsers(ctx, client)
	if err != nil {
		return err
	}
	requests, limited := count(recorder)
	fmt.Fprintf(w, "SDK v5: %d users in %d requests, %d of them answered 429, %.1f s, no error.\n",
		n, requests, limited, time.Since(began).Seconds())
	return nil
}

// count counts the requests that were sent, and those that Okta refused.
func count(recorder *oktaretry.Recorder) (requests, limited int) {
	for _, call := range recorder.Outcomes() {
		for _, attempt := range call.Attempts {
			requests++
			if attempt.Class == oktaretry.ClassRateLimited {
				limited++
			}
		}
	}
	return requests, limited
}

// startOrg starts a fake Okta with 250 users. One token may take half of the
// org's 10 requests in 2 s, as Okta does it by default.
func startOrg() *oktatest.Server {
	return oktatest.StartServer(
		oktatest.WithUsers(250),
		oktatest.WithLimit("GET /api/v1/users", 10),
		oktatest.WithCredentialShare(0.5),
		// The window has just begun.
		oktatest.WithWindow(2*time.Second, time.Duration(time.Now().Unix()%2)*time.Second))
}
