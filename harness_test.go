package oktaretry_test

// What the tests of the RoundTripper contract share: a base in memory that
// keeps what was sent, and bodies that know what happened to them.

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
)

const orgURL = "https://org.example"

// memBase is a base in memory. Like a real one it reads each request's body to
// its end and closes it. Its steps answer one attempt each, the last one all
// that follow.
type memBase struct {
	steps []memStep
	mu    sync.Mutex
	sent  []memSent
	open  atomic.Int64 // response bodies that were handed out and not closed
}

type memStep func(*http.Request) (*http.Response, error)

// memSent is one request as the base saw it.
type memSent struct {
	Method, URL   string
	Header        http.Header
	Body          string
	BodyErr       error
	ContentLength int64
	At            time.Time
	ctx           context.Context
}

func newMemBase(steps ...memStep) *memBase { return &memBase{steps: steps} }

func (m *memBase) RoundTrip(req *http.Request) (*http.Response, error) {
	s := memSent{
		Method: req.Method, URL: req.URL.String(), Header: req.Header.Clone(), ContentLength: req.ContentLength,
		At: time.Now(), ctx: req.Context(),
	}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		s.Body, s.BodyErr = string(body), err
		req.Body.Close()
	}
	m.mu.Lock()
	m.sent = append(m.sent, s)
	step := m.steps[min(len(m.sent), len(m.steps))-1]
	m.mu.Unlock()
	resp, err := step(req)
	if resp != nil && resp.Body != nil && resp.Body != http.NoBody {
		m.open.Add(1)
		resp.Body = &memBody{ReadCloser: resp.Body, open: &m.open}
	}
	return resp, err
}

func (m *memBase) all() []memSent {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sent[:len(m.sent):len(m.sent)]
}

// wantSent checks how many requests the base saw, and returns them.
func (m *memBase) wantSent(t *testing.T, n int) []memSent {
	t.Helper()
	sent := m.all()
	if len(sent) != n {
		t.Fatalf("the base saw %d requests, want %d", len(sent), n)
	}
	return sent
}

// wantClosed checks that no response body is left open.
func (m *memBase) wantClosed(t *testing.T) {
	t.Helper()
	if n := m.open.Load(); n != 0 {
		t.Errorf("%d response bodies were never closed", n)
	}
}

// memBody counts itself out when it is closed, and like a real one is not read
// after that.
type memBody struct {
	io.ReadCloser
	open   *atomic.Int64
	closed atomic.Bool
}

func (b *memBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.ReadCloser.Read(p)
}

func (b *memBody) Close() error {
	if !b.closed.Swap(true) {
		b.open.Add(-1)
	}
	return b.ReadCloser.Close()
}

// memReply answers with a status, a body and headers in pairs.
func memReply(status int, body string, header ...string) memStep {
	return func(req *http.Request) (*http.Response, error) {
		resp := &http.Response{
			StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)),
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{}, ContentLength: int64(len(body)), Request: req,
			Body: io.NopCloser(strings.NewReader(body)),
		}
		for i := 0; i < len(header); i += 2 {
			resp.Header.Add(header[i], header[i+1])
		}
		return resp, nil
	}
}

// memCode answers with an Okta error.
func memCode(status int, code string, header ...string) memStep {
	body := `{"errorCode":"` + code + `","errorSummary":"for jane@example.com","errorLink":"` + code + `","errorId":"oae1","errorCauses":[]}`
	return memReply(status, body, append([]string{"Content-Type", "application/json", "X-Okta-Request-Id", "req-" + code}, header...)...)
}

// memLimited answers with a 429 whose window ends wait from now.
func memLimited(wait time.Duration) memStep {
	return func(req *http.Request) (*http.Response, error) {
		return memCode(429, "E0000047", "Date", time.Now().UTC().Format(http.TimeFormat),
			"X-Rate-Limit-Limit", "600", "X-Rate-Limit-Remaining", "0",
			"X-Rate-Limit-Reset", fmt.Sprint(time.Now().Add(wait).Unix()))(req)
	}
}

