package oktatest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

// sent is a request to an endpoint that one of Okta's limits guards.
type sent struct {
	method, path, body string
	header             []string
}

func (s sent) to(t *testing.T, rt http.RoundTripper) answer {
	t.Helper()
	method := s.method
	if method == "" {
		method = "POST"
	}
	return do(t, rt, method, org+s.path, s.body, s.header...)
}

func TestOktasOwnLimits(t *testing.T) {
	const authorize = "/oauth2/default/v1/authorize?client_id=0oa1&response_type=code"
	device := func(token string) []string {
		return []string{"X-Device-Token", token, "X-Forwarded-For", "198.51.100.7, 10.0.0.1"}
	}
	for _, c := range []struct {
		limit   oktatest.Limit
		max     int
		window  time.Duration
		limited sent
		same    sent // counts as limited
		others  []sent
	}{
		{
			oktatest.LimitPerUserName, 4, time.Second,
			sent{path: "/api/v1/authn", body: `{"username":"mallory","password":"x"}`},
			sent{path: "/api/v1/authn", body: `{"username":"Mallory","password":"y"}`},
			[]sent{
				{path: "/api/v1/authn", body: `{"username":"alice"}`},
				{path: "/api/v1/authn", body: `{"stateToken":"00s1"}`},
				{path: "/oauth2/v1/token", body: "grant_type=password&username=mallory"},
				{method: "GET", path: "/api/v1/users/mallory"},
			},
		}, {
			oktatest.LimitPerUserName, 4, time.Second,
			sent{path: "/oauth2/v1/token", body: "grant_type=password&username=mallory"},
			sent{path: "/oauth2/v1/token?username=mallory"},
			[]sent{
				{path: "/oauth2/v1/token", body: "grant_type=client_credentials"},
				{path: "/oauth2/default/v1/token", body: "grant_type=password&username=mallory"},
			},
		}, {
			oktatest.LimitPasscodes, 5, 5 * time.Minute,
			sent{path: "/api/v1/users/00u1/factors/opf1/verify", body: `{"passCode":"1"}`},
			sent{path: "/api/v1/users/00u1/factors/opf2/verify", body: `{"answer":"x"}`},
			[]sent{
				{path: "/api/v1/users/00u2/factors/opf1/verify", body: `{"passCode":"1"}`},
				{path: "/api/v1/users/00u1/factors/opf1/verify"}, // a push
				{path: "/api/v1/authn/factors/opf1/verify", body: `{"stateToken":"00s1","passCode":"1"}`},
			},
		}, {
			oktatest.LimitPasscodes, 5, 5 * time.Minute,
			sent{path: "/api/v1/authn/factors/opf1/verify", body: `{"stateToken":"00s1","passCode":"1"}`},
			sent{path: "/api/v1/authn/factors/opf2/verify", body: `{"stateToken":"00s1","passCode":"2"}`},
			[]sent{
				{path: "/api/v1/authn/factors/opf1/verify", body: `{"stateToken":"00s2","passCode":"1"}`},
				{path: "/api/v1/authn/factors/opf1/verify", body: `{"stateToken":"00s1"}`}, // a poll
			},
		}, {
			oktatest.LimitFactorActivations, 5, 5 * time.Minute,
			sent{path: "/api/v1/users/00u1/factors/opf1/lifecycle/activate", body: `{"passCode":"1"}`},
			sent{path: "/api/v1/users/00U1/factors/opf2/lifecycle/activate"},
			[]sent{{path: "/api/v1/users/00u2/factors/opf1/lifecycle/activate"}},
		}, {
			oktatest.LimitFactorResends, 5, 5 * time.Minute,
			sent{path: "/api/v1/users/00u1/factors/opf1/resend"},
			sent{path: "/api/v1/users/00u1/factors/opf2/resend"},
			[]sent{{path: "/api/v1/users/00u2/factors/opf1/resend"}},
		}, {
			oktatest.LimitPerIdentityEngineUser, 20, 5 * time.Second,
			sent{path: "/idp/idx/identify", body: `{"identifier":"mallory@example.com"}`},
			sent{path: "/idp/idx/identify", body: `{"identifier":"MALLORY@example.com","stateHandle":"02b"}`},
			[]sent{
				{path: "/idp/idx/identify", body: `{"identifier":"alice@example.com"}`},
				{path: "/idp/idx/introspect", body: `{"stateToken":"02a"}`},
				{path: "/idp/idx/challenge", header: []string{"Cookie", "sid=alice"}},
			},
		}, {
			oktatest.LimitPerIdentityEngineUser, 20, 5 * time.Second,
			sent{path: "/idp/idx/challenge", header: []string{"Cookie", "sid=mallory"}},
			sent{path: "/idp/idx/challenge/answer", header: []string{"Cookie", "DT=1; sid=mallory"}},
			[]sent{{path: "/idp/idx/challenge", header: []string{"Cookie", "sid=alice"}}},
		}, {
			oktatest.LimitPerStateToken, 10, 5 * time.Second,
			sent{path: "/idp/idx/identify", body: `{"stateHandle":"02a","identifier":"x"}`},
			sent{path: "/idp/idx/introspect", body: `{"stateToken":"02a"}`},
			[]sent{{path: "/idp/idx/identify", body: `{"stateHandle":"02b","identifier":"x"}`}},
		}, {
			oktatest.LimitPerSession, 40, 10 * time.Second,
			sent{method: "GET", path: "/api/v1/users/me", header: []string{"Cookie", "sid=102mallory"}},
			sent{method: "GET", path: "/api/v1/users/me", header: []string{"Cookie", "JSESSIONID=1; sid=102mallory; DT=2"}},
			[]sent{
				{method: "GET", path: "/api/v1/users/me", header: []string{"Cookie", "sid=102alice"}},
				{method: "GET", path: "/api/v1/users/me"},
				{method: "GET", path: "/api/v1/groups", header: []string{"Cookie", "sid=102mallory"}},
			},
		}, {
			oktatest.LimitPerClient, 60, time.Minute,
			sent{method: "GET", path: authorize, header: device("one")},
			sent{method: "GET", path: authorize, header: []string{"Cookie", "DT=one", "X-Forwarded-For", "198.51.100.7"}},
			[]sent{
				{method: "GET", path: authorize, header: device("two")},
				{method: "GET", path: authorize, header: []string{"X-Device-Token", "one", "X-Forwarded-For", "198.51.100.8"}},
				{method: "GET", path: authorize, header: []string{"X-Device-Token", "one"}},
				{method: "GET", path: strings.Replace(authorize, "0oa1", "0oa2", 1), header: device("one")},
				{method: "GET", path: "/oauth2/v1/keys", header: device("one")},
			},
		},
	} {
		t.Run(c.limit.Name+" at "+c.limited.path, func(t *testing.T) {
			virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
				for i := range c.max {
					s := c.limited
					if i == 1 {
						s = c.same
					}
					if a := s.to(t, rt); a.StatusCode == 429 {
						t.Fatalf("request %d of %d was refused", i+1, c.max)
					}
				}
				wantCode(t, c.limited.to(t, rt), 429, "E0000047")
				wantCode(t, c.same.to(t, rt), 429, "E0000047")
				for _, s := range c.others {
					if a := s.to(t, rt); a.StatusCode == 429 {
						t.Errorf("%s %s %s %s was refused, too", s.method, s.path, s.body, s.header)
					}
				}
				limit, remaining, reset, date := rates(t, c.limited.to(t, rt))
				if limit != c.max || remaining != 0 || reset.Sub(date) != c.window {
					t.Errorf("the refusal reports %d of %d, reset in %v", remaining, limit, reset.Sub(date))
				}
				time.Sleep(c.window - time.Nanosecond)
				wantStatus(t, c.limited.to(t, rt), 429)
				time.Sleep(time.Nanosecond)
				if a := c.limited.to(t, rt); a.StatusCode == 429 {
					t.Error("refused in the next window")
				}
				for _, name := range refusals(o) {
					if name != c.limit.Name {
						t.Errorf("refused by %q", name)
					}
				}
			}, oktatest.WithLimits(c.limit))
		})
	}
}

