// This file tests what the handler answers, and what it never shows. How the page looks
// in a browser is tested in examples/debug.

package debug_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/debug"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
)

// get returns what a handler answers.
func get(t *testing.T, h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	return ask(t, h, http.MethodGet, target, header...)
}

func ask(t *testing.T, h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// send makes a call as a program does, with a credential, and forgets its answer.
func send(t *testing.T, rt http.RoundTripper, ctx context.Context, method, target, token string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	if resp, err := rt.RoundTrip(req); err == nil {
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

func TestHandlerAnswersInTheFormThatIsAskedFor(t *testing.T) {
	rt, _ := rig.New(t, nil)
	h := debug.Handler(rt)
	for _, tt := range []struct {
		target, accept string
		json           bool
	}{
		{"/debug/oktaretry", "", false},
		{"/debug/oktaretry", "*/*", false},
		{"/debug/oktaretry", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false},
		{"/debug/oktaretry", "application/json", true},
		{"/debug/oktaretry", "Application/JSON; charset=utf-8, */*;q=0.1", true},
		{"/debug/oktaretry", "text/html, application/json;q=0.9", false},
		{"/debug/oktaretry", "text/html;q=0.5, application/json;q=0.9", true},
		{"/debug/oktaretry", "application/json;q=nonsense", false},
		{"/debug/oktaretry?format=json", "text/html", true},
		{"/debug/oktaretry.json", "text/html", true},
		{"/debug/oktaretry.json?format=html", "application/json", false},
	} {
		w := get(t, h, tt.target, "Accept", tt.accept)
		want := "text/html; charset=utf-8"
		if tt.json {
			want = "application/json; charset=utf-8"
		}
		if got := w.Header().Get("Content-Type"); w.Code != http.StatusOK || got != want {
			t.Errorf("%s, Accept %q: %d %s, want %s", tt.target, tt.accept, w.Code, got, want)
		}
		if tt.json != json.Valid(w.Body.Bytes()) {
			t.Errorf("%s, Accept %q: JSON: %t", tt.target, tt.accept, !tt.json)
		}
	}
}

func TestHandlerRefusesWhatItDoesNotKnow(t *testing.T) {
	rt, _ := rig.New(t, nil)
	h := debug.Handler(rt)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
		if w := ask(t, h, method, "/"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
	for _, query := range []string{"format=xml", "refresh=-1", "refresh=soon", "refresh=3601", "rows=0", "rows=10001", "rows=<script>"} {
		if w := get(t, h, "/?"+query); w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), "script") {
			t.Errorf("%s: %d %s", query, w.Code, w.Body)
		}
	}
	w := ask(t, h, http.MethodHead, "/")
	if w.Code != http.StatusOK || w.Body.Len() > 0 || w.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d with %d bytes, Content-Length %s", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestPageLoadsNothingFromElsewhereAndRunsNothingButItsOwn(t *testing.T) {
	rt, _ := rig.New(t, nil)
	w := get(t, debug.Handler(rt), "/")
	csp := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'sha256-", "style-src 'sha256-", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy %q has no %q", csp, want)
		}
	}
	if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
		t.Errorf("the policy lets anything in: %q", csp)
	}
	for _, name := range []string{"X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Cache-Control"} {
		if w.Header().Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
	body := strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", "")
	if m := regexp.MustCompile(`https?://|\ssrc=|@import|url\(|\sstyle=|\son[a-z]+=`).FindString(body); m != "" {
		t.Errorf("the page holds %q", m)
	}
}

func TestPageRefreshesAsOftenAsTold(t *testing.T) {
	rt, _ := rig.New(t, nil)
	for query, want := range map[string]string{"": `content="5"`, "?refresh=30": `content="30"`, "?refresh=0": ""} {
		body := get(t, debug.Handler(rt), "/"+query).Body.String()
		refresh := regexp.MustCompile(`<noscript><meta http-equiv="refresh" (content="\d+")>`).FindStringSubmatch(body)
		if want == "" && refresh != nil || want != "" && (refresh == nil || refresh[1] != want) {
			t.Errorf("%q: %q, want %s", query, refresh, want)
		}
	}
}

