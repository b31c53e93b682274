// This file serves a handler in memory: a RoundTripper without sockets, which
// lives in virtual time.

package oktatest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Transport serves the fake in memory, with no sockets: its calls take no time
// but the latency and the waits that were asked for, and in a bubble of
// testing/synctest these take virtual time. It answers for any host.
//
// It keeps net/http's contract for RoundTrippers and does what its Transport
// does: it closes the request's body on every path, checks it against
// ContentLength, asks for gzip and decodes it unless the caller asked first,
// sets Response.Request, and ends the wait for an answer, or for its body, when
// the request's context ends. The request is not changed. The handler runs in
// the caller's goroutine: none is left behind when RoundTrip returns. Faults
// come out as the errors of a real connection: errors.Is finds io.EOF,
// io.ErrUnexpectedEOF, syscall.ECONNRESET and syscall.ECONNREFUSED.
//
// The hooks of net/http/httptrace are called as over a socket, from GetConn to
// PutIdleConn. A connection whose answer was read to its end is kept for the
// next request to its host, at most two of them for 90 seconds, as by
// http.DefaultTransport; CloseIdleConnections drops them. Names resolve to
// 192.0.2.2. A body that the handler does not read is not read, though a socket
// would have taken a small one: it is reported as written all the same.
func (o *Okta) Transport() http.RoundTripper { return NewTransport(o) }

// NewTransport is Okta.Transport for any handler. The handler's answer is
// passed on once it has returned; a panic with http.ErrAbortHandler is a
// connection closed without an answer (io.EOF), any other panic is the
// caller's. Trailers, upgrades and 1xx answers are not carried. To a handler
// that is not the fake itself, though it may call it, there is a connection
// before it runs: Refused is Reset there.
func NewTransport(h http.Handler) http.RoundTripper { return &transport{handler: h} }

type transport struct {
	handler http.Handler
	pool    pool
}

// CloseIdleConnections makes the next request to each host report a new
// connection.
func (t *transport) CloseIdleConnections() { t.pool.drop() }

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x := newExchange(req, &t.pool)
	defer x.closeBody()
	if err := sendable(req); err != nil {
		return nil, err
	}
	ctx := req.Context()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}

	m := &memoryWriter{x: x, recorder: recorder{header: http.Header{}}}
	x.run(t.handler, m)

	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case x.bodyErr != nil:
		return nil, x.bodyErr
	case m.err != nil:
		return nil, m.err
	}
	return m.response(), nil
}

// sendable refuses what net/http's Transport refuses.
func sendable(req *http.Request) error {
	switch {
	case req.URL == nil:
		return errors.New("http: nil Request.URL")
	case req.Header == nil:
		return errors.New("http: nil Request.Header")
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("unsupported protocol scheme %q", req.URL.Scheme)
	case req.URL.Host == "":
		return errors.New("http: no Host in request URL")
	}
	for k, vs := range req.Header {
		if k == "" || strings.ContainsAny(k, " \r\n:\x00") {
			return fmt.Errorf("net/http: invalid header field name %q", k)
		}
		for _, v := range vs {
			if strings.ContainsAny(v, "\r\n\x00") {
				return fmt.Errorf("net/http: invalid header field value for %q", k)
			}
		}
	}
	return nil
}

// memoryWriter is the ResponseWriter of an exchange in memory. The fake gives
// it a whole reply; any other handler writes to it.
type memoryWriter struct {
	recorder
	x     *exchange
	reply *reply
	err   error
}

// inMemory finds the memoryWriter below w; nil over a real connection.
func inMemory(w http.ResponseWriter) *memoryWriter {
	for {
		switch t := w.(type) {
		case *memoryWriter:
			return t
		case interface{ Unwrap() http.ResponseWriter }:
			w = t.Unwrap()
		default:
			return nil
		}
	}
}

// refuse ends the exchange before anything is written. It reports false where
// a connection is there already: behind a handler of the user's.
func (m *memoryWriter) refuse() bool {
	if m.x.connected {
		return false
	}
	m.x.refused = true
	m.x.pool.drop(m.x.key())
	m.err = m.x.failed("dial", "connect", syscall.ECONNREFUSED)
	m.x.dial(m.err)
	return true
}

// failed is the error of a connection.
func (x *exchange) failed(op, call string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Addr: x.remote(), Err: os.NewSyscallError(call, errno)}
}

// deliver takes over a reply, or the error that its fault stands for.
func (m *memoryWriter) deliver(r *reply) {
	switch r.fault {
	case faultGone:
		m.err = io.EOF // in fact the cancelled context is reported
	case faultReset, faultRefused:
		m.err = m.x.failed("read", "read", syscall.ECONNRESET)
	case faultEOF:
		m.err = io.EOF
	case faultMidHeaders:
		m.x.wrote(nil)
		m.x.answers()
		m.err = fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", io.ErrUnexpectedEOF)
	default:
		m.reply = r
	}
}

// response is what the caller gets.
func (m *memoryWriter) response() *http.Response {
	r := m.reply
	if r == nil {
		m.WriteHeader(http.StatusOK) // if the handler has not
		r = &reply{status: m.status, header: m.sent, body: m.body.Bytes()}
		if _, set := r.header["Content-Type"]; !set && len(r.body) > 0 {
			r.header.Set("Content-Type", http.DetectContentType(r.body))
		}
	}
	req := m.x.req
	resp := &http.Response{
		StatusCode: r.status,
		Status:     strings.TrimSpace(strconv.Itoa(r.status) + " " + http.StatusText(r.status)),
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     http.Header{},
		Body:       http.NoBody,
		Request:    req,
		TLS:        tlsState(req.URL),
	}
	for k, vs := range r.header {
		if len(vs) > 0 {
			resp.Header[k] = append([]string(nil), vs...)
		}
	}
	m.x.answers()
	switch {
	case r.bodiless():
	case r.chunked:
		resp.ContentLength = -1
		if req.Method != http.MethodHead {
			resp.TransferEncoding = []string{"chunked"}
		}
	default:
		resp.ContentLength = int64(len(r.body))
		resp.Header.Set("Content-Length", strconv.Itoa(len(r.body)))
	}
	if r.bodiless() || req.Method == http.MethodHead || len(r.body) == 0 && r.bodyDelay == 0 {
		m.x.done()
		return resp
	}
	body := newMemoryBody(req.Context(), r, m.x.done)
	body.reset = m.x.failed("read", "read", syscall.ECONNRESET)
	resp.Body = body
	if m.x.asksForGzip() && strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		resp.Body = &gunzipped{source: resp.Body}
		resp.Header.Del("Content-Encoding")
		resp.Header.Del("Content-Length")
		resp.ContentLength = -1
		resp.Uncompressed = true
	}
	return resp
}

// serverURL is what a server sees of a URL.
func serverURL(u *url.URL) (*url.URL, string) {
	uri := u.RequestURI()
	if parsed, err := url.ParseRequestURI(uri); err == nil {
		return parsed, uri
	}
	return &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}, uri
}

// tlsState is what is known of a connection to that URL's host; nil without TLS.
func tlsState(u *url.URL) *tls.ConnectionState {
	if u.Scheme != "https" {
		return nil
	}
	s := &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: u.Hostname()}
	if net.ParseIP(s.ServerName) != nil {
		s.ServerName = "" // an address is not sent as a name
	}
	return s
}
