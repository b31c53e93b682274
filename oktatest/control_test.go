// This file tests package control: it is here because each test binary more takes its time to link.

package oktatest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktatest/control"
)

// controlled is a fake with a control API, called in memory.
type controlled struct {
	t *testing.T
	*control.Handler
	remote string
}

func newOrg(t *testing.T, opts ...oktatest.Option) *controlled {
	return &controlled{t, control.New(func() *oktatest.Okta { return oktatest.New(opts...) }), "127.0.0.1:1234"}
}

// do sends a request, and returns its status and body.
func (o *controlled) do(method, target, body string) (int, string) {
	o.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr, r.Host = o.remote, "127.0.0.1:8090"
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		o.t.Fatal(err)
	}
	return w.Code, string(text)
}

// must sends a request that has to succeed, and puts its answer into v, if that is not nil.
func (o *controlled) must(method, target, body string, v any) {
	o.t.Helper()
	status, text := o.do(method, target, body)
	if status != http.StatusOK {
		o.t.Fatalf("%s %s: %d %s", method, target, status, text)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(text), v); err != nil {
			o.t.Fatalf("%s %s: %v in %s", method, target, err, text)
		}
	}
}

// statuses are those of so many GETs of a path.
func (o *controlled) statuses(n int, path string) string {
	var all []string
	for range n {
		status, _ := o.do("GET", path, "")
		all = append(all, fmt.Sprint(status))
	}
	return strings.Join(all, " ")
}

