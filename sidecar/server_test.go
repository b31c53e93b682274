// This file tests how a sidecar is watched and stopped.

package sidecar

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

func TestCallsInFlightAndInLineAreFinished(t *testing.T) {
	t.Parallel() // it waits for most of its time
	org := oktatest.NewServer(t, oktatest.WithUsers(1), oktatest.WithLatency(100*time.Millisecond))
	var came callsIn
	s := start(t, Config{Meters: &came}, org)
	org.Script("GET /api/v1/users", oktatest.RateLimited(time.Second))
	var wg sync.WaitGroup
	results := make(chan string, 20)
	for range 10 {
		wg.Go(func() { results <- fmt.Sprint(s.do("GET", "/api/v1/users", "").status) })
		wg.Go(func() { results <- fmt.Sprint(s.do("GET", "/api/v1/groups", "").status) })
	}
	// All of them: who connects after the stop is refused, and on a busy machine
	// seven of twenty were, when two of them at Okta were enough to stop.
	eventually(t, "the calls are in flight or in line", func() bool { return came.n.Load() == 20 })
	s.stop()
	wg.Wait()
	close(results)
	for r := range results {
		if r != "200" {
			t.Errorf("a call got %s", r)
		}
	}
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
	s.ended <- nil
	if _, err := net.Dial("tcp", s.addr); err == nil {
		t.Error("the listener is still open")
	}
}

// lateListener is a listener whose Accept takes a while to notice Close, as on a busy
// machine: http.Server closes it a second time then, and reports the error.
type lateListener struct{ net.Listener }

func (l lateListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		time.Sleep(100 * time.Millisecond)
	}
	return c, err
}

// TestAnIdleSidecarStopsInOrder: now and then it reported that calls had outlasted the
// grace though there were none, and its process ended with an error.
func TestAnIdleSidecarStopsInOrder(t *testing.T) {
	log := new(safeBuffer)
	s, err := New(Config{Orgs: []Org{{URL: "https://acme.okta.com"}}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	l := lateListener{listen(t)}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l, nil) }()
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil { // it is served
		c.Close()
	}
	stop()
	if err := <-ended; err != nil || strings.Contains(log.String(), "outlasted") {
		t.Errorf("%v, log %s", err, log)
	}
}

// callsIn is a MeterProvider that counts the calls that came in.
type callsIn struct {
	noop.MeterProvider
	n atomic.Int64
}

func (c *callsIn) Meter(string, ...metric.MeterOption) metric.Meter { return callsInMeter{to: c} }

type callsInMeter struct {
	noop.Meter
	to *callsIn
}

func (m callsInMeter) Int64UpDownCounter(string, ...metric.Int64UpDownCounterOption) (metric.Int64UpDownCounter, error) {
	return callsInCounter{to: m.to}, nil
}

type callsInCounter struct {
	noop.Int64UpDownCounter
	to *callsIn
}

func (c callsInCounter) Add(_ context.Context, by int64, _ ...metric.AddOption) {
	if by > 0 {
		c.to.n.Add(by)
	}
}

func TestAKeptConnectionMayBringOneMoreCall(t *testing.T) {
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	s := start(t, Config{}, org)
	c := dial(t, s.addr)
	request := "GET /api/v1/users HTTP/1.1\r\nHost: " + s.addr + "\r\n\r\n"
	io.WriteString(c, request)
	answers := bufio.NewReader(c)
	first, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, first.Body)
	s.stop()
	eventually(t, "it is no longer ready", s.draining.Load)
	io.WriteString(c, request)
	text, _ := io.ReadAll(answers)
	if !strings.HasPrefix(string(text), "HTTP/1.1 200 OK\r\n") || strings.Count(string(text), "Connection: close") != 1 {
		t.Errorf("answered %q", text)
	}
}

func TestWhatOutlastsTheGraceIsAnswered(t *testing.T) {
	t.Parallel() // it waits for most of its time
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	s := start(t, Config{Grace: 300 * time.Millisecond}, org)
	org.Script("GET /api/v1/users", oktatest.RateLimited(time.Minute))
	org.Script("GET /api/v1/groups", oktatest.Hang)
	waits, hangs := make(chan got, 1), make(chan got, 1)
	go func() { waits <- s.do("GET", "/api/v1/users", "") }()
	go func() { hangs <- s.do("GET", "/api/v1/groups", "") }()
	eventually(t, "both are under way", func() bool { return org.Arrived() == 2 })
	time.Sleep(50 * time.Millisecond)
	s.stop()
	if a := <-waits; a.status != 429 || a.header.Get("Retry-After") == "" || a.error(t).Code != "E0000047" {
		t.Errorf("in line: %d %s", a.status, a.body)
	}
	if a := <-hangs; a.status != 504 || a.header.Get("Oktaretry-Error") != "stopping" {
		t.Errorf("in flight: %d %s", a.status, a.body)
	}
	if err := <-s.ended; err == nil {
		t.Error("Run is content")
	}
	s.ended <- nil
}

