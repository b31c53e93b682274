package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/chaos"
	"github.com/oktaretry/oktaretry/contract"
	"github.com/oktaretry/oktaretry/oktatest"
)

const org = "https://acme.okta.test"

func always() bool { return true }

// over is chaos that is on, over a base.
func over(t testing.TB, base http.RoundTripper, faults ...chaos.Fault) *chaos.Transport {
	t.Helper()
	c, err := chaos.NewTransport(base, chaos.Config{On: always, Faults: faults, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// answer is a response, its body read.
type answer struct {
	*http.Response
	body string
	err  error // of the call or of reading the body
}

func do(t testing.TB, rt http.RoundTripper, method, path, body string) answer {
	t.Helper()
	return doWith(t.Context(), t, rt, method, path, body)
}

func doWith(ctx context.Context, t testing.TB, rt http.RoundTripper, method, path, body string) (a answer) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, org+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if a.Response, a.err = rt.RoundTrip(req); a.err != nil {
		if a.Response != nil {
			t.Error("a response and an error")
		}
		return a
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	a.body, a.err = string(b), err
	return a
}

func newUser(login string) string {
	return `{"profile":{"login":"` + login + `","email":"` + login + `","firstName":"A","lastName":"B"}}`
}

func TestChaosIsOffUnlessSwitchedOn(t *testing.T) {
	faults := []chaos.Fault{chaos.EdgePage(503).Rate(1)}
	for name, c := range map[string]struct {
		env    string
		config chaos.Config
		on     bool
	}{
		"by default":                     {"", chaos.Config{Faults: faults}, false},
		"without faults":                 {"on", chaos.Config{On: always}, false},
		"without a rate":                 {"on", chaos.Config{On: always, Faults: []chaos.Fault{chaos.EdgePage(503)}}, false},
		"switched off":                   {"", chaos.Config{On: func() bool { return false }, Faults: faults}, false},
		"switched off, though on in env": {"on", chaos.Config{On: func() bool { return false }, Faults: faults}, false},
		"killed by env":                  {"off", chaos.Config{On: always, Faults: faults}, false},
		"another word in env":            {"true", chaos.Config{Faults: faults}, false},
		"switched on":                    {"", chaos.Config{On: always, Faults: faults}, true},
		"on in env":                      {"on", chaos.Config{Faults: faults}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(chaos.Environment, c.env)
			rt, err := chaos.NewTransport(oktatest.New().Transport(), c.config)
			if err != nil {
				t.Fatal(err)
			}
			a := do(t, rt, "GET", "/api/v1/users", "")
			if want := map[bool]int{true: 503, false: 200}[c.on]; a.StatusCode != want || (a.Header.Get(chaos.Header) != "") != c.on || len(rt.Injected()) > 0 != c.on {
				t.Errorf("%d, header %q, injected %v", a.StatusCode, a.Header.Get(chaos.Header), rt.Injected())
			}
		})
	}
}

func TestSwitchEndsChaosAtOnce(t *testing.T) {
	var on atomic.Bool
	rt, err := chaos.NewTransport(oktatest.New().Transport(), chaos.Config{On: on.Load, Faults: []chaos.Fault{chaos.Reset().Rate(1)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, is := range []bool{false, true, false} {
		on.Store(is)
		if a := do(t, rt, "GET", "/api/v1/users", ""); (a.err != nil) != is {
			t.Errorf("on: %v, %v", is, a.err)
		}
	}
}

// Chaos that is off, and chaos that strikes with nothing, owe what any transport does.
func TestChaosKeepsTheContractOfTransports(t *testing.T) {
	for name, faults := range map[string][]chaos.Fault{"off": nil, "on": {chaos.Latency(0).Rate(1)}} {
		t.Run(name, func(t *testing.T) {
			contract.Run(t, func(base http.RoundTripper) http.RoundTripper { return over(t, base, faults...) })
		})
	}
}

func TestCodeAnswersAsOktaDoes(t *testing.T) {
	o := oktatest.New()
	for _, c := range oktatest.Codes() {
		if c.Status < 400 {
			continue // E0000070 is a 202
		}
		a := do(t, over(t, o.Transport(), chaos.Code(c.Code).Rate(1)), "GET", "/api/v1/users", "")
		name := c.Code
		if c.Code == "E0000047" {
			name = "rate-limited"
		}
		if a.StatusCode != c.Status || a.Header.Get(chaos.Header) != name || len(a.Header.Get("X-Okta-Request-Id")) != 32 || a.Header.Get("Date") == "" {
			t.Errorf("%s: %s %v", c.Code, a.Status, a.Header)
		}
		a.Body = io.NopCloser(strings.NewReader(a.body))
		if got := oktaretry.Classify(a.Response); got.Code != c.Code || got.Error.Summary == "" || got.Error.ID == "" {
			t.Errorf("%s: %+v of %s", c.Code, got, a.body)
		}
	}
	if o.Arrived() != 0 {
		t.Errorf("%d requests were sent", o.Arrived())
	}
}

func TestFaultsOfOtherForms(t *testing.T) {
	for name, c := range map[string]struct {
		fault                  chaos.Fault
		status                 int
		contentType, body, hdr string
	}{
		"edge":        {chaos.EdgePage(502), 502, "text/html; charset=utf-8", "<title>502 Bad Gateway</title>", "edge-502"},
		"oauth":       {chaos.OAuthError("temporarily_unavailable", 503), 503, "application/json", `"error":"temporarily_unavailable"`, "temporarily_unavailable"},
		"own status":  {chaos.Code("E0000150").WithStatus(429), 429, "application/json", `"errorCode":"E0000150"`, "E0000150"},
		"own code":    {chaos.Code("E9999999").WithStatus(418), 418, "application/json", `"errorCode":"E9999999"`, "E9999999"},
		"by name":     {chaos.Code("internal server error"), 500, "application/json", `"errorCode":"E0000009"`, "E0000009"},
		"concurrency": {chaos.ConcurrencyLimited(), 429, "application/json", `"errorCode":"E0000047"`, "concurrency"},
	} {
		t.Run(name, func(t *testing.T) {
			a := do(t, over(t, oktatest.New().Transport(), c.fault.Rate(1)), "POST", "/oauth2/v1/token", "x")
			if a.StatusCode != c.status || a.Header.Get("Content-Type") != c.contentType || !strings.Contains(a.body, c.body) || a.Header.Get(chaos.Header) != c.hdr {
				t.Errorf("%s %v %s", a.Status, a.Header, a.body)
			}
			if int(a.ContentLength) != len(a.body) || a.Request == nil {
				t.Errorf("length %d of %d", a.ContentLength, len(a.body))
			}
			head := do(t, over(t, oktatest.New().Transport(), c.fault.Rate(1)), "HEAD", "/oauth2/v1/token", "")
			if head.StatusCode != c.status || head.body != "" {
				t.Errorf("HEAD: %s %q", head.Status, head.body)
			}
		})
	}
}

// An injected 429 reports the bucket's own limit, by Okta's clock, so that it teaches
// the library nothing wrong; the library waits as long as it says.
func TestRateLimitedIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimit("/api/v1/users", 50), oktatest.WithClockSkew(10*time.Minute))
		c := over(t, o.Transport(), chaos.RateLimited(20*time.Second).On("GET /api/v1/users").Rate(0.5))
		rt, err := oktaretry.NewTransport(c)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			start := time.Now()
			ctx, recorder := oktaretry.WithRecorder(t.Context())
			a := doWith(ctx, t, rt, "GET", "/api/v1/users", "")
			outcome, _ := recorder.Outcome()
			refused := time.Duration(len(outcome.Attempts) - 1)
			if took := time.Since(start); a.StatusCode != 200 || took < refused*20*time.Second || took > refused*22*time.Second+time.Second {
				t.Errorf("%s in %s after %d refusals", a.Status, took, refused)
			}
		}
		for _, b := range rt.Snapshot().Buckets {
			if b.Limit != 50 {
				t.Errorf("learned: %+v", b)
			}
		}
		if c.Injected()["rate-limited"] == 0 {
			t.Error("nothing was injected")
		}
	})
}

func TestInjectedErrorsCarryTheRatesOfTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimit("/api/v1/users", 50))
		rt := over(t, o.Transport(), chaos.Code("E0000009").On("POST /api/v1/users").Rate(1))
		if a := do(t, rt, "POST", "/api/v1/users", "{}"); a.Header.Get("X-Rate-Limit-Limit") != "" {
			t.Errorf("before any answer: %v", a.Header)
		}
		do(t, rt, "GET", "/api/v1/users", "")
		a := do(t, rt, "POST", "/api/v1/users", "{}")
		if a.Header.Get("X-Rate-Limit-Limit") != "50" || a.Header.Get("X-Rate-Limit-Remaining") != "49" {
			t.Errorf("%v", a.Header)
		}
		time.Sleep(2 * time.Minute)
		if a := do(t, rt, "POST", "/api/v1/users", "{}"); a.Header.Get("X-Rate-Limit-Limit") != "" {
			t.Errorf("after the window: %v", a.Header)
		}
	})
}

func allFaults() []chaos.Fault {
	return []chaos.Fault{chaos.Code("E0000009"), chaos.OAuthError("server_error", 500), chaos.EdgePage(504), chaos.RateLimited(time.Second),
		chaos.ConcurrencyLimited(), chaos.Reset(), chaos.BrokenBody()}
}

