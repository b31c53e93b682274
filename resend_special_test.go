// This file tests token requests, bodies that were not kept, and answers that
// never come.

package oktaretry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// A grant may be valid once: what Okta may have used up is sent again only where the
// caller allows it, or a hook makes it anew.
func TestTokenRequestIsResentIfOktaDidNotProcessIt(t *testing.T) {
	refused := script.Fail(&net.OpError{Op: "dial", Err: errors.New("refused")})
	anyMethod := func(p *oktaretry.Policy) { p.ServerError.AnyMethod, p.Network.AnyMethod = true, true }
	for name, tt := range map[string]struct {
		step    script.Step
		allowed bool
		sends   int
	}{
		"rate limit": {script.LimitedFor(time.Second), false, 2}, "0 of 0": {script.Concurrency(), false, 2},
		"never sent": {refused, false, 2}, "503": {script.Bare(503), false, 1}, "lost": {script.Fail(script.Reset), false, 1},
		"503, allowed": {script.Bare(503), true, 2}, "lost, allowed": {script.Fail(script.Reset), true, 2},
	} {
		for _, path := range []string{"/oauth2/v1/token", "/oauth2/default/v1/token"} {
			for _, hook := range []bool{false, true} {
				t.Run(fmt.Sprint(name, path, " hook=", hook), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						ctx, opts := t.Context(), []oktaretry.Option(nil)
						if tt.allowed && hook {
							opts = append(opts, oktaretry.WithPrepareRetry(func(*http.Request) error { return nil }))
						} else if tt.allowed {
							ctx = oktaretry.WithIdempotent(ctx)
						}
						base := script.New(t, append([]script.Step{tt.step}, []script.Step{script.OK()}[:tt.sends-1]...)...)
						req := rig.Request(t, ctx, "POST", path, strings.NewReader("grant_type=client_credentials"))
						// SDK v6 replaces Body on its DPoP path and leaves the GetBody of the old one.
						req.GetBody = func() (io.ReadCloser, error) {
							t.Error("a GetBody was called that may be stale")
							return http.NoBody, nil
						}
						c := rig.Send(t, rig.Over(t, base, anyMethod, opts...), req)
						if tt.sends == 1 {
							c.Stopped(oktaretry.StopNotIdempotent)
						} else {
							c.Is(200)
						}
						for _, sent := range base.WantSent(tt.sends) {
							if sent.Body != "grant_type=client_credentials" {
								t.Errorf("sent %q", sent.Body)
							}
						}
					})
				})
			}
		}
	}
}

// A proof that never reached Okta is as good as new.
func TestDPoPRequestThatWasNeverSentIsResent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, base := rig.New(t, nil, script.Fail(&net.OpError{Op: "dial", Err: errors.New("refused")}), script.OK())
		rig.Do(t, t.Context(), tr, "POST", "/api/v1/users", "user", "DPoP", "proof").Is(200)
		base.WantSent(2)
	})
}

func TestTokenRequestWithoutABodyIsResentAfterA429(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, body := range []io.Reader{nil, http.NoBody} {
			base := script.Repeat(t, script.LimitedFor(time.Second), script.OK())
			resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "POST", "/oauth2/v1/token?client_assertion=x", body))
			rig.Text(t, resp, err)
			base.WantSent(2)

			base = script.Repeat(t, script.Bare(503))
			resp, err = rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "POST", "/oauth2/v1/token?client_assertion=x", body))
			rig.Text(t, resp, err)
			base.WantSent(1)
		}
	})
}

func TestBodyBeyondTheCaptureIsSentOnce(t *testing.T) {
	for size, sends := range map[int]int{9: 2, 10: 2, 11: 1} {
		for _, step := range []script.Step{script.LimitedFor(time.Second), script.Reply(503, "x"), script.Fail(script.Reset)} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					base := script.Repeat(t, step, script.OK())
					tr := rig.Over(t, base, func(p *oktaretry.Policy) { p.MaxCapture = 10 })
					ctx, rec := oktaretry.WithRecorder(t.Context())
					start := time.Now()
					resp, err := tr.RoundTrip(rig.Request(t, ctx, "PUT", "/api/v1/users/1", script.Text(strings.Repeat("x", size))))
					if err == nil {
						resp.Body.Close()
					}
					base.WantSent(sends)
					if sends == 1 {
						rig.WantStop(t, rec, oktaretry.StopNotReplayable)
						if d := time.Since(start); d != 0 {
							t.Errorf("the call waited %s for nothing", d)
						}
					}
				})
			})
		}
	}
}

