// This file holds what the error of a base says of its request's fate: whether the
// server can have seen it, and whether only its connection was to blame.

package exchange

import (
	"errors"
	"io"
	"net"
	"strings"
)

// LostError is the error of an exchange over HTTP/2 whose base was about to send the
// request again by itself.
type LostError struct {
	Refused bool // HTTP/2 refused the request unprocessed
}

func (e *LostError) Error() string {
	if e.Refused {
		return "oktaretry: HTTP/2 refused the request unprocessed"
	}
	return "oktaretry: the HTTP/2 connection was lost before an answer came"
}

// Explain returns the error of a base, or what stands behind it.
func (x *Exchange) Explain(err error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.traced.again && x.ended == sentAgain {
		return &LostError{x.traced.refused}
	}
	return err
}

// Unprocessed reports whether err, of the base, comes with proof that the server has
// done nothing for the request: nothing of it was written, or HTTP/2 refused it.
// unread is whether no Read of its body has begun.
//
// A base that reports nothing to httptrace may have written it; so may one that could
// not dial, if it had sent the request before and repeats it by itself.
func (x *Exchange) Unprocessed(err error, unread bool) bool {
	over := x.Err() != nil
	x.mu.Lock()
	t := x.traced
	x.mu.Unlock()
	var lost *LostError
	switch {
	case errors.As(err, &lost):
		return lost.Refused
	case t.again:
		return false
	case refused(err), idleClosed(err):
		return true
	case t.got && unread && writeFailed(err) && x.Request.ContentLength > 0 && len(x.Request.Header["Expect"]) == 0 && !over:
		// net/http flushes the header fields before it reads a body that it does not know
		// to be in memory, so they were not written either.
		return true
	case t.wrote:
		return false
	}
	var op *net.OpError
	var dns *net.DNSError
	return errors.As(err, &op) && op.Op == "dial" || errors.As(err, &dns) || t.sought && !t.got
}

// Stale reports whether err is of a connection that had carried requests before and
// was closed, or is going away: what a program meets that sends rarely, and no sign
// that the server is down.
func (x *Exchange) Stale(err error) bool {
	x.mu.Lock()
	reused := x.traced.reused
	x.mu.Unlock()
	var op *net.OpError
	switch {
	case errors.As(err, new(*LostError)), refused(err), idleClosed(err):
		return true
	case !reused:
		return false
	case errors.As(err, &op):
		return !op.Timeout() && (op.Op == "read" || op.Op == "write")
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe)
}

// writeFailed reports whether err is of a Write to a connection.
func writeFailed(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "write" || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

// idleClosed reports whether err is net/http's for a kept connection of HTTP/1.1 that
// it found closed before it wrote to it.
func idleClosed(err error) bool {
	return anyText(err, func(text string) bool {
		return text == "http: server closed idle connection" || strings.HasPrefix(text, "readLoopPeekFailLocked: ")
	})
}

// refused reports whether err is net/http's, or x/net/http2's, for a request that
// HTTP/2 did not process: its stream was refused, or came after the last one that a
// connection which is going away still serves, or no connection would take it.
func refused(err error) bool {
	return anyText(err, func(text string) bool {
		if inner, ok := strings.CutPrefix(text, "http2: Transport: cannot retry err ["); ok {
			text, _, _ = strings.Cut(inner, "] after Request.Body was written")
		}
		switch text {
		case "http2: Transport received Server's graceful shutdown GOAWAY",
			"http2: client conn not usable", "http2: client conn could not be established",
			"http2: no cached connection was available":
			return true
		}
		return strings.HasPrefix(text, "http2: Transport received GOAWAY from server ErrCode:") ||
			strings.HasPrefix(text, "stream error: stream ID ") && strings.HasSuffix(text, "; REFUSED_STREAM; received from peer")
	})
}

// anyText reports whether the text of err, or of one that it wraps, is as asked.
// net/http exports no values for these errors; a test against the real ones catches a
// change of their texts.
func anyText(err error, is func(string) bool) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if is(err.Error()) {
			return true
		}
	}
	return false
}
