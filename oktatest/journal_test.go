package oktatest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

func TestJournalKeepsWhatArrived(t *testing.T) {
	everywhere(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string) {
		before := time.Now()
		a := do(t, rt, "POST", base+"/api/v1/users?activate=true&x=%20", "0123456789", "Marked", "yes")
		rs := o.Requests()
		if len(rs) != 1 {
			t.Fatal(len(rs))
		}
		r := rs[0]
		if r.Method != "POST" || r.Path != "/api/v1/users" || r.RawQuery != "activate=true&x=%20" || !strings.HasSuffix(base, r.Host) ||
			string(r.Body) != "01234567" || r.BodySize != 10 || r.BodyErr != nil || r.Header.Get("Marked") != "yes" ||
			r.Status != 400 || r.RequestID != a.Header.Get("X-Okta-Request-Id") || r.Bucket != "/api/v1/users" ||
			r.Time.Before(before) || r.Time.After(time.Now()) {
			t.Errorf("%+v", r)
		}
		o.Forget()
		if len(o.Requests()) != 0 || o.Arrived() != 0 || o.Answered(400) != 0 {
			t.Error("Forget forgot to forget")
		}
	}, oktatest.WithBodyLimit(8), oktatest.WithClockSkew(time.Hour))
}

func TestJournalIsBounded(t *testing.T) {
	o := oktatest.New(oktatest.WithJournal(3))
	for i := range 5 {
		do(t, o.Transport(), "GET", fmt.Sprintf("%s/%d", org, i), "")
	}
	var paths []string
	for _, r := range o.Requests() {
		paths = append(paths, r.Path)
	}
	if got := strings.Join(paths, " "); got != "/2 /3 /4" || o.Arrived() != 5 || o.Answered(404) != 5 {
		t.Errorf("%s, %d arrived", got, o.Arrived())
	}
}

func TestJournalShowsRequestsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLatency(time.Second))
		var wg sync.WaitGroup
		wg.Go(func() { do(t, o.Transport(), "GET", org, "") })
		synctest.Wait()
		if rs := o.Requests(); len(rs) != 1 || rs[0].Status != 0 {
			t.Errorf("%+v", rs)
		}
		wg.Wait()
		if rs := o.Requests(); rs[0].Status != 404 {
			t.Errorf("%+v", rs)
		}
	})
}

// A hundred goroutines at once; the race detector and the counts are the test.
func TestOktaIsSafeForConcurrentUse(t *testing.T) {
	everywhere(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string) {
		o.Script("GET /api/v1/users", oktatest.Times(40, oktatest.Code("E0000009")))
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				login := fmt.Sprintf("u%d@x", i)
				wantStatus(t, do(t, rt, "POST", base+"/api/v1/users", fmt.Sprintf(`{"profile":{"login":%q,"email":"x"}}`, login)), 200)
				do(t, rt, "GET", base+"/api/v1/users?limit=2", "")
				wantStatus(t, do(t, rt, "POST", base+"/api/v1/users/"+login, `{"profile":{"nickName":"n"}}`), 200)
				do(t, rt, "PUT", base+"/api/v1/groups/"+o.GroupIDs()[0]+"/users/"+login, "")
				do(t, rt, "GET", base+"/api/v1/groups/"+o.GroupIDs()[0]+"/users?limit=2", "")
				if i%20 == 0 {
					useMechanisms(t, o, rt, base, login)
				}
				o.Count("POST /api/v1/users")
				o.Consume("/api/v1/logs", 1)
			})
		}
		wg.Wait()
		ids := map[string]bool{}
		for _, r := range o.Requests() {
			ids[r.RequestID] = true
		}
		if len(o.UserIDs()) != 100 || o.Answered(500) != 40 || len(ids) != o.Arrived() {
			t.Errorf("%d users, %d scripted, %d request ids", len(o.UserIDs()), o.Answered(500), len(ids))
		}
	}, oktatest.WithGroups(1), oktatest.WithoutLimits(), oktatest.WithRuleLock(0), oktatest.WithLag(1))
}

// useMechanisms has group rules, factors and the system log take part.
func useMechanisms(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base, login string) {
	a := do(t, rt, "POST", base+"/api/v1/groups/rules", ruleBody(login, `user.nickName=="n"`, o.GroupIDs()[0]))
	if a.StatusCode == http.StatusOK {
		do(t, rt, "POST", base+"/api/v1/groups/rules/"+a.json(t)["id"].(string)+"/lifecycle/activate", "")
	}
	do(t, rt, "POST", base+"/api/v1/users/"+login+"/factors", `{"factorType":"push"}`)
	do(t, rt, "GET", base+"/api/v1/logs?q="+login, "")
}

func TestTLSServerIsOfAnUnknownAuthority(t *testing.T) {
	srv := oktatest.NewTLSServer(t, oktatest.WithUsers(3))
	if _, err := http.DefaultTransport.(*http.Transport).Clone().RoundTrip(mustRequest(t, srv.URL)); err == nil {
		t.Error("a stranger trusts the certificate")
	}
	if got := pages(t, srv.Client().Transport, srv.URL+"/api/v1/users?limit=2"); len(got) != 2 {
		t.Error(got)
	}
	srv.Script("*", oktatest.Reset)
	if _, err := try(t, srv.Client().Transport, "POST", srv.URL+"/api/v1/users", "{}"); err == nil {
		t.Error("a reset was answered")
	}
}

func mustRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}