const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>` + "\u202e"

func TestHostileNamesAreText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.New(t)
		base.Always(script.Bare(503))
		rt := rig.Over(t, base, nil,
			oktaretry.WithBuckets(func(*http.Request) string { return hostile }),
			oktaretry.WithCircuits(func(*http.Request) string { return hostile }))
		for range 30 {
			send(t, rt, t.Context(), http.MethodGet, rig.UserURL, "")
			time.Sleep(200 * time.Millisecond)
		}
		for _, query := range []string{"?format=html", "?format=html&refresh=7&x=" + "%22%3E%3Cscript%3E"} {
			body := get(t, debug.Handler(rt), "/"+query).Body.String()
			if strings.Count(body, "<script") != 1 || strings.Contains(body, "<img") {
				t.Errorf("%s: a name has become markup", query)
			}
			if !strings.Contains(body, "&lt;script&gt;alert(1)") {
				t.Errorf("%s: the name is not shown", query)
			}
		}
		if body := get(t, debug.Handler(rt), "/?format=json").Body.String(); strings.Contains(body, "<script") {
			t.Error("JSON holds what a browser that guesses could take for markup")
		}
	})
}

// A bad day with everything that must not be seen: in paths, queries, credentials,
// answers, and errors of the base.
func TestNothingPrivateIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.New(t)
		rt := rig.Over(t, base, nil)
		const secret = "sEcReT"
		target := "https://example.okta.com/api/v1/users/" + secret + "@example.com?search=" + secret
		body := `{"errorCode":"%s","errorSummary":"` + secret + `","errorId":"oae` + "x" + `","errorCauses":[{"errorSummary":"` + secret + `"}]}`
		for _, step := range []script.Step{
			script.Code(500, "E0000009"), script.Fail(fmt.Errorf("Get %q: lost %s", target, secret)),
			{Status: 400, Body: fmt.Sprintf(`{"error":"%s","error_description":"%s"}`, secret, secret)},
			{Status: 503, Body: fmt.Sprintf(body, secret)}, {Status: 429, Body: fmt.Sprintf(`{"error":"%s"}`, secret)},
			script.Limited(script.Date(0), script.Set("Retry-After", "3000")),
		} {
			base.Always(step)
			for range 3 {
				send(t, rt, t.Context(), http.MethodGet, target, "SSWS "+secret)
			}
		}
		named, stop := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, fmt.Errorf("%s has left", secret))
		base.Always(script.Step{Hang: true})
		send(t, rt, named, http.MethodGet, target, "SSWS another")
		stop()
		if len(rt.Snapshot().GivenUp) < 3 {
			t.Fatalf("%d calls were given up", len(rt.Snapshot().GivenUp))
		}
		for _, format := range []string{"html", "json"} {
			w := get(t, debug.Handler(rt), "/?format="+format)
			if i := strings.Index(w.Body.String(), secret); i >= 0 {
				t.Errorf("%s: …%s…", format, w.Body.String()[max(0, i-200):min(w.Body.Len(), i+100)])
			}
			if strings.Contains(fmt.Sprint(w.Header()), secret) {
				t.Errorf("%s: in a header", format)
			}
		}
		if s := fmt.Sprintf("%+v %#v", rt.Snapshot(), rt.Snapshot()); strings.Contains(s, secret) {
			t.Error("in the Snapshot")
		}
	})
}

// shown is the part of the JSON form that the tests read.
type shown struct {
	At         time.Time
	Transports []struct {
		Buckets []struct {
			Host, Bucket, Credential   string
			Known                      bool
			Limit, Used, Left, Waiting int
			InFlight                   int     `json:"in_flight"`
			Reset                      float64 `json:"reset_in_seconds"`
			Held                       float64 `json:"held_for_seconds"`
			Others                     float64 `json:"share_of_others"`
		}
		BucketsLeftOut int `json:"buckets_left_out"`
		Circuits       []struct {
			Scope, Method, Template, State string
			RetryAfter                     float64 `json:"retry_after_seconds"`
			OpenedBy                       *struct {
				Class, Failure, Code string
				Since                time.Time
			} `json:"opened_by"`
		}
		CircuitsLeftOut int `json:"circuits_left_out"`
		Budgets         []struct {
			Host string
			Left float64 `json:"resends_left"`
		}
		Store *struct {
			Lost          bool
			LastOperation string `json:"last_failed_operation"`
			LastError     string `json:"last_error"`
		}
		GivenUp []struct {
			Stop, Class, Code, Template string
			Times                       int
			Elapsed                     float64 `json:"elapsed_seconds"`
			Waited                      float64 `json:"waited_seconds"`
			Attempts                    []struct{ Status int }
		} `json:"given_up"`
		Policy string
	}
}

func shownBy(t *testing.T, h http.Handler, query string) (s shown) {
	t.Helper()
	if err := json.Unmarshal(get(t, h, "/?format=json"+query).Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJSONHasAllThatThePageShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		store.Set(sharedtest.Fails)
		base := script.New(t)
		rt := rig.Over(t, base, nil, oktaretry.WithShared(store))
		base.Choose(func(r *http.Request) script.Step {
			if strings.HasSuffix(r.URL.Path, "/apps") {
				return script.Code(503, "E0000009")
			}
			return script.OK().With(script.Window(600, 90, 40*time.Second)...)
		})
		for range 40 {
			send(t, rt, oktaretry.WithNoRetry(t.Context()), http.MethodGet, "https://example.okta.com/api/v1/apps", "SSWS a")
			time.Sleep(100 * time.Millisecond)
		}
		send(t, rt, t.Context(), http.MethodGet, rig.UserURL, "SSWS b")

		s := shownBy(t, debug.Handler(rt), "")
		if len(s.Transports) != 1 || !s.At.Equal(time.Now()) {
			t.Fatalf("%d transports at %s", len(s.Transports), s.At)
		}
		got := s.Transports[0]
		b := got.Buckets[0]
		if !b.Known || b.Limit != 600 || b.Used != 510 || b.Left != 90 || b.Reset <= 0 || b.Reset > 41 || len(b.Credential) != 8 {
			t.Errorf("the fullest bucket: %+v", b)
		}
		c := got.Circuits[0]
		if c.State != "open" || c.OpenedBy == nil || c.OpenedBy.Code != "E0000009" || c.OpenedBy.Failure != "503" || c.OpenedBy.Class != "server-error" {
			t.Errorf("the first circuit: %+v", c)
		}
		if len(got.Budgets) != 1 || got.Budgets[0].Left <= 0 {
			t.Errorf("budgets: %+v", got.Budgets)
		}
		if got.Store == nil || !got.Store.Lost || got.Store.LastError != "error" || got.Store.LastOperation == "" {
			t.Errorf("store: %+v", got.Store)
		}
		last := got.GivenUp[0]
		if last.Stop != "circuit-open" || last.Times < 2 || last.Code != "E0000009" || last.Template != "/api/v1/apps" || len(last.Attempts) != 0 {
			t.Errorf("given up last: %+v", last)
		}
		if got.Policy != rt.Policy().String() {
			t.Errorf("the policy is not what the library prints:\n%s", got.Policy)
		}
		body := get(t, debug.Handler(rt), "/").Body.String()
		for _, want := range []string{"510 of 600", "E0000009", "circuit is open", "is lost", "calls alike", b.Credential, "idempotent"} {
			if !strings.Contains(body, want) {
				t.Errorf("the page does not show %q", want)
			}
		}
	})
}

// The busiest of very many are shown, and it says how many more there are.
func TestPageOfTenThousandEndpointsStaysSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		base.Always(script.OK().With(script.Window(100, 90, time.Minute)...))
		const many = 10000
		for i := range many {
			send(t, rt, t.Context(), http.MethodGet, fmt.Sprintf("https://org%d.okta.com/api/v1/users/1", i), "SSWS a")
		}
		base.Always(script.OK().With(script.Window(100, 2, time.Minute)...))
		send(t, rt, t.Context(), http.MethodGet, "https://org4711.okta.com/api/v1/users/1", "SSWS a")

		s := shownBy(t, debug.Handler(rt), "&rows=20").Transports[0]
		if len(s.Buckets) != 20 || s.BucketsLeftOut != many-20 || s.Buckets[0].Host != "org4711.okta.com" {
			t.Errorf("%d buckets and %d more, the busiest %s", len(s.Buckets), s.BucketsLeftOut, s.Buckets[0].Host)
		}
		if len(s.Circuits) != 20 || s.CircuitsLeftOut != 2*many-20 {
			t.Errorf("%d circuits and %d more", len(s.Circuits), s.CircuitsLeftOut)
		}
		w := get(t, debug.Handler(rt), "/")
		if w.Body.Len() > 200<<10 || !strings.Contains(w.Body.String(), "And 9,950 more") {
			t.Errorf("%d bytes, and no word of what is left out", w.Body.Len())
		}
	})
}

func TestHandlerShowsSeveralTransportsAndNone(t *testing.T) {
	a, _ := rig.New(t, nil)
	b, _ := rig.New(t, nil)
	body := get(t, debug.Handler(a, nil, b, new(oktaretry.Transport)), "/").Body.String()
	for _, want := range []string{">Transport 1<", ">Transport 2<", ">Transport 3<", `id="t3-buckets"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(body, "Transport 4") {
		t.Error("a nil Transport is shown")
	}
	if body := get(t, debug.Handler(), "/").Body.String(); !strings.Contains(body, "No transport is shown here.") {
		t.Error("a page of nothing does not say so")
	}
}

func TestAllWellSaysSo(t *testing.T) {
	rt, _ := rig.New(t, nil, script.OK())
	send(t, rt, t.Context(), http.MethodGet, rig.UserURL, "SSWS a")
	if body := get(t, debug.Handler(rt), "/").Body.String(); !strings.Contains(body, "All well") || strings.Contains(body, `<li class=`) {
		t.Error("a page of a good day names trouble")
	}
}
