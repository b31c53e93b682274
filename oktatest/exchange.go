// This file holds one request in memory, as a server sees it.

package oktatest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"sync"
)

// exchange is one request and its answer. The caller's goroutine runs it.
type exchange struct {
	req      *http.Request
	received *http.Request // as the server sees it
	trace    *httptrace.ClientTrace
	pool     *pool

	closing   sync.Once
	refused   bool  // there is no connection
	connected bool  // the headers are written
	written   bool  // the body is written, or cannot be
	bodyErr   error // what was wrong with the caller's body
}

func newExchange(req *http.Request, p *pool) *exchange {
	x := &exchange{req: req, pool: p, trace: httptrace.ContextClientTrace(req.Context())}
	if x.trace == nil {
		x.trace = new(httptrace.ClientTrace)
	}
	return x
}

// bodiless reports whether the request has no body.
func (x *exchange) bodiless() bool { return x.req.Body == nil || x.req.Body == http.NoBody }

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

// run lets the handler answer. The fake itself decides whether there is a
// connection; to any other handler there is one.
func (x *exchange) run(h http.Handler, m *memoryWriter) {
	x.received = x.receive()
	if f := x.trace.GetConn; f != nil {
		f(hostPort(x.req))
	}
	if _, decides := h.(interface{ acceptsOrRefuses() }); !decides {
		x.connect()
	}
	defer func() {
		v := recover()
		if v != nil && v != http.ErrAbortHandler {
			panic(v)
		}
		if v != nil {
			m.err = io.EOF
		}
		// What the handler has not read is on its way all the same, as on a
		// socket, unless the caller has left.
		if x.bodyErr == nil && x.req.Context().Err() == nil {
			x.wrote(nil)
		}
	}()
	h.ServeHTTP(m, x.received)
}

// asksForGzip reports whether the transport itself asks for gzip, and decodes it.
func (x *exchange) asksForGzip() bool {
	h := x.req.Header
	return h.Get("Accept-Encoding") == "" && h.Get("Range") == "" && x.req.Method != http.MethodHead
}

// receive makes the request as a server sees it.
func (x *exchange) receive() *http.Request {
	r := (&http.Request{
		Method:        x.req.Method,
		Host:          x.req.Host,
		Header:        x.req.Header.Clone(),
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		RemoteAddr:    memoryClient,
		ContentLength: x.req.ContentLength,
		Body:          http.NoBody,
		TLS:           tlsState(x.req.URL),
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
	if r.Close = x.req.Close; r.Close {
		r.Header.Set("Connection", "close")
	}
	if x.asksForGzip() {
		r.Header.Set("Accept-Encoding", "gzip")
	}
	switch {
	case x.bodiless():
		r.ContentLength = 0
	default:
		if r.ContentLength == 0 {
			r.ContentLength = -1
		}
		r.Body = &arriving{x: x, left: r.ContentLength}
	}
	switch {
	case r.ContentLength < 0:
		r.TransferEncoding = []string{"chunked"}
	case r.ContentLength > 0 || slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, r.Method):
		r.Header.Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
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
	a.x.connect()
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
		a.x.wrote(nil)
	case err != nil:
		return n, a.broken(err)
	}
	return n, err
}

// broken keeps what the caller gets to see; the server sees a connection that
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