// That a body can't be had again shows only when the resend is due.
func TestBodyThatGetBodyDoesNotRenewIsSentOnce(t *testing.T) {
	lost := errors.New("the file is gone")
	send := func(t *testing.T, step script.Step) (*http.Response, error) {
		base := script.Repeat(t, step)
		ctx, rec := oktaretry.WithRecorder(t.Context())
		req := rig.Request(t, ctx, "PUT", "/api/v1/users/1", script.Text("x"))
		req.GetBody = func() (io.ReadCloser, error) { return nil, lost }
		resp, err := rig.Over(t, base, nil).RoundTrip(req)
		base.WantSent(1)
		rig.WantStop(t, rec, oktaretry.StopNotReplayable)
		return resp, err
	}
	synctest.Test(t, func(t *testing.T) {
		resp, err := send(t, script.Reply(503, "down"))
		if got := rig.Text(t, resp, err); resp.StatusCode != 503 || got != "down" {
			t.Errorf("got %d %q, want the answer in hand", resp.StatusCode, got)
		}
		if _, err := send(t, script.Fail(script.Reset)); !errors.Is(err, lost) {
			t.Errorf("got %v, want the error of GetBody", err)
		}
	})
}

func TestAttemptTimeoutIsANetworkError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Hang())
		start := time.Now()
		ctx, rec := oktaretry.WithRecorder(t.Context())
		tr := rig.Over(t, base, nil)
		_, err := tr.RoundTrip(rig.Request(t, ctx, "POST", "/api/v1/users/jane?q=1", strings.NewReader("x")))
		if d := time.Since(start); d != 3*time.Minute {
			t.Errorf("the attempt of a create ended after %s, want three minutes", d)
		}
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			t.Errorf("%v claims that the caller's context ended", err)
		}
		wantText(t, err, "3m0s", "example.okta.com/api/v1/users/{id}")
		rig.WantNoSecrets(t, err)
		if out := rig.WantStop(t, rec, oktaretry.StopNotIdempotent); out.Class != oktaretry.ClassNetwork || out.Terminal || out.NotSent {
			t.Errorf("classified %+v", out.Classification)
		}
		wantNoVerdict(t, tr, 1)

		// One that may be sent again is.
		base = script.Repeat(t, script.Hang(), script.OK())
		resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users", nil))
		rig.Text(t, resp, err)
		base.WantSent(2)
	})
}

// An answer in the very moment of the timeout is either taken, and its body
// readable, or dropped as a timeout. It must not be taken and then cut.
func TestAnswerAtTheTimeoutIsWholeOrDropped(t *testing.T) {
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			base := script.Repeat(t, script.Do(func(r *http.Request) (*http.Response, error) {
				time.Sleep(3 * time.Minute) // a create has three times AttemptTimeout
				body, w := io.Pipe()
				ctx := r.Context()
				go func() {
					select {
					case <-ctx.Done():
						w.CloseWithError(context.Cause(ctx))
					case <-time.After(time.Hour):
						io.WriteString(w, "late")
						w.Close()
					}
				}()
				return script.Stream(200, body).Respond(r)
			}))
			resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "POST", "/api/v1/users", nil))
			if err != nil {
				return
			}
			if got := rig.Text(t, resp, nil); got != "late" {
				t.Errorf("the body was %q", got)
			}
		})
	}
}

// A timer that was not stopped would end a body that takes longer than an
// attempt may.
func TestBodyMayOutlastTheAttemptTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{200, 404} {
			for _, reads := range []bool{true, false} {
				r, w := io.Pipe()
				base := script.Repeat(t, script.Stream(status, r))
				resp, err := rig.Over(t, base, func(p *oktaretry.Policy) { p.BodyTimeout = 0 }).RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/logs", nil))
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				attempt := base.WantSent(1)[0].Context
				if err := attempt.Err(); err != nil {
					t.Errorf("%d: the context of an open body ended: %v", status, err)
				}
				if reads {
					go func() {
						io.WriteString(w, "late")
						w.Close()
					}()
					if got := rig.Text(t, resp, nil); got != "late" {
						t.Errorf("%d: read %q", status, got)
					}
				}
				resp.Body.Close()
				if attempt.Err() == nil {
					t.Errorf("%d, read %t: the end of the body did not release the attempt's context", status, reads)
				}
				synctest.Wait()
			}
		}
	})
}

func TestCallersContextEndsTheBody(t *testing.T) {
	enough := errors.New("enough")
	for _, timeout := range []time.Duration{0, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			tr := rig.Over(t, script.Repeat(t, script.Stalled(200, "")), func(p *oktaretry.Policy) {
				p.AttemptTimeout, p.BodyTimeout = timeout, 0
			})
			resp, err := tr.RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/logs", nil))
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			time.AfterFunc(time.Hour, func() { cancel(enough) })
			if _, err := io.ReadAll(resp.Body); !errors.Is(err, enough) {
				t.Errorf("the body ended with %v, want the cause", err)
			}
			if d := time.Since(start); d != time.Hour {
				t.Errorf("it ended after %s, want an hour", d)
			}
			resp.Body.Close()
		})
	}
}
