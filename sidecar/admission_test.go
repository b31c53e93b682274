// This file tests what is refused, over raw sockets: none of it reaches Okta.

package sidecar

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

func TestHostileRequestsAreRefused(t *testing.T) {
	t.Parallel() // it waits for most of its time
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	s := start(t, Config{MaxHeader: 16 << 10}, org)
	orgHost := strings.TrimPrefix(org.URL, "http://")
	get := func(target, host string, more ...string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Join(more, "") + "\r\n"
	}
	post := func(fields, body string) string {
		return "POST /api/v1/users HTTP/1.1\r\nHost: " + s.addr + "\r\n" + fields + "\r\n" + body
	}
	type hostile struct {
		name, wire string
		want       int
	}
	refused := func(t *testing.T, tt hostile) {
		statuses, all := raw(t, s.addr, tt.wire)
		if len(statuses) != 1 || statuses[0] != tt.want {
			t.Errorf("answered with %v, want %d alone\n%.300s", statuses, tt.want, all)
		}
		if strings.Contains(all, "evil") || strings.Contains(all, "smuggled") {
			t.Errorf("the answer repeats the request: %s", all)
		}
	}
	requests := []hostile{
		{"a name that was rebound to this address", get("/api/v1/users", "evil.example"), 421},
		{"such a name with the port", get("/api/v1/users", "evil.example:8080"), 421},
		{"a host that ends like one's own", get("/api/v1/users", "evil-localhost"), 421},
		{"a subdomain of localhost that is no name", get("/api/v1/users", "evil.localhost"), 421},
		{"an address of somebody else", get("/api/v1/users", "169.254.169.254"), 421},
		{"an empty Host", get("/api/v1/users", ""), 421},
		{"a Host with a path", get("/api/v1/users", "localhost/@evil.example"), 400},
		{"a Host with a user", get("/api/v1/users", "localhost@evil.example"), 400},
		{"a Host with a quotation mark", get("/api/v1/users", `localhost"`), 400},
		{"a port that is none", get("/api/v1/users", "localhost:99999"), 421},
		{"absolute form for another host", get("http://evil.example/api/v1/users", "evil.example"), 421},
		{"absolute form for another host, under one's own", get("http://evil.example/api/v1/users", s.addr), 421},
		{"absolute form by https", get("https://"+orgHost+"/api/v1/users", orgHost), 400},
		{"absolute form by ftp", get("ftp://"+orgHost+"/api/v1/users", orgHost), 400},
		{"absolute form with a user", get("http://u:p@"+orgHost+"/api/v1/users", orgHost), 400},
		{"CONNECT", "CONNECT " + orgHost + " HTTP/1.1\r\nHost: " + orgHost + "\r\n\r\n", 405},
		{"CONNECT to another host", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", 405},
		{"TRACE", "TRACE /api/v1/users HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n", 405},
		{"the server as a whole", "OPTIONS * HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n", 400},
		{"a path without a slash", get("api/v1/users", s.addr), 400},
		{"dot segments", get("/api/v1/authn/../users", s.addr), 400},
		{"encoded dot segments", get("/api/v1/authn/%2e%2E/users", s.addr), 400},
		{"an encoded slash beside dots", get("/api/v1/authn%2f..%2fusers", s.addr), 400},
		{"dot segments with a parameter", get("/api/v1/authn/..;/users", s.addr), 400},
		{"a header that is too large", get("/api/v1/users", s.addr, "X-A: "+strings.Repeat("a", 32<<10)+"\r\n"), 431},
		{"too many fields", get("/api/v1/users", s.addr, strings.Repeat("X-A: aaaaaaaaaa\r\n", 2<<10)), 431},
		{"a target that is too long", get("/"+strings.Repeat("a", 32<<10), s.addr), 431},
		{"another priority", get("/api/v1/users", s.addr, "Oktaretry-Priority: urgent\r\n"), 400},
		{"a timeout that is none", get("/api/v1/users", s.addr, "Oktaretry-Timeout: soon\r\n"), 400},
		{"a timeout of nothing", get("/api/v1/users", s.addr, "Oktaretry-Timeout: 0\r\n"), 400},

		{"Content-Length and Transfer-Encoding", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: "+s.addr+"\r\n\r\n"), 400},
		{"two lengths", post("Content-Length: 0\r\nContent-Length: 44\r\n", ""), 400},
		{"two equal lengths", post("Content-Length: 2\r\nContent-Length: 2\r\n", "{}"), 400},
		{"an encoding that hides", post("Transfer-Encoding: xchunked\r\nContent-Length: 2\r\n", "{}"), 400},
		{"two encodings", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"), 400},
		{"a folded field", post("X-A: 1\r\n Content-Length: 2\r\n", ""), 400},
		{"a folded encoding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400},
		{"a blank before the colon", post("Content-Length : 2\r\n", "{}"), 400},
		{"a bare LF", "GET /api/v1/users HTTP/1.1\nHost: " + s.addr + "\n\n", 400},
		{"a bare CR", post("X-A: 1\rContent-Length: 2\r\n", ""), 400},
		{"a NUL", post("X-A: \x00\r\n", ""), 400},
		{"two Hosts", get("/api/v1/users", s.addr, "Host: evil.example\r\n"), 400},
		{"no Host", "GET /api/v1/users HTTP/1.1\r\n\r\n", 400},
		{"HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
		{"HTTP/0.9", "GET /api/v1/users\r\n\r\n", 400},
		{"TLS on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
	}
	t.Run("all", func(t *testing.T) { // net/http takes half a second to close after some
		for _, tt := range requests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				refused(t, tt)
			})
		}
	})
	if n := org.Arrived(); n != 0 {
		t.Errorf("%d requests reached Okta", n)
	}
	if strings.Contains(s.log.String(), "evil") {
		t.Errorf("the log repeats a request:\n%s", s.log)
	}
	if a := s.do("GET", "/api/v1/users", ""); a.status != 200 {
		t.Errorf("afterwards: %d", a.status)
	}
}

func TestASmuggledRequestIsNotServed(t *testing.T) {
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	s := start(t, Config{}, org)
	for name, fields := range map[string]string{
		"CL.TE": "Content-Length: %d\r\nTransfer-Encoding: chunked\r\n",
		"TE.CL": "Transfer-Encoding: chunked\r\nContent-Length: %d\r\n",
		"CL.CL": "Content-Length: %d\r\nContent-Length: 0\r\n",
		"TE.TE": "Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\nContent-Length: %d\r\n",
	} {
		inner := "DELETE /api/v1/users/victim HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n"
		body := "0\r\n\r\n" + inner
		raw(t, s.addr, "POST /api/v1/users HTTP/1.1\r\nHost: "+s.addr+"\r\n"+fmt.Sprintf(fields, len(body))+"\r\n"+body)
		if n := org.Arrived(); n != 0 {
			t.Errorf("%s: %d requests reached Okta", name, n)
		}
	}
}

func TestPipelinedRequestsAreServedInOrder(t *testing.T) {
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	s := start(t, Config{}, org)
	one := "GET /api/v1/users HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n"
	two := "POST /api/v1/users/x HTTP/1.1\r\nHost: " + s.addr + "\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
	c := dial(t, s.addr)
	io.WriteString(c, one+two+strings.Replace(one, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
	text, _ := io.ReadAll(c)
	if n := strings.Count(string(text), "HTTP/1.1 "); n != 3 {
		t.Errorf("%d answers:\n%s", n, text)
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel() // it waits for most of its time
	big := recording(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			io.Copy(io.Discard, r.Body)
			return
		}
		if r.URL.Path == "/early" {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		part := make([]byte, 1<<20)
		for range 64 {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	})
	const patience = 500 * time.Millisecond // much more than a busy machine takes for what is not slow
	s := startAt(t, Config{HeaderTimeout: patience, StallTimeout: patience, IdleTimeout: patience}, big)
	drip := func(t *testing.T, c net.Conn, piece string) {
		for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if _, err := io.WriteString(c, piece); err != nil {
				return
			}
		}
		t.Error("the connection is still open")
	}
	t.Run("header", func(t *testing.T) {
		t.Parallel()
		c := dial(t, s.addr)
		io.WriteString(c, "GET /api/v1/users HTTP/1.1\r\nHost: "+s.addr+"\r\n")
		drip(t, c, "X-A: 1\r\n")
	})
	t.Run("nothing at all", func(t *testing.T) {
		t.Parallel()
		if text, err := io.ReadAll(dial(t, s.addr)); err != nil || len(text) > 0 {
			t.Errorf("%q, %v", text, err)
		}
	})
	t.Run("nothing more", func(t *testing.T) {
		t.Parallel()
		c := dial(t, s.addr)
		io.WriteString(c, "POST /api/v1/users HTTP/1.1\r\nHost: "+s.addr+"\r\nContent-Length: 0\r\n\r\n")
		if text, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 200") {
			t.Errorf("%q, %v", text, err)
		}
	})
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		c := dial(t, s.addr)
		io.WriteString(c, "POST /api/v1/users HTTP/1.1\r\nHost: "+s.addr+"\r\nContent-Length: 1000000\r\n\r\n")
		drip(t, c, "x")
	})
	t.Run("body that stops", func(t *testing.T) {
		t.Parallel()
		c := dial(t, s.addr)
		io.WriteString(c, "POST /api/v1/users HTTP/1.1\r\nHost: "+s.addr+"\r\nContent-Length: 10\r\n\r\nx")
		if text, _ := io.ReadAll(c); !strings.HasPrefix(string(text), "HTTP/1.1 400") || !strings.Contains(string(text), "too slowly") {
			t.Errorf("answered %q", text)
		}
	})
	t.Run("body of a request that is refused", func(t *testing.T) {
		t.Parallel()
		c := dial(t, s.addr)
		io.WriteString(c, "POST /api/v1/users HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 10\r\n\r\nx")
		if text, _ := io.ReadAll(c); !strings.HasPrefix(string(text), "HTTP/1.1 421") {
			t.Errorf("answered %q", text)
		}
	})
	t.Run("body that Okta does not want", func(t *testing.T) {
		t.Parallel()
		c := dial(t, s.addr)
		io.WriteString(c, "PUT /early HTTP/1.1\r\nHost: "+s.addr+"\r\nContent-Length: 1000000\r\n\r\nx")
		if text, _ := io.ReadAll(c); !strings.HasPrefix(string(text), "HTTP/1.1 413") {
			t.Errorf("answered %q", text)
		}
	})
	t.Run("reader", func(t *testing.T) {
		t.Parallel()
		c := dial(t, s.addr)
		io.WriteString(c, "GET /api/v1/users HTTP/1.1\r\nHost: "+s.addr+"\r\n\r\n")
		time.Sleep(3 * patience)
		n, err := io.Copy(io.Discard, c)
		if n >= 64<<20 {
			t.Errorf("%d bytes, %v: a client that did not read got all", n, err)
		}
	})
}

func TestNoMoreConnectionsAreServedThanTheLimit(t *testing.T) {
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	s := start(t, Config{MaxConns: 2}, org)
	one, two := dial(t, s.addr), dial(t, s.addr)
	hold := func(c net.Conn) {
		io.WriteString(c, "GET /api/v1/users HTTP/1.1\r\nHost: "+s.addr+"\r\n\r\n")
		c.Read(make([]byte, 1))
	}
	hold(one)
	hold(two)
	three := dial(t, s.addr)
	io.WriteString(three, "GET /api/v1/users HTTP/1.1\r\nHost: "+s.addr+"\r\nConnection: close\r\n\r\n")
	three.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := three.Read(make([]byte, 1)); err == nil {
		t.Error("a third connection is served beside two")
	}
	one.Close()
	three.SetReadDeadline(time.Now().Add(20 * time.Second))
	if text, err := io.ReadAll(three); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 200") {
		t.Errorf("once one has gone: %q, %v", text, err)
	}
}

func TestPagesOfOtherOriginsCannotUseTheCredential(t *testing.T) {
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	token, err := TokenFile(writeFile(t, "token", "secret\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{Orgs: []Org{{URL: org.URL, Credential: token}}})
	for name, header := range map[string][]string{
		"a cross-site request": {"Sec-Fetch-Site", "cross-site"},
		"a same-site request":  {"Sec-Fetch-Site", "same-site"},
		"an origin":            {"Origin", "https://evil.example"},
		"an opaque origin":     {"Origin", "null"},
	} {
		if a := s.do("POST", "/api/v1/users", "{}", header...); a.status != http.StatusForbidden {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	if org.Arrived() != 0 {
		t.Errorf("%d requests reached Okta", org.Arrived())
	}
	if a := s.do("GET", "/api/v1/users", "", "Origin", s.url, "Sec-Fetch-Site", "same-origin"); a.status != 200 {
		t.Errorf("of its own origin: %d", a.status)
	}
}

func TestTheSidecarsTokenIsDemanded(t *testing.T) {
	t.Parallel() // it waits for most of its time
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	path := writeFile(t, "token", "first\n")
	s := start(t, Config{AuthTokenFile: path}, org)
	for _, tt := range []struct {
		name, field, value string
		want               int
	}{
		{"none", "", "", 401},
		{"a bearer's", "Oktaretry-Authorization", "Bearer first", 200},
		{"a proxy's", "Proxy-Authorization", "Bearer first", 200},
		{"a proxy's by password", "Proxy-Authorization", "Basic eDpmaXJzdA==", 200},
		{"another", "Oktaretry-Authorization", "Bearer second", 401},
		{"without a scheme", "Oktaretry-Authorization", "first", 401},
		{"Okta's own", "Authorization", "SSWS first", 401}, // it passes to Okta, and is Okta's
	} {
		var header []string
		if tt.field != "" {
			header = []string{tt.field, tt.value}
		}
		if a := s.do("GET", "/api/v1/users", "", header...); a.status != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, a.status, tt.want)
		}
	}
	replaceFile(t, path, "second\n")
	eventually(t, "the new token counts", func() bool {
		return s.do("GET", "/api/v1/users", "", "Oktaretry-Authorization", "Bearer second").status == 200
	})
	if a := s.do("GET", "/api/v1/users", "", "Oktaretry-Authorization", "Bearer first"); a.status != 401 {
		t.Errorf("the old token: %d", a.status)
	}
	if statuses, all := raw(t, s.addr, "GET "+org.URL+"/api/v1/users HTTP/1.1\r\nHost: x\r\n\r\n"); statuses[0] != 407 || !strings.Contains(all, "Proxy-Authenticate") {
		t.Errorf("as a proxy: %s", all)
	}
	if log := s.log.String(); strings.Contains(log, "first") || strings.Contains(log, "second") {
		t.Errorf("the log has a token:\n%s", log)
	}
}

func TestListeningBeyondTheMachineNeedsAuthentication(t *testing.T) {
	org := oktatest.NewServer(t)
	path := writeFile(t, "token", "secret")
	for name, tt := range map[string]struct {
		c       Config
		refused bool
	}{
		"nothing":             {Config{}, true},
		"TLS alone":           {Config{TLS: &tls.Config{}}, true},
		"certificates if any": {Config{TLS: &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven}}, true},
		"certificates":        {Config{TLS: &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}}, false},
		"a token":             {Config{AuthTokenFile: path}, false},
	} {
		tt.c.Orgs = []Org{{URL: org.URL}}
		s, err := New(tt.c)
		if err != nil {
			t.Fatal(err)
		}
		for _, addr := range []string{"0.0.0.0:0", ":0"} {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.CheckListener(l); errors.Is(err, ErrExposed) != tt.refused {
				t.Errorf("%s on %s: %v", name, addr, err)
			}
			l.Close()
		}
	}
}
