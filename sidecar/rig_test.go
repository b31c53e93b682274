// This file is what the tests have in common: a sidecar that serves, raw requests, answers.

package sidecar

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

// TestMain lets more tests run at once than there are cores, for they wait.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "8") // unless -parallel is given
	os.Exit(m.Run())
}

// served is a Sidecar on a loopback port.
type served struct {
	*Sidecar
	t     testing.TB
	addr  string
	url   string
	admin string // the URL of the admin listener
	log   *safeBuffer
	stop  context.CancelFunc
	ended chan error // what Run returned
}

// start serves a sidecar for orgs until the test ends.
func start(t testing.TB, c Config, orgs ...*oktatest.Server) *served {
	t.Helper()
	for _, o := range orgs {
		c.Orgs = append(c.Orgs, Org{URL: o.URL})
	}
	log := new(safeBuffer)
	c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c.Options = append(c.Options, oktaretry.WithLogger(c.Logger))
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, admin := listen(t), listen(t)
	ctx, stop := context.WithCancel(context.Background())
	d := &served{Sidecar: s, t: t, addr: l.Addr().String(), url: "http://" + l.Addr().String(), admin: "http://" + admin.Addr().String(),
		log: log, stop: stop, ended: make(chan error, 1)}
	go func() { d.ended <- s.Run(ctx, l, admin) }()
	t.Cleanup(func() {
		stop()
		http.DefaultClient.CloseIdleConnections()
		select {
		case <-d.ended:
		case <-time.After(20 * time.Second):
			t.Error("Run has not returned")
		}
	})
	return d
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// impatient is a policy under which calls wait for next to nothing.
func impatient() oktaretry.Option {
	p := oktaretry.DefaultPolicy()
	p.RateLimited.MaxElapsed = 50 * time.Millisecond
	p.Pace.MaxWait = 50 * time.Millisecond
	p.ServerError.MaxAttempts, p.Network.MaxAttempts = 1, 1
	return oktaretry.WithPolicy(p)
}

// got is an answer that has been read.
type got struct {
	status int
	header http.Header
	body   string
}

func (g got) error(t *testing.T) oktaError {
	t.Helper()
	var e oktaError
	if err := json.Unmarshal([]byte(g.body), &e); err != nil || e.Code == "" || e.Link != e.Code || e.Summary == "" || e.ID == "" || e.Causes == nil {
		t.Errorf("not an error of Okta's form (%v): %d %s", err, g.status, g.body)
	}
	return e
}

// do sends a request by a client without a transport of ours.
func (s *served) do(method, target, body string, header ...string) got {
	s.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = s.url + target
	}
	req, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		} else {
			req.Header.Add(header[i], header[i+1])
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return got{resp.StatusCode, resp.Header, string(text)}
}

// raw sends bytes and returns the status of each answer until the connection ends.
func raw(t *testing.T, addr, wire string) (statuses []int, all string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, wire)
	c.(*net.TCPConn).CloseWrite()
	var text bytes.Buffer
	r := bufio.NewReader(io.TeeReader(c, &text))
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return statuses, text.String()
		}
		io.Copy(io.Discard, resp.Body)
		statuses = append(statuses, resp.StatusCode)
	}
}

func writeFile(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	replaceFile(t, path, text)
	return path
}

// replaceFile changes a file as Kubernetes changes a secret: by a rename.
func replaceFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// safeBuffer is a log that can be read while it is written.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}
