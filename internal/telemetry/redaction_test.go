// This file tests that no secret of a request or an answer gets into spans,
// metrics, log lines or errors.

package telemetry_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/baggage"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// secrets are texts that must not come out anywhere, and where each of
// them went in.
type secrets map[string]string

// Each mark begins with sign, and is as long as any other: a text is searched for all
// of them at once.
const (
	sign       = "zq"
	markLength = 20
)

// mark returns a new secret: so long and random that finding it is no
// accident, and of small letters only, so that no encoding of URLs, JSON or
// headers changes it, and that it passes for an OAuth error.
func (s secrets) mark(place string) string {
	b := []byte(sign)
	for len(b) < markLength {
		b = append(b, 'a'+byte(rand.IntN(26)))
	}
	s[string(b)] = place
	return string(b)
}

func (s secrets) email(place string) string { return "ann." + s.mark(place) + "@acme.example" }

// hidden is a secret in base64, which must not come out either.
func (s secrets) hidden(place, format string) string {
	text := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, format, s.mark(place)))
	s[strings.ToLower(text)] = place
	return text
}

func (s secrets) jwt(place string) string {
	return "eyJhbGciOiJSUzI1NiJ9." + s.hidden(place, `{"sub":"%s","jti":"1"}`) + "." + s.mark(place)
}

// percent is a secret of which every letter is percent-encoded.
func (s secrets) percent(place string) string {
	var b strings.Builder
	for _, c := range []byte(s.mark(place)) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	s[strings.ToLower(b.String())] = place
	return b.String()
}

// find returns the places of the secrets that a text holds.
func (s secrets) find(text string) []string {
	text = strings.ToLower(text)
	found := secrets{}
	for at := range occurrences(text, sign) {
		secret := text[at:min(at+markLength, len(text))]
		if place, is := s[secret]; is {
			found[secret] = place
		}
	}
	for secret, place := range s {
		if !strings.HasPrefix(secret, sign) && strings.Contains(text, secret) {
			found[secret] = place
		}
	}
	return slices.Collect(maps.Values(found))
}

// occurrences yields where part is in text; places may overlap.
func occurrences(text, part string) iter.Seq[int] {
	return func(yield func(int) bool) {
		for at := 0; ; at++ {
			next := strings.Index(text[at:], part)
			if next < 0 || !yield(at+next) {
				return
			}
			at += next
		}
	}
}

// url returns one that is full of secrets.
func (s secrets) url(known bool) *url.URL {
	path := "/api/v1/users/" + url.PathEscape(s.email("path")) + "/factors/" + s.percent("path")
	if !known {
		path = "/" + s.mark("unknown path") + "/" + s.percent("unknown path") + "/poll"
	}
	query := url.Values{
		"search": {`profile.email eq "` + s.email("search") + `"`}, "filter": {`profile.login eq "` + s.email("filter") + `"`},
		"SAMLRequest": {s.hidden("SAML", "<saml:NameID>%s</saml:NameID>")}, "RelayState": {s.mark("SAML")},
		"client_assertion": {s.jwt("assertion")}, "token": {s.mark("token")}, s.mark("name of a parameter"): {""},
	}
	u, err := url.Parse("https://" + s.mark("userinfo") + ":" + s.mark("userinfo") + "@example.okta.com" + path + "?" + query.Encode() +
		"#access_token=" + s.mark("fragment"))
	if err != nil {
		panic(err)
	}
	return u
}

