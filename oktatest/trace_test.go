package oktatest_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

// events is what a trace has been called with, in order.
type events struct {
	mu  sync.Mutex
	all []string
}

func (e *events) add(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, fmt.Sprintf(format, args...))
}

// atLeast returns the events once there are so many, or after a while.
func (e *events) atLeast(n int) []string {
	for until := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) {
		e.mu.Lock()
		got := slices.Clone(e.all)
		e.mu.Unlock()
		if len(got) >= n || time.Now().After(until) {
			return got
		}
	}
}

func (e *events) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(hostPort string) { e.add("GetConn %s", hostPort) },
		GotConn: func(i httptrace.GotConnInfo) {
			e.add("GotConn %s, reused %t, idle %t", i.Conn.RemoteAddr(), i.Reused, i.WasIdle)
		},
		PutIdleConn:          func(err error) { e.add("PutIdleConn %v", err) },
		GotFirstResponseByte: func() { e.add("GotFirstResponseByte") },
		DNSStart:             func(i httptrace.DNSStartInfo) { e.add("DNSStart %s", i.Host) },
		DNSDone:              func(i httptrace.DNSDoneInfo) { e.add("DNSDone %v", i.Addrs) },
		ConnectStart:         func(network, addr string) { e.add("ConnectStart %s %s", network, addr) },
		ConnectDone:          func(network, addr string, err error) { e.add("ConnectDone %s %s %t", network, addr, err == nil) },
		TLSHandshakeStart:    func() { e.add("TLSHandshakeStart") },
		TLSHandshakeDone: func(s tls.ConnectionState, err error) {
			e.add("TLSHandshakeDone %x %t %q %v", s.Version, s.HandshakeComplete, s.ServerName, err)
		},
		WroteHeaderField: func(key string, value []string) { e.add("WroteHeaderField %s %q", key, value) },
		WroteHeaders:     func() { e.add("WroteHeaders") },
		WroteRequest:     func(i httptrace.WroteRequestInfo) { e.add("WroteRequest %v", i.Err) },
	}
}

// traced sends a request, reads of the answer what read does, and returns the
// events, so many of them at least: since Go 1.27 net/http reads the rest of a body
// that was closed, and reports that it kept the connection, on its own time.
func traced(t *testing.T, rt http.RoundTripper, req *http.Request, read func(io.ReadCloser), least int) []string {
	t.Helper()
	var got events
	resp, err := rt.RoundTrip(req.WithContext(httptrace.WithClientTrace(t.Context(), got.trace())))
	got.add("returned, %t", err == nil)
	if err == nil {
		read(resp.Body)
	}
	return got.atLeast(least)
}

func toItsEnd(b io.ReadCloser) { io.ReadAll(b); b.Close() }

