package oktatest_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/oktatest"
)

// recordedHeaders are those of today's answers (2025-09), beside Date, Content-Type,
// Link, the request id and the rate limit's.
const recordedHeaders = `Accept-Ch: Sec-CH-UA-Platform-Version
Cache-Control: no-cache, no-store
Content-Security-Policy: frame-ancestors 'self'
Expires: 0
P3p: CP="HONK"
Pragma: no-cache
Referrer-Policy: strict-origin-when-cross-origin
Server: nginx
Strict-Transport-Security: max-age=315360000; includeSubDomains
X-Xss-Protection: 0`

func TestServersAnswerWithOktasHeaders(t *testing.T) {
	srv := oktatest.NewServer(t, oktatest.WithUsers(1))
	rt := srv.Client().Transport
	session := regexp.MustCompile(`^JSESSIONID=[0-9A-F]{32}; Path=/; Secure; HttpOnly$`)
	seen := map[string]bool{}
	srv.Script("GET /api/v1/apps", oktatest.Code("E0000009"))
	srv.Script("GET /api/v1/users", oktatest.Func(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "[]") }))
	for _, c := range []struct {
		method, path string
		status       int
		body         bool
	}{
		{"GET", "/api/v1/users/me", 200, true},
		{"GET", "/api/v1/users/none", 404, true},
		{"GET", "/api/v1/apps", 500, true},
		{"DELETE", "/api/v1/users/me", 204, false},
		{"POST", "/oauth2/v1/token?" + grant, 200, true},
	} {
		a := do(t, rt, c.method, srv.URL+c.path, "")
		wantStatus(t, a, c.status)
		for _, line := range strings.Split(recordedHeaders, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			if got := a.Header[name]; len(got) != 1 || got[0] != value {
				t.Errorf("%s %s: %s: %q, want %q", c.method, c.path, name, got, value)
			}
		}
		cookies := a.Header["Set-Cookie"]
		if len(cookies) != 5 || cookies[0] != `sid="";Version=1;Path=/;Max-Age=0` || !session.MatchString(cookies[4]) || seen[cookies[4]] {
			t.Errorf("%s %s: cookies %q", c.method, c.path, cookies)
		}
		seen[cookies[4]] = true
		if sniff := a.Header.Get("X-Content-Type-Options") == "nosniff"; sniff != c.body || (a.Header.Get("X-Frame-Options") == "SAMEORIGIN") == c.body {
			t.Errorf("%s %s: %v", c.method, c.path, a.Header)
		}
		if c.body && (!a.Uncompressed || len(a.TransferEncoding) != 1 || a.ContentLength != -1) {
			t.Errorf("%s %s: compressed %v, transfer encoding %q, length %d", c.method, c.path, a.Uncompressed, a.TransferEncoding, a.ContentLength)
		}
	}
	if a := do(t, rt, "GET", srv.URL+"/api/v1/users", ""); a.body != "[]" || a.Header.Get("Server") != "nginx" {
		t.Error(a.Header, a.body)
	}
}

func TestBodiesAreCompressedWhereThatIsAccepted(t *testing.T) {
	o := oktatest.New(oktatest.WithOktaHeaders(true), oktatest.WithUsers(3))
	plain := do(t, o.Transport(), "GET", org+"/api/v1/users", "", "Accept-Encoding", "identity")
	for accept, want := range map[string]bool{
		"gzip": true, "br, GZIP;q=0.5": true, "deflate": false, "gzip;q=0": false, "gzip; q=0.0": false, "identity": false,
	} {
		a := do(t, o.Transport(), "GET", org+"/api/v1/users", "", "Accept-Encoding", accept)
		body := a.body
		if got := a.Header.Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("%q: compressed %v, want %v", accept, got, want)
		}
		if want {
			z, err := gzip.NewReader(bytes.NewBufferString(body))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			body = string(b)
		}
		if body != plain.body || a.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: %s", accept, body)
		}
	}
}

func TestOktasHeadersCanBeSwitched(t *testing.T) {
	plain := func(name string, a answer) {
		if a.Header.Get("Server") != "" || a.Header["Set-Cookie"] != nil || a.Uncompressed || a.ContentLength != int64(len(a.body)) {
			t.Errorf("%s: %v", name, a.Header)
		}
	}
	plain("in memory", do(t, oktatest.New().Transport(), "GET", org+"/api/v1/groups", ""))
	srv := oktatest.NewServer(t, oktatest.WithOktaHeaders(false))
	plain("switched off", do(t, srv.Client().Transport, "GET", srv.URL+"/api/v1/groups", ""))

	o := oktatest.New(oktatest.WithOktaHeaders(true))
	if a := do(t, o.Transport(), "GET", org+"/api/v1/groups", ""); a.Header.Get("Server") != "nginx" || !a.Uncompressed || len(a.list(t)) != 1 {
		t.Error(a.Header, a.body)
	}
	o.Script("*", oktatest.EdgePage(503), oktatest.Code("E0000009").WithHeader("Server", "mine").WithoutHeader("Pragma").WithoutHeader("Vary"))
	if a := do(t, o.Transport(), "GET", org+"/api/v1/groups", ""); a.Header["Set-Cookie"] != nil || a.Header.Get("Server") != "edge" || a.Uncompressed {
		t.Error(a.Header)
	}
	if a := do(t, o.Transport(), "GET", org+"/api/v1/groups", ""); a.Header.Get("Server") != "mine" || a.Header["Pragma"] != nil || a.Header["Vary"] != nil || a.Header.Get("Expires") != "0" {
		t.Error(a.Header)
	}
}

func TestOktasHeadersOverHTTP2(t *testing.T) {
	srv := httptest.NewUnstartedServer(oktatest.New(oktatest.WithOktaHeaders(true)))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	a := do(t, srv.Client().Transport, "GET", srv.URL+"/api/v1/groups", "")
	if a.ProtoMajor != 2 || a.Header.Get("Server") != "nginx" || !a.Uncompressed || len(a.list(t)) != 1 {
		t.Error(a.Proto, a.Header, a.body)
	}
}

func TestHandlersMayNameALength(t *testing.T) {
	log := new(bytes.Buffer)
	srv := httptest.NewUnstartedServer(oktatest.New(oktatest.WithOktaHeaders(true), oktatest.WithHandler("/api/v1/plain",
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			fmt.Fprint(w, "plain")
		}))))
	srv.Config.ErrorLog = stdlog.New(log, "", 0)
	srv.Start()
	defer srv.Close()
	if a := do(t, srv.Client().Transport, "GET", srv.URL+"/api/v1/plain", ""); a.body != "plain" || log.Len() > 0 {
		t.Error(a.Header, a.body, log)
	}
}
