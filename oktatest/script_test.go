package oktatest_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

func TestEveryCodeByItsCodeAndByItsName(t *testing.T) {
	all := oktatest.Codes()
	if len(all) != 251 {
		t.Errorf("%d codes, want 251", len(all))
	}
	everywhere(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string) {
		for _, c := range all {
			for _, say := range []string{c.Code, c.Name} {
				o.Script("*", oktatest.Code(say))
				a := do(t, rt, "GET", base+"/api/v1/users", "")
				wantCode(t, a, c.Status, c.Code)
				rates := c.Code != "E0000011" // which nobody is counted for
				if a.json(t)["errorSummary"] == "" || rates != (a.Header.Get("X-Rate-Limit-Reset") != "") || a.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: %v %s", c.Code, a.Header, a.body)
				}
			}
		}
	}, oktatest.WithWindow(24*time.Hour, 0))
	if c, ok := oktatest.LookupCode("E0000150"); !ok || c.Status != 403 || c.Formerly != 429 {
		t.Error(c)
	}
	if _, ok := oktatest.LookupCode("E0000000"); ok {
		t.Error("E0000000 does not exist")
	}
}

func TestScriptPlaysInOrderForWhatMatches(t *testing.T) {
	everywhere(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string) {
		first := o.Script("GET /api/v1/users/{id}", oktatest.Code("E0000009"), oktatest.Pass, oktatest.Times(2, oktatest.Status(503)))
		second := o.Script("GET /api/v1/users/*", oktatest.Code("internal server error").WithStatus(599))
		for i, want := range []int{500, 200, 503, 503, 599, 200} {
			wantStatus(t, do(t, rt, "GET", base+"/api/v1/users", ""), 200)
			if i == 1 && first.Left() != 3 {
				t.Errorf("%d steps left", first.Left())
			}
			wantStatus(t, do(t, rt, "GET", base+"/api/v1/users/me", ""), want)
		}
		if first.Left() != 0 || second.Left() != 0 {
			t.Error("steps left over")
		}
		o.Script("/api/v1/users", oktatest.Always(oktatest.Status(418)))
		for range 5 {
			wantStatus(t, do(t, rt, "PUT", base+"/api/v1/users", ""), 418)
		}
		o.ClearScripts()
		wantCode(t, do(t, rt, "PUT", base+"/api/v1/users", ""), 405, "E0000022")
		if n := o.Count("GET /api/v1/users/{any}"); n != 6 {
			t.Errorf("%d requests counted, want 6", n)
		}
	}, oktatest.WithUsers(1))
}

