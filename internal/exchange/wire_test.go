// This file tests what goes over the wire: as often as the outcome has attempts,
// whatever net/http would send again by itself.

package exchange_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/h2raw"
)

// received is what a server got, in order.
type received struct {
	mu       sync.Mutex
	requests []string
}

func (r *received) add(format string, args ...any) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, fmt.Sprintf(format, args...))
	return len(r.requests)
}

func (r *received) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.requests...)
}

// listen serves connections on loopback until the test ends.
func listen(t *testing.T, config *tls.Config, serve func(net.Conn)) (address string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config != nil {
		ln = tls.NewListener(ln, config)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return ln.Addr().String()
}

// certificate is httptest's, and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	srv := httptest.NewTLSServer(nil)
	srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return srv.TLS.Certificates[0], pool
}

// http2 returns a URL whose server hands each complete request to serve, frame by
// frame, and a base that reaches it.
func http2(t *testing.T, serve func(c *h2raw.Conn, stream uint32, body []byte)) (string, *http.Transport) {
	cert, pool := certificate(t)
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}
	address := listen(t, config, func(conn net.Conn) { h2raw.Serve(conn, serve) })
	base := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "example.com"}, ForceAttemptHTTP2: true}
	t.Cleanup(base.CloseIdleConnections)
	return "https://" + address, base
}

// http1 returns a URL whose server reads requests and answers by serve, which ends a
// connection by returning false, and a base that reaches it.
func http1(t *testing.T, serve func(n int, r *http.Request, w io.Writer) bool) (string, *http.Transport, *received) {
	var got received
	address := listen(t, nil, func(conn net.Conn) {
		defer conn.Close()
		for in := bufio.NewReader(conn); ; {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			body, _ := io.ReadAll(r.Body)
			if n := got.add("%s %s", r.Method, body); !serve(n, r, conn) {
				return
			}
		}
	})
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return "http://" + address, base, &got
}

