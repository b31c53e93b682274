// This file tests what clients and Okta see of each other through a sidecar.

package sidecar

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

var next = regexp.MustCompile(`^<(.*)>; rel="next"$`)

func TestPagesAreFollowedThroughTheSidecar(t *testing.T) {
	org := oktatest.NewServer(t, oktatest.WithUsers(25))
	s := start(t, Config{}, org)
	users := 0
	for page := s.url + "/api/v1/users?limit=10"; page != ""; {
		a := s.do("GET", page, "", "Authorization", "SSWS secret")
		if a.status != http.StatusOK {
			t.Fatalf("GET %s: %d %s", page, a.status, a.body)
		}
		var list []struct {
			Links map[string]struct{ Href string } `json:"_links"`
		}
		if err := json.Unmarshal([]byte(a.body), &list); err != nil {
			t.Fatal(err)
		}
		for _, u := range list {
			if !strings.HasPrefix(u.Links["self"].Href, s.url+"/api/v1/users/") {
				t.Errorf("a user's link is %s", u.Links["self"].Href)
			}
		}
		users += len(list)
		page = ""
		for _, link := range a.header["Link"] {
			if m := next.FindStringSubmatch(link); m != nil {
				page = m[1]
			}
		}
		if page != "" && !strings.HasPrefix(page, s.url) {
			t.Fatalf("the next page is %s", page)
		}
	}
	if users != 25 || org.Count("GET /api/v1/users") != 3 {
		t.Errorf("%d users in %d pages", users, org.Count("GET /api/v1/users"))
	}
}

func TestARateLimitIsSurvived(t *testing.T) {
	t.Parallel() // it waits for most of its time
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	s := start(t, Config{}, org)
	org.Script("POST /api/v1/users", oktatest.RateLimited(0))
	org.Script("GET /api/v1/users", oktatest.EdgePage(503))
	if a := s.do("POST", "/api/v1/users", `{"profile":{"login":"a@example.com","email":"a@example.com"}}`, "Content-Type", "application/json"); a.status != http.StatusOK {
		t.Errorf("POST: %d %s", a.status, a.body)
	}
	if a := s.do("GET", "/api/v1/users", ""); a.status != http.StatusOK {
		t.Errorf("GET: %d %s", a.status, a.body)
	}
	if p, g := org.Count("POST /api/v1/users"), org.Count("GET /api/v1/users"); p != 2 || g != 2 {
		t.Errorf("%d POSTs and %d GETs arrived, want 2 and 2", p, g)
	}
}

func TestOktaGetsWhatIsItsAndNothingElse(t *testing.T) {
	requests := make(chan *http.Request, 1)
	org := recording(t, requests, nil)
	s := startAt(t, Config{}, org)
	c := dial(t, s.addr)
	io.WriteString(c, "POST //api/v1/users/a%2Fb?filter=a;b&q=%zz HTTP/1.1\r\nHost: localhost:1\r\nAuthorization: SSWS secret\r\nUser-Agent: mine/1\r\n"+
		"Oktaretry-Priority: background\r\nOktaretry-Timeout: 20\r\nOktaretry-Else: x\r\nOktaretry-Authorization: Bearer y\r\nProxy-Authorization: Basic eDp5\r\n"+
		"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Port: 1\r\nForwarded: for=10.0.0.1\r\nX-Real-Ip: 10.0.0.1\r\n"+
		"Connection: X-Mine, Upgrade, Http2-Settings, close\r\nX-Mine: 1\r\nUpgrade: h2c\r\nHttp2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nTe: gzip\r\nKeep-Alive: timeout=9\r\n"+
		"Accept-Encoding: br\r\nExpect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
	text, _ := io.ReadAll(c)
	if !strings.HasPrefix(string(text), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n") {
		t.Fatalf("answered %q", text)
	}
	r := <-requests
	if r.RequestURI != "//api/v1/users/a%2Fb?filter=a;b&q=%zz" || r.Host != org.Host {
		t.Errorf("Okta got %s for %s", r.RequestURI, r.Host)
	}
	want := map[string]string{"Authorization": "SSWS secret", "User-Agent": "mine/1", "Content-Type": "application/json", "Content-Length": "2", "Accept-Encoding": "gzip"}
	for name, values := range r.Header {
		if len(values) != 1 || values[0] != want[name] {
			t.Errorf("Okta got %s: %q", name, values)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("Okta did not get %v", want)
	}
}

// recording is an org that hands on what it gets.
func recording(t testing.TB, requests chan<- *http.Request, answer http.HandlerFunc) *url.URL {
	l := listen(t)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer != nil {
			answer(w, r)
		} else {
			io.Copy(io.Discard, r.Body)
		}
		if requests != nil {
			requests <- r
		}
	})}
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return &url.URL{Scheme: "http", Host: l.Addr().String()}
}

