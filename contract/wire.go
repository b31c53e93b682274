// This file holds a base of net/http's own Transport and Server, with pipes for
// sockets, so that it works in virtual time.

package contract

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/internal/h2raw"
)

// A wire is a server and the transport that reaches it.
type wire struct {
	*http.Transport
	sends atomic.Int64 // requests given to the transport
	dials atomic.Int64
	mu    sync.Mutex
	last  error // of the transport
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if w.sends.Add(1) > maxSends {
		<-req.Context().Done()
	}
	resp, err := w.Transport.RoundTrip(req)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = err
	return resp, err
}

// failure returns the last error of the transport.
func (w *wire) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// serve returns a wire on which h answers for every host.
func (l *lab) serve(h http.HandlerFunc) *wire {
	w := &wire{Transport: &http.Transport{}}
	ln := newPipes()
	l.listen(ln, h)
	w.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		w.dials.Add(1)
		return ln.dial(ctx)
	}
	l.atEnd(w.CloseIdleConnections)
	return w
}

// serveTLS is serve with TLS and an untrusted certificate.
func (l *lab) serveTLS(h http.HandlerFunc) (*wire, error) {
	cert, err := selfSigned()
	if err != nil {
		return nil, err
	}
	w := &wire{Transport: &http.Transport{}}
	ln := newPipes()
	l.listen(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}}), h)
	w.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		w.dials.Add(1)
		return ln.dial(ctx)
	}
	l.atEnd(w.CloseIdleConnections)
	return w, nil
}

// serveHTTP2 returns a wire whose server hands each complete request to h, frame by
// frame. It is reached over TLS, by https.
func (l *lab) serveHTTP2(h func(c *h2raw.Conn, stream uint32, body []byte)) (*wire, error) {
	cert, err := selfSigned()
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, err
	}
	w := &wire{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()}}}
	w.TLSClientConfig.RootCAs.AddCert(leaf)
	config := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}}
	w.DialContext = func(context.Context, string, string) (net.Conn, error) {
		w.dials.Add(1)
		client, server := net.Pipe()
		l.atEnd(func() { server.Close() })
		go h2raw.Serve(tls.Server(server, config), h)
		return client, nil
	}
	l.atEnd(w.CloseIdleConnections)
	return w, nil
}

func (l *lab) listen(ln net.Listener, h http.HandlerFunc) {
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	go srv.Serve(ln)
	l.atEnd(func() { srv.Close() })
}

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.done:
		return nil, errDial
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return addr{} }

// addr is the address of all connections.
type addr struct{}

func (addr) Network() string { return "tcp" }
func (addr) String() string  { return "192.0.2.1:80" }

// selfSigned returns a certificate for okta.example, valid by the bubble's clock.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"okta.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
