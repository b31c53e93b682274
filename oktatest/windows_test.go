package oktatest_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

const logs = "/api/v1/logs"

// sees are what an answer must be: its status, and what its headers report.
type sees struct {
	status, remaining int
	reset             time.Duration // after the answer's Date
}

func (want sees) check(t *testing.T, a answer) {
	t.Helper()
	_, remaining, reset, date := rates(t, a)
	if got := (sees{a.StatusCode, remaining, reset.Sub(date)}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWindowOpensWithItsFirstRequestAndLastsAMinute(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		get := func() answer { return do(t, rt, "GET", org+logs, "") }
		time.Sleep(7300 * time.Millisecond) // clocks begin at a full minute
		sees{200, 1, time.Minute}.check(t, get())
		time.Sleep(29700 * time.Millisecond)
		sees{200, 0, 30 * time.Second}.check(t, get())
		sees{429, 0, 30 * time.Second}.check(t, get())
		time.Sleep(30*time.Second - time.Nanosecond)
		sees{429, 0, time.Second}.check(t, get())
		time.Sleep(time.Nanosecond)
		sees{200, 1, time.Minute}.check(t, get())

		time.Sleep(95 * time.Second) // nobody calls: no window is open
		if n := o.Used(logs); n != 0 {
			t.Errorf("%d places used of a window that is over", n)
		}
		sees{200, 1, time.Minute}.check(t, get())
	}, oktatest.WithLimit(logs, 2))
}

func TestWindowOfAnyLengthIsNotOverAfterItsReset(t *testing.T) {
	for _, length := range []time.Duration{400 * time.Millisecond, time.Second, 2500 * time.Millisecond, 5 * time.Minute} {
		virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
			time.Sleep(700 * time.Millisecond)
			for range 3 {
				a := do(t, rt, "GET", org+logs, "")
				_, _, reset, _ := rates(t, a)
				wantStatus(t, a, 200)
				wantStatus(t, do(t, rt, "GET", org+logs, ""), 429)
				if left := time.Until(reset); left <= 0 || left >= length+time.Second {
					t.Errorf("length %v: Reset is %v ahead", length, left)
				}
				time.Sleep(time.Until(reset))
			}
		}, oktatest.WithLimit(logs, 1), oktatest.WithWindowLength(length))
	}
}

func TestOneBucketsWindowOpensNoOther(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		do(t, rt, "GET", org+logs, "")
		time.Sleep(20 * time.Second)
		_, _, reset, date := rates(t, do(t, rt, "GET", org+"/api/v1/groups", ""))
		if reset.Sub(date) != time.Minute {
			t.Errorf("the second bucket's window ends in %v", reset.Sub(date))
		}
	})
}

func TestOnlyAcceptedRequestsAndConsumeOpenAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimit(logs, 3))
		o.Script("*", oktatest.RateLimited(time.Second))
		do(t, o.Transport(), "GET", org+logs, "")
		time.Sleep(10 * time.Second)
		o.Consume(logs, 1)
		time.Sleep(10 * time.Second)
		sees{200, 1, 50 * time.Second}.check(t, do(t, o.Transport(), "GET", org+logs, ""))
		time.Sleep(50 * time.Second)
		sees{200, 2, time.Minute}.check(t, do(t, o.Transport(), "GET", org+logs, ""))
	})
}

func TestEachCredentialsWindowIsItsOwn(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		get := func(token string) answer { return do(t, rt, "GET", org+logs, "", "Authorization", "SSWS "+token) }
		sees{200, 1, time.Minute}.check(t, get("a"))
		time.Sleep(40 * time.Second)
		sees{200, 1, time.Minute}.check(t, get("b"))
		sees{200, 0, 20 * time.Second}.check(t, get("a"))
		time.Sleep(20 * time.Second)
		sees{200, 1, time.Minute}.check(t, get("a"))
		sees{200, 0, 40 * time.Second}.check(t, get("b"))
	}, oktatest.WithLimit(logs, 2), oktatest.WithLimitPerCredential())
}

func TestCredentialsShareIsOfTheBucketsWindow(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		get := func(token string) answer { return do(t, rt, "GET", org+logs, "", "Authorization", "SSWS "+token) }
		sees{200, 3, time.Minute}.check(t, get("a"))
		time.Sleep(40 * time.Second)
		sees{200, 2, 20 * time.Second}.check(t, get("b"))
		sees{200, 1, 20 * time.Second}.check(t, get("b"))
		sees{429, 1, 20 * time.Second}.check(t, get("b"))
		sees{200, 0, 20 * time.Second}.check(t, get("a"))
		time.Sleep(20 * time.Second)
		sees{200, 3, time.Minute}.check(t, get("b"))
		if got := refusals(o); len(got) != 1 || got[0] != logs+", share of a credential" {
			t.Errorf("refused by %q", got)
		}
	}, oktatest.WithLimit(logs, 4), oktatest.WithCredentialShare(0.5))
}

func TestGridWindowsLieWhereTheyAreLaid(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		time.Sleep(7 * time.Second)
		sees{200, 2, 13 * time.Second}.check(t, do(t, rt, "GET", org+logs, ""))
		time.Sleep(100 * time.Second)
		sees{200, 2, 33 * time.Second}.check(t, do(t, rt, "GET", org+logs, ""))
	}, oktatest.WithLimit(logs, 3), oktatest.WithWindow(time.Minute, 20*time.Second))
}
