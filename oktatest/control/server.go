// This file serves a fake and its control API to a test in Go.

package control

import (
	"context"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/oktaretry/oktaretry/oktatest"
)

// Server is a fake Okta with a control API, on a loopback port of its own: URL is its
// address, URL+Prefix that of the control API, and Okta the fake.
type Server struct {
	*httptest.Server
	*Handler
}

// NewServer starts a fake with these options, and closes it when the test ends, requests
// that hang included. Endpoints that are not served do not fail the test by themselves, as
// they do with oktatest.NewServer: Okta().AssertAllServed reports those since the last reset.
func NewServer(t testing.TB, opts ...oktatest.Option) *Server {
	t.Helper()
	opts = append([]oktatest.Option{oktatest.WithOktaHeaders(true)}, opts...) // as oktatest.NewServer
	h := New(func() *oktatest.Okta { return oktatest.New(opts...) })
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{httptest.NewUnstartedServer(h), h}
	s.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(func() {
		stop()
		s.Server.Close()
	})
	return s
}