func TestScriptsAnswerTheNextRequests(t *testing.T) {
	o := newOrg(t, oktatest.WithUsers(1))
	var laid struct{ Left int }
	o.must("POST", "/_oktatest/scripts", `{"pattern": "GET /api/v1/users", "steps": [
		{"code": "E0000009"}, {"edgePage": 503}, {"rateLimited": "2s"}, {"pass": true}, {"concurrencyLimited": true},
		{"status": 418, "times": 2}, {"oauthError": "invalid_client", "status": 401}, {"challenge": "DPoP", "oauthError": "use_dpop_nonce"},
		{"code": "E0000007", "status": 410, "summary": "gone", "headers": {"X-Mine": "1"}}]}`, &laid)
	if laid.Left != 10 {
		t.Errorf("%d left, want 10", laid.Left)
	}
	if got, want := o.statuses(10, "/api/v1/users"), "500 503 429 200 429 418 418 401 401 410"; got != want {
		t.Errorf("answers %s, want %s", got, want)
	}
	var list struct {
		Scripts []struct {
			Pattern string
			Left    int
		}
	}
	if o.must("GET", "/_oktatest/scripts", "", &list); len(list.Scripts) != 1 || list.Scripts[0].Left != 0 || list.Scripts[0].Pattern != "GET /api/v1/users" {
		t.Errorf("scripts %+v", list)
	}
	o.must("POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{"status": 500, "always": true}]}`, nil)
	if got := o.statuses(2, "/api/v1/groups"); got != "500 500" {
		t.Errorf("answers %s", got)
	}
	o.must("DELETE", "/_oktatest/scripts", "", nil)
	if got := o.statuses(1, "/api/v1/groups"); got != "200" {
		t.Errorf("answers %s after the scripts are dropped", got)
	}
}

func TestControlCallsAreNoCallsOfOktas(t *testing.T) {
	o := newOrg(t, oktatest.WithUsers(1), oktatest.RequireAuth("SSWS secret"), oktatest.WithDay(oktatest.EdgeOutage(time.Hour)))
	o.must("POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{"fault": "hang"}]}`, nil)
	for _, path := range []string{"", "health", "scripts", "days", "limits", "journal", "unserved", "clock"} {
		o.must("GET", control.Prefix+path, "", nil)
	}
	if n := o.Okta().Arrived(); n != 0 {
		t.Errorf("%d requests in the journal", n)
	}
}

func TestDaysBeginAndEndByName(t *testing.T) {
	o := newOrg(t)
	var days struct {
		Days []struct{ Name, About string }
		On   []string
	}
	o.must("POST", "/_oktatest/days/edge-outage", `{"on": ["GET /api/v1/users"], "for": "1h"}`, nil)
	o.must("POST", "/_oktatest/days/read-only", "", nil)
	o.must("GET", "/_oktatest/days", "", &days)
	if len(days.Days) != len(oktatest.DayNames()) || !slices.Equal(days.On, []string{"edge-outage", "read-only"}) || days.Days[0].About == "" {
		t.Errorf("days %+v", days)
	}
	if got := o.statuses(1, "/api/v1/users") + " " + o.statuses(1, "/api/v1/groups"); got != "503 200" {
		t.Errorf("answers %s, want 503 of the outage and 200 beside it", got)
	}
	var ended struct{ Ended int }
	if o.must("DELETE", "/_oktatest/days/edge-outage", "", &ended); ended.Ended != 1 {
		t.Errorf("%+v", ended)
	}
	if got := o.statuses(1, "/api/v1/users"); got != "200" {
		t.Errorf("answers %s after the outage", got)
	}
	if o.must("DELETE", "/_oktatest/days", "", &ended); ended.Ended != 1 {
		t.Errorf("%+v", ended)
	}
	o.must("POST", "/_oktatest/days/edge-outage", `{"every": 3, "from": "0s", "for": "1h"}`, nil)
	if got := o.statuses(6, "/api/v1/users"); got != "200 200 503 200 200 503" {
		t.Errorf("answers %s, want each third to be a 503", got)
	}
	o.must("DELETE", "/_oktatest/days", "", nil)
	o.must("POST", "/_oktatest/days/edge-outage", `{"fromFirst": "1h"}`, nil)
	if got := o.statuses(2, "/api/v1/users"); got != "200 200" {
		t.Errorf("answers %s in the hour before the outage", got)
	}
}

func TestLimitsAreReadSetAndTaken(t *testing.T) {
	o := newOrg(t)
	var limits struct {
		Limits []struct {
			Name        string
			Limit, Used int
			Reset       *time.Time
		}
	}
	var taken struct{ Taken map[string]int }
	o.must("PUT", "/_oktatest/limits", `{"GET /api/v1/users": 3, "GET /api/v1/groups": 5}`, nil)
	o.must("POST", "/_oktatest/limits/taken", `{"GET /api/v1/users": 2, "GET /api/v1/groups": 9}`, &taken)
	if taken.Taken["GET /api/v1/users"] != 2 || taken.Taken["GET /api/v1/groups"] != 5 {
		t.Errorf("taken %v", taken)
	}
	if got := o.statuses(2, "/api/v1/users"); got != "200 429" {
		t.Errorf("answers %s", got)
	}
	o.must("GET", "/_oktatest/limits", "", &limits)
	for _, l := range limits.Limits {
		if l.Limit == 3 && l.Used == 3 && l.Reset != nil {
			return
		}
	}
	t.Errorf("no bucket of 3 of which 3 are used: %+v", limits)
}

func TestTheClockCanBeSetAndAdvanced(t *testing.T) {
	o := newOrg(t, oktatest.WithLimit("GET /api/v1/users", 1))
	if got := o.statuses(2, "/api/v1/users"); got != "200 429" {
		t.Errorf("answers %s", got)
	}
	var clock struct{ Skew string }
	if o.must("POST", "/_oktatest/clock", `{"advance": "61s"}`, &clock); clock.Skew != "1m1s" {
		t.Errorf("clock %+v", clock)
	}
	if got := o.statuses(1, "/api/v1/users"); got != "200" {
		t.Errorf("answers %s in the next window", got)
	}
	o.must("PUT", "/_oktatest/clock", `{"skew": "-5m"}`, nil)
	if o.must("GET", "/_oktatest/clock", "", &clock); clock.Skew != "-5m0s" {
		t.Errorf("clock %+v", clock)
	}
}

func TestTheJournalIsReadByPatternAndStatusAndForgotten(t *testing.T) {
	o := newOrg(t)
	o.statuses(2, "/api/v1/users?limit=2")
	o.do("POST", "/api/v1/groups", `{"profile": {"name": "a"}}`)
	o.do("POST", "/api/v1/groups", `{"profile": {"name": "a"}}`)
	var j struct {
		Arrived  int
		Requests []struct {
			Method, Path, Query, Body, RequestID string
			Status                               int
		}
	}
	if o.must("GET", "/_oktatest/journal", "", &j); j.Arrived != 4 || len(j.Requests) != 4 || j.Requests[0].Query != "limit=2" || j.Requests[0].RequestID == "" {
		t.Errorf("journal %+v", j)
	}
	if o.must("GET", "/_oktatest/journal?pattern=POST+/api/v1/groups&status=400", "", &j); len(j.Requests) != 1 || j.Requests[0].Body != `{"profile": {"name": "a"}}` {
		t.Errorf("journal %+v", j)
	}
	if o.must("GET", "/_oktatest/journal?last=1", "", &j); len(j.Requests) != 1 || j.Requests[0].Status != 400 {
		t.Errorf("journal %+v", j)
	}
	o.must("DELETE", "/_oktatest/journal", "", nil)
	if o.must("GET", "/_oktatest/journal", "", &j); j.Arrived != 0 || len(j.Requests) != 0 {
		t.Errorf("journal %+v", j)
	}
}

func TestResetGoesBackToTheBeginning(t *testing.T) {
	seed, err := oktatest.ParseSeed([]byte(`{"users": [{"login": "ann@example.com"}], "limits": {"GET /api/v1/users": 7}}`))
	if err != nil {
		t.Fatal(err)
	}
	o := newOrg(t, oktatest.WithSeed(seed))
	o.must("POST", "/_oktatest/seed", `{"users": [{"login": "ben@example.com"}], "groups": [{"name": "staff", "members": ["ann@example.com"]}]}`, nil)
	o.must("PUT", "/_oktatest/limits", `{"GET /api/v1/users": 1}`, nil)
	o.must("PUT", "/_oktatest/clock", `{"skew": "5m"}`, nil)
	o.must("POST", "/_oktatest/days/edge-outage", "", nil)
	o.must("POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{"status": 500, "always": true}]}`, nil)
	o.statuses(3, "/api/v1/users")
	var health struct{ Users, Arrived int }
	if o.must("GET", "/_oktatest/health", "", &health); health.Users != 2 || health.Arrived != 3 {
		t.Errorf("before the reset: %+v", health)
	}
	o.must("POST", "/_oktatest/reset", "", nil)
	if o.must("GET", "/_oktatest/health", "", &health); health.Users != 1 || health.Arrived != 0 {
		t.Errorf("after the reset: %+v", health)
	}
	status, text := o.do("GET", "/_oktatest/scripts", "")
	if status != 200 || strings.Contains(text, "pattern") {
		t.Errorf("scripts after the reset: %s", text)
	}
	if got := o.statuses(8, "/api/v1/users"); got != "200 200 200 200 200 200 200 429" {
		t.Errorf("answers %s, want the seed's limit of 7", got)
	}
	if skew := o.Okta().ClockSkew(); skew != 0 {
		t.Errorf("the clock is %s ahead", skew)
	}
}

func TestUnservedEndpointsAreListed(t *testing.T) {
	o := newOrg(t)
	o.statuses(2, "/api/v1/no-such-thing")
	var u struct {
		Unserved []struct {
			Method, Path string
			Count        int
		}
	}
	if o.must("GET", "/_oktatest/unserved", "", &u); len(u.Unserved) != 1 || u.Unserved[0].Count != 2 || u.Unserved[0].Path != "/api/v1/no-such-thing" {
		t.Errorf("unserved %+v", u)
	}
}

func TestLagIsSetAndEnded(t *testing.T) {
	o := newOrg(t)
	found := func() bool {
		_, text := o.do("GET", "/api/v1/groups?q=new", "")
		return strings.Contains(text, "new")
	}
	o.must("PUT", "/_oktatest/lag", `{"seed": 1, "reads": [{"patterns": ["GET /api/v1/groups"], "chance": 1, "upTo": "100h"}]}`, nil)
	if status, text := o.do("POST", "/api/v1/groups", `{"profile": {"name": "new", "description": ""}}`); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if found() {
		t.Error("the search is not late")
	}
	if o.must("DELETE", "/_oktatest/lag", "", nil); !found() {
		t.Error("the search is still late")
	}
}

func TestAssertionsReportWhatTheyFind(t *testing.T) {
	o := newOrg(t)
	var found map[string][]string
	o.must("GET", "/_oktatest/assertions?peak=1", "", &found)
	if len(found) != 4 {
		t.Errorf("%d assertions: %v", len(found), found)
	}
	for name, said := range found {
		if said == nil || len(said) > 0 {
			t.Errorf("%s finds %q where nothing has arrived", name, said)
		}
	}
	o.must("POST", "/_oktatest/scripts", `{"pattern": "POST /api/v1/groups", "steps": [{"pass": true, "cutBody": true}, {"rateLimited": "5s"}]}`, nil)
	for range 2 {
		o.create("twice")
	}
	o.must("GET", "/_oktatest/assertions", "", &found)
	if len(found["noDuplicateCreates"]) == 0 || len(found["no429s"]) == 0 {
		t.Errorf("found %v", found)
	}
}

// create creates a group over a connection that may break.
func (o *controlled) create(name string) {
	defer func() { recover() }() // http.ErrAbortHandler
	o.do("POST", "/api/v1/groups", `{"profile": {"name": "`+name+`", "description": ""}}`)
}

func TestServerClosesWithRequestsThatHang(t *testing.T) {
	hung := make(chan error, 1)
	t.Run("test", func(t *testing.T) {
		s := control.NewServer(t, oktatest.WithUsers(1))
		resp, err := http.Post(s.URL+control.Prefix+"scripts", "", strings.NewReader(`{"pattern": "*", "steps": [{"fault": "hang"}]}`))
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		resp.Body.Close()
		go func() {
			resp, err := http.Get(s.URL + "/api/v1/users")
			if err == nil {
				resp.Body.Close()
			}
			hung <- err
		}()
		for s.Okta().Arrived() == 0 {
			time.Sleep(time.Millisecond)
		}
	})
	if err := <-hung; err == nil {
		t.Error("the request that hangs was answered")
	}
}

func TestFactorsAndLatencyAreSet(t *testing.T) {
	o := newOrg(t, oktatest.WithUsers(1))
	o.must("PUT", "/_oktatest/factors", `{"result": "REJECTED", "polls": 0}`, nil)
	o.must("PUT", "/_oktatest/latency", `{"latency": "1ms"}`, nil)
	var verified struct {
		Links struct{ Poll struct{ Href string } } `json:"_links"`
	}
	status, text := o.do("POST", "/api/v1/users/me/factors/opf1/verify", "")
	if err := json.Unmarshal([]byte(text), &verified); err != nil || status != 201 {
		t.Fatalf("%d %s", status, text)
	}
	if _, text := o.do("GET", verified.Links.Poll.Href, ""); !strings.Contains(text, "REJECTED") {
		t.Errorf("the poll gets %s", text)
	}
}

func TestMistakesAreRefusedAtTheirPlace(t *testing.T) {
	o := newOrg(t)
	o.must("PUT", "/_oktatest/clock", `{"skew": "1h"}`, nil)
	for _, c := range []struct {
		method, target, body string
		path, problem        string
		column               int
	}{
		{"POST", "/_oktatest/scripts", `{"pattern": "*", "step": []}`, "step", "is unknown, want one of pattern, steps", 18},
		{"POST", "/_oktatest/scripts", `{"pattern": "*"`, "pattern", "is no JSON: unexpected end of the text", 16},
		{"POST", "/_oktatest/scripts", `{"steps": []}`, "pattern", "is missing", 1},
		{"POST", "/_oktatest/scripts", `{"pattern": "*"}`, "steps", "are missing", 1},
		{"POST", "/_oktatest/scripts", `{"pattern": "users", "steps": [{"pass": true}]}`, "", "must begin with a slash", 1},
		{"POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{}]}`, "steps.0", "wants one of pass, code, ", 28},
		{"POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{"pass": true, "edgePage": 503}]}`, "steps.0", "wants one of pass, code, ", 28},
		{"POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{"fault": "flood"}]}`, "steps.0", `has the fault "flood", want one of eof, eof-mid-body, eof-mid-headers, hang, refused, reset, reset-mid-body`, 28},
		{"POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{"pass": true, "body": "x"}]}`, "steps.0", "has members that only an answer can have", 28},
		{"POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{"code": "E9999999"}]}`, "", "Okta has no such code", 1},
		{"POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{"rateLimited": 2}]}`, "steps.0.rateLimited", `is 2, want a duration such as "30s"`, 44},
		{"POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{"status": 500, "times": 2, "always": true}]}`, "steps.0", "has times and always", 28},
		{"POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{"challenge": "DPoP"}]}`, "steps.0", "has a challenge, which wants an oauthError", 28},
		{"POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{"status": 500, "delay": "-1s"}]}`, "steps.0", "has delay below 0", 28},
		{"POST", "/_oktatest/scripts", `{"pattern": "*", "steps": [{"rateLimited": "-1s"}]}`, "steps.0", "has rateLimited below 0", 28},
		{"POST", "/_oktatest/days/monday", ``, "", "names no day: want one of ", 1},
		{"POST", "/_oktatest/days/edge-outage", `{"chance": 2}`, "", "must lie in [0, 1]", 1},
		{"POST", "/_oktatest/days/edge-outage", `{"chance": -1}`, "", "must lie in [0, 1]", 1},
		{"POST", "/_oktatest/limits/taken", `{"GET /api/v1/users": -9}`, "[\"GET /api/v1/users\"]", "is below 0", 23},
		{"PUT", "/_oktatest/factors", `{"result": "REJECTED", "polls": -2}`, "polls", "is below 0", 33},
		{"POST", "/_oktatest/clock", `{"advance": "2562047h"}`, "advance", "is too far ahead", 13},
		{"GET", "/_oktatest/journal?last=-1", "", "last", "is below 0", 0},
		{"PUT", "/_oktatest/limits", `{"GET /nowhere/at/all": 1}`, "[\"GET /nowhere/at/all\"]", "names no limit", 25},
		{"PUT", "/_oktatest/lag", `{"reads": [{"patterns": ["GET /api/v1/apps"], "chance": 1}]}`, "", "is no list that can be late", 1},
		{"PUT", "/_oktatest/lag", `{"reads": [{"pattern": []}]}`, "reads.0.pattern", "is unknown", 13},
		{"GET", "/_oktatest/assertions?peak=x", "", "peak", "is no whole number", 0},
		{"PUT", "/_oktatest/latency", `{}`, "latency", "is missing or below 0", 1},
		{"PUT", "/_oktatest/factors", `{"result": "YES"}`, "result", "is missing or unknown, want one of SUCCESS", 12},
		{"PUT", "/_oktatest/clock", `{}`, "skew", "is missing", 1},
		{"POST", "/_oktatest/clock", `{"advance": "-1s"}`, "advance", "is missing or not above 0", 13},
		{"POST", "/_oktatest/seed", `{"users": [{"login": "a@b.c", "status": "HAPPY"}]}`, "users.0.status", `is "HAPPY"`, 0},
		{"POST", "/_oktatest/seed", `{"user": []}`, "user", "is unknown", 2},
		{"GET", "/_oktatest/journal?since=1", "", "since", "is unknown, want pattern, status or last", 0},
		{"GET", "/_oktatest/journal?last=x", "", "last", "is no whole number", 0},
		{"GET", "/_oktatest/journal?pattern=x", "", "pattern", "must begin with a slash", 0},
	} {
		status, text := o.do(c.method, c.target, c.body)
		var got struct {
			Problems []struct {
				Path, Problem string
				Column        int
			}
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil || status != http.StatusBadRequest || len(got.Problems) != 1 {
			t.Errorf("%s %s %s: %d %s", c.method, c.target, c.body, status, text)
			continue
		}
		if p := got.Problems[0]; p.Path != c.path || !strings.Contains(p.Problem, c.problem) || p.Column != c.column {
			t.Errorf("%s %s %s: got %+v", c.method, c.target, c.body, p)
		}
	}
}

func TestOtherMachinesAreLetInOnRequestOnly(t *testing.T) {
	o := newOrg(t)
	o.remote = "192.0.2.1:1234"
	if status, text := o.do("GET", "/_oktatest/health", ""); status != http.StatusForbidden || !strings.Contains(text, "--control anywhere") {
		t.Errorf("%d %s", status, text)
	}
	if status, _ := o.do("GET", "/api/v1/users", ""); status != http.StatusOK {
		t.Errorf("the fake itself is refused: %d", status)
	}
	open := &controlled{t, control.New(func() *oktatest.Okta { return oktatest.New() }, control.FromAnywhere()), o.remote}
	open.must("GET", "/_oktatest/health", "", nil)
}

// A page in a browser on the same machine comes over the loopback interface, too.
func TestPagesOfOtherHostsAreKeptOut(t *testing.T) {
	fake := func() *oktatest.Okta { return oktatest.New() }
	local, open := control.New(fake), control.New(fake, control.FromAnywhere())
	for _, c := range []struct {
		host, origin  string
		local, opened int
	}{
		{"127.0.0.1:8090", "", 200, 200},
		{"localhost:8090", "", 200, 200},
		{"okta.localhost", "", 200, 200},
		{"[::1]:8090", "", 200, 200},
		{"evil.example:8090", "", 403, 200}, // a name that its owner leads here
		{"127.0.0.1.evil.example", "", 403, 200},
		{"localhost:8090", "http://localhost:3000", 200, 200},
		{"fake:8090", "http://fake:8090", 403, 200},
		{"127.0.0.1:8090", "https://evil.example", 403, 403},
		{"127.0.0.1:8090", "null", 403, 403},
	} {
		for handler, want := range map[*control.Handler]int{local: c.local, open: c.opened} {
			r := httptest.NewRequest("POST", "/_oktatest/reset", nil)
			r.RemoteAddr, r.Host = "127.0.0.1:1234", c.host
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("host %s, origin %s, open %t: %d, want %d", c.host, c.origin, handler == open, w.Code, want)
			}
		}
	}
}

func TestTheListOfRoutesIsThePackageComments(t *testing.T) {
	o := newOrg(t)
	var list struct {
		Routes []struct{ Method, Path, About string }
	}
	o.must("GET", "/_oktatest/", "", &list)
	source, err := os.ReadFile("control/control.go")
	if err != nil {
		t.Fatal(err)
	}
	var documented, served []string
	for line := range strings.Lines(string(source)) {
		if fields := strings.Fields(strings.TrimPrefix(line, "//")); len(fields) > 2 && strings.HasPrefix(fields[1], control.Prefix) {
			documented = append(documented, strings.Join(fields, " "))
		}
	}
	for _, r := range list.Routes {
		served = append(served, r.Method+" "+r.Path+" "+r.About)
	}
	if !slices.Equal(documented, served) {
		t.Errorf("documented:\n%s\nserved:\n%s", strings.Join(documented, "\n"), strings.Join(served, "\n"))
	}
}

func TestWhatIsNotThereIsSaidInJSON(t *testing.T) {
	o := newOrg(t)
	for target, want := range map[string]int{"/_oktatest/nothing": 404, "/_oktatest/health": 405} {
		status, text := o.do("DELETE", target, "")
		if status != want || !strings.Contains(text, "there is no DELETE "+target+" here: GET /_oktatest/ lists what there is") || !json.Valid([]byte(text)) {
			t.Errorf("DELETE %s: %d %s", target, status, text)
		}
	}
}

func TestPasscodesAreThoseOfTheUser(t *testing.T) {
	o := newOrg(t, oktatest.WithUsers(1))
	var factor struct{ ID string }
	_, text := o.do("POST", "/api/v1/users/me/factors?activate=true", `{"factorType":"sms","profile":{"phoneNumber":"+1-555-415-1337"}}`)
	if err := json.Unmarshal([]byte(text), &factor); err != nil || factor.ID == "" {
		t.Fatal(text)
	}
	at := "/_oktatest/passcode?user=user00000@example.com&factor=" + factor.ID
	if status, text := o.do("GET", at, ""); status != 400 || !strings.Contains(text, "nothing to type") {
		t.Errorf("before one is sent: %d %s", status, text)
	}
	verify := "/api/v1/users/me/factors/" + factor.ID + "/verify"
	o.must("POST", verify, "", nil)
	var typed struct{ PassCode string }
	o.must("GET", at, "", &typed)
	o.must("POST", verify, `{"passCode":"`+typed.PassCode+`"}`, nil)
}
