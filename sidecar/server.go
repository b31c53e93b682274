// This file serves a Sidecar: what is refused on the wire, and how it stops.

package sidecar

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"github.com/oktaretry/oktaretry/sidecar/internal/gate"
)

// ErrExposed is the error of a listener beyond the loopback interface without anything
// that keeps strangers out.
var ErrExposed = errors.New("sidecar: to listen beyond the loopback interface, an auth token or client certificates must be demanded")

const (
	// linger is how long connections that are kept open may bring one more call once
	// the sidecar stops. A client that sends it just when the connection is closed could
	// not know whether it had arrived.
	linger = time.Second
	// lastWord is how long calls that outlast the grace have to be answered.
	lastWord = 2 * time.Second
)

// Run serves clients on l and [Sidecar.Admin] on admin, which may be nil, until ctx ends.
// Then it is no longer ready, accepts no connection, answers the calls that are in flight
// and in line, each with "Connection: close", and after [Config.Grace] ends those that
// are left. It closes both listeners. It returns nil after an orderly stop, and an error
// if it could not serve or the grace did not suffice. It may be called once.
func (s *Sidecar) Run(ctx context.Context, l, admin net.Listener) error {
	defer l.Close()
	if admin != nil {
		defer admin.Close()
	}
	if err := s.CheckListener(l); err != nil {
		return err
	}
	calls, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	connections := new(connectionCount)
	public := s.server(calls, connections)
	failed := make(chan error, 2)
	go func() { failed <- public.Serve(s.guard(l)) }()
	if admin != nil {
		private := &http.Server{Handler: s.Admin(), ReadHeaderTimeout: s.config.HeaderTimeout, IdleTimeout: s.config.IdleTimeout,
			ReadTimeout: s.config.StallTimeout, MaxHeaderBytes: s.config.MaxHeader, ErrorLog: s.errorLog("admin")}
		go func() { failed <- private.Serve(admin) }()
		defer private.Close()
	}
	select {
	case err := <-failed:
		public.Close()
		return fmt.Errorf("sidecar: %w", err)
	case <-ctx.Done():
	}
	return s.drain(public, l, connections, end)
}

// drain stops a server that has calls in flight.
func (s *Sidecar) drain(srv *http.Server, l net.Listener, connections *connectionCount, end context.CancelCauseFunc) error {
	s.config.Logger.Info("stopping", slog.String("grace", s.config.Grace.String()))
	s.draining.Store(true)
	graceful, cancel := context.WithTimeout(context.Background(), s.config.Grace)
	defer cancel()
	l.Close()
	connections.wait(graceful, linger)
	if !errors.Is(srv.Shutdown(graceful), context.DeadlineExceeded) { // it may also report that l was closed twice
		s.config.Logger.Info("stopped")
		return nil
	}
	end(errStopping)
	last, cancelLast := context.WithTimeout(context.Background(), lastWord)
	defer cancelLast()
	srv.Shutdown(last)
	srv.Close()
	s.config.Logger.Warn("stopped: calls that outlasted the grace were ended")
	return errors.New("sidecar: calls outlasted the grace")
}

func (s *Sidecar) server(calls context.Context, connections *connectionCount) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Server{
		Handler:                      s,
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true, // OPTIONS * is refused with the rest
		ReadHeaderTimeout:            s.config.HeaderTimeout,
		IdleTimeout:                  s.config.IdleTimeout,
		MaxHeaderBytes:               s.config.MaxHeader,
		ErrorLog:                     s.errorLog("server"),
		BaseContext:                  func(net.Listener) context.Context { return calls },
		ConnState:                    connections.changed,
	}
}

func (s *Sidecar) errorLog(of string) *log.Logger {
	return log.New(&discreetLog{s.config.Logger, of}, "", 0)
}

// guard puts a limit of connections, TLS and the gate in front of a server, which takes
// each connection for plain HTTP/1.1.
func (s *Sidecar) guard(l net.Listener) net.Listener {
	l = netutil.LimitListener(l, s.config.MaxConns)
	if s.config.TLS != nil {
		c := s.config.TLS.Clone()
		c.NextProtos = []string{"http/1.1"}
		l = tls.NewListener(l, c)
	}
	return &gate.Listener{Listener: l, MaxHeader: s.config.MaxHeader + 8<<10, Write: s.config.StallTimeout, Refused: func(err error) {
		s.metrics.refusedFor("malformed")
		s.config.Logger.Warn("request refused", slog.String("reason", "malformed"), slog.String("problem", err.Error()))
	}}
}

// CheckListener returns [ErrExposed] for a listener that strangers can reach, which
// [Sidecar.Run] refuses. A program that reports that it serves checks before.
func (s *Sidecar) CheckListener(l net.Listener) error {
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok || addr.IP.IsLoopback() || s.auth != nil {
		return nil
	}
	if c := s.config.TLS; c != nil && c.ClientAuth == tls.RequireAndVerifyClientCert {
		return nil
	}
	return ErrExposed
}

// connectionCount counts a server's open connections.
type connectionCount struct{ open atomic.Int64 }

func (c *connectionCount) changed(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.open.Add(-1)
	}
}

// wait returns once no connection is open, after d, or at the end of ctx.
func (c *connectionCount) wait(ctx context.Context, d time.Duration) {
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for c.open.Load() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-end.C:
			return
		case <-tick.C:
		}
	}
}