func memFail(err error) memStep {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

func memPanic(v any) memStep {
	return func(*http.Request) (*http.Response, error) { panic(v) }
}

// memHang answers nothing until its request is given up.
func memHang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, context.Cause(req.Context())
}

// memBodied answers with a body of the test's own and no announced length.
func memBodied(status int, body io.ReadCloser, header ...string) memStep {
	return func(req *http.Request) (*http.Response, error) {
		resp, err := memReply(status, "", header...)(req)
		resp.Body, resp.ContentLength = body, -1
		return resp, err
	}
}

var (
	memOK    = memReply(200, `{}`)
	memReset = memFail(errors.New("read: connection reset by peer"))
)

// newOver returns a Transport over base, with the default policy changed.
func newOver(t testing.TB, base http.RoundTripper, change func(*oktaretry.Policy), opts ...oktaretry.Option) *oktaretry.Transport {
	t.Helper()
	p := oktaretry.DefaultPolicy()
	if change != nil {
		change(&p)
	}
	tr, err := oktaretry.NewTransport(base, append([]oktaretry.Option{oktaretry.WithPolicy(p)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// quickly makes computed waits tiny, for tests over real sockets, which live
// in real time.
func quickly(p *oktaretry.Policy) {
	for _, r := range []*oktaretry.Rule{&p.RateLimited, &p.ServerError, &p.Network, &p.Pending} {
		r.InitialWait, r.MaxWait = time.Millisecond, time.Millisecond
	}
	p.Budget.Disabled = true
	p.Breaker.Disabled = true
}

// freshBase is an http.Transport of its own, so that tests share no
// connections.
func freshBase(t testing.TB) *http.Transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil
	t.Cleanup(base.CloseIdleConnections)
	return base
}

// pipeBase is an http.Transport over connections in memory, for virtual time;
// serve has one of them.
func pipeBase(t testing.TB, serve func(*bufio.Reader, io.Writer)) *http.Transport {
	base := freshBase(t)
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

func newTestServer(t testing.TB, h http.HandlerFunc) *httptest.Server {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

// newReq makes a request as an SDK does. A path alone goes to orgURL.
func newReq(t testing.TB, ctx context.Context, method, target string, body io.Reader) *http.Request {
	t.Helper()
	if strings.HasPrefix(target, "/") {
		target = orgURL + target
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	return req
}

// watched is a request body that can be read once, and counts.
type watched struct {
	r      io.Reader
	reads  atomic.Int64
	bytes  atomic.Int64
	closes atomic.Int64
}

func watch(content string) *watched { return &watched{r: strings.NewReader(content)} }

func (w *watched) Read(p []byte) (int, error) {
	if w.closes.Load() > 0 {
		return 0, errors.New("read after close")
	}
	w.reads.Add(1)
	n, err := w.r.Read(p)
	w.bytes.Add(int64(n))
	return n, err
}

func (w *watched) Close() error {
	w.closes.Add(1)
	return nil
}

// mustOK reads and closes a response that has to be there.
func mustOK(t testing.TB, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatalf("RoundTrip: %v", err)
	}
	return readBody(t, resp)
}

func readBody(t testing.TB, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("reading the answer: %v", err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Errorf("closing the answer: %v", err)
	}
	return string(body)
}

// wantStop checks why the recorder's last call ended, and returns its outcome.
func wantStop(t testing.TB, rec *oktaretry.Recorder, stop oktaretry.StopReason) oktaretry.Outcome {
	t.Helper()
	out, ok := rec.Outcome()
	if !ok {
		t.Fatal("the call was not recorded")
	}
	if out.Stop != stop {
		t.Fatalf("the call ended by %v, want %v (%v)", out.Stop, stop, out.Err)
	}
	return out
}

// wantNoSecrets checks that an error's text holds nothing of a request for
// …/jane?q=1, or of an answer about jane@example.com.
func wantNoSecrets(t testing.TB, err error) {
	t.Helper()
	for _, secret := range []string{"jane", "q=1", "://", "?", "client_assertion", "summary"} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error says %q: %v", secret, err)
		}
	}
}
