package oktatest_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

func TestOrgsHaveTheLimitsOfTheirPlan(t *testing.T) {
	for _, c := range []struct {
		method, path            string
		small, enterprise, none int
	}{
		{"GET", "/api/v1/users", 50, 600, 600},
		{"GET", "/api/v1/users?search=x", 50, 600, 600},
		{"POST", "/api/v1/users", 50, 600, 600},
		{"GET", "/api/v1/users/00u1", 50, 1000, 2000},
		{"DELETE", "/api/v1/users/00u1", 50, 600, 600},
		{"GET", "/api/v1/apps", 10, 100, 100},
		{"POST", "/api/v1/apps", 10, 100, 100},
		{"GET", "/api/v1/apps/0oa1", 50, 600, 500},
		{"PUT", "/api/v1/apps/0oa1", 50, 600, 500},
		{"GET", "/api/v1/agentPools", 10, 600, 1200},
		{"GET", "/api/v1/policies", 50, 600, 1200},
		{"GET", "/api/v1/domains", 50, 50, 1200},
		{"GET", "/api/v1/domains/OcD1", 50, 50, 1200},
		{"POST", "/api/v1/domains", 15, 15, 1200},
		{"POST", "/api/v1/domains/OcD1/verify", 15, 15, 1200},
		{"GET", "/api/v1/logs", 20, 50, 120},
		{"POST", "/oauth2/v1/token", 150, 1200, 2000},
		{"POST", "/api/v1/authn", 500, 600, 500},
	} {
		for name, o := range map[string]struct {
			opts []oktatest.Option
			want int
		}{
			"SmallOrg":   {[]oktatest.Option{oktatest.SmallOrg()}, c.small},
			"Enterprise": {[]oktatest.Option{oktatest.Enterprise()}, c.enterprise},
			"default":    {nil, c.none},
		} {
			a := do(t, oktatest.New(o.opts...).Transport(), c.method, org+c.path, "")
			if limit, remaining, _, _ := rates(t, a); limit != o.want || remaining != o.want-1 {
				t.Errorf("%s: %s %s: %d of %d left, want a limit of %d", name, c.method, c.path, remaining, limit, o.want)
			}
		}
	}
}

func TestOrgsCountApartWhatOktaCountsApart(t *testing.T) {
	for _, plan := range []oktatest.Option{oktatest.SmallOrg(), oktatest.Enterprise()} {
		virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
			for _, pair := range [][2]sent{
				{{method: "GET", path: "/api/v1/users"}, {method: "GET", path: "/api/v1/users?search=x"}},
				{{method: "GET", path: "/api/v1/apps/0oa1"}, {method: "PUT", path: "/api/v1/apps/0oa1"}},
			} {
				limit, _, _, _ := rates(t, pair[0].to(t, rt))
				for _, s := range pair {
					if got, remaining, _, _ := rates(t, s.to(t, rt)); remaining < got-2 || got != limit {
						t.Errorf("%s %s: %d of %d left", s.method, s.path, remaining, got)
					}
				}
			}
		}, plan)
	}
}

func TestOrgsHaveTheLimitsThatOnlyRecordingsTell(t *testing.T) {
	for _, plan := range []oktatest.Option{oktatest.SmallOrg(), oktatest.Enterprise()} {
		rt := oktatest.New(plan).Transport()
		for path, want := range map[string]int{"/attack-protection/api/v1/user-lockout-settings": 500, "/integrations/api/v1/api-services": 1000} {
			if limit, _, _, _ := rates(t, do(t, rt, "GET", org+path, "")); limit != want {
				t.Errorf("%s: limit %d, want %d", path, limit, want)
			}
		}
	}
}

func TestOrgsAcceptBurstsOfLogins(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		for range 1500 {
			wantStatus(t, do(t, rt, "POST", org+"/api/v1/authn", "{}"), 400)
		}
		sees{429, 0, time.Minute}.check(t, do(t, rt, "POST", org+"/api/v1/authn", "{}"))
		time.Sleep(time.Minute)
		sees{400, 299, time.Minute}.check(t, do(t, rt, "POST", org+"/api/v1/authn", "{}"))
		for range 50 { // other buckets take none
			do(t, rt, "GET", org+"/api/v1/groups", "")
		}
		sees{429, 0, time.Minute}.check(t, do(t, rt, "GET", org+"/api/v1/groups", ""))
	}, oktatest.SmallOrg(), oktatest.WithLimit("/api/v1/authn", 300), oktatest.WithJournal(0))
}

func TestOrgsLimitConcurrencyAndUsers(t *testing.T) {
	for limit, plan := range map[int]oktatest.Option{35: oktatest.SmallOrg(), 75: oktatest.Enterprise()} {
		virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
			atOnce(80, func(int) { do(t, rt, "POST", org+"/api/v1/authn", "{}") })
			if n := o.RefusedBy(oktatest.Concurrency); n != 80-limit {
				t.Errorf("%d of 80 refused, want %d", n, 80-limit)
			}
			for range 5 {
				do(t, rt, "POST", org+"/api/v1/authn", `{"username":"mallory"}`)
			}
			if n := o.RefusedBy(oktatest.LimitPerUserName.Name); n != 1 {
				t.Errorf("%d logins of one name refused, want 1", n)
			}
		}, plan, oktatest.WithLatency(100*time.Millisecond))
	}
}

func TestOptionsRefineAnOrg(t *testing.T) {
	twoLogins := oktatest.LimitPerUserName
	twoLogins.Max = 2
	refining := []oktatest.Option{
		oktatest.WithLimit("GET /api/v1/users", 3), oktatest.WithConcurrencyLimit(2),
		oktatest.WithLimits(twoLogins), oktatest.WithBurst(1, "/api/v1/authn"),
	}
	for _, opts := range [][]oktatest.Option{
		append([]oktatest.Option{oktatest.SmallOrg()}, refining...),
		append(slices.Clone(refining), oktatest.SmallOrg()),
		append(slices.Clone(refining), oktatest.SmallOrg(), oktatest.WithoutLimits()),
	} {
		virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
			a := do(t, rt, "GET", org+"/api/v1/users", "")
			if limit, _, _, _ := rates(t, a); limit != 3 {
				t.Errorf("limit %d", limit)
			}
			atOnce(3, func(int) { do(t, rt, "POST", org+"/api/v1/authn", "{}") })
			for range 3 {
				do(t, rt, "POST", org+"/api/v1/authn", `{"username":"mallory"}`)
			}
			if o.RefusedBy(oktatest.Concurrency) != 1 || o.RefusedBy(twoLogins.Name) != 1 {
				t.Errorf("refused by %q", refusals(o))
			}
		}, append(opts, oktatest.WithLatency(time.Millisecond))...)
	}

	o := oktatest.New(oktatest.SmallOrg(), oktatest.WithoutLimits())
	for range 60 {
		a := do(t, o.Transport(), "POST", org+"/api/v1/authn", `{"username":"mallory"}`)
		if a.StatusCode != 400 || a.Header.Get("X-Rate-Limit-Limit") != "" {
			t.Fatal(a.Status, a.Header)
		}
	}
}
