// This file shows a test in virtual time. It holds nothing else, so that godoc shows
// all of it.

package oktatest_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

// testSync is a test: in your own package it is TestSync, and go test runs it.
func testSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		okta := oktatest.New(oktatest.WithUsers(3))
		okta.Script("GET /api/v1/users", oktatest.RateLimited(40*time.Second), oktatest.EdgePage(503))
		transport, err := oktaretry.NewTransport(okta.Transport())
		if err != nil {
			t.Fatal(err)
		}
		client := transport.Client() // what you test gets it

		start := time.Now()
		resp, err := client.Get("https://acme.okta.com/api/v1/users")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || okta.Count("GET /api/v1/users") != 3 {
			t.Errorf("%s after %d requests", resp.Status, okta.Count("GET /api/v1/users"))
		}
		if waited := time.Since(start); waited < 40*time.Second || waited > time.Minute {
			t.Errorf("took %s", waited)
		}
	})
}

// Okta refuses a call for 40 s, then its edge answers 503, then comes the 200. The
// test sees every second of it, and takes some milliseconds.
func Example_virtualTime() {
	var t *testing.T // from go test
	testSync(t)
}