// over returns a Transport whose waits are tiny.
func over(t *testing.T, base http.RoundTripper, opts ...oktaretry.Option) *oktaretry.Transport {
	p := oktaretry.DefaultPolicy()
	for _, r := range []*oktaretry.Rule{&p.RateLimited, &p.ServerError, &p.Network} {
		r.InitialWait, r.MaxWait = time.Millisecond, time.Millisecond
	}
	p.Budget.Disabled, p.Breaker.Disabled = true, true
	tr, err := oktaretry.NewTransport(base, append([]oktaretry.Option{oktaretry.WithPolicy(p)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// send makes a call and returns its status, 0 for an error, and its outcome.
func send(t *testing.T, tr *oktaretry.Transport, req *http.Request) (int, oktaretry.Outcome) {
	t.Helper()
	ctx, rec := oktaretry.WithRecorder(req.Context())
	resp, err := tr.RoundTrip(req.WithContext(ctx))
	out, _ := rec.Outcome()
	if err != nil {
		return 0, out
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode, out
}

func request(t *testing.T, ctx context.Context, method, target, body string) *http.Request {
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, target+"/api/v1/users", r)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// stream is a body without GetBody.
type stream struct{ io.Reader }

func (stream) Close() error { return nil }

// A server that resets each stream for a protocol error may have done the work. Before
// Go 1.27 net/http sends again by itself what it can, without end: 2,002 times in
// three seconds.
func TestProtocolErrorsOfHTTP2AreCounted(t *testing.T) {
	for _, tt := range []struct {
		name, method, body string
		edit               func(*http.Request) *http.Request
		sends              int
	}{
		{"POST with GetBody", "POST", "user", nil, 1},
		{"POST of a stream", "POST", "user", func(r *http.Request) *http.Request { r.GetBody = nil; return r }, 1},
		{"POST without a body", "POST", "", nil, 1},
		{"POST with a key", "POST", "user", func(r *http.Request) *http.Request { r.Header.Set("Idempotency-Key", "1"); return r }, 4},
		{"PUT", "PUT", "user", nil, 4},
		{"GET", "GET", "", nil, 4},
		{"DELETE", "DELETE", "", nil, 4},
		{"GET once", "GET", "", func(r *http.Request) *http.Request { return r.WithContext(oktaretry.WithNoRetry(r.Context())) }, 1},
		{"GET with a proof", "GET", "", func(r *http.Request) *http.Request { r.Header.Set("DPoP", "proof"); return r }, 1},
	} {
		for _, kept := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/kept=%t", tt.name, kept), func(t *testing.T) {
				t.Parallel()
				var n atomic.Int64
				url, base := http2(t, func(c *h2raw.Conn, id uint32, body []byte) {
					if string(body) == "warm" {
						c.Respond(id, 200, "ok")
						return
					}
					if n.Add(1) < 100 {
						c.Reset(id, h2raw.ProtocolError)
					}
				})
				tr := over(t, base)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if kept {
					send(t, tr, request(t, ctx, "POST", url, "warm"))
				}
				req := request(t, ctx, tt.method, url, tt.body)
				if tt.edit != nil {
					req = tt.edit(req)
				}
				_, out := send(t, tr, req)
				if got := int(n.Load()); got != tt.sends || len(out.Attempts) != tt.sends {
					t.Errorf("sent %d times in %d attempts, want %d: %v", got, len(out.Attempts), tt.sends, out.Err)
				}
			})
		}
	}
}

// What HTTP/2 refuses unprocessed goes again, by any method, also of a body without
// GetBody, and is counted.
func TestWhatHTTP2RefusesGoesAgain(t *testing.T) {
	for name, refuse := range map[string]func(c *h2raw.Conn, id uint32){
		"REFUSED_STREAM": func(c *h2raw.Conn, id uint32) { c.Reset(id, h2raw.RefusedStream) },
		"GOAWAY":         func(c *h2raw.Conn, id uint32) { c.GoAway(id-2, h2raw.NoError) },
	} {
		for _, tt := range []struct {
			name, method, body string
			stream             bool
		}{
			{"POST with GetBody", "POST", "user", false},
			{"POST of a stream", "POST", "user", true},
			{"PATCH", "PATCH", "user", false},
			{"GET", "GET", "", false},
			{"POST without a body", "POST", "", false},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				var got received
				url, base := http2(t, func(c *h2raw.Conn, id uint32, body []byte) {
					if n := got.add("%s", body); n == 2 {
						refuse(c, id)
						return
					}
					c.Respond(id, 200, "ok")
				})
				tr := over(t, base)
				send(t, tr, request(t, t.Context(), "POST", url, "warm"))
				req := request(t, t.Context(), tt.method, url, tt.body)
				if tt.stream {
					req.Body, req.GetBody = stream{strings.NewReader(tt.body)}, nil
				}
				status, out := send(t, tr, req)
				if name == "GOAWAY" && tt.name == "POST without a body" {
					// net/http hides whether it was that or a protocol error.
					if status != 0 || len(got.all()) != 2 {
						t.Errorf("status %d after %q", status, got.all())
					}
					return
				}
				if all := got.all(); status != 200 || len(out.Attempts) != 2 || len(all) != 3 || all[2] != tt.body {
					t.Errorf("status %d, %d attempts, the server got %q: %v", status, len(out.Attempts), all, out.Err)
				}
				if tt.method != "GET" && len(out.Attempts) > 0 && !out.Attempts[0].NotSent {
					t.Error("the outcome lacks that the first attempt was not processed")
				}
			})
		}
	}
}

// A server that closes a kept connection as the next request arrives may have done the
// work. net/http sends a GET again by itself.
func TestDeadKeptConnectionsAreCounted(t *testing.T) {
	once := oktaretry.WithNoRetry
	for _, tt := range []struct {
		name, method, body string
		edit               func(*http.Request) *http.Request
		sends              int
	}{
		{"GET", "GET", "", nil, 2},
		{"HEAD", "HEAD", "", nil, 2},
		{"GET once", "GET", "", func(r *http.Request) *http.Request { return r.WithContext(once(r.Context())) }, 1},
		{"GET with a proof", "GET", "", func(r *http.Request) *http.Request { r.Header.Set("DPoP", "proof"); return r }, 1},
		{"POST", "POST", "user", nil, 1},
		{"POST once, with a key", "POST", "", func(r *http.Request) *http.Request {
			r.Header.Set("Idempotency-Key", "1")
			return r.WithContext(once(r.Context()))
		}, 1},
		{"POST with net/http's mark", "POST", "", func(r *http.Request) *http.Request { r.Header["Idempotency-Key"] = nil; return r }, 1},
		{"POST with a key", "POST", "user", func(r *http.Request) *http.Request { r.Header.Set("Idempotency-Key", "1"); return r }, 2},
	} {
		for _, warmer := range []string{"the Transport", "another client"} {
			t.Run(tt.name+"/"+warmer, func(t *testing.T) {
				url, base, got := http1(t, func(n int, r *http.Request, w io.Writer) bool {
					if n == 2 {
						return false
					}
					io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					return true
				})
				tr := over(t, base)
				if warmer == "the Transport" {
					send(t, tr, request(t, t.Context(), "GET", url, ""))
				} else if tt.sends > 1 && tt.body == "" {
					t.Skip("allowed, and bounded by the connections that were kept")
				} else if resp, err := base.RoundTrip(request(t, t.Context(), "GET", url, "")); err != nil {
					t.Fatal(err)
				} else {
					resp.Body.Close()
				}
				req := request(t, t.Context(), tt.method, url, tt.body)
				if tt.edit != nil {
					req = tt.edit(req)
				}
				status, out := send(t, tr, req)
				if all := got.all(); len(all) != tt.sends+1 || len(out.Attempts) != tt.sends || (status == 200) != (tt.sends == 2) {
					t.Errorf("status %d, sent %d times in %d attempts, want %d: %v", status, len(all)-1, len(out.Attempts), tt.sends, out.Err)
				}
				if tt.sends == 2 && len(out.Attempts) == 2 && len(out.Attempts[1].Waits) > 0 {
					t.Errorf("the resend waited: %v", out.Attempts[1].Waits)
				}
			})
		}
	}
}

