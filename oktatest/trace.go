// This file gives an exchange in memory the connections of net/http's
// Transport, and calls the hooks of net/http/httptrace as they come and go.

package oktatest

import (
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"time"
)

// What http.DefaultTransport keeps.
const (
	idlePerHost = 2
	idleTimeout = 90 * time.Second
)

var errTooManyIdle = errors.New("http: putIdleConn: too many idle connections for host")

// pool knows since when how many connections to each host are idle.
type pool struct {
	mu   sync.Mutex
	idle map[string][]time.Time // by scheme and address, the longest idle first
}

// get takes the connection that became idle last; false if there is none.
func (p *pool) get(key string) (idle time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.DeleteFunc(p.idle[key], func(since time.Time) bool { return time.Since(since) >= idleTimeout })
	if n := len(all); n > 0 {
		p.idle[key] = all[:n-1]
		return time.Since(all[n-1]), true
	}
	delete(p.idle, key)
	return 0, false
}

// put keeps a connection, unless enough are idle.
func (p *pool) put(key string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle[key]) >= idlePerHost {
		return errTooManyIdle
	}
	if p.idle == nil {
		p.idle = map[string][]time.Time{}
	}
	p.idle[key] = append(p.idle[key], time.Now())
	return nil
}

// drop closes the connections to one host, or all.
func (p *pool) drop(keys ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(keys) == 0 {
		clear(p.idle)
	}
	for _, key := range keys {
		delete(p.idle, key)
	}
}

// connect gets a connection and writes the headers on it, once.
func (x *exchange) connect() {
	if x.connected || x.refused {
		return
	}
	x.connected = true
	idle, reused := x.pool.get(x.key())
	if !reused {
		x.dial(nil)
	}
	if f := x.trace.GotConn; f != nil {
		f(httptrace.GotConnInfo{Conn: memoryConn{x.remote()}, Reused: reused, WasIdle: reused, IdleTime: idle})
	}
	x.wroteFields()
	if f := x.trace.WroteHeaders; f != nil {
		f()
	}
	if x.bodiless() {
		x.wrote(nil)
	}
}

// dial reports a new connection, or the error that there is none.
func (x *exchange) dial(err error) {
	t, host, remote := x.trace, x.req.URL.Hostname(), x.remote()
	if net.ParseIP(host) == nil {
		if t.DNSStart != nil {
			t.DNSStart(httptrace.DNSStartInfo{Host: host})
		}
		if t.DNSDone != nil {
			t.DNSDone(httptrace.DNSDoneInfo{Addrs: []net.IPAddr{{IP: net.ParseIP(memoryHost)}}})
		}
	}
	if t.ConnectStart != nil {
		t.ConnectStart("tcp", remote.String())
	}
	if t.ConnectDone != nil {
		t.ConnectDone("tcp", remote.String(), err)
	}
	if state := tlsState(x.req.URL); state != nil && err == nil {
		if t.TLSHandshakeStart != nil {
			t.TLSHandshakeStart()
		}
		if t.TLSHandshakeDone != nil {
			t.TLSHandshakeDone(*state, nil)
		}
	}
}

// wroteFields reports the headers in the order in which net/http writes them.
func (x *exchange) wroteFields() {
	f := x.trace.WroteHeaderField
	if f == nil {
		return
	}
	r := x.received
	h := r.Header.Clone()
	f("Host", []string{r.Host})
	if len(r.TransferEncoding) > 0 {
		h["Transfer-Encoding"] = r.TransferEncoding
	}
	report := func(key string) {
		if vs, ok := h[key]; ok {
			f(key, vs)
			delete(h, key)
		}
	}
	for _, first := range []string{"User-Agent", "Connection", "Content-Length", "Transfer-Encoding"} {
		report(first)
	}
	last := h["Accept-Encoding"]
	if x.asksForGzip() {
		delete(h, "Accept-Encoding")
	}
	for _, key := range slices.Sorted(maps.Keys(h)) {
		report(key)
	}
	if x.asksForGzip() {
		f("Accept-Encoding", last)
	}
}

// wrote reports that the request is written, or why not all of it, once.
func (x *exchange) wrote(err error) {
	if x.written || x.refused {
		return
	}
	x.connect()
	if x.written { // a request without a body is written with its headers
		return
	}
	x.written = true
	if f := x.trace.WroteRequest; f != nil {
		f(httptrace.WroteRequestInfo{Err: err})
	}
}

// answers reports the first byte of an answer.
func (x *exchange) answers() {
	if f := x.trace.GotFirstResponseByte; f != nil {
		f()
	}
}

// done gives the connection back, once the answer has been read to its end.
func (x *exchange) done() {
	if x.req.Close {
		return
	}
	err := x.pool.put(x.key())
	if f := x.trace.PutIdleConn; f != nil {
		f(err)
	}
}

// key is what connections must have in common to be used again.
func (x *exchange) key() string { return x.req.URL.Scheme + "://" + hostPort(x.req) }

func hostPort(req *http.Request) string {
	if req.URL.Port() != "" {
		return req.URL.Host
	}
	if req.URL.Scheme == "https" {
		return net.JoinHostPort(req.URL.Hostname(), "443")
	}
	return net.JoinHostPort(req.URL.Hostname(), "80")
}

// Addresses that RFC 5737 sets aside for examples: all hosts', and the
// client's.
const (
	memoryHost   = "192.0.2.2"
	memoryClient = "192.0.2.1:1234"
)

// remote is the address of the exchange's host.
func (x *exchange) remote() memoryAddr {
	host, port, err := net.SplitHostPort(hostPort(x.req))
	if err != nil || net.ParseIP(host) == nil {
		host = memoryHost
	}
	return memoryAddr(net.JoinHostPort(host, port))
}

// memoryAddr is an address of a connection in memory.
type memoryAddr string

func (memoryAddr) Network() string  { return "tcp" }
func (a memoryAddr) String() string { return string(a) }

// memoryConn is shown to traces, which may ask for its addresses.
type memoryConn struct{ addr memoryAddr }

func (memoryConn) Read([]byte) (int, error)         { return 0, io.EOF }
func (memoryConn) Write([]byte) (int, error)        { return 0, net.ErrClosed }
func (memoryConn) Close() error                     { return nil }
func (memoryConn) LocalAddr() net.Addr              { return memoryAddr(memoryClient) }
func (c memoryConn) RemoteAddr() net.Addr           { return c.addr }
func (memoryConn) SetDeadline(time.Time) error      { return nil }
func (memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (memoryConn) SetWriteDeadline(time.Time) error { return nil }
