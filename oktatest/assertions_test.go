package oktatest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

// witness is a testing.TB that keeps what is reported to it.
type witness struct {
	testing.TB
	errors []string
}

func (*witness) Helper() {}

func (w *witness) Errorf(format string, args ...any) {
	w.errors = append(w.errors, fmt.Sprintf(format, args...))
}

// wantHolds fails the test unless the assertion holds.
func wantHolds(t *testing.T, assert func(testing.TB) bool) {
	t.Helper()
	if w := (&witness{}); !assert(w) || len(w.errors) > 0 {
		t.Errorf("it fails: %v", w.errors)
	}
}

// wantFails fails the test unless the assertion fails with these texts, in that order.
func wantFails(t *testing.T, assert func(testing.TB) bool, texts ...string) {
	t.Helper()
	w := &witness{}
	if assert(w) || len(w.errors) == 0 {
		t.Errorf("it holds: %v", w.errors)
		return
	}
	rest := strings.Join(w.errors, "\n")
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			t.Errorf("no %q in %q", text, w.errors)
			return
		}
		rest = after
	}
}

func TestAssertNo429sNamesTheRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimit("/api/v1/users", 1))
		do(t, o.Transport(), "GET", org+"/api/v1/users", "")
		wantHolds(t, o.AssertNo429s)
		time.Sleep(1500 * time.Millisecond)
		do(t, o.Transport(), "GET", org+"/api/v1/users?limit=2", "")
		id := o.Requests()[1].RequestID
		wantFails(t, o.AssertNo429s, "1 requests were answered 429, want none",
			"00:00:01.500 (+1.5s) GET /api/v1/users?limit=2: 429, refused by /api/v1/users, request id "+id)
	})
}

func TestAssertPeakConcurrencyNamesWhatWasInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLatency(time.Second))
		var calls sync.WaitGroup
		for i := range 4 {
			calls.Go(func() {
				time.Sleep(time.Duration(i) * 400 * time.Millisecond)
				do(t, o.Transport(), "GET", org+fmt.Sprintf("/api/v1/groups?q=%d", i), "")
			})
		}
		calls.Wait()
		wantHolds(t, func(t testing.TB) bool { return o.AssertPeakConcurrency(t, 3) })
		wantFails(t, func(t testing.TB) bool { return o.AssertPeakConcurrency(t, 2) },
			"3 requests were in flight at a time, want at most 2", "q=0", "(+400ms)", "q=1", "(+800ms)", "q=2")
	})
}

// A client that resends without a wait is caught; the library, which waits, is not.
func TestAssertNothingBeforeResetCatchesAResendWithoutAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimit("/api/v1/users", 1), oktatest.WithLatency(10*time.Millisecond), oktatest.WithClockSkew(time.Hour))
		for range 2 {
			do(t, o.Transport(), "GET", org+"/api/v1/users", "")
		}
		wantHolds(t, o.AssertNothingBeforeReset)
		do(t, o.Transport(), "GET", org+"/api/v1/groups", "") // another bucket
		do(t, o.Transport(), "GET", org+"/api/v1/users", "", "Authorization", "SSWS another")
		wantHolds(t, o.AssertNothingBeforeReset)
		do(t, o.Transport(), "GET", org+"/api/v1/users", "")
		wantFails(t, o.AssertNothingBeforeReset, `a request was sent 59.96s before the reset of its bucket "/api/v1/users"`, "(+10ms)", "(+40ms)")
	})
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimit("/api/v1/users", 3), oktatest.WithLatency(10*time.Millisecond))
		o.Script("GET /api/v1/groups", oktatest.RateLimited(5*time.Second))
		rt, err := oktaretry.NewTransport(o.Transport())
		if err != nil {
			t.Fatal(err)
		}
		c := caller{t, rt}
		var calls sync.WaitGroup
		for range 10 {
			calls.Go(func() { c.do("GET", "/api/v1/users", "") })
			calls.Go(func() { c.do("GET", "/api/v1/groups", "") })
		}
		calls.Wait()
		wantHolds(t, o.AssertNothingBeforeReset)
	})
}

