// This file holds one request and answer in memory: the request as a server
// sees it, the bodies, and the trace of what was written.

package oktatest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

type exchange struct {
	req     *http.Request
	trace   *httptrace.ClientTrace
	closing sync.Once
	refused bool
	headers bool  // WroteHeaders has been called
	written bool  // WroteRequest has been called
	bodyErr error // what was wrong with the caller's body
}

// closeBody closes the caller's body, once.
func (x *exchange) closeBody() {
	x.closing.Do(func() {
		if x.req.Body != nil {
			x.req.Body.Close()
		}
	})
}

// readBody reads the caller's body. If that blocks when the context ends, the
// body is closed, which lets a pipe's reader go.
func (x *exchange) readBody(b []byte) (int, error) {
	if ctx := x.req.Context(); ctx.Done() != nil {
		defer context.AfterFunc(ctx, x.closeBody)()
	}
	return x.req.Body.Read(b)
}

// run lets the handler answer.
func (x *exchange) run(h http.Handler, m *memoryWriter) {
	if x.trace != nil && x.trace.GetConn != nil {
		x.trace.GetConn(hostPort(x.req))
	}
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				panic(v)
			}
			m.err = io.EOF
		}
	}()
	h.ServeHTTP(m, x.received())
}

// asksForGzip tells whether the transport itself asks for gzip, and decodes it.
func (x *exchange) asksForGzip() bool {
	h := x.req.Header
	return h.Get("Accept-Encoding") == "" && h.Get("Range") == "" && x.req.Method != http.MethodHead
}

