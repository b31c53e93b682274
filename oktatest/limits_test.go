package oktatest_test

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

func TestWindowRefusesWhatIsBeyondAndOpensAtItsReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at a full minute
		o := oktatest.New(oktatest.WithUsers(1), oktatest.WithLimit("GET /api/v1/users", 3),
			oktatest.WithWindow(time.Minute, 20*time.Second))
		begin := time.Now()
		for i := range 5 {
			a := do(t, o.Transport(), "GET", org+"/api/v1/users", "")
			limit, remaining, reset, date := rates(t, a)
			if limit != 3 || remaining != max(0, 2-i) || reset.Sub(begin) != 20*time.Second || !date.Equal(begin) {
				t.Errorf("request %d: %d/%d, reset in %v, date %v", i, remaining, limit, reset.Sub(begin), date)
			}
			if i < 3 {
				wantStatus(t, a, 200)
			} else {
				wantCode(t, a, 429, "E0000047")
			}
		}
		time.Sleep(20*time.Second - time.Nanosecond)
		wantStatus(t, do(t, o.Transport(), "GET", org+"/api/v1/users", ""), 429)
		time.Sleep(time.Nanosecond)
		a := do(t, o.Transport(), "GET", org+"/api/v1/users", "")
		if _, remaining, reset, _ := rates(t, a); a.StatusCode != 200 || remaining != 2 || reset.Sub(begin) != 80*time.Second {
			t.Errorf("%d, %d left, reset after %v", a.StatusCode, remaining, reset.Sub(begin))
		}
		if o.Answered(429) != 3 || o.Used("GET /api/v1/users") != 1 {
			t.Errorf("%d refused, %d used", o.Answered(429), o.Used("GET /api/v1/users"))
		}
	})
}

// A window that begins within a second must not be over later than its Reset
// says, or clients that trust the header come too early.
func TestResetIsNeverTooEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithWindow(10*time.Second, 1700*time.Millisecond), oktatest.WithLimit("/api/v1/logs", 1))
		begin := time.Now()
		a := do(t, o.Transport(), "GET", org+"/api/v1/logs", "")
		if _, _, reset, _ := rates(t, a); reset.Sub(begin) != 2*time.Second {
			t.Errorf("reset after %v, want the 1.7s rounded up", reset.Sub(begin))
		}
	})
}

func TestBucketsGroupAsOktaDoes(t *testing.T) {
	o := oktatest.New()
	for _, c := range []struct{ method, path, bucket string }{
		{"GET", "/api/v1/users/00u1", "GET /api/v1/users/{id}"},
		{"HEAD", "/api/v1/users/00u1", "GET /api/v1/users/{id}"},
		{"GET", "/api/v1/users/a%2Fb@example.com", "GET /api/v1/users/{id}"},
		{"POST", "/api/v1/users/00u1", "/api/v1/users/{id}"},
		{"DELETE", "/api/v1/users/00u1", "/api/v1/users/{id}"},
		{"GET", "/api/v1/users", "/api/v1/users"},
		{"GET", "/api/v1/users/", "/api/v1/users"},
		{"POST", "/api/v1/users", "/api/v1/users"},
		{"GET", "/api/v1/users/00u1/groups", "/api/v1/users"},
		{"POST", "/api/v1/users/00u1/lifecycle/suspend", "/api/v1/users"},
		{"GET", "/api/v1/users/me", "/api/v1/users/me"},
		{"GET", "/api/v1/groups/00g1", "/api/v1/groups/{id}"},
		{"GET", "/api/v1/groups/00g1/users", "/api/v1/groups"},
		{"PUT", "/api/v1/apps/0oa1", "/api/v1/apps/{id}"},
		{"GET", "/api/v1/apps/0oa1/users", "/api/v1/apps"},
		{"GET", "/api/v1/logs", "/api/v1/logs"},
		{"POST", "/api/v1/authn", "/api/v1/authn"},
		{"POST", "/api/v1/authn/factors/f1/verify", "/api/v1/authn/factors/{id}/verify"},
		{"GET", "/api/v1/zones", "/api/v1"},
		{"POST", "/oauth2/v1/token", "/oauth2/v1/token"},
		{"POST", "/oauth2/v1/introspect", "/oauth2/v1"},
		{"POST", "/oauth2/v1/clients", "/oauth2/v1/clients"},
		{"POST", "/oauth2/default/v1/token", "/oauth2/{server}/v1/token"},
		{"POST", "/oauth2/default/v1/introspect", "/oauth2/{server}/v1"},
		{"GET", "/oauth2/v1/keys", "metadata"},
		{"GET", "/oauth2/default/v1/keys", "metadata"},
		{"GET", "/.well-known/openid-configuration", "metadata"},
		{"POST", "/idp/idx/identify", "/idp/idx/identify"},
		{"GET", "/favicon.ico", ""},
	} {
		a := do(t, o.Transport(), c.method, org+c.path, "")
		all := o.Requests()
		if got := all[len(all)-1].Bucket; got != c.bucket {
			t.Errorf("%s %s falls into %q, want %q", c.method, c.path, got, c.bucket)
		}
		limited := a.Header.Get("X-Rate-Limit-Limit") != ""
		if limited != (c.bucket != "" && c.bucket != "metadata") {
			t.Errorf("%s %s: rate-limit headers: %v", c.method, c.path, limited)
		}
	}
}