// A request that may change something is failed before it is sent, also by a fault that
// lets reads be sent, and only EvenWrites sends it.
func TestWritesAreFailedBeforeTheyAreSent(t *testing.T) {
	for _, f := range allFaults() {
		t.Run(f.Name(), func(t *testing.T) {
			o := oktatest.New()
			rt := over(t, o.Transport(), f.AfterSend().Rate(1))
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				a := do(t, rt, method, "/api/v1/users", newUser("a@example.com"))
				var reset *chaos.Error
				if a.err == nil && a.StatusCode < 400 || errors.As(a.err, &reset) && reset.Sent {
					t.Errorf("%s: %v", method, a.err)
				}
			}
			if o.Arrived() != 0 {
				t.Errorf("%d writes were sent", o.Arrived())
			}
			do(t, rt, "GET", "/api/v1/users", "")
			if o.Arrived() != 1 {
				t.Errorf("%d reads were sent", o.Arrived())
			}
			do(t, over(t, o.Transport(), f.AfterSend().EvenWrites().Rate(1)), "POST", "/api/v1/users", newUser("a@example.com"))
			if len(o.UserIDs()) != 1 {
				t.Errorf("%d users, EvenWrites should have sent the create", len(o.UserIDs()))
			}
		})
	}
}

func TestFaultsStrikeReadsBeforeTheyAreSentByDefault(t *testing.T) {
	for _, f := range allFaults() {
		o := oktatest.New()
		do(t, over(t, o.Transport(), f.Rate(1)), "GET", "/api/v1/users", "")
		if sent := o.Arrived() == 1; sent != (f.Name() == "broken-body") {
			t.Errorf("%s: %d sent", f.Name(), o.Arrived())
		}
	}
}

func TestResetsAreErrorsThatSayTheyAreInjected(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(3))
	for _, f := range []chaos.Fault{chaos.Reset(), chaos.Reset().AfterSend(), chaos.BrokenBody()} {
		a := do(t, over(t, o.Transport(), f.Rate(1)), "GET", "/api/v1/users", "")
		reset, ok := errors.AsType[*chaos.Error](a.err)
		if !ok || !errors.Is(a.err, syscall.ECONNRESET) || errors.Is(a.err, io.EOF) || !strings.Contains(a.err.Error(), "chaos: injected fault "+f.Name()) {
			t.Fatalf("%s: %v", f.Name(), a.err)
		}
		if f.Name() == "broken-body" && (a.StatusCode != 200 || len(a.body) != int(a.ContentLength)/2 || a.Header.Get(chaos.Header) != "broken-body" || !reset.Sent) {
			t.Errorf("%s, %d of %d bytes", a.Status, len(a.body), a.ContentLength)
		}
	}
}

func TestBrokenBodyLeavesWhatHasNoneWholeAndUnmarked(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1))
	rt := over(t, o.Transport(), chaos.BrokenBody().EvenWrites().Rate(1))
	for range 2 {
		a := do(t, rt, "DELETE", "/api/v1/users/user00000@example.com", "")
		if a.err != nil || a.StatusCode != 204 || a.Header.Get(chaos.Header) != "" {
			t.Errorf("%v %v", a.err, a.Header)
		}
	}
	if n := rt.Injected(); len(n) != 0 {
		t.Errorf("injected %v", n)
	}
}

