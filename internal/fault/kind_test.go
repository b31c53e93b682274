// This file tests the kinds of errors that telemetry shows.

package fault_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/fault"
)

func TestKind(t *testing.T) {
	op := func(op string, err error) error { return &net.OpError{Op: op, Net: "tcp", Err: err} }
	errno := func(call string, n syscall.Errno) error { return os.NewSyscallError(call, n) }
	for _, tt := range []struct {
		err  error
		want string
	}{
		{op("dial", &net.DNSError{Err: "no such host", IsNotFound: true}), "dns"},
		{op("dial", &net.DNSError{Err: "i/o timeout", IsTimeout: true}), "dns"},
		{errors.New("lookup acme.okta.com: no such host"), "dns"},
		{op("dial", errno("connect", syscall.ECONNREFUSED)), "connect"},
		{op("dial", errno("connect", syscall.EHOSTUNREACH)), "connect"},
		{&url.Error{Op: "Get", URL: "https://a/b", Err: op("proxyconnect", io.EOF)}, "connect"},
		{errors.New("dial tcp 10.0.0.1:443: connect: connection refused"), "connect"},
		{errors.New("Bad Gateway"), "connect"},
		{op("dial", os.ErrDeadlineExceeded), "timeout"},
		{op("read", os.ErrDeadlineExceeded), "timeout"},
		{context.DeadlineExceeded, "timeout"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "tls"},
		{x509.HostnameError{Certificate: new(x509.Certificate), Host: "a.b"}, "tls"},
		{op("remote error", errors.New("tls: bad certificate")), "tls"},
		{fmt.Errorf("wrapped: %w", http.ErrSchemeMismatch), "tls"},
		{tls.RecordHeaderError{Msg: "not TLS"}, "tls"},
		{op("read", errno("read", syscall.ECONNRESET)), "connection"},
		{op("write", errno("write", syscall.EPIPE)), "connection"},
		{op("read", net.ErrClosed), "connection"},
		{io.EOF, "connection"},
		{fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", io.ErrUnexpectedEOF), "connection"},
		{errors.New("http: server closed idle connection"), "connection"},
		{errors.New("http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=\"\""), "connection"},
		{errors.New("malformed HTTP response \"alice\""), "connection"},

		{context.Canceled, ""},
		{errors.New("oauth2: cannot fetch token: 503 Service Unavailable"), ""},
		{errors.New("unsupported protocol scheme \"ftp\""), ""},
	} {
		if got := fault.Kind(tt.err); got != tt.want {
			t.Errorf("%T %v: %q, want %q", tt.err, tt.err, got, tt.want)
		}
	}
}

// The kinds of net/http's own errors, for it could change its texts and types.
func TestKindOfRealErrors(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			c.Close()
		}
	}))
	defer plain.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer secure.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, tt := range []struct{ url, want string }{
		{plain.URL, "connection"},
		{secure.URL, "tls"},
		{"https" + plain.URL[len("http"):], "tls"}, // it speaks HTTP only
		{gone.URL, "connect"},
		{"http://" + silent.Addr().String(), "timeout"},
	} {
		base := &http.Transport{ResponseHeaderTimeout: 50 * time.Millisecond}
		req, _ := http.NewRequest("GET", tt.url, nil)
		_, err := base.RoundTrip(req)
		base.CloseIdleConnections()
		if err == nil {
			t.Fatalf("%s: no error", tt.url)
		}
		if got := fault.Kind(err); got != tt.want {
			t.Errorf("%s: %T %v: %q, want %q", tt.url, err, err, got, tt.want)
		}
	}
}
