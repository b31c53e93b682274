package oktatest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

// seen is what a caller sees of one call.
type seen struct {
	status  int
	code    string // of Okta's, in the answer or the error
	body    string
	err     error // of the call or of reading the body
	took    time.Duration
	outcome oktaretry.Outcome
	header  http.Header
}

func (s seen) String() string {
	return fmt.Sprintf("%d %s in %s, %d attempts, err %v", s.status, s.code, s.took, len(s.outcome.Attempts), s.err)
}

// caller is a program that calls Okta through the library.
type caller struct {
	t  *testing.T
	rt http.RoundTripper
}

func (c caller) do(method, path, body string) seen {
	c.t.Helper()
	ctx, recorder := oktaretry.WithRecorder(c.t.Context())
	return c.send(ctx, recorder, method, path, body)
}

func (c caller) send(ctx context.Context, recorder *oktaretry.Recorder, method, path, body string) (s seen) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, org+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body == "" {
		req.Body, req.GetBody = nil, nil
	} else if strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "application/json")
	} else {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	start := time.Now()
	resp, err := c.rt.RoundTrip(req)
	if s.err = err; err == nil {
		s.status, s.header = resp.StatusCode, resp.Header
		var b []byte
		b, s.err = io.ReadAll(resp.Body)
		s.body = string(b)
		resp.Body.Close()
	}
	s.took = time.Since(start)
	s.outcome, _ = recorder.Outcome()
	s.code = s.outcome.Code
	return s
}

// together makes calls at the same time.
func (c caller) together(calls ...func() seen) []seen {
	all := make([]seen, len(calls))
	var group sync.WaitGroup
	for i, call := range calls {
		group.Go(func() { all[i] = call() })
	}
	group.Wait()
	return all
}

// wants fails the test unless the call ended with that status and code, after so
// many attempts.
func (s seen) wants(t *testing.T, status int, code string, attempts int) seen {
	t.Helper()
	if s.status != status || s.code != code || len(s.outcome.Attempts) != attempts || s.err != nil {
		t.Errorf("got %v, want %d %s after %d attempts", s, status, code, attempts)
	}
	return s
}

// lasted fails the test unless the call took from least to most.
func (s seen) lasted(t *testing.T, least, most time.Duration) {
	t.Helper()
	if s.took < least || s.took > most {
		t.Errorf("got %v, want %s to %s", s, least, most)
	}
}

// onDays lets a program call, through the library, an org of 3 users that has
// bad days, in virtual time.
func onDays(t *testing.T, f func(t *testing.T, o *oktatest.Okta, c caller), opts ...oktatest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(append([]oktatest.Option{oktatest.WithUsers(3)}, opts...)...)
		rt, err := oktaretry.NewTransport(o.Transport())
		if err != nil {
			t.Fatal(err)
		}
		f(t, o, caller{t, rt})
	})
}

func newUser(login string) string {
	return `{"profile":{"login":"` + login + `","email":"` + login + `","firstName":"A","lastName":"B"}}`
}

const clientCredentials = "grant_type=client_credentials&scope=okta.users.read&client_assertion=x.y.z"

// perRequest counts what arrived, by method, path and body.
func perRequest(o *oktatest.Okta) map[string]int {
	n := map[string]int{}
	for _, r := range o.Requests() {
		n[r.Method+" "+r.Path+" "+string(r.Body)]++
	}
	return n
}

// In the outage the library resends reads, which fail as long as it lasts, and no
// create. A read that is under way as it ends recovers by itself.
func TestEdgeOutageOfFiveMinutesEndsForReadsAndDoublesNoCreate(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		const begin, end = time.Minute, 6 * time.Minute
		start := time.Now()
		created := 0
		create := func() seen {
			s := c.do("POST", "/api/v1/users", newUser(fmt.Sprintf("new%d@example.com", o.Arrived())))
			if s.status == 200 {
				created++
			}
			return s
		}
		read := func() seen { return c.do("GET", "/api/v1/users/user00000@example.com", "") }
		for in := time.Duration(0); in < end-20*time.Second; in = time.Since(start) {
			if in < begin {
				read().wants(t, 200, "", 1)
				create().wants(t, 200, "", 1)
			} else {
				read().wants(t, 503, "", 4)
				create().wants(t, 503, "", 1)
			}
			time.Sleep(10 * time.Second)
		}
		time.Sleep(end - time.Second - time.Since(start))
		if s := read(); s.status != 200 || len(s.outcome.Attempts) < 2 {
			t.Errorf("the read under way at the end: %v", s)
		}
		create().wants(t, 200, "", 1)
		for request, n := range perRequest(o) {
			if strings.HasPrefix(request, "POST ") && n != 1 {
				t.Errorf("%d times: %s", n, request)
			}
		}
		if got := len(o.UserIDs()); got != 3+created {
			t.Errorf("%d users, but the caller knows of %d", got, 3+created)
		}
	}, oktatest.WithDay(oktatest.EdgeOutage(5*time.Minute).From(time.Minute)))
}