// brokenOnce is a connection on which writing fails, once it is told to.
type brokenOnce struct {
	net.Conn
	broken atomic.Bool
}

func (c *brokenOnce) Write(p []byte) (int, error) {
	if c.broken.Load() {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: errors.New("broken pipe")}
	}
	return c.Conn.Write(p)
}

// A kept connection that died before a byte was written costs nothing but another one,
// whatever the method.
func TestWhatWasNeverWrittenGoesAgain(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		stream     bool
	}{
		{"GetBody", "user", false}, {"stream of known length", "user", true}, {"no body", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, base, got := http1(t, func(n int, r *http.Request, w io.Writer) bool {
				io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				return true
			})
			var conns []*brokenOnce
			base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, address)
				conns = append(conns, &brokenOnce{Conn: conn})
				return conns[len(conns)-1], err
			}
			tr := over(t, base)
			send(t, tr, request(t, t.Context(), "GET", url, ""))
			conns[0].broken.Store(true)
			req := request(t, t.Context(), "POST", url, tt.body)
			if tt.stream {
				req.Body, req.GetBody = stream{strings.NewReader(tt.body)}, nil
			}
			status, out := send(t, tr, req)
			if all := got.all(); status != 200 || len(all) != 2 || all[1] != "POST "+tt.body {
				t.Errorf("status %d, the server got %q: %v", status, all, out.Err)
			}
			if tt.body != "" && (len(out.Attempts) != 2 || !out.Attempts[0].NotSent) {
				t.Errorf("%d attempts, want 2, of which the first sent nothing", len(out.Attempts))
			}
		})
	}
}

// endingConn is a connection that its server can be made to close.
type endingConn struct {
	net.Conn
	ended, closed chan struct{}
	once          sync.Once
}

func (c *endingConn) Read(p []byte) (n int, err error) {
	type result struct {
		n   int
		err error
	}
	done, buf := make(chan result, 1), make([]byte, len(p))
	go func() {
		n, err := c.Conn.Read(buf)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return copy(p, buf[:r.n]), r.err
	case <-c.ended:
		return 0, io.EOF
	}
}

func (c *endingConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// The server closes a kept connection just as the next request has got it: net/http
// finds out before it writes.
func TestKeptConnectionThatClosesBeforeTheRequestCostsNothing(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		url, base, got := http1(t, func(n int, r *http.Request, w io.Writer) bool {
			io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			return true
		})
		base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return &endingConn{Conn: conn, ended: make(chan struct{}), closed: make(chan struct{})}, err
		}
		tr := over(t, base)
		send(t, tr, request(t, t.Context(), "GET", url, ""))
		closing := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			if conn := info.Conn.(*endingConn); info.Reused {
				close(conn.ended)
				<-conn.closed
			}
		}})
		status, out := send(t, tr, request(t, closing, method, url, map[string]string{"POST": "user"}[method]))
		if len(got.all()) != 2 || status != 200 || len(out.Attempts) != 2 || !out.Attempts[0].NotSent {
			t.Errorf("%s: status %d after %d requests in attempts %+v", method, status, len(got.all())-1, out.Attempts)
		}
	}
}
