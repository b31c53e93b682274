// This file holds bases over sockets and over connections in memory.

package rig

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
)

// HTTP returns an http.Transport of its own, so that tests share no
// connections.
func HTTP(t testing.TB) *http.Transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil
	t.Cleanup(base.CloseIdleConnections)
	return base
}

// Pipe returns an http.Transport over connections in memory, for virtual time.
// serve has one of them, and closes it by returning.
func Pipe(t testing.TB, serve func(*bufio.Reader, io.Writer)) *http.Transport {
	base := HTTP(t)
	base.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			serve(bufio.NewReader(server), server)
		}()
		return client, nil
	}
	return base
}

// Serve returns a server on loopback that ends with the test.
func Serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

// QuickWaits makes computed waits tiny and turns circuits and budget off, for
// tests over real sockets, which live in real time.
func QuickWaits(p *oktaretry.Policy) {
	for _, r := range []*oktaretry.Rule{&p.RateLimited, &p.ServerError, &p.Network, &p.Pending} {
		r.InitialWait, r.MaxWait = time.Millisecond, time.Millisecond
	}
	p.Budget.Disabled = true
	p.Breaker.Disabled = true
}