func TestGatewayNotFoundIsA404WithoutACodeOfWhatIsThere(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		end := o.Begin(oktatest.GatewayNotFound())
		s := c.do("GET", "/api/v1/users/user00000@example.com", "").wants(t, 404, "", 1)
		if s.header.Get("X-Okta-Request-Id") != "" || !strings.HasPrefix(s.header.Get("Content-Type"), "text/html") {
			t.Errorf("%v %s", s.header, s.body)
		}
		end()
		c.do("GET", "/api/v1/users/user00000@example.com", "").wants(t, 200, "", 1)
	})
}

func TestSlowAnswersAreNotWaitedForByACallerWhoLeaves(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		c.do("GET", "/api/v1/users", "").wants(t, 200, "", 1).lasted(t, 2*time.Second, 2*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		ctx, recorder := oktaretry.WithRecorder(ctx)
		s := c.send(ctx, recorder, "POST", "/api/v1/users", newUser("late@example.com"))
		if !errors.Is(s.err, context.DeadlineExceeded) || s.took != 1500*time.Millisecond {
			t.Error(s)
		}
		if len(o.UserIDs()) != 4 { // and yet it was done
			t.Errorf("%d users", len(o.UserIDs()))
		}
	}, oktatest.WithDay(oktatest.SlowAnswers(2*time.Second)))
}

func TestBrokenBodiesBreakReadsAfterTheWorkIsDone(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		s := c.do("POST", "/api/v1/users", newUser("new@example.com"))
		if s.status != 200 || !errors.Is(s.err, syscall.ECONNRESET) {
			t.Error(s)
		}
		if n := o.Count("POST /api/v1/users"); n != 1 || len(o.UserIDs()) != 4 {
			t.Errorf("sent %d times, %d users", n, len(o.UserIDs()))
		}
		p := oktaretry.DefaultPolicy()
		p.RetryBodies = 1 << 20
		rt, err := oktaretry.NewTransport(o.Transport(), oktaretry.WithPolicy(p))
		if err != nil {
			t.Fatal(err)
		}
		o.EndDays()
		o.Begin(oktatest.BrokenBodies().Chance(0.5).Seed(1))
		for range 10 {
			if s := (caller{t, rt}).do("GET", "/api/v1/users/user00000@example.com", ""); s.status != 200 || s.err != nil {
				t.Errorf("with RetryBodies: %v", s)
			}
		}
		if o.Count("GET /api/v1/users/{id}") == 10 {
			t.Error("no body broke")
		}
	}, oktatest.WithDay(oktatest.BrokenBodies().Chance(1)))
}

// A reset in the middle of a body is one over a socket, too.
func TestBrokenBodiesAreResets(t *testing.T) {
	everywhere(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string) {
		a := do(t, rt, "GET", base+"/api/v1/users", "")
		if a.StatusCode != 200 || !errors.Is(a.err, syscall.ECONNRESET) || len(a.body) != int(a.ContentLength)/2 {
			t.Errorf("%d, %d of %d bytes, then %v", a.StatusCode, len(a.body), a.ContentLength, a.err)
		}
	}, oktatest.WithUsers(3), oktatest.WithDay(oktatest.BrokenBodies().Chance(1)))
}