// request returns one that is full of secrets, made by hand: no constructor
// looks at its method.
func (s secrets) request(ctx context.Context, method string, known, dpop bool) *http.Request {
	req := &http.Request{Method: method, URL: s.url(known), Header: http.Header{
		"Authorization": {"SSWS " + s.mark("Authorization"), "Bearer " + s.jwt("Authorization"), "Basic " + s.hidden("Authorization", "ann:%s")},
		"Cookie":        {"sid=" + s.mark("Cookie")}, "User-Agent": {s.mark("User-Agent")}, "Idempotency-Key": {s.mark("Idempotency-Key")},
		"X-Forwarded-For": {s.mark("X-Forwarded-For")}, "X-" + s.mark("name of a header"): {"1"}, "Traceparent": {s.mark("Traceparent")},
	}}
	if dpop {
		req.Header["Dpop"] = []string{s.jwt("DPoP")}
	}
	if method != "GET" {
		body := "password=" + s.mark("body") + "&client_assertion=" + s.jwt("body")
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	}
	member, _ := baggage.NewMember("user", s.mark("baggage"))
	bag, _ := baggage.New(member)
	return req.WithContext(baggage.ContextWithBaggage(ctx, bag))
}

// answer returns an answer that is full of secrets but for its code and the
// headers given: name, value, name, value.
func (s secrets) answer(status int, code string, headers ...string) script.Step {
	return script.Do(func(req *http.Request) (*http.Response, error) {
		list := []string{
			"X-Okta-Request-Id", s.email("X-Okta-Request-Id"), "Location", s.url(true).String(), "Set-Cookie", "sid=" + s.mark("Set-Cookie"),
			"Www-Authenticate", `DPoP error="` + s.mark("WWW-Authenticate") + `", error_description="` + s.email("WWW-Authenticate") + `"`,
			"Retry-After", s.mark("Retry-After"), "X-Rate-Limit-Limit", s.mark("X-Rate-Limit"), "X-Rate-Limit-Reset", s.mark("X-Rate-Limit"),
			"Date", s.mark("Date"), "Content-Type", "application/json; charset=" + s.mark("Content-Type"),
		}
		body, _ := json.Marshal(map[string]any{
			"errorCode": code, "errorSummary": "Not found: " + s.email("errorSummary"), "errorLink": s.mark("errorLink"),
			"errorId": s.email("errorId"), "errorCauses": []any{map[string]any{"errorSummary": "login: " + s.email("errorCauses")}},
			"error": s.mark("error"), "error_description": s.email("error_description"), "factorResult": s.mark("factorResult"),
			"_links": map[string]any{"poll": map[string]any{"href": s.url(true).String()}},
		})
		resp, err := script.Reply(status, string(body), script.Headers(append(list, headers...)...)).Respond(req)
		resp.Status = fmt.Sprint(status, " ", s.mark("Status"))
		return resp, err
	})
}

