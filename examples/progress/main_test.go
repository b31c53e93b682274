package main

import (
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

func TestProgressShowsWhatIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org := oktatest.New(oktatest.WithUsers(30),
			oktatest.WithLimit("/api/v1/users", 10), oktatest.WithWindowLength(30*time.Second))
		var b strings.Builder
		if err := run(t.Context(), &b, org.Transport(), "https://acme.okta.com"); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`waiting for /api/v1/users: \d\d\.\d s, 14 calls in line, 10 pages read`,
			`waiting for /api/v1/users: \d+\.\d s, 4 calls in line, 20 pages read`,
			`(?m)^done: 24 of 24 pages$`,
		} {
			if !regexp.MustCompile(want).MatchString(b.String()) {
				t.Errorf("no %q in\n%s", want, b.String())
			}
		}
	})
}