// received is the request as a server sees it.
func (x *exchange) received() *http.Request {
	r := (&http.Request{
		Method:        x.req.Method,
		Host:          x.req.Host,
		Header:        x.req.Header.Clone(),
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		RemoteAddr:    "192.0.2.1:1234",
		ContentLength: x.req.ContentLength,
		Body:          http.NoBody,
		TLS:           tlsState(x.req.URL.Scheme),
	}).WithContext(serverContext{x.req.Context()})
	r.URL, r.RequestURI = serverURL(x.req.URL)
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if r.Host == "" {
		r.Host = x.req.URL.Host
	}
	if _, set := r.Header["User-Agent"]; !set {
		r.Header.Set("User-Agent", "Go-http-client/1.1")
	}
	if x.asksForGzip() {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	switch {
	case x.req.Body == nil || x.req.Body == http.NoBody:
		r.ContentLength = 0
	default:
		if r.ContentLength == 0 {
			r.ContentLength = -1
		}
		r.Body = &arriving{x: x, left: r.ContentLength}
	}
	if r.ContentLength > 0 {
		r.Header.Set("Content-Length", fmt.Sprint(r.ContentLength))
	}
	return r
}

// serverContext ends with the client's context and knows none of its values.
type serverContext struct{ context.Context }

func (serverContext) Value(any) any { return nil }

// arriving is the caller's body as the server reads it. Only the handler's
// goroutine reads it.
type arriving struct {
	x    *exchange
	left int64 // what ContentLength still promises; negative: nothing promised
	err  error
}

func (a *arriving) Read(b []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	a.x.wroteHeaders()
	n, err := a.x.readBody(b)
	if a.left >= 0 {
		if int64(n) > a.left {
			return 0, a.broken(fmt.Errorf("http: ContentLength=%d with Body length %d or more",
				a.x.req.ContentLength, a.x.req.ContentLength-a.left+int64(n)))
		}
		a.left -= int64(n)
	}
	switch {
	case err == io.EOF && a.left > 0:
		return n, a.broken(fmt.Errorf("http: ContentLength=%d with Body length %d",
			a.x.req.ContentLength, a.x.req.ContentLength-a.left))
	case err == io.EOF:
		a.err = io.EOF
		a.x.wroteRequest()
	case err != nil:
		return n, a.broken(err)
	}
	return n, err
}

// broken notes what the caller gets to see; the server sees a connection that
// ended.
func (a *arriving) broken(err error) error {
	a.x.bodyErr, a.err = err, io.ErrUnexpectedEOF
	a.x.wrote(err)
	return a.err
}

// Close ends the server's reading; the caller's body is closed by the transport.
func (a *arriving) Close() error {
	if a.err == nil {
		a.err = http.ErrBodyReadAfterClose
	}
	return nil
}

// wroteHeaders tells the trace that a connection is there and the headers are
// on it.
func (x *exchange) wroteHeaders() {
	if x.headers || x.refused {
		return
	}
	x.headers = true
	if x.trace != nil && x.trace.GotConn != nil {
		x.trace.GotConn(httptrace.GotConnInfo{Conn: memoryConn{memoryAddr(hostPort(x.req))}})
	}
	if x.trace != nil && x.trace.WroteHeaders != nil {
		x.trace.WroteHeaders()
	}
}

// wroteRequest tells the trace that the whole request is written.
func (x *exchange) wroteRequest() { x.wrote(nil) }

func (x *exchange) wrote(err error) {
	if x.written || x.refused {
		return
	}
	x.wroteHeaders()
	x.written = true
	if x.trace != nil && x.trace.WroteRequest != nil {
		x.trace.WroteRequest(httptrace.WroteRequestInfo{Err: err})
	}
}

func hostPort(req *http.Request) string {
	if req.URL.Port() != "" {
		return req.URL.Host
	}
	if req.URL.Scheme == "https" {
		return net.JoinHostPort(req.URL.Hostname(), "443")
	}
	return net.JoinHostPort(req.URL.Hostname(), "80")
}

// memoryConn is shown to traces, which may ask for its addresses.
type memoryConn struct{ addr memoryAddr }

func (memoryConn) Read([]byte) (int, error)         { return 0, io.EOF }
func (memoryConn) Write([]byte) (int, error)        { return 0, net.ErrClosed }
func (memoryConn) Close() error                     { return nil }
func (memoryConn) LocalAddr() net.Addr              { return memoryAddr("192.0.2.1:1234") }
func (c memoryConn) RemoteAddr() net.Addr           { return c.addr }
func (memoryConn) SetDeadline(time.Time) error      { return nil }
func (memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (memoryConn) SetWriteDeadline(time.Time) error { return nil }

// memoryBody is an answer's body as the caller reads it: until the request's
// context ends or Close is called, as on a real connection.
type memoryBody struct {
	ctx    context.Context
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	ready time.Time // zero: at once
	data  []byte
	fault fault
}

func newMemoryBody(ctx context.Context, r *reply) *memoryBody {
	b := &memoryBody{ctx: ctx, closed: make(chan struct{}), data: r.sent(), fault: r.fault}
	if r.bodyDelay > 0 {
		b.ready = time.Now().Add(r.bodyDelay)
	}
	return b
}

var errBodyClosed = errors.New("http: read on closed response body")

func (b *memoryBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.over(); err != nil {
		return 0, err
	}
	if wait := time.Until(b.ready); !b.ready.IsZero() && wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		if err := b.block(t.C); err != nil {
			return 0, err
		}
	}
	if len(b.data) > 0 {
		n := copy(p, b.data)
		b.data = b.data[n:]
		return n, nil
	}
	switch b.fault {
	case faultCut:
		return 0, io.ErrUnexpectedEOF
	case faultStall:
		return 0, b.block(nil)
	}
	return 0, io.EOF
}

// over tells why nothing can be read any more.
func (b *memoryBody) over() error {
	select {
	case <-b.closed:
		return errBodyClosed
	default:
	}
	if b.ctx.Err() != nil && (len(b.data) > 0 || b.fault != faultNone) {
		return context.Cause(b.ctx)
	}
	return nil
}

// block waits until the time has come, the context has ended or Close was
// called.
func (b *memoryBody) block(until <-chan time.Time) error {
	select {
	case <-until:
		return nil
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case <-b.closed:
		return errBodyClosed
	}
}

func (b *memoryBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