func TestClockSkewAndDoubledResetsChangeNoWait(t *testing.T) {
	for _, d := range []oktatest.Day{
		oktatest.ClockSkew(10 * time.Minute), oktatest.ClockSkew(-10 * time.Minute), oktatest.DoubledResets(),
	} {
		onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
			for range 2 {
				c.do("GET", "/api/v1/users", "").wants(t, 200, "", 1)
			}
			if s := c.do("GET", "/api/v1/users", ""); s.status != 200 || s.took < 59*time.Second || s.took > 63*time.Second {
				t.Errorf("%s: %v", d.Name(), s)
			}
		}, oktatest.WithLimit("/api/v1/users", 2), oktatest.WithDay(d))
	}
}

func TestClockSkewShiftsDateAndResetTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1), oktatest.WithDay(oktatest.ClockSkew(-time.Hour)))
		_, _, reset, date := rates(t, do(t, o.Transport(), "GET", org+"/api/v1/users", ""))
		if got := time.Since(date); got != time.Hour || reset.Sub(date) != time.Minute {
			t.Errorf("Date is %s behind, Reset %s after it", got, reset.Sub(date))
		}
	})
}

func TestDoubledResetsComeWithTheRightOneLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1), oktatest.WithDay(oktatest.DoubledResets()))
		got := do(t, o.Transport(), "GET", org+"/api/v1/users", "").Header["X-Rate-Limit-Reset"]
		want := []string{fmt.Sprint(time.Now().Unix() + 120), fmt.Sprint(time.Now().Unix() + 60)}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// The caller has what is left of each window, waits for the next, and sees no 429
// but those by which the quota is learned.
func TestQuotaEatenByAnotherAppIsWaitedFor(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		start := time.Now()
		for range 30 {
			if s := c.do("GET", "/api/v1/users", ""); s.status != 200 {
				t.Fatal(s)
			}
		}
		if took := time.Since(start); took < 2*time.Minute || took > 4*time.Minute {
			t.Errorf("30 calls of 10 in a minute took %s", took)
		}
		if n := o.Answered(429); n > 1 {
			t.Errorf("%d calls were refused", n)
		}
	}, oktatest.WithLimit("/api/v1/users", 100), oktatest.WithDay(oktatest.QuotaEaten(0.9)))
}

func TestQuotaEatenLeavesTheRestOfEachWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1), oktatest.WithLimit("/api/v1/users", 20), oktatest.WithDay(oktatest.QuotaEaten(0.75).From(time.Minute)))
		for minute, left := range []int{20, 5, 5} {
			served := 0
			for range 30 {
				if do(t, o.Transport(), "GET", org+"/api/v1/users", "").StatusCode == 200 {
					served++
				}
			}
			if served != left {
				t.Errorf("minute %d: %d calls served, want %d", minute, served, left)
			}
			time.Sleep(time.Minute)
		}
	})
}

// Resets of 0/0 lie two minutes ahead; the caller is served within seconds, and
// what is refused was not done.
func TestConcurrencyStormIsOverInSecondsAndDoublesNoCreate(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		var calls []func() seen
		for i := range 20 {
			calls = append(calls, func() seen { return c.do("POST", "/api/v1/users", newUser(fmt.Sprintf("new%d@example.com", i))) })
		}
		for _, s := range c.together(calls...) {
			if s.status != 200 || s.took > 30*time.Second {
				t.Error(s)
			}
		}
		if len(o.UserIDs()) != 23 || o.RefusedBy(oktatest.Concurrency) == 0 {
			t.Errorf("%d users, %d refused", len(o.UserIDs()), o.RefusedBy(oktatest.Concurrency))
		}
	}, oktatest.WithDay(oktatest.ConcurrencyStorm()))
}

func TestConcurrencyStormSparesMetadata(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		c.do("GET", "/oauth2/v1/keys", "").wants(t, 200, "", 1)
	}, oktatest.WithDay(oktatest.ConcurrencyStorm().Chance(1)))
}

func TestTokenRefusalsAreWaitedOutByTenCallsTogether(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		for _, s := range c.together(slices.Repeat([]func() seen{func() seen { return c.do("POST", "/oauth2/v1/token", clientCredentials) }}, 10)...) {
			if s.status != 200 || s.took > 10*time.Second {
				t.Error(s)
			}
		}
		if o.Answered(429) < 3 {
			t.Errorf("%d refused", o.Answered(429))
		}
	}, oktatest.WithDay(oktatest.TokenRefusals()))
}