// errors returns what a base may fail with.
func (s secrets) errors() []error {
	inURL := func(err error) error { return &url.Error{Op: "Get", URL: s.url(true).String(), Err: err} }
	refused := errors.New("connection refused")
	return []error{
		inURL(refused),
		inURL(io.EOF),
		inURL(inURL(refused)),
		fmt.Errorf("signing for %s: %w", s.email("error"), inURL(refused)),
		fmt.Errorf("signing: %v", inURL(refused)),
		errors.Join(errors.New("first "+s.mark("error")), inURL(refused)),
		&net.OpError{Op: "dial", Net: "tcp", Err: inURL(refused)},
		errors.New("no recording of " + s.url(false).String()),
		errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP response "` + s.mark("answer") + `"`),
		textproto.ProtocolError("malformed MIME header line: Set-Cookie: sid=" + s.mark("answer")),
	}
}

func TestSearchForSecretsFindsThemInEveryEncoding(t *testing.T) {
	s := secrets{}
	u := s.url(true)
	for _, text := range []string{u.String(), u.Path, u.RawPath, u.EscapedPath(), u.RawQuery, url.QueryEscape(u.String()), fmt.Sprintf("%q", u), u.Redacted()} {
		if len(s.find(text)) == 0 {
			t.Errorf("nothing found in %s", text)
		}
	}
	if places := s.find("GET https://example.okta.com/api/v1/users/{id}"); places != nil {
		t.Errorf("found %s in a template", places)
	}
}

// redactionCase is a way for a call to end.
type redactionCase struct {
	name   string
	stop   oktaretry.StopReason // of a plain GET
	class  oktaretry.Class      // likewise
	calls  int                  // how many calls it takes; 0 is 1
	limit  time.Duration        // negative: cancel by hand after that time
	policy func(*oktaretry.Policy)
	script func(secrets) []script.Step
	spoil  func(secrets, *http.Request)
}

func redactionCases() []redactionCase {
	one := func(status int, code string, headers ...string) func(secrets) []script.Step {
		return func(s secrets) []script.Step { return []script.Step{s.answer(status, code, headers...)} }
	}
	hang := func(secrets) []script.Step { return []script.Step{script.Hang()} }
	polls := func(p *oktaretry.Policy) { p.Pending.MaxElapsed = 10 * time.Second }
	breaker := func(p *oktaretry.Policy) { p.Breaker.MinCalls = 2 }
	const soon, toolate = "5", "100000"
	cases := []redactionCase{
		{name: "success", stop: oktaretry.StopSuccess, script: one(200, "")},
		{name: "redirect", stop: oktaretry.StopSuccess, script: one(302, "")},
		{name: "success in the end", stop: oktaretry.StopSuccess, script: func(s secrets) []script.Step {
			return []script.Step{s.answer(429, "E0000047", "Retry-After", soon), s.answer(503, "E0000009"), script.Fail(s.errors()[3]), s.answer(200, "")}
		}},
		{name: "429", stop: oktaretry.StopMaxElapsed, class: oktaretry.ClassRateLimited, script: one(429, "E0000047", "Retry-After", toolate)},
		{name: "429 without code", stop: oktaretry.StopMaxElapsed, class: oktaretry.ClassRateLimited, script: one(429, "", "Retry-After", toolate)},
		{name: "bucket closed", stop: oktaretry.StopMaxElapsed, class: oktaretry.ClassRateLimited, calls: 2, script: one(429, "E0000047", "Retry-After", toolate)},
		{name: "503", stop: oktaretry.StopMaxAttempts, class: oktaretry.ClassServerError, script: one(503, "E0000010")},
		{name: "502 without code", stop: oktaretry.StopMaxAttempts, class: oktaretry.ClassServerError, script: one(502, "")},
		{name: "pending", stop: oktaretry.StopMaxElapsed, class: oktaretry.ClassPending, policy: polls, script: one(202, "E0000070")},
		{name: "pending elsewhere", stop: oktaretry.StopMaxElapsed, class: oktaretry.ClassPending, policy: polls,
			script: one(202, "E0000070", "Location", "https://evil.example/")},
		{name: "404", stop: oktaretry.StopFailFast, class: oktaretry.ClassClientError, script: one(404, "E0000007")},
		{name: "401 without code", stop: oktaretry.StopFailFast, class: oktaretry.ClassClientError, script: one(401, "")},
		{name: "circuit open", stop: oktaretry.StopCircuitOpen, class: oktaretry.ClassServerError, calls: 3, policy: breaker, script: one(503, "E0000009")},
		{name: "deadline before a wait", stop: oktaretry.StopDeadline, class: oktaretry.ClassRateLimited, limit: time.Second, script: one(429, "", "Retry-After", soon)},
		{name: "deadline in the attempt", stop: oktaretry.StopDeadline, class: oktaretry.ClassNetwork, limit: time.Second, script: hang},
		{name: "canceled in a wait", stop: oktaretry.StopCanceled, class: oktaretry.ClassServerError, limit: -time.Second / 4, script: one(503, "")},
		{name: "canceled in the attempt", stop: oktaretry.StopCanceled, class: oktaretry.ClassNetwork, limit: -time.Second, script: hang},
		{name: "attempt timeout", stop: oktaretry.StopMaxElapsed, class: oktaretry.ClassNetwork, script: hang},
		{name: "base that answers nothing", stop: oktaretry.StopFailFast, class: oktaretry.ClassNetwork, script: func(secrets) []script.Step { return []script.Step{script.Nothing()} }},
		{name: "invalid request", stop: oktaretry.StopInvalid, class: oktaretry.ClassNetwork, script: one(200, ""),
			spoil: func(_ secrets, r *http.Request) { r.URL.Host = "" }},
		{name: "panic", stop: oktaretry.StopNone, class: oktaretry.ClassNetwork, script: func(s secrets) []script.Step {
			return []script.Step{script.Do(func(*http.Request) (*http.Response, error) { panic(s.mark("panic")) })}
		}},
		{name: "body that fails", stop: oktaretry.StopMaxAttempts, class: oktaretry.ClassServerError, script: one(503, ""),
			spoil: func(s secrets, r *http.Request) {
				r.GetBody = func() (io.ReadCloser, error) { return nil, s.errors()[0] }
			}},
	}
	for i := range (secrets{}).errors() {
		stop := oktaretry.StopMaxAttempts
		if i == 7 { // not of the network
			stop = oktaretry.StopFailFast
		}
		cases = append(cases, redactionCase{
			name: fmt.Sprint("network error ", i), stop: stop, class: oktaretry.ClassNetwork,
			script: func(s secrets) []script.Step { return []script.Step{script.Fail(s.errors()[i])} },
		})
	}
	return cases
}

// However a call ends, nothing of what went in by request or answer comes out
// by a span, a metric, a log line or an error, except what is meant to: host,
// template, method if it is a usual one, registered codes, well-formed IDs.
func TestTelemetryHoldsNoSecret(t *testing.T) {
	for _, tt := range redactionCases() {
		t.Run(tt.name, func(t *testing.T) {
			for i := range 32 {
				synctest.Test(t, func(t *testing.T) {
					v := redactionVariant{
						method: []string{"GET", "POST", "hostile", "hostile token"}[i%4],
						known:  i&4 == 0, dpop: i&8 != 0, spans: i&16 == 0,
					}
					runRedactionCase(t, tt, v)
				})
			}
		})
	}
}

// redactionVariant is how a call is made.
type redactionVariant struct {
	method string
	known  bool // the path is one of Okta's
	dpop   bool
	spans  bool // attempts have spans of their own
}

func runRedactionCase(t *testing.T, tt redactionCase, v redactionVariant) {
	s, method, known, dpop := secrets{}, v.method, v.known, v.dpop
	plain := method == "GET" && known && !dpop
	hostile := strings.HasPrefix(method, "hostile")
	switch method {
	case "hostile":
		method = s.mark("method")
	case "hostile token":
		method = "GET /" + s.mark("method") + " HTTP/1.1\r\nHost: x\r\n"
	}
	r := recorders.Observe(t, tt.policy, tt.script(s)...)
	r.With(t, oktaretry.WithAttemptSpans(v.spans), oktaretry.WithLogThreshold(0))
	ctx, rec := oktaretry.WithRecorder(oktaretry.WithIdempotent(t.Context()))
	ctx, cancel := context.WithCancel(ctx)
	if tt.limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, tt.limit)
	} else if tt.limit < 0 {
		time.AfterFunc(-tt.limit, cancel)
	}
	defer cancel()
	var all []error
	for range max(tt.calls, 1) {
		req := s.request(ctx, method, known, dpop)
		if hostile {
			req.URL.Scheme = s.mark("scheme")
		}
		if tt.spoil != nil {
			tt.spoil(s, req)
		}
		func() {
			defer func() { recover() }()
			resp, err := r.Transport.RoundTrip(req)
			if all = append(all, err); err == nil {
				resp.Body.Close()
			}
		}()
	}
	texts := reportedTexts(t, r, rec.Outcomes(), errors.Join(all...))
	wantNoSecrets(t, s, texts)
	o, ok := rec.Outcome()
	if !ok || plain && (o.Stop != tt.stop || o.Class != tt.class) {
		t.Errorf("ended as %v %v, want %v %v", o.Class, o.Stop, tt.class, tt.stop)
	}
	r.Ended(t)
	if tt.stop != oktaretry.StopInvalid && !strings.Contains(texts["metrics"], "example.okta.com") {
		t.Error("the metrics were not looked at")
	}
}

func TestHookErrorHidesItsURL(t *testing.T) {
	s := secrets{}
	for _, cause := range s.errors() {
		synctest.Test(t, func(t *testing.T) {
			r := recorders.Observe(t, nil, s.answer(503, "E0000009"))
			var err error
			if r.Transport, err = oktaretry.NewTransport(r.Base, oktaretry.WithPrepareRetry(func(*http.Request) error { return cause })); err != nil {
				t.Fatal(err)
			}
			ctx, rec := oktaretry.WithRecorder(t.Context())
			if _, err = r.Transport.RoundTrip(s.request(ctx, "GET", true, true)); err == nil {
				t.Error("no error")
			}
			wantNoSecrets(t, s, reportedTexts(t, r, rec.Outcomes(), err))
		})
	}
}

// net/http quotes methods that it refuses and answers that it cannot parse,
// which can be the rest of a body that was longer than it said.
func TestNetHTTPErrorsHideWhatTheyQuote(t *testing.T) {
	s := secrets{}
	raw := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, raw)
		conn.Close()
	}))
	defer server.Close()
	base := &http.Transport{DisableKeepAlives: true}
	ctx, rec := oktaretry.WithRecorder(oktaretry.WithNoRetry(t.Context()))
	for _, tt := range []struct{ name, method, answer, want string }{
		{"body in place of an answer", "GET", `{"login":"` + s.email("body") + `"}` + "\r\n\r\n", "malformed HTTP response"},
		{"version", "GET", "HTTP/" + s.mark("version") + " 200 OK\r\n\r\n", "malformed HTTP version"},
		{"status", "GET", "HTTP/1.1 " + s.mark("status") + " OK\r\n\r\n", "malformed HTTP status code"},
		{"header", "GET", "HTTP/1.1 200 OK\r\nsid " + s.mark("header") + "\r\n\r\n", "malformed MIME header"},
		{"method", "G " + s.mark("method"), "", "invalid method"},
		{"header value", "GET", "", "invalid header field value"},
		{"header name", "GET", "", "invalid header field name"},
		{"trailer", "POST", "", "invalid trailer field name"},
		{"scheme", "GET", "", "unsupported protocol scheme"},
	} {
		r := recorders.Observe(t, nil, script.Do(base.RoundTrip))
		raw = tt.answer
		req := s.request(ctx, tt.method, true, false)
		req.URL.Scheme, req.URL.Host = "http", server.Listener.Addr().String()
		switch tt.name {
		case "header value":
			req.Header["Authorization"] = []string{"SSWS " + s.mark("Authorization") + "\n"}
		case "header name":
			req.Header["X-"+s.mark("name of a header")+": "] = []string{"1"}
		case "trailer":
			req.Trailer = http.Header{s.mark("name of a trailer") + ": ": {"1"}}
		case "scheme":
			req.URL.Scheme = s.mark("scheme")
		}
		_, err := r.Transport.RoundTrip(req)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want something of %q", tt.name, err, tt.want)
		}
		wantNoSecrets(t, s, reportedTexts(t, r, rec.Outcomes(), err))
	}
}

func TestErrorWithHiddenURLStillMatches(t *testing.T) {
	for _, late := range []bool{true, false} {
		r := recorders.Observe(t, nil, script.Fail(fmt.Errorf("dialing https://example.okta.com/api/v1/users/ann@b.c?x=y: %w",
			&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "example.okta.com", IsNotFound: true, IsTimeout: late}})))
		err := r.Do(t.Context(), "GET", rig.UserURL)
		var dns *net.DNSError
		var timeout interface{ Timeout() bool }
		if !errors.As(err, &dns) || !errors.As(err, &timeout) || timeout.Timeout() != late {
			t.Errorf("%v lost what it is", err)
		}
		if want := "*fmt.wrapError: dial: lookup example.okta.com: no such host"; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}
