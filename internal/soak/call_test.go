// This file holds what is checked of each call when it is over.

package soak_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry"
)

// check checks what RoundTrip returned.
func (s *soak) check(c *call, resp *http.Response, err error, panicked any) {
	switch {
	case c.panics && panicked == ownPanic:
		s.saw("panic")
		return
	case panicked != nil || c.panics:
		c.fail("the panic came out as %v", panicked)
		return
	case (resp == nil) == (err == nil):
		c.fail("response %t, error %v", resp != nil, err)
		return
	case resp != nil:
		s.saw(fmt.Sprint("status ", resp.StatusCode))
		if resp.StatusCode != c.status || resp.Body == nil {
			c.fail("status %d, want the last one, %d", resp.StatusCode, c.status)
		}
		return
	}
	for _, secret := range []string{"jane", "://", "token-"} {
		if strings.Contains(err.Error(), secret) {
			c.fail("the error says %q: %v", secret, err)
		}
	}
	var (
		limited *oktaretry.RateLimitError
		open    *oktaretry.CircuitOpenError
		pending *oktaretry.PendingError
		timeout interface{ Timeout() bool }
	)
	name := "network"
	switch {
	case errors.Is(err, io.EOF):
		c.fail("the error matches io.EOF: %v", err)
	case errors.As(err, &limited) && limited.ClientSide:
		name = "rate limit, client-side"
		if c.sends > 0 {
			c.fail("%d requests were sent and refused client-side: %v", c.sends, err)
		}
	case errors.As(err, &limited):
		name = "rate limit"
		if c.status != http.StatusTooManyRequests {
			c.fail("after a %d: %v", c.status, err)
		}
	case errors.As(err, &open):
		name = "circuit open"
		if c.sends > 0 {
			c.fail("%d requests were sent: %v", c.sends, err)
		}
	case errors.As(err, &pending):
		name = "pending"
	case errors.Is(err, errHook):
		name = "hook"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		name = "context"
		if c.ctx.Err() == nil {
			c.fail("its context has not ended: %v", err)
		}
	case errors.As(err, &timeout) && timeout.Timeout():
		name = "timeout"
	}
	s.saw("error " + name)
}

// checkOutcome checks that the call's record says what happened.
func (s *soak) checkOutcome(c *call, recorder *oktaretry.Recorder, resp *http.Response, err error) {
	out, ok := oktaretry.OutcomeOf(resp)
	if recorder != nil {
		out, ok = recorder.Outcome()
	}
	if !ok {
		if recorder != nil || resp != nil {
			c.fail("no outcome")
		}
		return
	}
	s.saw("stop " + out.Stop.String())
	s.saw("class " + out.Class.String())
	if c.panics {
		err = out.Err
	}
	if out.Err != err || len(out.Attempts) != c.sends {
		c.fail("the outcome has %d attempts and the error %v, want %d and %v", len(out.Attempts), out.Err, c.sends, err)
	}
	if !c.may(out.Stop) {
		c.fail("stopped by %s after %d attempts, the last a %d (%v)", out.Stop, c.sends, c.status, err)
	}
	if success := out.Stop == oktaretry.StopSuccess; success != (resp != nil && out.Class == oktaretry.ClassSuccess) {
		c.fail("stopped by %s with a %d of class %s", out.Stop, c.status, out.Class)
	}
	for _, a := range out.Attempts {
		for _, w := range a.Waits {
			s.saw("wait " + w.Reason.String())
		}
		if a.Poll {
			s.saw("attempt poll")
		}
	}
}

// read takes of a response what a caller may, and closes it.
func (c *call) read(resp *http.Response) {
	defer resp.Body.Close()
	if c.stalls || c.rand.IntN(4) == 0 {
		return
	}
	got, err := io.ReadAll(resp.Body)
	if (err != nil || string(got) != c.text) && c.ctx.Err() == nil {
		c.fail("the response's body has %d bytes (%v), want %d", len(got), err, len(c.text))
	}
}

// checkReleased checks that all bodies were closed, those of the request once,
// and that nothing of an attempt is still running.
func (c *call) checkReleased() {
	for i, ctx := range c.attempts {
		if ctx.Err() == nil {
			c.fail("the context of attempt %d of %d was never released", i+1, c.sends)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.bodies {
		// After a panic nobody knows whether the base has closed it.
		if n := b.Closes(); n != 1 && !(c.panics && n > 1) {
			c.fail("a body of the request was closed %d times after %d attempts, want once", n, c.sends)
		}
	}
	for _, b := range c.replies {
		if b.Closes() == 0 {
			c.fail("a body of a response was never closed, of %d", len(c.replies))
		}
	}
}

// may reports whether the call may end for that reason.
func (c *call) may(stop oktaretry.StopReason) bool {
	resent := c.sends > 1 || len(c.kind.answers) > 1 || strings.HasSuffix(c.kind.host, "*")
	switch stop {
	case oktaretry.StopCanceled:
		return c.ctx.Err() != nil
	case oktaretry.StopDeadline:
		return c.expires
	case oktaretry.StopCircuitOpen:
		return c.kind.host != "calm" && c.kind.host != "closed"
	case oktaretry.StopBudget:
		return c.kind.host != "closed"
	case oktaretry.StopNotReplayable: // a small MaxCapture
		return len(c.content) > 0 && resent || slices.Contains(c.kind.stops, stop)
	}
	return slices.Contains(c.kind.stops, stop)
}