func TestAnswers(t *testing.T) {
	everywhere(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string) {
		play := func(s oktatest.Step) answer {
			o.Script("*", s)
			return do(t, rt, "GET", base+"/api/v1/users", "")
		}
		a := play(oktatest.Code("E0000001").WithSummary("Api validation failed: login").WithCauses("login: taken").WithStatus(422))
		wantCode(t, a, 422, "E0000001")
		if a.json(t)["errorCauses"].([]any)[0].(map[string]any)["errorSummary"] != "login: taken" {
			t.Error(a.body)
		}

		a = play(oktatest.Code("E0000070").WithPoll("/api/v1/users/00u1/poll").WithHeader("Location", "https://elsewhere.test/"))
		wantCode(t, a, 202, "E0000070")
		if href := a.json(t)["_links"].(map[string]any)["poll"].(map[string]any)["href"]; href != base+"/api/v1/users/00u1/poll" {
			t.Error(href)
		}

		a = play(oktatest.OAuthError("server_error", 500))
		if a.StatusCode != 500 || a.json(t)["error"] != "server_error" || a.json(t)["error_description"] == "" {
			t.Error(a.Status, a.body)
		}

		a = play(oktatest.Challenge("Bearer", "invalid_token", 401))
		if a.StatusCode != 401 || a.body != "" || !strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Error(a.Status, a.Header, a.body)
		}

		a = play(oktatest.EdgePage(502))
		for _, k := range []string{"X-Okta-Request-Id", "X-Rate-Limit-Limit", "X-Rate-Limit-Reset"} {
			if a.Header.Get(k) != "" {
				t.Errorf("an edge page carries %s", k)
			}
		}
		if a.StatusCode != 502 || !strings.Contains(a.body, "<html>") || a.Header.Get("Date") == "" {
			t.Error(a.Status, a.body)
		}

		a = play(oktatest.RateLimited(2 * time.Second))
		wantCode(t, a, 429, "E0000047")
		if limit, remaining, reset, date := rates(t, a); limit != 600 || remaining != 0 || reset.Sub(date) < 2*time.Second || reset.Sub(date) > 3*time.Second {
			t.Error(limit, remaining, reset, date)
		}

		a = play(oktatest.ConcurrencyLimited())
		if limit, remaining, _, _ := rates(t, a); a.StatusCode != 429 || limit != 0 || remaining != 0 {
			t.Error(a.Status, limit, remaining)
		}

		a = play(oktatest.Status(503))
		if a.StatusCode != 503 || a.body != "" || a.ContentLength != 0 || a.Header.Get("X-Okta-Request-Id") == "" || a.Header["Content-Type"] != nil {
			t.Error(a.Status, a.Header, a.body)
		}

		a = play(oktatest.RateLimited(0).WithoutHeader("Date").AddHeader("X-Rate-Limit-Reset", "garbage").WithHeader("Retry-After", "-1"))
		if reset := a.Header["X-Rate-Limit-Reset"]; len(reset) != 2 || reset[1] != "garbage" || a.Header["Date"] != nil || a.Header.Get("Retry-After") != "-1" {
			t.Error(a.Header)
		}

		a = play(oktatest.Status(200).WithBody("text/plain", "plain"))
		if a.body != "plain" || a.Header.Get("Content-Type") != "text/plain" {
			t.Error(a.Header, a.body)
		}

		a = play(oktatest.Gzip(oktatest.Code("E0000009")))
		wantCode(t, a, 500, "E0000009")
		if !a.Uncompressed || a.Header.Get("Content-Encoding") != "" {
			t.Error("gzip that the transport asked for was not decoded")
		}
		o.Script("*", oktatest.Gzip(oktatest.Code("E0000009")))
		a = do(t, rt, "GET", base+"/api/v1/users", "", "Accept-Encoding", "gzip")
		z, err := gzip.NewReader(strings.NewReader(a.body))
		if err != nil || a.Header.Get("Content-Encoding") != "gzip" || a.ContentLength != int64(len(a.body)) {
			t.Fatal(err, a.Header)
		}
		if b, err := io.ReadAll(z); err != nil || !strings.Contains(string(b), "E0000009") {
			t.Error(err, string(b))
		}

		a = play(oktatest.Func(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Own", r.Method)
			w.WriteHeader(206)
			io.WriteString(w, "own")
		}))
		if a.StatusCode != 206 || a.body != "own" || a.Header.Get("X-Own") != "GET" || a.Header.Get("X-Okta-Request-Id") == "" {
			t.Error(a.Status, a.Header, a.body)
		}
		if o.Answered(206) != 1 {
			t.Error("the journal does not know what Func answered")
		}
	})
}

func TestAnswersAreValues(t *testing.T) {
	base := oktatest.Code("E0000009").WithHeader("A", "1")
	_ = base.WithHeader("A", "2").AddHeader("A", "3").WithoutHeader("A").WithStatus(1)
	o := oktatest.New()
	o.Script("*", base)
	a := do(t, o.Transport(), "GET", org, "")
	if a.StatusCode != 500 || len(a.Header["A"]) != 1 || a.Header.Get("A") != "1" {
		t.Error(a.Status, a.Header)
	}
}