func TestAssertNothingBeforeResetTakesNoConcurrencyLimitForAClosedBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLatency(10*time.Millisecond), oktatest.WithLimits(oktatest.LimitPerUserName))
		o.Script("GET /api/v1/users", oktatest.ConcurrencyLimited(), oktatest.Code("E0000146"))
		for range 3 {
			do(t, o.Transport(), "GET", org+"/api/v1/users", "")
		}
		for range 6 {
			do(t, o.Transport(), "POST", org+"/api/v1/authn", `{"username":"ann"}`)
		}
		if o.Answered(429) < 3 {
			t.Errorf("%d refused", o.Answered(429))
		}
		wantHolds(t, o.AssertNothingBeforeReset)
	})
}

// In the same instant only a resend that says what it is one of can be told from a
// call that was under way.
func TestAssertNothingBeforeResetKnowsResendsByTheirHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimit("/api/v1/users", 1))
		for range 3 {
			do(t, o.Transport(), "GET", org+"/api/v1/users", "")
		}
		wantHolds(t, o.AssertNothingBeforeReset)
		do(t, o.Transport(), "GET", org+"/api/v1/users", "", "X-Okta-Retry-For", o.Requests()[2].RequestID)
		wantFails(t, o.AssertNothingBeforeReset, "sent 1m0s before")
	})
}

// createStep is a request of a test of creates, and what Okta does.
type createStep struct {
	method, path, body string
	answer             oktatest.Step // nil: as the fake answers
}