func TestTokenRefusalsAreThreeOfEachTenAndGoByTheSeed(t *testing.T) {
	refused := func(seed uint64) (which string) {
		o := oktatest.New(oktatest.WithDay(oktatest.TokenRefusals().Seed(seed)))
		for range 20 {
			a := do(t, o.Transport(), "POST", org+"/oauth2/default/v1/token", clientCredentials, "Content-Type", "application/x-www-form-urlencoded")
			which += fmt.Sprint(a.StatusCode / 100)
			if a.StatusCode == 429 && (a.Header.Get("X-Rate-Limit-Limit") != "0" || a.Header.Get("X-Rate-Limit-Remaining") != "0") {
				t.Errorf("%v", a.Header)
			}
		}
		return which
	}
	one := refused(1)
	if strings.Count(one[:10], "4") != 3 || strings.Count(one[10:], "4") != 3 {
		t.Errorf("refused: %s", one)
	}
	if one != refused(1) || one == refused(2) {
		t.Errorf("seed 1: %s and %s, seed 2: %s", one, refused(1), refused(2))
	}
}

func TestReadOnlyRefusesWritesOnceAndLetsReadsAndLoginsThrough(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		c.do("GET", "/api/v1/users", "").wants(t, 200, "", 1)
		c.do("POST", "/oauth2/v1/token", clientCredentials).wants(t, 200, "", 1)
		c.do("POST", "/api/v1/users/user00000@example.com/factors/opf1/verify", "{}").wants(t, 201, "", 1)
		c.do("POST", "/api/v1/users", newUser("new@example.com")).wants(t, 503, "E0000010", 1)
		c.do("POST", "/api/v1/authn/recovery/unlock", `{"username":"a"}`).wants(t, 503, "E0000010", 1)
		c.do("POST", "/oauth2/v1/clients", "{}").wants(t, 503, "E0000010", 1)
		if o.EndDays("read-only") != 1 {
			t.Error("no day was ended")
		}
		c.do("POST", "/api/v1/users", newUser("new@example.com")).wants(t, 200, "", 1)
	}, oktatest.WithDay(oktatest.ReadOnly()))
}

// Each spell is one resource's. The library resends the DELETEs through it.
func TestErrorSpellsHealAndTheDeletesEndIn204(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		for _, id := range o.GroupIDs() {
			s := c.do("DELETE", "/api/v1/groups/"+id, "")
			if s.status != 204 || s.took < time.Second || len(s.outcome.Attempts) < 2 {
				t.Error(s)
			}
			c.do("GET", "/api/v1/users", "").wants(t, 200, "", 1)
		}
	}, oktatest.WithGroups(6), oktatest.WithDay(oktatest.ErrorSpells()))
}

func TestErrorSpellsHaveTheRecordedLengths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithGroups(6), oktatest.WithDay(oktatest.ErrorSpells().Seed(3)))
		var lengths []time.Duration
		for _, id := range o.GroupIDs() {
			start := time.Now()
			for do(t, o.Transport(), "DELETE", org+"/api/v1/groups/"+id, "").StatusCode == 500 {
				time.Sleep(100 * time.Millisecond)
			}
			lengths = append(lengths, time.Since(start))
		}
		slices.Sort(lengths)
		if got := fmt.Sprint(lengths); got != "[1s 5s 14s 14s 16s 21s]" {
			t.Error(got)
		}
	})
}

func TestPolicyLocksHealWithinASecond(t *testing.T) {
	rules := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") })
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		post := func() seen { return c.do("POST", "/api/v1/groups/rules", "{}") }
		for _, s := range c.together(post, post) {
			if s.status != 200 || s.took > 5*time.Second {
				t.Error(s)
			}
		}
		if o.Answered(423) == 0 {
			t.Error("none met the lock")
		}
		c.do("GET", "/api/v1/groups/rules", "").wants(t, 200, "", 1)
	}, oktatest.WithHandler("/api/v1/groups/rules", rules), oktatest.WithDay(oktatest.PolicyLocks()))
}

func TestMissingFeatureIsRefusedOnceAndTheTokenStaysGood(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		c.do("GET", "/api/v1/realms", "").wants(t, 401, "E0000015", 1)
		c.do("GET", "/api/v1/users", "").wants(t, 200, "", 1)
	}, oktatest.WithDay(oktatest.MissingFeature("/api/v1/realms")))
}