func TestScriptedAnswersTakePlacesAndRefusalsDoNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimit("/api/v1/logs", 2))
		o.Script("*", oktatest.Code("E0000009"), oktatest.EdgePage(503), oktatest.RateLimited(time.Second), oktatest.Code("E0000047"), oktatest.Hang)
		for range 4 {
			do(t, o.Transport(), "GET", org+"/api/v1/logs", "")
		}
		if n := o.Used("/api/v1/logs"); n != 1 {
			t.Errorf("%d places taken, want 1", n)
		}
	})
}

func TestDelayComesOnTopOfLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLatency(time.Second))
		o.Script("*", oktatest.Delay(3*time.Second, oktatest.Code("E0000009")))
		begin := time.Now()
		wantStatus(t, do(t, o.Transport(), "GET", org, ""), 500)
		if time.Since(begin) != 4*time.Second {
			t.Error(time.Since(begin))
		}
		o.SetLatency(0)
		do(t, o.Transport(), "GET", org, "")
		if time.Since(begin) != 4*time.Second {
			t.Error(time.Since(begin))
		}
	})
}

func TestEarlyAnswersBeforeTheBody(t *testing.T) {
	o := oktatest.New()
	o.Script("*", oktatest.Early(oktatest.Status(413)))
	body := &countingBody{r: strings.NewReader("never read")}
	req, _ := http.NewRequest("POST", org+"/api/v1/users", body)
	resp, err := o.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 413 || body.read != 0 || body.closed != 1 {
		t.Error(resp.Status, body.read, body.closed)
	}
}

type countingBody struct {
	r            io.Reader
	read, closed int
}

func (b *countingBody) Read(p []byte) (int, error) { b.read++; return b.r.Read(p) }
func (b *countingBody) Close() error               { b.closed++; return nil }

func TestNonsensePanicsWithAReason(t *testing.T) {
	o := oktatest.New()
	for part, f := range map[string]func(){
		"no such code":          func() { o.Script("*", oktatest.Code("E9")) },
		"step 2: is nil":        func() { o.Script("*", oktatest.Pass, nil) },
		"final status":          func() { o.Script("*", oktatest.Status(100)) },
		"at least once":         func() { o.Script("*", oktatest.Times(0, oktatest.Pass)) },
		"outermost":             func() { o.Script("*", oktatest.Delay(1, oktatest.Times(2, oktatest.Pass))) },
		"nested":                func() { o.Script("*", oktatest.Times(2, oktatest.Always(oktatest.Pass))) },
		"a nil step":            func() { o.Script("*", oktatest.CutBody(nil)) },
		"cannot be changed":     func() { o.Script("*", oktatest.Gzip(oktatest.Func(http.NotFound))) },
		"in capitals":           func() { o.Script("get /x", oktatest.Pass) },
		"begin with a slash":    func() { o.Count("GET api/v1/users") },
		"only a method":         func() { o.Count("GET /api/v1/users?limit=2") },
		"no bucket":             func() { o.SetLimit("/favicon.ico", 1) },
		"WithWindow":            func() { oktatest.New(oktatest.WithWindow(0, 0)) },
		"WithLimit: no bucket":  func() { oktatest.New(oktatest.WithLimit("/favicon.ico", 1)) },
		"nil option":            func() { oktatest.New(nil) },
		"WithLatency(-1ns)":     func() { oktatest.New(oktatest.WithLatency(-1)) },
		"has no patterns":       func() { oktatest.New(oktatest.WithBucket(oktatest.Bucket{Name: "x"})) },
		"two buckets are":       func() { b := oktatest.WithBucket(oktatest.Bucket{Patterns: []string{"/x"}}); oktatest.New(b, b) },
		"must not be negative":  func() { oktatest.New(oktatest.WithUsers(-1)) },
		"a nil handler":         func() { oktatest.New(oktatest.WithHandler("/x", nil)) },
		"WithCredentialShare(2": func() { oktatest.New(oktatest.WithCredentialShare(2)) },
	} {
		wantPanic(t, part, f)
	}
	o.Script("*", oktatest.Code("E9").WithStatus(418)) // with a status, it is Okta's newest
	wantCode(t, do(t, o.Transport(), "GET", org, ""), 418, "E9")
}
