// Command sdkv2 shows okta-sdk-golang/v2 over oktaretry: copy newClient. The
// rest is a sync of 250 users from a fake Okta that allows 5 requests in 2 s.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"github.com/okta/okta-sdk-golang/v2/okta"
	"github.com/okta/okta-sdk-golang/v2/okta/query"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

// newClient is the set-up: the org's own settings, and three lines that put
// oktaretry under the SDK and leave the retrying to it.
func newClient(ctx context.Context, transport *oktaretry.Transport, org ...okta.ConfigSetter) (*okta.Client, error) {
	_, client, err := okta.NewClient(ctx, append(org,
		okta.WithHttpClientPtr(transport.Client()), // every call goes through oktaretry
		okta.WithRateLimitMaxRetries(0),            // the SDK's own retry waits 30 s at most: too short for Okta's minute
		okta.WithRequestTimeout(0),                 // the SDK's limit would cut waits short: put a deadline into ctx instead

		// Not about retries, but good to know: the SDK keeps what it gets for
		// 5 minutes unless told otherwise. A sync wants what is true now.
		okta.WithCache(false),
	)...)
	return client, err
}

// syncUsers reads all users, page by page. There is nothing about rate limits in it.
func syncUsers(ctx context.Context, client *okta.Client) (int, error) {
	users, resp, err := client.User.ListUsers(ctx, query.NewQueryParams(query.WithLimit(25)))
	n := len(users)
	for err == nil && resp.HasNextPage() {
		var page []*okta.User // a new one for each page: the SDK decodes into what is there
		resp, err = resp.Next(ctx, &page)
		n += len(page)
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
	client, err := newClient(ctx, transport, okta.WithOrgUrl(org.URL), okta.WithToken("a-token"), okta.WithAuthorizationMode("SSWS"),
		okta.WithTestingDisableHttpsCheck(true)) // the fake speaks http
	if err != nil {
		return err
	}

	ctx, recorder := oktaretry.WithRecorder(ctx)
	began := time.Now()
	n, err := syncUsers(ctx, client)
	if err != nil {
		return err
	}
	requests, limited := count(recorder)
	fmt.Fprintf(w, "SDK v2: %d users in %d requests, %d of them answered 429, %.1f s, no error.\n",
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