func TestTraceInMemoryIsThatOfASocket(t *testing.T) {
	const body = `{"profile":{}}`
	abort := oktatest.Func(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	// One after another, so that each finds the connection that the last has left.
	requests := []struct {
		name         string
		method, body string
		step         oktatest.Step
		edit         func(*http.Request)
		read         func(io.ReadCloser)
	}{
		{name: "new connection"},
		{name: "kept connection"},
		{name: "headers", edit: func(r *http.Request) {
			r.Header = http.Header{"X-Z": {"1", "2"}, "Authorization": {"SSWS a"}, "User-Agent": {"me"}}
		}},
		{name: "own encoding", edit: func(r *http.Request) { r.Header = http.Header{"Accept-Encoding": {"br"}, "B": {"1"}} }},
		{name: "body", method: "POST", body: body},
		{name: "body of no known length", method: "POST", body: body, edit: func(r *http.Request) { r.ContentLength = -1 }},
		{name: "POST without a body", method: "POST"},
		{name: "HEAD", method: "HEAD"},
		{name: "no content", method: "DELETE", step: oktatest.Status(204)},
		{name: "empty answer", step: oktatest.Status(200)},
		{name: "gzip", step: oktatest.Gzip(oktatest.Pass)},
		{name: "decoded, and nothing read after that", read: func(b io.ReadCloser) {
			var v any
			json.NewDecoder(b).Decode(&v)
			b.Close()
		}},
		{name: "answer not read", read: func(b io.ReadCloser) { b.Close() }},
		{name: "after that"},
		{name: "aborted before the body", method: "POST", body: body, step: oktatest.Early(oktatest.EOF)},
		{name: "aborted after the body", method: "POST", body: body, step: oktatest.EOF},
		{name: "aborted by a handler", method: "POST", body: body, step: abort},
		{name: "answered before the body", method: "POST", body: body, step: oktatest.Early(oktatest.Status(413))},
		{name: "cut body", step: oktatest.EOFMidBody},
		{name: "after that"},
		{name: "cut headers", method: "POST", body: body, step: oktatest.EOFMidHeaders},
		{name: "to be closed", edit: func(r *http.Request) { r.Close = true }},
		{name: "after that"},
		{name: "edge", step: oktatest.EdgePage(503)},
	}
	for scheme, start := range map[string]func(testing.TB, ...oktatest.Option) *oktatest.Server{
		"http": oktatest.NewServer, "https": oktatest.NewTLSServer,
	} {
		srv := start(t, oktatest.WithUsers(2))
		o := oktatest.New(oktatest.WithUsers(2))
		memory := o.Transport()
		for _, c := range requests {
			run := func(o *oktatest.Okta, rt http.RoundTripper, least int) []string {
				if c.step != nil {
					o.Script("*", c.step)
				}
				var r io.Reader
				if c.body != "" {
					r = strings.NewReader(c.body)
				}
				req, err := http.NewRequest(c.method, srv.URL+"/api/v1/users", r)
				if err != nil {
					t.Fatal(err)
				}
				if c.edit != nil {
					c.edit(req)
				}
				read := c.read
				if read == nil {
					read = toItsEnd
				}
				return traced(t, rt, req, read, least)
			}
			mem := run(o, memory, 0)
			socket := run(srv.Okta, srv.Client().Transport, len(mem))
			if !slices.Equal(socket, mem) {
				t.Errorf("%s, %s:\nsocket\n  %s\nmemory\n  %s", scheme, c.name, strings.Join(socket, "\n  "), strings.Join(mem, "\n  "))
			}
		}
	}
}

func TestRefusedConnectionIsTracedAsADialThatFails(t *testing.T) {
	rt := &http.Transport{}
	srv := oktatest.StartServer()
	srv.Close()
	o := oktatest.New()
	o.Script("*", oktatest.Pass, oktatest.Refused, oktatest.Pass)
	memory := o.Transport()
	send := func(rt http.RoundTripper) []string {
		req, _ := http.NewRequest("POST", srv.URL+"/api/v1/users", strings.NewReader("{}"))
		return traced(t, rt, req, toItsEnd, 0)
	}
	first := send(memory)
	if socket, mem := send(rt), send(memory); !slices.Equal(socket, mem) {
		t.Errorf("socket %q\nmemory %q", socket, mem)
	}
	// The connection that was there before is gone, too.
	if again := send(memory); !slices.Equal(first, again) {
		t.Errorf("before %q\nafter  %q", first, again)
	}
}

// Behind a handler of the user's there is a connection already.
func TestRefusedBehindAnotherHandlerIsReset(t *testing.T) {
	o := oktatest.New()
	rt := oktatest.NewTransport(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.ServeHTTP(w, r) }))
	o.Script("*", oktatest.Refused)
	if _, err := try(t, rt, "GET", org+"/api/v1/users", ""); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error %v, want ECONNRESET", err)
	}
	wantStatus(t, do(t, rt, "GET", org+"/api/v1/users", ""), 200)
}