func TestPerUserRefusalsCanReportTheOrgsBucket(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		login := func(name string) answer {
			return do(t, rt, "POST", org+"/api/v1/authn", fmt.Sprintf(`{"username":%q}`, name))
		}
		for range 4 {
			login("mallory")
		}
		sees{429, 596, time.Minute}.check(t, login("mallory"))
		sees{400, 595, time.Minute}.check(t, login("alice"))
	}, oktatest.Enterprise(), oktatest.WithLimitHeaders(oktatest.HeadersOfBucket))
}

func TestHeadersAtAuthorizeAreTheClients(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		a := do(t, rt, "GET", org+"/oauth2/v1/authorize?client_id=0oa1", "")
		if limit, remaining, _, _ := rates(t, a); limit != 60 || remaining != 59 {
			t.Errorf("%d of %d left", remaining, limit)
		}
		atOnce(7, func(int) { do(t, rt, "GET", org+"/oauth2/v1/authorize?client_id=0oa1", "") })
		if got := refusals(o); !slices.Equal(got, []string{"calls of a client", "calls of a client"}) {
			t.Errorf("of 7 at once, refused by %q", got)
		}
		for _, r := range o.Requests() {
			if r.RefusedBy == "" && r.Status != 400 {
				t.Error(r.Status)
			}
		}
	}, oktatest.WithLimits(oktatest.LimitPerClient), oktatest.WithLatency(time.Second))
}

func TestTenTokenCallsAtOnce(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		atOnce(10, func(int) {
			a := do(t, rt, "POST", org+"/oauth2/v1/token?grant_type=client_credentials&client_secret=x", "")
			if a.StatusCode == 429 && (a.Header.Get("X-Rate-Limit-Limit") != "0" || a.Header.Get("X-Rate-Limit-Remaining") != "0") {
				t.Error(a.Header)
			}
		})
		if o.Answered(200) != 7 || o.RefusedBy("token calls in flight") != 3 {
			t.Errorf("%d tokens, refused by %q", o.Answered(200), refusals(o))
		}
	}, oktatest.WithLimits(oktatest.LimitTokenCalls), oktatest.WithLatency(400*time.Millisecond))
}

func TestOktasLimitsAreOffUnlessAskedFor(t *testing.T) {
	o := oktatest.New()
	for range 20 {
		wantStatus(t, do(t, o.Transport(), "POST", org+"/api/v1/authn", `{"username":"mallory"}`), 400)
	}
	names := map[string]bool{}
	for _, l := range oktatest.OktaLimits() {
		if names[l.Name] {
			t.Errorf("two limits are called %q", l.Name)
		}
		names[l.Name] = true
	}
}