func TestLongestPrefixWinsAndOwnBucketsGoFirst(t *testing.T) {
	o := oktatest.New(
		oktatest.WithBucket(oktatest.Bucket{Name: "short", Patterns: []string{"/api/v1/zones/*"}, Limit: 1}),
		oktatest.WithBucket(oktatest.Bucket{Name: "long", Patterns: []string{"/api/v1/{kind}/{id}/*"}, Limit: 1}),
		oktatest.WithBucket(oktatest.Bucket{Name: "own logs", Patterns: []string{"/api/v1/logs"}, Limit: 1}))
	for path, bucket := range map[string]string{
		"/api/v1/zones/z1": "short", "/api/v1/zones/z1/x": "long", "/api/v1/logs": "own logs",
	} {
		do(t, o.Transport(), "GET", org+path, "")
		if all := o.Requests(); all[len(all)-1].Bucket != bucket {
			t.Errorf("%s falls into %q, want %q", path, all[len(all)-1].Bucket, bucket)
		}
	}
}

func TestConsumeAndSetLimitActInMidWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimit("GET /api/v1/groups", 10))
		if n := o.Consume("GET /api/v1/groups", 7); n != 7 {
			t.Error(n)
		}
		if n := o.Consume("GET /api/v1/groups", 7); n != 3 {
			t.Errorf("%d consumed of 3 left", n)
		}
		wantStatus(t, do(t, o.Transport(), "GET", org+"/api/v1/groups", ""), 429)
		o.SetLimit("/api/v1/groups", 20)
		a := do(t, o.Transport(), "GET", org+"/api/v1/groups", "")
		if limit, remaining, _, _ := rates(t, a); a.StatusCode != 200 || limit != 20 || remaining != 9 {
			t.Error(a.StatusCode, limit, remaining)
		}
		o.SetLimit("/api/v1/groups", -1)
		a = do(t, o.Transport(), "GET", org+"/api/v1/groups", "")
		if a.StatusCode != 200 || a.Header.Get("X-Rate-Limit-Limit") != "" {
			t.Error(a.StatusCode, a.Header)
		}
	})
}

func TestCredentialsShareTheBucketByDefault(t *testing.T) {
	get := func(t *testing.T, o *oktatest.Okta, token string) (status, remaining int) {
		a := do(t, o.Transport(), "GET", org+"/api/v1/logs", "", "Authorization", "SSWS "+token)
		_, remaining, _, _ = rates(t, a)
		return a.StatusCode, remaining
	}
	check := func(t *testing.T, o *oktatest.Okta, token string, status, remaining int) {
		t.Helper()
		if s, r := get(t, o, token); s != status || r != remaining {
			t.Errorf("%s: %d with %d left, want %d with %d", token, s, r, status, remaining)
		}
	}
	limit := oktatest.WithLimit("/api/v1/logs", 4)
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(limit)
		check(t, o, "a", 200, 3)
		check(t, o, "b", 200, 2)

		o = oktatest.New(limit, oktatest.WithLimitPerCredential())
		check(t, o, "a", 200, 3)
		check(t, o, "b", 200, 3)
		o.Consume("/api/v1/logs", 2)
		check(t, o, "a", 200, 0)
		check(t, o, "a", 429, 0)
		check(t, o, "c", 200, 1)

		// The headers may report places that this token cannot have.
		o = oktatest.New(limit, oktatest.WithCredentialShare(0.5))
		check(t, o, "a", 200, 3)
		check(t, o, "a", 200, 2)
		check(t, o, "a", 429, 2)
		check(t, o, "b", 200, 1)
	})
}

func TestBurstGoesOnAtRemainingZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithBucket(oktatest.Bucket{
			Patterns: []string{"/api/v1/authn"}, Limit: 2, Burst: 2, Window: 10 * time.Second, Offset: 3 * time.Second,
		}))
		begin := time.Now()
		for i, want := range []int{400, 400, 400, 400, 429} { // the fake has no such endpoint
			a := do(t, o.Transport(), "POST", org+"/api/v1/authn", "{}")
			_, remaining, reset, _ := rates(t, a)
			if a.StatusCode != want || remaining != max(0, 1-i) || reset.Sub(begin) != 3*time.Second {
				t.Errorf("request %d: %d with %d left, reset after %v", i, a.StatusCode, remaining, reset.Sub(begin))
			}
		}
	})
}

func TestClockSkewShiftsEverythingAlike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const skew = -10*time.Minute - 7*time.Second
		o := oktatest.New(oktatest.WithClockSkew(skew), oktatest.WithWindow(time.Minute, 0))
		begin := time.Now()
		_, _, reset, date := rates(t, do(t, o.Transport(), "GET", org+"/api/v1/users", ""))
		if date.Sub(begin) != skew || reset.Sub(date) != 7*time.Second {
			t.Errorf("date off by %v, reset %v ahead of it", date.Sub(begin), reset.Sub(date))
		}
	})
}

func TestWithoutLimits(t *testing.T) {
	o := oktatest.New(oktatest.WithoutLimits(), oktatest.WithJournal(0))
	for range 3000 {
		a := do(t, o.Transport(), "GET", org+"/api/v1/apps", "")
		if a.StatusCode != 200 || a.Header.Get("X-Rate-Limit-Limit") != "" {
			t.Fatal(a.Status, a.Header)
		}
	}
	if len(o.Requests()) != 0 || o.Arrived() != 3000 || o.Answered(200) != 3000 {
		t.Error(len(o.Requests()), o.Arrived(), o.Answered(200))
	}
	o.Script("*", oktatest.RateLimited(time.Second))
	wantStatus(t, do(t, o.Transport(), "GET", org+"/api/v1/apps", ""), 429)
}

func TestConcurrencyLimitRefusesWithZeros(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithConcurrencyLimit(5), oktatest.WithLatency(50*time.Millisecond), oktatest.WithoutLimits())
		for range 2 { // what the first round did must not change the second
			o.Forget()
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					a := do(t, o.Transport(), "GET", org+"/api/v1/users", "")
					if a.StatusCode == 200 {
						return
					}
					limit, remaining, reset, date := rates(t, a)
					if limit != 0 || remaining != 0 || reset.Sub(date) < 2*time.Minute {
						t.Errorf("%d/%d, reset in %v", remaining, limit, reset.Sub(date))
					}
				})
			}
			wg.Wait()
			if o.Answered(200) != 5 || o.Answered(429) != 15 {
				t.Errorf("%d let in, %d refused", o.Answered(200), o.Answered(429))
			}
		}
	})
}

func TestLatencyTakesVirtualTimeAndLetsAnswersOvertake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLatencyFunc(func(r *http.Request) time.Duration {
			d, _ := time.ParseDuration(r.Header.Get("Take"))
			return d
		}))
		begin := time.Now()
		var wg sync.WaitGroup
		for _, d := range []time.Duration{4 * time.Second, 2 * time.Second} {
			wg.Go(func() {
				a := do(t, o.Transport(), "GET", org+"/api/v1/users", "", "Take", d.String())
				if took := time.Since(begin); took != d {
					t.Errorf("took %v, want %v", took, d)
				}
				if _, _, _, date := rates(t, a); date.Sub(begin) != d/2 {
					t.Errorf("dated after %v, want half-way of %v", date.Sub(begin), d)
				}
			})
		}
		wg.Wait()
	})
}