// startAt is start for an org that is no fake.
func startAt(t testing.TB, c Config, org *url.URL) *served {
	t.Helper()
	c.Orgs = append(c.Orgs, Org{URL: org.String()})
	return start(t, c)
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func TestAnswersPointBack(t *testing.T) {
	const long = "oktaretry-sidecar.tools.internal.example:18080"
	var org *url.URL
	answer := func(w http.ResponseWriter, r *http.Request) {
		o := "http://" + r.Host
		switch r.URL.Path {
		case "/json":
			body := `{"issuer":"` + o + `","_links":{"self":{"href":"` + o + `/api/v1/x"}}}`
			h := w.Header()
			h.Set("Content-Type", "application/json; charset=UTF-8")
			h.Set("Content-Length", strconv.Itoa(len(body)))
			h.Set("Etag", `"v1"`)
			h.Set("Content-Md5", "x")
			h.Set("Strict-Transport-Security", "max-age=1")
			h.Set("Alt-Svc", "h3")
			io.WriteString(w, body)
		case "/ion":
			w.Header().Set("Content-Type", "application/ion+json; okta-version=1.0.0")
			io.WriteString(w, `{"href":"`+o+`/idp"}`)
		case "/gzip":
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, `{"href":"`+o+`/idp"}`)
			z.Close()
		case "/brotli":
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "br")
			io.WriteString(w, `{"href":"`+o+`/idp"}`)
		case "/text":
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, `{"href":"`+o+`/idp"}`)
		case "/redirect":
			w.Header().Set("Location", o+"/login?from="+o)
			w.WriteHeader(http.StatusFound)
		case "/elsewhere":
			w.Header().Set("Location", "https://app.example/cb?state=1")
			w.WriteHeader(http.StatusFound)
		}
	}
	org = recording(t, nil, answer)
	s := startAt(t, Config{Names: []string{"oktaretry-sidecar.tools.internal.example"}}, org)
	for _, host := range []string{s.addr, long} {
		back := "http://" + host
		a := s.do("GET", "/json", "", "Host", host)
		var doc struct {
			Issuer string
			Links  map[string]struct{ Href string } `json:"_links"`
		}
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc.Issuer != org.String() || doc.Links["self"].Href != back+"/api/v1/x" {
			t.Errorf("%s: %v: %s", host, err, a.body)
		}
		if n := a.header.Get("Content-Length"); n != "" && n != strconv.Itoa(len(a.body)) {
			t.Errorf("%s: Content-Length %s of %d bytes", host, n, len(a.body))
		}
		for name, want := range map[string]string{"Etag": `"v1"`, "Content-Md5": "", "Strict-Transport-Security": "", "Alt-Svc": ""} {
			if a.header.Get(name) != want {
				t.Errorf("%s: %s: %q", host, name, a.header.Get(name))
			}
		}
		head := s.do("HEAD", "/json", "", "Host", host)
		if n := head.header.Get("Content-Length"); n != "" && n != strconv.Itoa(len(a.body)) {
			t.Errorf("%s: HEAD says %s bytes, GET has %d", host, n, len(a.body))
		}
		for path, want := range map[string]string{
			"/ion":    `{"href":"` + back + `/idp"}`,
			"/gzip":   `{"href":"` + back + `/idp"}`,
			"/brotli": `{"href":"` + org.String() + `/idp"}`,
			"/text":   `{"href":"` + org.String() + `/idp"}`,
		} {
			if a := s.do("GET", path, "", "Host", host); strings.ReplaceAll(a.body, " ", "") != want {
				t.Errorf("%s%s: %s", host, path, a.body)
			}
		}
		if a := s.do("GET", "/redirect", "", "Host", host); a.header.Get("Location") != back+"/login?from="+org.String() {
			t.Errorf("%s: Location %s", host, a.header.Get("Location"))
		}
		if a := s.do("GET", "/elsewhere", "", "Host", host); a.header.Get("Location") != "https://app.example/cb?state=1" {
			t.Errorf("%s: Location %s", host, a.header.Get("Location"))
		}
	}
}

