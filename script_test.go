package oktaretry_test

// This file holds the base that tests of a call's course send through: it
// answers from a script, as data, and writes down what it was sent and when.

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
)

// The script speaks for this org. Its endpoints are in buckets of their own.
const (
	org      = "https://example.okta.com"
	usersURL = org + "/api/v1/users/00u1"
	appsURL  = org + "/api/v1/apps/0oa1"
)

// gap is the most that the spreading of waiters adds to a single caller's wait.
const gap = 10 * time.Millisecond

// step is one answer of a script and, before it, when it must be asked for.
type step struct {
	// after is how long after the answer before it the request must come, at
	// least, and slack how much more it may be. Checked when wait is set.
	wait  bool
	after time.Duration
	slack time.Duration

	takes time.Duration // until the answer
	answer
}

// answer is what a step says: a response, an error, or nothing for as long as
// the request's context lasts.
type answer struct {
	status int
	header []header
	body   string
	err    error
	hang   bool
	panic  any
}

// header sets fields of an answer that is given at now.
type header func(h http.Header, now time.Time)

// at says when the step's request must come, counted from the answer before:
// at least after, at most after+slack.
func at(after, slack time.Duration, a answer) step {
	return step{wait: true, after: after, slack: slack, answer: a}
}

// then is a step whose time is not looked at.
func then(a answer) step { return step{answer: a} }

func slowly(takes time.Duration, a answer) step { return step{takes: takes, answer: a} }

// ok is a success.
func ok() answer { return bare(http.StatusOK) }

// bare is an answer without a body.
func bare(status int, h ...header) answer { return answer{status: status, header: h} }

// code is an Okta error.
func code(status int, code string, h ...header) answer {
	body := fmt.Sprintf(`{"errorCode":%q,"errorSummary":"ada@example.com","errorId":"oae1"}`, code)
	return answer{status: status, header: h, body: body}
}

// limited is a 429 of the endpoint's bucket.
func limited(h ...header) answer { return code(429, "E0000047", h...) }

// concurrency is a 429 of the concurrency limit.
func concurrency(h ...header) answer {
	return limited(append([]header{set("X-Rate-Limit-Limit", "0"), set("X-Rate-Limit-Remaining", "0")}, h...)...)
}

// says is an answer with a body of its own.
func says(status int, body string, h ...header) answer {
	return answer{status: status, header: h, body: body}
}

func fails(err error) answer { return answer{err: err} }
func hangs() answer          { return answer{hang: true} }

// refused is a connection that nobody took.
var refused = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}

// set sets a field; several values come as several fields.
func set(name string, values ...string) header {
	return func(h http.Header, _ time.Time) { h[http.CanonicalHeaderKey(name)] = values }
}

// dated is the Date of a server whose clock is ahead of the local one.
func dated(ahead time.Duration) header {
	return func(h http.Header, now time.Time) { h.Set("Date", now.Add(ahead).UTC().Format(http.TimeFormat)) }
}

// resets is X-Rate-Limit-Reset by the same server's clock, after each of ins.
func resets(ahead time.Duration, ins ...time.Duration) header {
	return func(h http.Header, now time.Time) {
		for _, in := range ins {
			h.Add("X-Rate-Limit-Reset", strconv.FormatInt(now.Add(ahead+in).Unix(), 10))
		}
	}
}

// retryAt is a Retry-After as a date by a server whose clock is ahead.
func retryAt(in, ahead time.Duration) header {
	return func(h http.Header, now time.Time) {
		h.Set("Retry-After", now.Add(in+ahead).UTC().Format(http.TimeFormat))
	}
}

// sent is one request that reached the base.
type sent struct {
	at, answered time.Time
	method       string
	url          *url.URL
	header       http.Header
	body         string
}

// script is a base that answers each request with its next step, and the last
// step for ever. It is safe for concurrent use.
type script struct {
	t  testing.TB
	mu sync.Mutex
	// answers, if set, makes the step from the request instead.
	answers func(*http.Request) step
	steps   []step
	sent    []sent
}

// newScript makes a Transport over a script. edit changes DefaultPolicy; nil
// changes nothing.
func newScript(t testing.TB, edit func(*oktaretry.Policy), steps ...step) (*oktaretry.Transport, *script) {
	t.Helper()
	s := &script{t: t, steps: steps}
	return newTransport(t, s, edit), s
}

func newTransport(t testing.TB, base http.RoundTripper, edit func(*oktaretry.Policy)) *oktaretry.Transport {
	t.Helper()
	p := oktaretry.DefaultPolicy()
	if edit != nil {
		edit(&p)
	}
	transport, err := oktaretry.NewTransport(base, oktaretry.WithPolicy(p))
	if err != nil {
		t.Fatal(err)
	}
	return transport
}

