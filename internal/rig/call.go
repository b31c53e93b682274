// This file holds calls whose results check themselves.

package rig

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
)

// Call is what a round trip gave. Its checks report to the test that made it
// and return it, so that they chain.
type Call struct {
	Resp    *http.Response
	Err     error
	Took    time.Duration
	Outcome oktaretry.Outcome

	t testing.TB
}

// Request makes a request as an SDK does. A target that is a path goes to Org.
// The header fields are names and values in turn.
func Request(t testing.TB, ctx context.Context, method, target string, body io.Reader, header ...string) *http.Request {
	t.Helper()
	if strings.HasPrefix(target, "/") {
		target = Org + target
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return req
}

// Do makes a round trip. A body is repeatable by GetBody.
func Do(t testing.TB, ctx context.Context, rt http.RoundTripper, method, target, body string, header ...string) Call {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	return Send(t, rt, Request(t, ctx, method, target, r, header...))
}

// Send makes a round trip with a copy of req that records its outcome.
func Send(t testing.TB, rt http.RoundTripper, req *http.Request) Call {
	ctx, recorder := oktaretry.WithRecorder(req.Context())
	began := time.Now()
	resp, err := rt.RoundTrip(req.WithContext(ctx))
	c := Call{Resp: resp, Err: err, Took: time.Since(began), t: t}
	c.Outcome, _ = recorder.Outcome()
	return c
}

// Get sends a GET.
func Get(t testing.TB, rt http.RoundTripper, target string) Call {
	t.Helper()
	return Do(t, t.Context(), rt, http.MethodGet, target, "")
}

// GetOnce sends a GET that is not sent again.
func GetOnce(t testing.TB, rt http.RoundTripper, target string) Call {
	t.Helper()
	return Do(t, oktaretry.WithNoRetry(t.Context()), rt, http.MethodGet, target, "")
}

// Start begins a GET and lets it get as far as it can without time passing. It
// is for virtual time.
func Start(t testing.TB, rt http.RoundTripper, target string) <-chan Call {
	done := make(chan Call, 1)
	go func() { done <- Get(t, rt, target) }()
	synctest.Wait()
	return done
}

// Is checks that there is a response with that status.
func (c Call) Is(status int) Call {
	c.t.Helper()
	switch {
	case c.Err != nil:
		c.t.Errorf("error %v, want status %d", c.Err, status)
	case c.Resp.StatusCode != status:
		c.t.Errorf("status %d, want %d", c.Resp.StatusCode, status)
	}
	return c
}

// Stopped checks why the call ended.
func (c Call) Stopped(want oktaretry.StopReason) Call {
	c.t.Helper()
	if c.Outcome.Stop != want {
		c.t.Errorf("the call stopped because of %s, want %s (error %v)", c.Outcome.Stop, want, c.Err)
	}
	return c
}

// TookBetween checks how long the call took in all.
func (c Call) TookBetween(from, to time.Duration) Call {
	c.t.Helper()
	if c.Took < from || c.Took > to {
		c.t.Errorf("the call took %s, want %s to %s", c.Took, from, to)
	}
	return c
}

// Reads reads the response's body, closes it, and checks what was read.
func (c Call) Reads(want string) Call {
	c.t.Helper()
	if got := c.Text(); got != want {
		c.t.Errorf("body %q, want %q", got, want)
	}
	return c
}

// Text reads the response's body to its end and closes it. It ends the test if
// there is no response.
func (c Call) Text() string {
	c.t.Helper()
	return Text(c.t, c.Resp, c.Err)
}

// Text reads a response's body to its end and closes it. An error ends the
// test.
func Text(t testing.TB, resp *http.Response, err error) string {
	t.Helper()
	if err != nil {
		t.Fatalf("error %v, want a response", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("reading the body: %v", err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Errorf("closing the body: %v", err)
	}
	return string(body)
}

// Failure returns the call's error as an E, and ends the test if it is none.
func Failure[E error](c Call) E {
	c.t.Helper()
	var e E
	if !errors.As(c.Err, &e) {
		c.t.Fatalf("error %T %v, want a %T", c.Err, c.Err, e)
	}
	if c.Resp != nil {
		c.t.Error("a response and an error together")
	}
	return e
}

// WantStop checks why the recorder's last call ended, and returns its outcome.
func WantStop(t testing.TB, rec *oktaretry.Recorder, stop oktaretry.StopReason) oktaretry.Outcome {
	t.Helper()
	out, ok := rec.Outcome()
	if !ok {
		t.Fatal("the call was not recorded")
	}
	if out.Stop != stop {
		t.Fatalf("the call stopped because of %s, want %s (error %v)", out.Stop, stop, out.Err)
	}
	return out
}

// WantNoSecrets checks that an error's text holds nothing of a request for
// …/jane?q=1, or of an answer about jane@example.com.
func WantNoSecrets(t testing.TB, err error) {
	t.Helper()
	for _, secret := range []string{"jane", "q=1", "://", "?", "client_assertion", "summary"} {
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds %q: %v", secret, err)
		}
	}
}
