// This file holds the steps that break an answer: over a real connection by
// breaking it, in memory by the error that a client would then see.

package oktatest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/edge"
)

type fault int

const (
	faultNone       fault = iota
	faultGone             // nobody waits for the answer any more
	faultHang             // no answer
	faultRefused          // no connection
	faultReset            // connection reset before an answer
	faultEOF              // connection closed before an answer
	faultMidHeaders       // connection closed in the middle of the headers
	faultCut              // connection closed in the middle of the body
	faultCutReset         // connection reset in the middle of the body
	faultStall            // body stops half-way and never goes on
)

var (
	// Hang never answers: it waits until the caller has gone or the server is
	// closed.
	Hang Step = faultStep{faultHang}

	// Reset resets the connection instead of answering (ECONNRESET).
	Reset Step = faultStep{faultReset}

	// EOF closes the connection before any byte of an answer (io.EOF). Over a
	// real socket, net/http's own Transport sends a request without a body
	// again by itself if this happens on a connection it had used before; the
	// journal then shows it twice, and the script's next step answers.
	EOF Step = faultStep{faultEOF}

	// EOFMidHeaders closes the connection after a part of the headers
	// (io.ErrUnexpectedEOF).
	EOFMidHeaders Step = faultStep{faultMidHeaders}

	// EOFMidBody answers normally but closes the connection half-way through
	// the body: its reader gets io.ErrUnexpectedEOF. What the request asked
	// for has been done.
	EOFMidBody = CutBody(Pass)

	// ResetMidBody answers normally but resets the connection half-way through
	// the body: its reader gets ECONNRESET. What the request asked for has been
	// done.
	ResetMidBody Step = wrapped{step: Pass, after: func(r *reply) { r.breakBody(faultCutReset) }}

	// Refused refuses the connection (ECONNREFUSED): nothing is written, and
	// the journal does not know of the request. Where a connection is there
	// already, over a real socket or behind a handler of one's own, it is Reset.
	Refused Step = faultStep{faultRefused}
)

type faultStep struct{ fault }

func (faultStep) check() error           { return nil }
func (s faultStep) reply(c *call) *reply { return &reply{fault: s.fault} }

// CutBody sends the headers of another step's answer and half of its body, and
// then closes the connection. An answer without a body stays whole.
func CutBody(step Step) Step {
	return wrapped{step: step, after: func(r *reply) { r.breakBody(faultCut) }}
}

// StallBody sends the headers of another step's answer and half of its body,
// and then nothing more until the caller has gone.
func StallBody(step Step) Step {
	return wrapped{step: step, after: func(r *reply) { r.breakBody(faultStall) }}
}

// SlowBody sends the headers of another step's answer at once and its body a
// time d later.
func SlowBody(d time.Duration, step Step) Step {
	return wrapped{step: step, after: func(r *reply) { r.bodyDelay = d }}
}