func (s *script) RoundTrip(req *http.Request) (*http.Response, error) {
	now := time.Now()
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		req.Body.Close()
	}
	s.mu.Lock()
	i := len(s.sent)
	st := s.next(i, req)
	if st.wait && i > 0 {
		if waited := now.Sub(s.sent[i-1].answered); waited < st.after || waited > st.after+st.slack {
			s.t.Errorf("request %d came %s after the answer before it, want %s to %s", i+1, waited, st.after, st.after+st.slack)
		}
	}
	s.sent = append(s.sent, sent{at: now, method: req.Method, url: req.URL, header: req.Header.Clone(), body: string(body)})
	s.mu.Unlock()

	err := sleep(req.Context(), st.takes)
	if st.hang {
		<-req.Context().Done()
		err = context.Cause(req.Context())
	}
	s.mu.Lock()
	s.sent[i].answered = time.Now()
	s.mu.Unlock()
	switch {
	case err != nil:
		return nil, err
	case st.panic != nil:
		panic(st.panic)
	case st.err != nil:
		return nil, st.err
	}
	return st.response(req), nil
}

func (s *script) next(i int, req *http.Request) step {
	if s.answers != nil {
		return s.answers(req)
	}
	if i >= len(s.steps) {
		s.t.Errorf("request %d, %s %s: the script has %d steps", i+1, req.Method, req.URL, len(s.steps))
		return then(ok())
	}
	return s.steps[i]
}

func (a answer) response(req *http.Request) *http.Response {
	resp := &http.Response{
		StatusCode: a.status, Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, ContentLength: int64(len(a.body)), Request: req,
	}
	if a.body != "" {
		resp.Header.Set("Content-Type", "application/json")
		resp.Body = io.NopCloser(strings.NewReader(a.body))
	}
	for _, set := range a.header {
		set(resp.Header, time.Now())
	}
	return resp
}

// requests returns what was sent so far.
func (s *script) requests() []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]sent(nil), s.sent...)
}

// sends checks how many requests were sent.
func (s *script) sends(want int) {
	s.t.Helper()
	if got := len(s.requests()); got != want {
		s.t.Fatalf("%d requests were sent, want %d", got, want)
	}
}

// counts returns how many requests of a method were sent to a path.
func (s *script) counts(method, path string) int {
	n := 0
	for _, r := range s.requests() {
		if r.method == method && r.url.Path == path {
			n++
		}
	}
	return n
}

func sleep(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// call is what a round trip gave.
type call struct {
	resp    *http.Response
	err     error
	elapsed time.Duration
	outcome oktaretry.Outcome
}

// do makes a round trip. A body makes it repeatable by GetBody.
func do(ctx context.Context, rt http.RoundTripper, method, target, body string, h ...string) call {
	ctx, recorder := oktaretry.WithRecorder(ctx)
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, r)
	if err != nil {
		return call{err: err}
	}
	for i := 0; i+1 < len(h); i += 2 {
		req.Header.Set(h[i], h[i+1])
	}
	began := time.Now()
	resp, err := rt.RoundTrip(req)
	c := call{resp: resp, err: err, elapsed: time.Since(began)}
	c.outcome, _ = recorder.Outcome()
	return c
}

func get(t testing.TB, rt http.RoundTripper, target string) call {
	return do(t.Context(), rt, http.MethodGet, target, "")
}

// start begins a GET that gets as far as it can without time passing.
func start(t testing.TB, rt http.RoundTripper, target string) <-chan call {
	done := make(chan call, 1)
	go func() { done <- get(t, rt, target) }()
	synctest.Wait()
	return done
}

// is checks that the call brought a response with a status.
func (c call) is(t testing.TB, status int) call {
	t.Helper()
	switch {
	case c.err != nil:
		t.Errorf("error %v, want status %d", c.err, status)
	case c.resp.StatusCode != status:
		t.Errorf("status %d, want %d", c.resp.StatusCode, status)
	}
	return c
}

// stopped checks why the call ended.
func (c call) stopped(t testing.TB, want oktaretry.StopReason) call {
	t.Helper()
	if c.outcome.Stop != want {
		t.Errorf("the call stopped because of %s, want %s (error %v)", c.outcome.Stop, want, c.err)
	}
	return c
}

// took checks how long the call took in all.
func (c call) took(t testing.TB, from, to time.Duration) call {
	t.Helper()
	if c.elapsed < from || c.elapsed > to {
		t.Errorf("the call took %s, want %s to %s", c.elapsed, from, to)
	}
	return c
}

// reads checks the body of the response.
func (c call) reads(t testing.TB, want string) call {
	t.Helper()
	if c.resp == nil {
		t.Errorf("no response (error %v)", c.err)
		return c
	}
	got, err := io.ReadAll(c.resp.Body)
	if err != nil || string(got) != want {
		t.Errorf("body %q, error %v; want %q", got, err, want)
	}
	if err := c.resp.Body.Close(); err != nil {
		t.Errorf("closing the body: %v", err)
	}
	return c
}

// failure returns the error as an E, or ends the test.
func failure[E error](t testing.TB, c call) E {
	t.Helper()
	var e E
	if !errors.As(c.err, &e) {
		t.Fatalf("error %T %v, want a %T", c.err, c.err, e)
	}
	if c.resp != nil {
		t.Error("a response and an error together")
	}
	return e
}

// virtually runs a test in virtual time. What is left running in it afterwards
// fails it.
func virtually(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}
