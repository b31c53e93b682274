// This file serves a handler in memory: a RoundTripper without sockets, which
// lives in virtual time.

package oktatest

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
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
// calls the hooks of net/http/httptrace, sets Response.Request, and ends the
// wait for an answer, or for its body, when the request's context does. The
// request is not changed. The handler runs in the caller's goroutine: none is
// left behind when RoundTrip returns. Faults come out as the errors that a real
// connection would have given: errors.Is finds io.EOF, io.ErrUnexpectedEOF,
// syscall.ECONNRESET and syscall.ECONNREFUSED.
func (o *Okta) Transport() http.RoundTripper { return NewTransport(o) }

// NewTransport is Okta.Transport for any handler. The handler's answer is
// passed on once it has returned; a panic with http.ErrAbortHandler is a
// connection closed without an answer (io.EOF), any other panic is the
// caller's. Trailers, upgrades and 1xx answers are not carried.
func NewTransport(h http.Handler) http.RoundTripper { return transport{h} }

type transport struct{ handler http.Handler }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &exchange{req: req, trace: httptrace.ContextClientTrace(req.Context())}
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
	x.wroteRequest()
	return m.response()
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

// refuse ends the exchange before anything is written.
func (m *memoryWriter) refuse() {
	m.x.refused = true
	m.err = &net.OpError{Op: "dial", Net: "tcp", Addr: memoryAddr(m.x.req.URL.Host),
		Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// accept lets the exchange go on: the request has reached the server.
func (m *memoryWriter) accept() {
	m.x.wroteHeaders()
	if m.x.req.Body == nil || m.x.req.Body == http.NoBody {
		m.x.wroteRequest()
	}
}

// deliver takes over a reply, or the error that its fault stands for.
func (m *memoryWriter) deliver(r *reply) {
	switch r.fault {
	case faultGone:
		m.err = io.EOF // in fact the cancelled context is reported
	case faultReset:
		m.err = &net.OpError{Op: "read", Net: "tcp", Addr: memoryAddr(m.x.req.URL.Host),
			Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	case faultEOF:
		m.err = io.EOF
	case faultMidHeaders:
		m.err = fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", io.ErrUnexpectedEOF)
	default:
		m.reply = r
	}
}

// response is what the caller gets.
func (m *memoryWriter) response() (*http.Response, error) {
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
	}
	for k, vs := range r.header {
		if len(vs) > 0 {
			resp.Header[k] = append([]string(nil), vs...)
		}
	}
	if m.x.trace != nil && m.x.trace.GotFirstResponseByte != nil {
		m.x.trace.GotFirstResponseByte()
	}
	if r.status == http.StatusNoContent || r.status == http.StatusNotModified {
		return resp, nil
	}
	resp.ContentLength = int64(len(r.body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(r.body)))
	if req.Method == http.MethodHead {
		return resp, nil
	}
	if len(r.body) > 0 || r.bodyDelay > 0 {
		resp.Body = newMemoryBody(req.Context(), r)
	}
	if m.x.asksForGzip() && strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		resp.Body = &gunzipped{source: resp.Body}
		resp.Header.Del("Content-Encoding")
		resp.Header.Del("Content-Length")
		resp.ContentLength = -1
		resp.Uncompressed = true
	}
	return resp, nil
}

// gunzipped decodes a body as it is read.
type gunzipped struct {
	source io.ReadCloser
	z      *gzip.Reader
	err    error
}

func (g *gunzipped) Read(b []byte) (int, error) {
	if g.z == nil && g.err == nil {
		g.z, g.err = gzip.NewReader(g.source)
	}
	if g.err != nil {
		return 0, g.err
	}
	return g.z.Read(b)
}

func (g *gunzipped) Close() error { return g.source.Close() }

// memoryAddr is the address of a server in memory.
type memoryAddr string

func (memoryAddr) Network() string  { return "tcp" }
func (a memoryAddr) String() string { return string(a) }

// serverURL is what a server sees of a URL.
func serverURL(u *url.URL) (*url.URL, string) {
	uri := u.RequestURI()
	if parsed, err := url.ParseRequestURI(uri); err == nil {
		return parsed, uri
	}
	return &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}, uri
}

// tlsState is what a server sees of a connection by that scheme.
func tlsState(scheme string) *tls.ConnectionState {
	if scheme != "https" {
		return nil
	}
	return &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true}
}