// Gzip compresses the body of another step's answer, whether or not the
// request accepts it.
func Gzip(step Step) Step {
	return wrapped{step: step, after: func(r *reply) {
		if len(r.body) == 0 || r.header == nil {
			return
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write(r.body) // into memory: cannot fail
		z.Close()
		r.body = b.Bytes()
		r.header.Set("Content-Encoding", "gzip")
	}}
}

// reply is an answer made but not yet sent.
type reply struct {
	status    int
	header    http.Header
	body      []byte
	foreign   bool // not made by Okta
	chunked   bool // sent without a Content-Length
	fault     fault
	bodyDelay time.Duration
	handler   http.Handler // writes the answer itself, if not nil
}

// breakBody makes the body end early; a reply with no body has none to break.
func (r *reply) breakBody(f fault) {
	if r.fault == faultNone && len(r.body) > 0 {
		r.fault = f
	}
}

// sent is the part of the body that is sent at all.
func (r *reply) sent() []byte {
	switch r.fault {
	case faultCut, faultCutReset, faultStall:
		return r.body[:len(r.body)/2]
	}
	return r.body
}

// bodiless reports whether the reply's status allows no body.
func (r *reply) bodiless() bool {
	return r.status == http.StatusNoContent || r.status == http.StatusNotModified
}

// complete does to a whole answer of Okta's what nginx does: gzip where the request accepts
// it, and chunks. An answer that is to break stays as it is.
func (c *call) complete(r *reply) {
	if !c.o.cfg.oktaHeaders || r.foreign || r.header == nil || r.handler != nil || r.fault != faultNone || r.bodyDelay > 0 {
		return
	}
	body := !r.bodiless() && len(r.body) > 0
	edge.Complete(r.header, body)
	if !body || r.header.Get("Content-Encoding") != "" { // compressed as the script wants it
		return
	}
	r.chunked = true
	r.header.Del("Content-Length") // which a handler of the user's may have set
	if edge.AcceptsGzip(c.r.Header) {
		r.body = edge.Gzip(r.body)
		r.header.Set("Content-Encoding", "gzip")
	}
}

// deliver sends a reply. No lock is held meanwhile.
func (c *call) deliver(w http.ResponseWriter, r *reply) {
	if r.fault == faultHang {
		<-c.r.Context().Done()
		r = &reply{fault: faultGone}
	}
	c.complete(r)
	if m := inMemory(w); m != nil && r.handler == nil {
		c.answered(r.status, r.header)
		m.deliver(r)
		return
	}
	switch {
	case r.handler != nil:
		c.stamp(w.Header(), c.o.now())
		s := &statusWriter{ResponseWriter: w}
		defer func() { c.answered(s.status, w.Header()) }()
		r.handler.ServeHTTP(s, c.r)
		if s.status == 0 {
			s.status = http.StatusOK
		}
	case r.fault == faultNone || r.fault == faultCut || r.fault == faultCutReset || r.fault == faultStall:
		c.answered(r.status, r.header)
		c.write(w, r)
	default:
		breakConnection(w, r.fault)
	}
}

// write sends a reply over a connection.
func (c *call) write(w http.ResponseWriter, r *reply) {
	for k, vs := range r.header {
		w.Header()[k] = vs
	}
	if _, ok := r.header["Content-Type"]; !ok {
		w.Header()["Content-Type"] = nil // net/http is not to guess one
	}
	switch {
	case r.bodiless():
	case !r.chunked:
		w.Header().Set("Content-Length", strconv.Itoa(len(r.body)))
	case c.r.ProtoMajor == 1:
		w.Header().Set("Transfer-Encoding", "chunked") // else net/http would count a small body
	}
	w.WriteHeader(r.status)
	if r.bodiless() || c.r.Method == http.MethodHead {
		return
	}
	if r.bodyDelay > 0 {
		http.NewResponseController(w).Flush()
		if !c.wait(r.bodyDelay) {
			panic(http.ErrAbortHandler)
		}
	}
	w.Write(r.sent()) // an error means that the client has gone
	if r.fault == faultNone {
		return
	}
	http.NewResponseController(w).Flush()
	switch r.fault {
	case faultCutReset:
		breakConnection(w, faultReset)
		return
	case faultStall:
		<-c.r.Context().Done()
	}
	panic(http.ErrAbortHandler) // closes the connection
}

// breakConnection ends a connection without an answer.
func breakConnection(w http.ResponseWriter, f fault) {
	if f == faultGone {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2: the stream is reset
		panic(http.ErrAbortHandler)
	}
	defer conn.Close()
	switch f {
	case faultReset, faultRefused:
		lingerless(conn)
	case faultMidHeaders:
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
	}
}

// lingerless makes Close of a TCP connection reset it, also below TLS.
//
// Closing a TLS connection first writes a farewell, which a reset would drop
// anyway: so the TCP connection below is closed before.
func lingerless(conn net.Conn) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = t.NetConn()
		defer conn.Close()
	}
	if t, ok := conn.(interface{ SetLinger(int) error }); ok {
		t.SetLinger(0) // else the connection is closed: nearly as good
	}
}

// statusWriter keeps the status that a handler writes.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) Flush() { http.NewResponseController(w.ResponseWriter).Flush() }

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}