func TestLatencyGoesWithOtherFaultsAndEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New()
		rt := over(t, o.Transport(), chaos.Latency(time.Second).Rate(1), chaos.Latency(2*time.Second).On("GET *").Rate(1), chaos.EdgePage(503).On("GET *").Rate(1))
		start := time.Now()
		a := do(t, rt, "GET", "/api/v1/users", "")
		if a.StatusCode != 503 || a.Header.Get(chaos.Header) != "latency, latency, edge-503" || time.Since(start) != 3*time.Second {
			t.Errorf("%s %v in %s", a.Status, a.Header, time.Since(start))
		}
		a = do(t, rt, "POST", "/api/v1/users", newUser("a@example.com"))
		if a.StatusCode != 200 || a.Header.Get(chaos.Header) != "latency" {
			t.Errorf("%s %v", a.Status, a.Header)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		start = time.Now()
		if a = doWith(ctx, t, rt, "POST", "/api/v1/users", newUser("b@example.com")); !errors.Is(a.err, context.DeadlineExceeded) || time.Since(start) != time.Second/2 {
			t.Errorf("%v in %s", a.err, time.Since(start))
		}
		if o.Arrived() != 1 {
			t.Errorf("%d requests were sent", o.Arrived())
		}
	})
}

// closing is a body that says whether it was closed.
type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestBodyOfARequestIsClosedOnEveryPath(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), cancelled} {
		for _, f := range append(allFaults(), chaos.Latency(time.Nanosecond)) {
			body := &closing{Reader: strings.NewReader("{}")}
			req, err := http.NewRequestWithContext(ctx, "POST", org+"/api/v1/users", body)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := over(t, oktatest.New().Transport(), f.Rate(1)).RoundTrip(req)
			if err == nil {
				resp.Body.Close()
			}
			if !body.closed || ctx == cancelled && !errors.Is(err, context.Canceled) {
				t.Errorf("%s: closed %v, %v", f.Name(), body.closed, err)
			}
		}
	}
}

// Below the library, chaos of every kind: reads recover, and no create is done twice.
func TestLibraryRecoversFromChaosAndDoublesNoCreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1))
		c := over(t, o.Transport(),
			chaos.Latency(300*time.Millisecond).Rate(0.2),
			chaos.Code("E0000009").Rate(0.05), chaos.EdgePage(503).Rate(0.05), chaos.RateLimited(2*time.Second).Rate(0.05),
			chaos.ConcurrencyLimited().Rate(0.05), chaos.Reset().Rate(0.05), chaos.Reset().AfterSend().Rate(0.05))
		rt, err := oktaretry.NewTransport(c)
		if err != nil {
			t.Fatal(err)
		}
		created := 0
		for i := range 60 {
			if a := do(t, rt, "GET", "/api/v1/users/user00000@example.com", ""); a.err != nil || a.StatusCode != 200 {
				t.Errorf("read %d: %v %v", i, a.err, a.Response)
			}
			if a := do(t, rt, "POST", "/api/v1/users", newUser(fmt.Sprintf("u%d@example.com", i))); a.err == nil && a.StatusCode == 200 {
				created++
			}
			time.Sleep(time.Second)
		}
		if len(o.UserIDs()) != 1+created || created < 40 {
			t.Errorf("%d users, %d were created", len(o.UserIDs()), created)
		}
		o.AssertNoDuplicateCreates(t)
		if len(c.Injected()) != 7-1 { // both resets have one name
			t.Errorf("injected %v", c.Injected())
		}
	})
}

func TestFaultIsInTheTraceOfItsAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans := tracetest.NewSpanRecorder()
		rt, err := oktaretry.NewTransport(over(t, oktatest.New().Transport(), chaos.Latency(time.Second).Rate(1), chaos.Code("E0000009").Rate(1)),
			oktaretry.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))))
		if err != nil {
			t.Fatal(err)
		}
		do(t, rt, "POST", "/api/v1/users", "{}")
		found := false
		for _, s := range spans.Ended() {
			names, events := "", 0
			for _, a := range s.Attributes() {
				if a.Key == chaos.Attribute {
					names = a.Value.AsString()
				}
			}
			for _, e := range s.Events() {
				if e.Name == chaos.Attribute {
					events++
				}
			}
			found = found || s.SpanKind() == trace.SpanKindClient && names == "latency, E0000009" && events == 2
		}
		if !found {
			t.Error("no attempt's span has the faults")
		}
	})
}