func TestReadyzIsFalseBeforeTheListenerCloses(t *testing.T) {
	t.Parallel() // it waits for most of its time
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	s := start(t, Config{}, org)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 404, "/debug/oktaretry": 404, "/api/v1/users": 404} {
		if a := s.do("GET", s.admin+path, ""); a.status != want {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	org.Script("GET /api/v1/users", oktatest.Delay(500*time.Millisecond, oktatest.Pass))
	done := make(chan got, 1)
	go func() { done <- s.do("GET", "/api/v1/users", "") }()
	eventually(t, "the call is under way", func() bool { return org.Arrived() == 1 })
	s.stop()
	eventually(t, "it is stopping", s.draining.Load)
	if a := s.do("GET", s.admin+"/readyz", ""); a.status != 503 || a.body != "stopping\n" {
		t.Errorf("readyz: %d %q", a.status, a.body)
	}
	if a := s.do("GET", s.admin+"/healthz", ""); a.status != 200 {
		t.Errorf("healthz: %d", a.status)
	}
	if a := <-done; a.status != 200 {
		t.Errorf("the call in flight: %d", a.status)
	}
}

func TestTheAdminListenerShowsNothingToStrangers(t *testing.T) {
	org := oktatest.NewServer(t)
	secret := func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "numbers") }
	s := start(t, Config{Metrics: http.HandlerFunc(secret), Debug: func(...*oktaretry.Transport) http.Handler { return http.HandlerFunc(secret) },
		AuthTokenFile: writeFile(t, "auth", "mine")}, org)
	if a := s.do("GET", s.admin+"/metrics", ""); a.status != 200 || a.body != "numbers" {
		t.Errorf("over loopback: %d %s", a.status, a.body)
	}
	if a := s.do("GET", s.admin+"/metrics", "", "Host", "evil.example"); a.status != 421 {
		t.Errorf("by another name: %d", a.status)
	}
	for _, tt := range []struct {
		path, authorization string
		want                int
	}{
		{"/healthz", "", 200}, {"/readyz", "", 200}, {"/metrics", "", 401}, {"/debug/oktaretry", "", 401}, {"/debug/oktaretry/x", "", 401},
		{"/metrics", "Bearer other", 401}, {"/metrics", "Bearer mine", 200}, {"/debug/oktaretry", "Bearer mine", 200},
	} {
		r, _ := http.NewRequest("GET", "http://10.1.2.3:8081"+tt.path, nil)
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(&net.TCPAddr{IP: net.IPv4(10, 1, 2, 3)})))
		if tt.authorization != "" {
			r.Header.Set("Authorization", tt.authorization)
		}
		w := &recorder{header: http.Header{}}
		s.Admin().ServeHTTP(w, r)
		if w.status != tt.want {
			t.Errorf("%s with %q: %d", tt.path, tt.authorization, w.status)
		}
	}
}

type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}
func (r *recorder) Write(p []byte) (int, error) { r.WriteHeader(200); return len(p), nil }

func TestClientCertificatesAreDemanded(t *testing.T) {
	ca, caKey := certificate(t, nil, nil)
	other, otherKey := certificate(t, nil, nil)
	server, serverKey := certificate(t, ca, caKey)
	client, clientKey := certificate(t, ca, caKey)
	stranger, strangerKey := certificate(t, other, otherKey)
	c, err := ServerTLS(writeFile(t, "cert", server.pem), writeFile(t, "key", keyPEM(t, serverKey)), writeFile(t, "ca", ca.pem), nil)
	if err != nil {
		t.Fatal(err)
	}
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	s := start(t, Config{TLS: c}, org)
	roots := x509.NewCertPool()
	roots.AddCert(ca.x509)
	for _, tt := range []struct {
		name  string
		certs []tls.Certificate
		ok    bool
	}{
		{"its own", []tls.Certificate{{Certificate: [][]byte{client.x509.Raw}, PrivateKey: clientKey}}, true},
		{"a stranger's", []tls.Certificate{{Certificate: [][]byte{stranger.x509.Raw}, PrivateKey: strangerKey}}, false},
		{"none", nil, false},
	} {
		h := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: tt.certs}}}
		resp, err := h.Get("https://" + s.addr + "/api/v1/users?limit=1")
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil {
			if resp.StatusCode != 200 || !strings.Contains(resp.Header["Link"][0], "<https://"+s.addr+"/") {
				t.Errorf("%s: %s %v", tt.name, resp.Status, resp.Header)
			}
			resp.Body.Close()
		}
		h.CloseIdleConnections()
	}
	if n := org.Arrived(); n != 1 {
		t.Errorf("%d requests reached Okta", n)
	}
}

type signed struct {
	x509 *x509.Certificate
	pem  string
}

// certificate makes a certificate for 127.0.0.1, signed by parent or by itself.
func certificate(t *testing.T, parent *signed, parentKey *ecdsa.PrivateKey) (*signed, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: rand.Text()}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: parent == nil, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	by, byKey := template, key
	if parent != nil {
		by, byKey = parent.x509, parentKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), byKey)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &signed{parsed, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}, key
}

func keyPEM(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func TestSettingsThatMakeNoSenseAreRefusedTogether(t *testing.T) {
	for name, tt := range map[string]struct {
		c    Config
		want []string
	}{
		"nothing":        {Config{}, []string{"no org"}},
		"no URL":         {Config{Orgs: []Org{{URL: "acme.okta.com"}}}, []string{"not a URL"}},
		"plain http":     {Config{Orgs: []Org{{URL: "http://acme.okta.com"}}}, []string{"https"}},
		"a path":         {Config{Orgs: []Org{{URL: "https://acme.okta.com/api"}}}, []string{"more than"}},
		"a user":         {Config{Orgs: []Org{{URL: "https://u:secret@acme.okta.com"}}}, []string{"more than"}},
		"two of a name":  {Config{Orgs: []Org{{URL: "https://acme.okta.com"}, {URL: "https://ACME.okta.com:443"}}}, []string{"two orgs"}},
		"several things": {Config{Names: []string{"a/b"}, Grace: -1, MaxConns: -1}, []string{"no org", "a/b", "Grace is -1ns", "MaxConns is -1"}},
	} {
		_, err := New(tt.c)
		for _, want := range tt.want {
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}
