package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/oktaretry/oktaretry/oktatest"
)

const acme = "https://acme.okta.com"

func TestEachUserGetsOnePush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		org := oktatest.New(oktatest.WithUsers(3))
		var b strings.Builder
		if err := run(t.Context(), &b, org, org.Transport(), acme); err != nil {
			t.Fatal(err)
		}
		want := `^A user says yes: SUCCESS, after 1 push and 3 polls\.
A user says no: REJECTED, after 1 push and 2 polls\.
A user does not answer: no answer in time, after 1 push and \d+ polls\.
   oktaretry: still pending for GET acme\.okta\.com/api/v1/users/{userId}/factors/{factorId}/transactions/{transactionId} \(request id \S+\): .*gave up after \d+ polls \(deadline\).*
$`
		if !regexp.MustCompile(want).MatchString(b.String()) {
			t.Errorf("printed\n%s\nwant\n%s", b.String(), want)
		}
	})
}

// TestPushIsNotSentTwiceOnABadDay: polls are sent again, and so is a verify request
// that Okta has refused; one that may have arrived is not.
func TestPushIsNotSentTwiceOnABadDay(t *testing.T) {
	t.Parallel()
	const (
		verify = "POST /api/v1/users/{id}/factors/{factor}/verify"
		result = "GET /api/v1/users/{id}/factors/{factor}/transactions/{transaction}"
	)
	for name, tt := range map[string]struct {
		pattern string
		answers []oktatest.Step
		result  string
	}{
		"verify is refused by a 429": {verify, []oktatest.Step{oktatest.RateLimited(0)}, "SUCCESS"},
		"polls meet an outage":       {result, []oktatest.Step{oktatest.EdgePage(http.StatusServiceUnavailable), oktatest.Reset}, "SUCCESS"},
		"verify meets an outage":     {verify, []oktatest.Step{oktatest.Always(oktatest.EdgePage(http.StatusServiceUnavailable))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				org := oktatest.New(oktatest.WithUsers(1))
				org.Script(tt.pattern, tt.answers...)
				client, err := newClient(org.Transport())
				if err != nil {
					t.Fatal(err)
				}
				got, err := confirm(t.Context(), client, acme, "a-token", org.UserIDs()[0], "opf1")
				if got != tt.result || (err == nil) != (tt.result != "") {
					t.Errorf("result %q and error %v, want %q", got, err, tt.result)
				}
				pushes := 0
				if tt.result != "" {
					pushes = 1
				}
				if n := org.Pushes(); n != pushes {
					t.Errorf("%d pushes, want %d", n, pushes)
				}
			})
		})
	}
}
