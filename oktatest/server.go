// This file serves the fake over real sockets.

package oktatest

import (
	"context"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// Server is a fake Okta on a loopback port of its own: URL is its address,
// Client() a client that can reach it, and the methods of Okta script and
// watch it.
type Server struct {
	*httptest.Server
	*Okta
	stop context.CancelFunc
}

// NewServer starts a fake Okta over HTTP and closes it when the test ends. The
// test fails then if an endpoint was asked for that the fake does not serve,
// unless AllowUnserved is given.
func NewServer(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := StartServer(opts...)
	t.Cleanup(func() { s.end(t) })
	return s
}

// NewTLSServer is NewServer over HTTPS, with a certificate that only Client()
// knows: to any other client it is of an unknown authority.
func NewTLSServer(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := newServer(opts)
	s.StartTLS()
	t.Cleanup(func() { s.end(t) })
	return s
}

// StartServer is NewServer for programs that are not tests. The caller closes
// the server.
func StartServer(opts ...Option) *Server {
	s := newServer(opts)
	s.Start()
	return s
}

func newServer(opts []Option) *Server {
	o := New(append([]Option{WithOktaHeaders(true)}, opts...)...)
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{Server: httptest.NewUnstartedServer(o), Okta: o, stop: stop}
	s.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	s.Config.ErrorLog = log.New(quietHandshakes{}, "", log.LstdFlags)
	return s
}

// Close ends all waits, hanging requests included, and shuts the server down.
// It may be called more than once.
func (s *Server) Close() {
	s.stop()
	s.Server.Close()
}

// end closes the server of a test.
func (s *Server) end(t testing.TB) {
	s.Close()
	if !s.cfg.allowUnserved {
		s.reportUnserved(t)
	}
}

// quietHandshakes is standard error without the complaints about clients that
// do not trust the certificate: some tests want just that.
type quietHandshakes struct{}

func (quietHandshakes) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "TLS handshake error") {
		return len(b), nil
	}
	return os.Stderr.Write(b)
}