// As terraform-provider-okta and others use a proxy: http_proxy, and an org of plain http.
func TestAProxysClientIsServedForTheOrgsHost(t *testing.T) {
	org := oktatest.NewServer(t, oktatest.WithUsers(3))
	s := start(t, Config{}, org)
	proxy, _ := url.Parse(s.url)
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(org.URL + "/api/v1/users?limit=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 200 || len(resp.Header["Link"]) != 2 || !strings.HasPrefix(resp.Header["Link"][1], "<"+org.URL+"/") || !strings.Contains(string(body), org.URL) {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, body)
	}
	for _, other := range []string{"http://other.okta.com/api/v1/users", "http://169.254.169.254/latest/meta-data/", "http://127.0.0.1:1/"} {
		resp, err := client.Get(other)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if other == "http://127.0.0.1:1/" {
			continue // the sidecar's own name, whatever the port
		}
		if resp.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", other, resp.StatusCode)
		}
	}
}

func TestTheHostSelectsTheOrg(t *testing.T) {
	one, two := oktatest.NewServer(t), oktatest.NewServer(t)
	s := start(t, Config{Names: []string{"[fd00::1]", "fd00::2"}, Orgs: []Org{{URL: one.URL, Names: []string{"one.localhost"}}, {URL: two.URL, Names: []string{"two.localhost"}}}})
	for host, want := range map[string]*oktatest.Server{
		"one.localhost": one, "two.localhost:8080": two, "TWO.localhost": two, "localhost:1": one, "127.0.0.1": one, "[::1]:8080": one,
		"[fd00::1]:8080": one, "[fd00::1]": one, "[fd00::2]:8080": one,
		strings.TrimPrefix(one.URL, "http://"): one, strings.TrimPrefix(two.URL, "http://"): two,
	} {
		before := want.Arrived()
		if a := s.do("GET", "/api/v1/users", "", "Host", host); a.status != 200 || want.Arrived() != before+1 {
			t.Errorf("Host %s: %d, and %d requests arrived", host, a.status, want.Arrived()-before)
		}
	}
}

func TestBodiesStreamBothWays(t *testing.T) {
	org := recording(t, nil, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		buf := make([]byte, 100)
		for {
			n, err := r.Body.Read(buf)
			w.Write(buf[:n])
			http.NewResponseController(w).Flush()
			if err != nil {
				return
			}
		}
	})
	s := startAt(t, Config{}, org)
	r, w := io.Pipe()
	req, _ := http.NewRequest("POST", s.url+"/api/v1/echo", r)
	go io.WriteString(w, "first")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	buf := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "first" {
		t.Fatalf("%q, %v", buf, err)
	}
	w.Close()
}

func TestAClientThatGoesAwayEndsTheCall(t *testing.T) {
	org := oktatest.NewServer(t)
	s := start(t, Config{}, org)
	org.Script("GET /api/v1/users", oktatest.Always(oktatest.RateLimited(time.Minute)))
	ctx, cancel := context.WithCancel(context.Background())
	req, _ := http.NewRequestWithContext(ctx, "GET", s.url+"/api/v1/users", nil)
	done := make(chan struct{})
	go func() { defer close(done); http.DefaultClient.Do(req) }()
	eventually(t, "the call waits", func() bool { return org.Count("GET /api/v1/users") == 1 })
	cancel()
	<-done
	waiting := func() (n int) {
		for _, b := range s.Transport().Snapshot().Buckets {
			n += b.Waiting
		}
		return n
	}
	eventually(t, "nobody is in line", func() bool { return waiting() == 0 })
	s.stop()
	select {
	case err := <-s.ended:
		if err != nil {
			t.Error(err)
		}
		s.ended <- nil
	case <-time.After(20 * time.Second):
		t.Error("the call goes on")
	}
}

// inLine returns how many calls wait for their turn.
func inLine(s *served) (n int) {
	for _, b := range s.Transport().Snapshot().Buckets {
		n += b.Waiting
	}
	return n
}