func TestTraceOfANameResolvesIt(t *testing.T) {
	req, _ := http.NewRequest("GET", org+"/api/v1/users", nil)
	got := traced(t, oktatest.New().Transport(), req, toItsEnd, 0)
	want := []string{
		"GetConn acme.okta.test:443", "DNSStart acme.okta.test", "DNSDone [{192.0.2.2 }]",
		"ConnectStart tcp 192.0.2.2:443", "ConnectDone tcp 192.0.2.2:443 true",
		"TLSHandshakeStart", `TLSHandshakeDone 304 true "acme.okta.test" <nil>`, "GotConn 192.0.2.2:443, reused false, idle false",
	}
	if !slices.Equal(got[:len(want)], want) {
		t.Errorf("got %q", got)
	}
}

func TestHandlerIsTracedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen events
		rt := oktatest.NewTransport(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			time.Sleep(time.Minute)
			seen.add("handler is done")
		}))
		req, _ := http.NewRequest("GET", "http://192.0.2.9/", nil)
		resp, err := rt.RoundTrip(req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn:              func(httptrace.GotConnInfo) { seen.add("GotConn") },
			WroteRequest:         func(httptrace.WroteRequestInfo) { seen.add("WroteRequest") },
			GotFirstResponseByte: func() { seen.add("GotFirstResponseByte") },
		})))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := ([]string{"GotConn", "WroteRequest", "handler is done", "GotFirstResponseByte"}); !slices.Equal(seen.all, want) {
			t.Errorf("got %q, want %q", seen.all, want)
		}
	})
}

func TestConnectionsAreKeptAsByDefaultTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLatency(time.Second))
		rt := o.Transport()
		// send reports how many of n requests at once got a connection that was kept.
		send := func(n int, url string) (kept int) {
			all := make([]bool, n)
			atOnce(n, func(i int) {
				req, _ := http.NewRequest("GET", url, nil)
				resp, err := rt.RoundTrip(req.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					GotConn: func(c httptrace.GotConnInfo) { all[i] = c.Reused },
				})))
				if err != nil {
					t.Error(err)
					return
				}
				toItsEnd(resp.Body)
			})
			for _, reused := range all {
				if reused {
					kept++
				}
			}
			return kept
		}
		for i, c := range []struct {
			n    int
			url  string
			wait time.Duration
			kept int
		}{
			{5, org + "/", 0, 0},
			{5, org + "/", 0, 2}, // no more than two are kept idle
			{1, "http://acme.okta.test/", 0, 0},
			{1, "https://other.okta.test/", 0, 0},
			{5, org + "/", 80 * time.Second, 2},
			{5, org + "/", 90 * time.Second, 0}, // nor longer than 90 seconds
		} {
			time.Sleep(c.wait)
			if kept := send(c.n, c.url); kept != c.kept {
				t.Errorf("step %d: %d of %d connections were kept, want %d", i, kept, c.n, c.kept)
			}
		}
		(&http.Client{Transport: rt}).CloseIdleConnections()
		if kept := send(5, org+"/"); kept != 0 {
			t.Errorf("%d connections were kept after CloseIdleConnections", kept)
		}
	})
}

// A handler that aborts before it reads a body made a retrying transport send a
// create four times in memory, and once over a socket: the trace had no
// connection.
func TestCreateThatIsAbortedArrivesOnce(t *testing.T) {
	var arrived atomic.Int32
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived.Add(1)
		panic(http.ErrAbortHandler)
	})
	srv := httptest.NewServer(h)
	defer srv.Close()
	for name, base := range map[string]http.RoundTripper{"socket": srv.Client().Transport, "memory": oktatest.NewTransport(h)} {
		arrived.Store(0)
		rt, err := oktaretry.NewTransport(base)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := try(t, rt, "POST", srv.URL+"/api/v1/users", "{}"); err == nil {
			t.Error("the create was answered")
		}
		if n := arrived.Load(); n != 1 {
			t.Errorf("%s: the create arrived %d times", name, n)
		}
	}
}