func TestAssertNoDuplicateCreatesTellsDuplicatesFromGoodResends(t *testing.T) {
	ann := func(answer oktatest.Step) createStep {
		return createStep{"POST", "/api/v1/users?activate=true", newUser("ann@example.com"), answer}
	}
	post := func(path, body string, answer oktatest.Step) createStep {
		return createStep{"POST", path, body, answer}
	}
	ok := oktatest.Status(201)
	for name, c := range map[string]struct {
		steps []createStep
		want  string // of the failure; empty: it holds
	}{
		"accepted, the answer lost, sent again": {
			[]createStep{ann(oktatest.EOFMidBody), ann(nil)}, `the create of user "ann@example.com" was sent again, though it had been done`},
		"in another case": {
			[]createStep{ann(nil), post("/api/v1/users", newUser("Ann@Example.com"), nil)}, `user "ann@example.com"`},
		"no answer":             {[]createStep{ann(oktatest.Reset), ann(nil)}, "though it may have been done"},
		"a 5xx":                 {[]createStep{ann(oktatest.EdgePage(503)), ann(nil)}, "though it may have been done"},
		"refused by a 429":      {[]createStep{ann(oktatest.RateLimited(time.Second)), ann(oktatest.ConcurrencyLimited()), ann(nil)}, ""},
		"refused by a 423":      {[]createStep{ann(oktatest.Code("E0000239")), ann(nil)}, ""},
		"two users":             {[]createStep{ann(nil), post("/api/v1/users", newUser("ben@example.com"), nil)}, ""},
		"not known, and looked": {[]createStep{ann(oktatest.Reset), {"GET", "/api/v1/users/ann@example.com", "", nil}, ann(nil)}, ""},
		"not known, looked in vain": {[]createStep{ann(oktatest.Reset), {"GET", "/api/v1/users/ann@example.com", "", oktatest.EdgePage(503)}, ann(nil)},
			"may have been done"},
		"not known, looked elsewhere": {[]createStep{ann(oktatest.Reset), {"GET", "/api/v1/groups", "", nil}, ann(nil)}, "may have been done"},
		"done, looked, sent again":    {[]createStep{ann(nil), {"GET", "/api/v1/users", "", nil}, ann(nil)}, "had been done"},
		"deleted in between": {[]createStep{ann(nil), {"DELETE", "/api/v1/users/ann@example.com", "", nil},
			{"DELETE", "/api/v1/users/ann@example.com", "", nil}, ann(nil)}, ""},
		"another deleted in between": {[]createStep{ann(nil), {"DELETE", "/api/v1/users/user00000@example.com", "", nil}, ann(nil)}, "had been done"},
		"a group":                    {[]createStep{post("/api/v1/groups", `{"profile":{"name":"staff"}}`, nil), post("/api/v1/groups", `{"profile":{"name":"staff","description":"x"}}`, nil)}, `group "staff"`},
		"the same body in another order": {[]createStep{post("/api/v1/groups/rules", `{"a":1,"b":[2]}`, ok), post("//api/v1/groups/rules/", `{"b":[2], "a":1}`, ok)},
			`the create of /api/v1/groups/rules {"a":1,"b":[2]} was sent again`},
		"another body":      {[]createStep{post("/api/v1/groups/rules", `{"a":1}`, ok), post("/api/v1/groups/rules", `{"a":2}`, ok)}, ""},
		"in another parent": {[]createStep{post("/api/v1/users/1/factors", `{}`, ok), post("/api/v1/users/2/factors", `{}`, ok)}, ""},
		"what creates nothing": {[]createStep{post("/api/v1/users/user00000@example.com", `{}`, ok), post("/api/v1/users/user00000@example.com", `{}`, ok),
			post("/api/v1/authn", `{}`, ok), post("/api/v1/authn", `{}`, ok), post("/oauth2/v1/token", "x", ok), post("/oauth2/v1/token", "x", ok),
			post("/api/v1/users/1/lifecycle/activate", "", ok), post("/api/v1/users/1/lifecycle/activate", "", ok)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := oktatest.New(oktatest.WithUsers(1))
			for _, s := range c.steps {
				if s.answer != nil {
					o.Script("*", s.answer)
				}
				try(t, o.Transport(), s.method, org+s.path, s.body)
			}
			if c.want == "" {
				wantHolds(t, o.AssertNoDuplicateCreates)
			} else {
				wantFails(t, o.AssertNoDuplicateCreates, c.want, "POST", "request id", "POST")
			}
		})
	}
}

func TestAssertAllServedNamesWhatIsNot(t *testing.T) {
	o := oktatest.New(oktatest.AllowUnserved())
	do(t, o.Transport(), "GET", org+"/api/v1/users", "")
	wantHolds(t, o.AssertAllServed)
	do(t, o.Transport(), "POST", org+"/api/v1/no/such/thing", "{}")
	wantFails(t, o.AssertAllServed, "does not serve", "POST /api/v1/no/such/thing (1×)")
}

func TestAssertionsNeedTheWholeJournal(t *testing.T) {
	o := oktatest.New(oktatest.WithJournal(1))
	for range 2 {
		do(t, o.Transport(), "GET", org+"/api/v1/users", "")
	}
	for _, assert := range []func(testing.TB) bool{
		o.AssertNoDuplicateCreates, o.AssertNothingBeforeReset, func(t testing.TB) bool { return o.AssertPeakConcurrency(t, 1) },
	} {
		wantFails(t, assert, "needs all 2 requests, and the journal has kept 1")
	}
	wantHolds(t, o.AssertNo429s)
}

// A server has them as well, and its requests have been answered by the time that
// Done says.
func TestJournalHasWhenARequestWasDone(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		do(t, rt, "GET", org+"/api/v1/users", "")
		o.Script("*", oktatest.Reset)
		try(t, rt, "GET", org+"/api/v1/users", "")
		synctest.Wait()
		for _, r := range o.Requests() {
			if got := r.Done.Sub(r.Time); got < time.Second {
				t.Errorf("%d: done %s after it arrived", r.Status, got)
			}
		}
	}, oktatest.WithLatency(time.Second))
}
