// Package fault says what an error of a transport is about: whether it comes of the
// network, as far as its types and net/http's texts show, and what kind it is of. It
// shows nothing of what an error quotes.
package fault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
)

// OfNetwork reports whether err comes of the network: of a connection, or of what
// came over it. An error that is not known comes of a layer above, as a token source
// or a signer. So does a TLS alert: the connection was well, and one side refuses it.
func OfNetwork(err error) bool {
	var (
		file     *fs.PathError // holds an errno as well
		op       *net.OpError
		lookup   *net.DNSError
		number   syscall.Errno
		record   tls.RecordHeaderError
		protocol textproto.ProtocolError
	)
	switch {
	case errors.As(err, &file):
		return false
	case errors.As(err, &op):
		return op.Op != "remote error" && op.Op != "local error"
	case errors.As(err, &lookup), errors.As(err, &number), errors.As(err, &record), errors.As(err, &protocol):
		return true
	}
	for _, known := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, os.ErrDeadlineExceeded, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return true
		}
	}
	for deepest := err; deepest != nil; deepest = errors.Unwrap(deepest) {
		if textOfNetwork(deepest.Error()) {
			return true
		}
	}
	return false
}

// net/http has no values for these. A test against the real one catches a change of
// its texts.
var (
	begins = []string{
		"http: server closed idle connection", "http: idle connection timeout", "http: persistConn.readLoop exiting",
		"http: CloseIdleConnections called", "http: putIdleConn", "http: unexpected EOF reading trailer",
		"net/http: HTTP/1.x transport connection broken", "net/http: Transport failed to read from server",
		"net/http: server response headers exceeded", "net/http: timeout", "net/http: TLS handshake timeout",
		"malformed HTTP", "malformed MIME header", "malformed chunked", "malformed response from server",
		"stream error: ", "connection error: ", "http2: client conn", "http2: Transport received", "http2: server sent GOAWAY",
		"http2: timeout", "http2: frame too large", "http2: failed reading", "http2: response", "http2: no cached connection",
		"http2: stream closed", "http2: Transport: cannot retry err", "net/http: cannot rewind body after connection loss",
	}
	ends = []string{
		"connection refused", "connection reset by peer", "broken pipe", "i/o timeout", "use of closed network connection", "unexpected EOF", ": EOF",
	}
	// A proxy's refusal of CONNECT is the status text and nothing else. These say that
	// it could not reach the host; others, as 403 and 407, that it did not try.
	unreached = []string{
		http.StatusText(http.StatusBadGateway), http.StatusText(http.StatusServiceUnavailable), http.StatusText(http.StatusGatewayTimeout),
	}
)

func textOfNetwork(text string) bool {
	return slices.Contains(unreached, text) ||
		slices.ContainsFunc(begins, func(s string) bool { return strings.HasPrefix(text, s) }) ||
		slices.ContainsFunc(ends, func(s string) bool { return strings.HasSuffix(text, s) })
}

// OfAnotherHost reports whether err is that of a request to another host than host,
// made by a layer below with an http.Client.
func OfAnotherHost(err error, host string) bool {
	var failed *url.Error
	if !errors.As(err, &failed) {
		return false
	}
	u, bad := url.Parse(failed.URL)
	return bad == nil && u.Host != "" && !strings.EqualFold(u.Host, host)
}

// Passing reports whether err says itself, by Timeout or Temporary, that it will pass.
func Passing(err error) bool {
	var (
		timeout   interface{ Timeout() bool }
		temporary interface{ Temporary() bool }
	)
	return errors.As(err, &timeout) && timeout.Timeout() || errors.As(err, &temporary) && temporary.Temporary()
}

// RequestRefused reports whether net/http refuses to send a request over HTTP/2 as it
// is: what its texts say of headers, the body's length and the peer's limits.
func RequestRefused(err error) bool {
	text := err.Error()
	return slices.ContainsFunc([]string{
		"http2: request body larger than specified content length", "http2: invalid ",
		"request header list larger than peer's advertised limit", "invalid request :path", "invalid HTTP header", "invalid HTTP trailer",
	}, func(s string) bool { return strings.Contains(text, s) })
}

// Kinds of errors, as [Kind] returns them.
const (
	KindDNS        = "dns"        // the host's name was not resolved
	KindConnect    = "connect"    // no connection was made: refused, unreachable
	KindTLS        = "tls"        // certificates, the handshake, no TLS at all
	KindTimeout    = "timeout"    // whatever took too long, but a look-up of the name
	KindConnection = "connection" // it broke, or brought what is not HTTP
)

// Kind returns which part of the network an error is about, in a word that may be a
// label; "" if it is not known to be about the network.
func Kind(err error) string {
	var lookup *net.DNSError
	switch text := deepestText(err); {
	case errors.As(err, &lookup), strings.HasSuffix(text, "no such host"):
		return KindDNS
	case timedOut(err):
		return KindTimeout
	case ofTLS(err, text):
		return KindTLS
	case ofDial(err, text):
		return KindConnect
	case OfNetwork(err):
		return KindConnection
	}
	return ""
}

func deepestText(err error) string {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error()
}

// ofTLS reports whether one side refused the other's certificate, or its TLS.
func ofTLS(err error, text string) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
		certificate  x509.CertificateInvalidError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		op           *net.OpError
	)
	switch {
	case errors.As(err, &verification), errors.As(err, &authority), errors.As(err, &host), errors.As(err, &certificate),
		errors.As(err, &record), errors.As(err, &alert), errors.Is(err, http.ErrSchemeMismatch):
		return true
	case errors.As(err, &op):
		return op.Op == "remote error" || op.Op == "local error"
	}
	return strings.HasPrefix(text, "tls: ") || strings.HasPrefix(text, "remote error: tls: ")
}

// ofDial reports whether no connection was made.
func ofDial(err error, text string) bool {
	var op *net.OpError
	if errors.As(err, &op) {
		switch op.Op {
		case "dial", "proxyconnect", "socks connect":
			return true
		}
	}
	for _, number := range []syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH} {
		if errors.Is(err, number) {
			return true
		}
	}
	return strings.HasSuffix(text, "connection refused") || slices.Contains(unreached, text)
}

// Name names the kind of an error: the system's word for it where there is one, else
// its type.
func Name(err error) string {
	var (
		number syscall.Errno
		lookup *net.DNSError
	)
	switch {
	case errors.As(err, &number):
		return number.Error()
	case timedOut(err):
		return "timeout"
	case errors.As(err, &lookup):
		return "no such host"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil || fmt.Sprintf("%T", inner) == "*errors.errorString" { // no more than a text
			return strings.TrimPrefix(fmt.Sprintf("%T", err), "*")
		}
		err = inner
	}
}

func timedOut(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// Connecting reports whether err says that no connection was made: by the system, by
// TLS, or by a proxy's CONNECT.
func Connecting(err error) bool {
	var (
		op     *net.OpError
		lookup *net.DNSError
		record tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect" || op.Op == "socks connect"):
		return true
	case errors.As(err, &lookup), errors.As(err, &record):
		return true
	}
	text := err.Error()
	return strings.Contains(text, "TLS handshake") || strings.Contains(text, "tls: ")
}
