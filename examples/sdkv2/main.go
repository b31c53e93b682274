// Command sdkv2 shows okta-sdk-golang/v2 over oktaretry: a sync of 250 users from
// a fake Okta that allows 5 requests in 2 s.
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
	"github.com/oktaretry/oktaretry/oktav2"
)

// syncUsers reads all users, page by page. There is nothing about rate limits in it.
func syncUsers(ctx context.Context, client *okta.Client) (n int, err error) {
	pages := oktav2.Pages(ctx, func(ctx context.Context) ([]*okta.User, *okta.Response, error) {
		return client.User.ListUsers(ctx, query.NewQueryParams(query.WithLimit(25)))
	})
	for users, err := range pages {
		if err != nil {
			return n, err
		}
		n += len(users)
	}
	return n, nil
}

func main() {
	org := oktatest.StartServer(smallOrg()...)
	defer org.Close()
	if err := run(context.Background(), os.Stdout, org.URL); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer, org string) error {
	transport, err := oktaretry.NewTransport(nil) // one for the whole program
	if err != nil {
		return err
	}
	client, err := oktav2.NewClient(ctx, transport, okta.WithOrgUrl(org), okta.WithToken("a-token"),
		okta.WithTestingDisableHttpsCheck(true)) // the fake speaks http
	if err != nil {
		return err
	}
	return report(ctx, w, client)
}

// report reads all users, and prints what it took.
func report(ctx context.Context, w io.Writer, client *okta.Client) error {
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

// smallOrg are the options of a fake Okta with 250 users. One token may take half of
// the org's 10 requests in 2 s, as Okta does it by default.
func smallOrg() []oktatest.Option {
	return []oktatest.Option{
		oktatest.WithUsers(250),
		oktatest.WithLimit("GET /api/v1/users", 10),
		oktatest.WithCredentialShare(0.5),
		// The window has just begun.
		oktatest.WithWindow(2*time.Second, time.Duration(time.Now().Unix()%2)*time.Second),
	}
}