// TestWhatNobodyWaitsForIsNotSent: a client whose time runs out while its create waits in
// line sends another. net/http notices that it has gone away only once it has read the
// body, which nobody had: all were sent when the line moved on.
func TestWhatNobodyWaitsForIsNotSent(t *testing.T) {
	t.Parallel() // it waits for most of its time
	org := oktatest.NewServer(t)
	s := start(t, Config{}, org)
	org.Script("POST /api/v1/groups", oktatest.Always(oktatest.RateLimited(time.Minute)))
	first := dial(t, s.addr)
	head := "POST /api/v1/groups HTTP/1.1\r\nHost: " + s.addr + "\r\nContent-Type: application/json\r\n"
	const group = `{"profile":{"name":"g"}}`
	whole := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(group), group)
	io.WriteString(first, whole)
	eventually(t, "the bucket is used up", func() bool { return inLine(s) == 1 })
	for name, request := range map[string]string{
		"a body":                  whole,
		"a body in chunks":        fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", head, len(group), group),
		"a body of 60 kB":         head + "Content-Length: 60000\r\n\r\n" + strings.Repeat(" ", 60000),
		"a body that breaks off":  head + "Content-Length: 100\r\n\r\n" + group,
		"a chunk that breaks off": fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s", head, 100, group),
	} {
		c := dial(t, s.addr)
		io.WriteString(c, request)
		eventually(t, name+": it waits", func() bool { return inLine(s) == 2 })
		c.Close()
		eventually(t, name+": it has left the line", func() bool { return inLine(s) == 1 })
	}
	first.Close()
	eventually(t, "nobody is in line", func() bool { return inLine(s) == 0 })
	if n := org.Count("POST /api/v1/groups"); n != 1 {
		t.Errorf("Okta got %d creates, want that of the first alone", n)
	}
}

// A client that stays but sends no more of its body, or nonsense, waits for nothing.
func TestABrokenBodyLeavesTheLine(t *testing.T) {
	t.Parallel() // it waits for most of its time
	org := oktatest.NewServer(t)
	s := start(t, Config{StallTimeout: time.Second}, org)
	org.Script("POST /api/v1/groups", oktatest.Always(oktatest.RateLimited(time.Minute)))
	post := func(body string) net.Conn {
		c := dial(t, s.addr)
		fmt.Fprintf(c, "POST /api/v1/groups HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n%s", s.addr, body)
		return c
	}
	post("Content-Length: 2\r\n\r\n{}")
	eventually(t, "the bucket is used up", func() bool { return inLine(s) == 1 })
	for name, body := range map[string]string{
		"stalled":                           "Content-Length: 100\r\n\r\n{}",
		"stalled, too long to be sent anew": "Content-Length: 2000000\r\n\r\n{}",
		"malformed":                         "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n",
	} {
		c := post(body)
		c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: its call is in line still", name)
		} else if err == nil && resp.StatusCode < 400 {
			t.Errorf("%s: answered %s", name, resp.Status)
		}
	}
	if n := org.Count("POST /api/v1/groups"); n != 1 {
		t.Errorf("Okta got %d creates, want that of the first alone", n)
	}
}

func TestABrokenBodyBreaksTheAnswerOff(t *testing.T) {
	org := oktatest.NewServer(t, oktatest.WithUsers(50))
	s := start(t, Config{}, org)
	org.Script("GET /api/v1/users", oktatest.CutBody(oktatest.Pass))
	resp, err := http.Get(s.url + "/api/v1/users")
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("a client takes half a body for a whole one")
	}
}

func TestBodiesUpToTheBoundAreSentAgain(t *testing.T) {
	t.Parallel() // it waits for most of its time
	var attempts atomic.Int32
	org := recording(t, nil, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if attempts.Add(1)%2 == 1 {
			w.Header().Set("Retry-After", "0")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(429)
			io.WriteString(w, `{"errorCode":"E0000047"}`)
			return
		}
		fmt.Fprint(w, n)
	})
	s := startAt(t, Config{}, org)
	for _, size := range []int{1, 1 << 20} {
		if a := s.do("POST", "/api/v1/x", strings.Repeat("x", size)); a.status != 200 || a.body != strconv.Itoa(size) {
			t.Errorf("%d bytes: %d %s", size, a.status, a.body)
		}
	}
	a := s.do("POST", "/api/v1/x", strings.Repeat("x", 1<<20+1))
	if a.status != 429 || a.header.Get("Retry-After") == "" {
		t.Errorf("beyond the bound: %d %s", a.status, a.body)
	}
	a.error(t)
}

func TestOktaIsCalledOverHTTP2(t *testing.T) {
	protocols := make(chan string, 2)
	org := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocols <- r.Proto }))
	org.EnableHTTP2 = true
	org.StartTLS()
	defer org.Close()
	base := newBase()
	base.TLSClientConfig = org.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	s := start(t, Config{Orgs: []Org{{URL: org.URL}}, Base: base})
	if a := s.do("GET", "/api/v1/users", ""); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if p := <-protocols; p != "HTTP/2.0" {
		t.Errorf("Okta was called over %s", p)
	}
	if base.IdleConnTimeout >= 5*time.Second {
		t.Errorf("idle connections are kept for %s; Okta closes them after 5 s", base.IdleConnTimeout)
	}
}
