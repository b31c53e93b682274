// This file judges network errors: what was sent, and whether sending again
// can help.

package oktaretry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// classifyNetwork says what an error of the base transport means.
func classifyNetwork(err error, w *written) Classification {
	return Classification{
		Class:    ClassNetwork,
		Terminal: terminal(err),
		NotSent:  neverSent(err, w),
	}
}

// terminal reports whether the same request would meet the same error again.
func terminal(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		unknownCA    x509.UnknownAuthorityError
		badHost      x509.HostnameError
		badCert      x509.CertificateInvalidError
		dns          *net.DNSError
		address      *net.AddrError
		escape       url.EscapeError
		invalidHost  url.InvalidHostError
		record       tls.RecordHeaderError
	)
	var broken *brokenBaseError
	switch {
	case errors.As(err, &broken):
		return true
	case errors.As(err, &verification), errors.As(err, &unknownCA), errors.As(err, &badHost), errors.As(err, &badCert):
		return true
	case errors.As(err, &dns):
		return dns.IsNotFound && !dns.IsTemporary
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return true // a server without TLS; http.Client makes ErrSchemeMismatch of it
	case errors.As(err, &address), errors.As(err, &escape), errors.As(err, &invalidHost):
		return true
	case errors.Is(err, http.ErrSchemeMismatch), errors.Is(err, http.ErrNotSupported), errors.Is(err, http.ErrSkipAltProtocol):
		return true
	}
	// net/http has no values for these. A change of its texts is caught by a
	// test against the real thing.
	text := err.Error()
	for _, part := range []string{
		"unsupported protocol scheme", "invalid header field", "invalid method", "no Host in request URL",
		"nil Request.URL", "nil Request.Header", "with nil Body", "ContentLength=", "invalid trailer", "invalid Host header",
		"control character in Request.URL",
	} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// neverSent reports whether there is proof that nothing of the request was
// written. A base that says nothing either way may have written it; so may one
// that could not dial, when it had sent the request before and tries again.
func neverSent(err error, w *written) bool {
	if w != nil && w.wrote.Load() {
		return false
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return true
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return true
	}
	return w != nil && w.sought.Load() && !w.got.Load()
}

// written is what a trace tells of an attempt: a base that looked for a
// connection and never got one has written nothing. It is also the context that
// holds the trace, so that both are one piece of memory.
type written struct {
	context.Context
	sought, got, wrote atomic.Bool

	asked sync.Once
	own   httptrace.ClientTrace
	trace *httptrace.ClientTrace // own, along with any of the caller's
}

// watch returns a context that has w told, along with any trace of the
// caller's.
func (w *written) watch(ctx context.Context) context.Context {
	if traceKey == nil {
		return httptrace.WithClientTrace(ctx, w.hooks())
	}
	w.Context = ctx
	return w
}

// Value makes the trace up when a base first asks for it.
func (w *written) Value(key any) any {
	if key != traceKey {
		return w.Context.Value(key)
	}
	w.asked.Do(func() {
		w.trace = w.hooks()
		if httptrace.ContextClientTrace(w.Context) != nil {
			w.trace = httptrace.ContextClientTrace(httptrace.WithClientTrace(w.Context, w.trace))
		}
	})
	return w.trace
}

func (w *written) hooks() *httptrace.ClientTrace {
	w.own.GetConn = func(string) { w.sought.Store(true) }
	w.own.GotConn = func(httptrace.GotConnInfo) { w.got.Store(true) }
	w.own.WroteHeaders = func() { w.wrote.Store(true) }
	return &w.own
}

// traceKey is the key by which httptrace finds a trace in a context. It isn't
// exported, but whoever is asked for it gets to see it. Were it nil,
// WithClientTrace would do.
var traceKey = func() any {
	asked := keyNote{Context: context.Background()}
	httptrace.ContextClientTrace(&asked)
	return asked.key
}()

// keyNote is a context that notes the key it is asked for.
type keyNote struct {
	context.Context
	key any
}

func (n *keyNote) Value(key any) any {
	n.key = key
	return nil
}