func TestFaultMeansTheRequestsOfItsPatterns(t *testing.T) {
	rt := over(t, oktatest.New(oktatest.WithUsers(1)).Transport(), chaos.EdgePage(503).On("GET /api/v1/users/{id}", "/api/v1/groups/*").Rate(1))
	for path, want := range map[string]int{"/api/v1/users": 200, "/api/v1/users/user00000@example.com": 503, "/api/v1/groups": 200, "/api/v1/groups/g/users": 503} {
		if a := do(t, rt, "GET", path, ""); a.StatusCode != want {
			t.Errorf("%s: %s", path, a.Status)
		}
	}
}

func TestRateIsAShareAndSeedRepeatsIt(t *testing.T) {
	run := func(seed uint64) (seen string) {
		rt, err := chaos.NewTransport(oktatest.New().Transport(), chaos.Config{On: always, Seed: seed, Faults: []chaos.Fault{chaos.EdgePage(503).Rate(0.2)}})
		if err != nil {
			t.Fatal(err)
		}
		for range 300 {
			seen += fmt.Sprint(do(t, rt, "GET", "/api/v1/users", "").StatusCode / 100)
		}
		return seen
	}
	one := run(1)
	if n := strings.Count(one, "5"); n < 35 || n > 85 {
		t.Errorf("%d of 300 at a rate of 0.2", n)
	}
	if one != run(1) || one == run(2) {
		t.Error("the seed does not decide")
	}
}

func TestConfigThatMakesNoSenseIsRefusedAllAtOnce(t *testing.T) {
	_, err := chaos.NewTransport(nil, chaos.Config{Faults: []chaos.Fault{
		{}, chaos.Code("E1"), chaos.EdgePage(200), chaos.Reset().Rate(1.5), chaos.Latency(-1), chaos.Code("E0000009").On("users"),
		chaos.OAuthError("", 400), chaos.Code("E0000009").EvenWrites(), chaos.Latency(1).AfterSend(), chaos.Code("E0000070"),
	}})
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		"chaos: Faults[0]: a Fault that no function of this package has made",
		`chaos: Faults[1]: Code("E1"): Okta has no such code; give it a status with WithStatus`,
		"chaos: Faults[2]: edge-200: status 200, want 400 to 599",
		"chaos: Faults[3]: reset: Rate(1.5), want 0 to 1",
		"chaos: Faults[4]: latency: -1ns is negative",
		`chaos: Faults[5]: pattern "users": the path must begin with a slash`,
		"chaos: Faults[6]: OAuthError: no code",
		"chaos: Faults[7]: E0000009: EvenWrites without AfterSend",
		"chaos: Faults[8]: latency: it lies before the request is sent",
		"chaos: Faults[9]: E0000070: status 202, want 400 to 599",
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", err, strings.Join(want, "\n"))
	}
}

func TestZeroTransportInjectsNothing(t *testing.T) {
	t.Setenv(chaos.Environment, "on")
	srv := oktatest.NewServer(t)
	client := &http.Client{Transport: new(chaos.Transport)}
	resp, err := client.Get(srv.URL + "/api/v1/users")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	client.CloseIdleConnections()
	if resp.StatusCode != 200 || resp.Header.Get(chaos.Header) != "" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
}

// A program in production has nothing of tests in it for this package's sake.
func TestPackageImportsNothingOfTests(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		if path == "testing" || path == "flag" || strings.Contains(path, "httptest") || strings.Contains(path, "oktatest") || path == "github.com/oktaretry/oktaretry" {
			t.Errorf("it imports %s", path)
		}
	}
}

// bare is a base whose answers have neither headers nor a body.
type bare struct{ sent int }

func (b *bare) RoundTrip(*http.Request) (*http.Response, error) {
	b.sent++
	return &http.Response{StatusCode: 204}, nil
}

func TestLatencyMarksAnswersWithoutHeaders(t *testing.T) {
	if a := do(t, over(t, &bare{}, chaos.Latency(0).Rate(1)), "GET", "/api/v1/users", ""); a.Header.Get(chaos.Header) != "latency" {
		t.Errorf("%v %v", a.err, a.Header)
	}
}

func TestNothingIsSentWhoseContextIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	base := &bare{}
	rt := over(t, base, chaos.Latency(0).Rate(1))
	for range 100 {
		if a := doWith(ctx, t, rt, "POST", "/api/v1/users", "{}"); !errors.Is(a.err, context.Canceled) {
			t.Fatalf("%v", a.err)
		}
	}
	if base.sent > 0 {
		t.Errorf("%d were sent", base.sent)
	}
}