func TestInlineHookTimeoutFailsLoginsAfterSixSecondsAndOnlySlowsTokens(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		c.do("POST", "/api/v1/authn", `{"username":"a","password":"b"}`).wants(t, 504, "E0000137", 1).lasted(t, 6*time.Second, 6*time.Second)
		c.do("POST", "/oauth2/default/v1/token", clientCredentials).wants(t, 200, "", 1).lasted(t, 6*time.Second, 6*time.Second)
		c.do("POST", "/oauth2/v1/token", clientCredentials).wants(t, 200, "", 1).lasted(t, 0, 0)
		c.do("GET", "/api/v1/users", "").wants(t, 200, "", 1) // and the circuits are closed
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ctx, recorder := oktaretry.WithRecorder(ctx)
		if s := c.send(ctx, recorder, "POST", "/api/v1/authn", "{}"); !errors.Is(s.err, context.DeadlineExceeded) || s.took != time.Second {
			t.Errorf("a caller who leaves: %v", s)
		}
	}, oktatest.WithDay(oktatest.InlineHookTimeout()))
}

const factorsOfAnn = "/api/v1/users/user00000@example.com/factors"

func TestTelephonyDownFailsWhatSendsAnSMSOrCallsAndNothingElse(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		c.do("POST", factorsOfAnn+"/mbl1/verify", "{}").wants(t, 503, "E0000139", 1)
		c.do("POST", factorsOfAnn+"/clf1/verify", "").wants(t, 500, "E0000138", 1)
		c.do("POST", factorsOfAnn, `{"factorType":"sms","provider":"OKTA","profile":{"phoneNumber":"+1"}}`).wants(t, 503, "E0000139", 1)
		c.do("POST", factorsOfAnn+"/opf1/verify", "{}").wants(t, 201, "", 1)
		if s := c.do("POST", factorsOfAnn+"/mbl1/verify", `{"passCode":"123456"}`); s.code == "E0000139" {
			t.Errorf("a passcode that has arrived: %v", s)
		}
	}, oktatest.WithDay(oktatest.TelephonyDown()))
}

func TestSMSRoadblockIsReportedAtOnceWithItsPeriod(t *testing.T) {
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		s := c.do("POST", factorsOfAnn+"/sms1/verify", "{}")
		limited, ok := errors.AsType[*oktaretry.RateLimitError](s.err)
		if !ok || s.code != "E0000146" || s.took != 0 || limited.RetryAfter != 24*time.Hour {
			t.Error(s)
		}
		c.do("POST", factorsOfAnn+"/opf1/verify", "{}").wants(t, 201, "", 1)
		if n := o.Count("POST /api/v1/users/{id}/factors/{factor}/verify"); n != 2 {
			t.Errorf("%d requests", n)
		}
	}, oktatest.WithDay(oktatest.SMSRoadblock()))
}

func TestUserLockedOutIsOneUserUntilUnlocked(t *testing.T) {
	login := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"status":"SUCCESS"}`) })
	onDays(t, func(t *testing.T, o *oktatest.Okta, c caller) {
		authn := func(name string) seen { return c.do("POST", "/api/v1/authn", `{"username":"`+name+`","password":"x"}`) }
		authn("User00000@example.com").wants(t, 401, "E0000004", 1)
		authn("user00001@example.com").wants(t, 200, "", 1)
		c.do("POST", "/oauth2/default/v1/token", "grant_type=password&username=user00000@example.com&password=x").wants(t, 400, "invalid_grant", 1)
		c.do("POST", factorsOfAnn+"/opf1/verify", "{}").wants(t, 403, "E0000069", 1)
		path := "/api/v1/users/" + o.UserIDs()[0]
		if s := c.do("GET", path, "").wants(t, 200, "", 1); !strings.Contains(s.body, `"status":"LOCKED_OUT"`) {
			t.Error(s.body)
		}
		if s := c.do("GET", "/api/v1/users/user00001@example.com", ""); !strings.Contains(s.body, `"status":"ACTIVE"`) {
			t.Error(s.body)
		}
		c.do("POST", path+"/lifecycle/unlock", "").wants(t, 200, "", 1)
		authn("user00000@example.com").wants(t, 200, "", 1)
	}, oktatest.WithHandler("POST /api/v1/authn", login), oktatest.WithDay(oktatest.UserLockedOut("user00000@example.com")))
}
