// This file tests which requests are sent again, and what they look like then.

package oktaretry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestBodyIsIdenticalOnEachAttempt(t *testing.T) {
	content := strings.Repeat("0123456789", 5000)
	for name, body := range map[string]func() io.Reader{
		"bytes.Reader":   func() io.Reader { return bytes.NewReader([]byte(content)) },
		"bytes.Buffer":   func() io.Reader { return bytes.NewBufferString(content) },
		"strings.Reader": func() io.Reader { return strings.NewReader(content) },
		"a stream":       func() io.Reader { return script.Text(content) },
		"io.Pipe": func() io.Reader {
			r, w := io.Pipe()
			go func() { io.WriteString(w, content); w.Close() }()
			return r
		},
	} {
		for _, length := range []int64{-1, int64(len(content))} {
			t.Run(fmt.Sprint(name, " of length ", length), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					base := script.Repeat(t, script.LimitedFor(time.Second), script.Reply(503, "x"), script.Fail(script.Reset), script.LimitedFor(time.Second), script.OK())
					req := rig.Request(t, t.Context(), "PUT", "/api/v1/users/1", body())
					known := req.GetBody != nil
					if !known {
						req.ContentLength = length
					}
					want := req.ContentLength
					rig.Send(t, rig.Over(t, base, nil), req).Text()
					for i, s := range base.WantSent(5) {
						if s.Body != content || s.BodyErr != nil || s.ContentLength != want {
							t.Errorf("attempt %d: %d bytes announced as %d, %v; want %d as %d",
								i+1, len(s.Body), s.ContentLength, s.BodyErr, len(content), want)
						}
					}
				})
			})
		}
	}
}

func TestBodyIsIdenticalOverRealConnections(t *testing.T) {
	content := strings.Repeat("0123456789", 20000)
	n := 0
	srv := rig.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if string(got) != content || err != nil {
			t.Errorf("attempt %d carried %d bytes, %v", n+1, len(got), err)
		}
		if n++; n%4 != 0 {
			w.WriteHeader([]int{0, 429, 503, 502}[n%4])
			return
		}
		w.WriteHeader(201)
	})
	tr := rig.Over(t, rig.HTTP(t), rig.QuickWaits)
	for _, body := range []io.Reader{strings.NewReader(content), script.Text(content)} {
		rig.Send(t, tr, rig.Request(t, t.Context(), "PUT", srv.URL+"/api/v1/users/1", body)).Text()
	}
	if n != 8 {
		t.Errorf("%d requests, want 8", n)
	}
}

// What may be sent again, by method, answer and permission.
func TestOnlySafeRequestsAreResent(t *testing.T) {
	refused := script.Fail(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
	wrapped := script.Fail(fmt.Errorf("proxy: %w", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}))
	tempDNS := script.Fail(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}})
	read := script.Fail(&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})
	idempotent := []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"}
	other := []string{"POST", "PATCH", "LOCK", ""}
	const no, yes = 1, 2

	for _, test := range []struct {
		name         string
		step         script.Step
		safe, others int // how often sent
	}{
		{"429", script.LimitedFor(time.Second), yes, yes},
		{"429 without a header", script.Bare(429), yes, yes},
		{"E0000047 under a 503", script.Code(503, "E0000047"), yes, yes},
		{"500", script.Code(500, "E0000009"), yes, no},
		{"502 of the edge", script.Reply(502, "<html>"), yes, no},
		{"503 with Retry-After", script.Bare(503, script.Set("Retry-After", "1")), yes, no},
		{"connection reset", read, yes, no},
		{"unknown error", script.Fail(script.Reset), yes, no},
		{"EOF", script.Fail(io.EOF), yes, no},
		{"dial error", refused, yes, yes},
		{"wrapped dial error", wrapped, yes, yes},
		{"look-up failed for now", tempDNS, yes, yes},
		{"404", script.Code(404, "E0000007"), no, no},
		{"400", script.Code(400, "E0000001"), no, no},
		{"501", script.Code(501, "E0000060"), no, no},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, method := range append(idempotent, other...) {
					want := test.safe
					for _, m := range other {
						if method == m && m != "" { // no method is GET
							want = test.others
						}
					}
					base := script.Repeat(t, test.step, script.OK())
					ctx, rec := oktaretry.WithRecorder(t.Context())
					req := rig.Request(t, ctx, "GET", "/api/v1/users/1", strings.NewReader("x"))
					req.Method = method
					if resp, err := rig.Over(t, base, nil).RoundTrip(req); err == nil {
						resp.Body.Close()
					}
					if got := len(base.Sent()); got != want {
						t.Errorf("%q was sent %d times, want %d", method, got, want)
					}
					if out, _ := rec.Outcome(); want == no && test.safe == yes && out.Stop != oktaretry.StopNotIdempotent {
						t.Errorf("%q ended by %v, want not-idempotent", method, out.Stop)
					}
				}
			})
		})
	}
}

func TestIdempotencyAllowsOtherMethods(t *testing.T) {
	for name, permit := range map[string]func(*http.Request) *http.Request{
		"Idempotency-Key":   func(r *http.Request) *http.Request { r.Header.Set("Idempotency-Key", "k"); return r },
		"X-Idempotency-Key": func(r *http.Request) *http.Request { r.Header.Set("X-Idempotency-Key", "k"); return r },
		"WithIdempotent": func(r *http.Request) *http.Request {
			return r.WithContext(oktaretry.WithIdempotent(r.Context()))
		},
		"AnyMethod": func(r *http.Request) *http.Request {
			rule := oktaretry.DefaultPolicy().ServerError
			rule.AnyMethod = true
			ctx := oktaretry.WithRule(r.Context(), "network", rule)
			return r.WithContext(oktaretry.WithRule(ctx, "server-error", rule))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, method := range []string{"POST", "PATCH"} {
					base := script.Repeat(t, script.Bare(503), script.Fail(script.Reset), script.OK())
					req := permit(rig.Request(t, t.Context(), method, "/api/v1/users", script.Text("content")))
					rig.Send(t, rig.Over(t, base, nil), req).Text()
					for _, s := range base.WantSent(3) {
						if s.Body != "content" {
							t.Errorf("%s carried %q", method, s.Body)
						}
					}
				}
			})
		})
	}
}

// Evidence of a base that calls the hooks of net/http/httptrace, as net/http's
// does: how far it got.
func TestTraceShowsWhatWasWritten(t *testing.T) {
	lost := errors.New("lost")
	dial := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for _, test := range []struct {
		name  string
		trace func(*httptrace.ClientTrace)
		err   error
		sends int
	}{
		{"no evidence", func(*httptrace.ClientTrace) {}, lost, 1},
		{"never got a connection", func(c *httptrace.ClientTrace) { c.GetConn("h") }, lost, 2},
		{"got one", func(c *httptrace.ClientTrace) { c.GetConn("h"); c.GotConn(httptrace.GotConnInfo{}) }, lost, 1},
		{"got one, and then none", func(c *httptrace.ClientTrace) {
			c.GetConn("h")
			c.GotConn(httptrace.GotConnInfo{})
			c.GetConn("h")
		}, lost, 1},
		{"could not dial", func(c *httptrace.ClientTrace) { c.GetConn("h") }, dial, 2},
		{"wrote, tried again and could not dial", func(c *httptrace.ClientTrace) {
			c.GetConn("h")
			c.GotConn(httptrace.GotConnInfo{})
			c.WroteHeaders()
			c.GetConn("h")
		}, dial, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var own int
				base := script.Repeat(t, script.Do(func(r *http.Request) (*http.Response, error) {
					test.trace(httptrace.ContextClientTrace(r.Context()))
					return nil, test.err
				}), script.OK())
				// The caller's own trace goes on working.
				ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					GetConn: func(string) { own++ }, GotConn: func(httptrace.GotConnInfo) {}, WroteHeaders: func() {},
				})
				ctx, rec := oktaretry.WithRecorder(ctx)
				resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, ctx, "POST", "/api/v1/users", strings.NewReader("x")))
				if err == nil {
					resp.Body.Close()
				}
				base.WantSent(test.sends)
				if out, _ := rec.Outcome(); out.Attempts[0].NotSent != (test.sends == 2) {
					t.Errorf("NotSent is %t", out.Attempts[0].NotSent)
				}
				if test.name != "no evidence" && own == 0 {
					t.Error("the caller's trace was not called")
				}
			})
		})
	}
}

// net/http asks for the trace, and net for its part of it, which is elsewhere.
func TestCallersTraceSeesEachStepOnce(t *testing.T) {
	srv := rig.Serve(t, func(http.ResponseWriter, *http.Request) {})
	var seen [3]atomic.Int64
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		GetConn:      func(string) { seen[0].Add(1) },
		ConnectStart: func(string, string) { seen[1].Add(1) },
		GotConn:      func(httptrace.GotConnInfo) { seen[2].Add(1) },
	})
	req, err := http.NewRequestWithContext(ctx, "POST", srv.URL+"/api/v1/users", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rig.Over(t, &http.Transport{DisableKeepAlives: true}, nil).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for i, name := range []string{"GetConn", "ConnectStart", "GotConn"} {
		if n := seen[i].Load(); n != 1 {
			t.Errorf("%s was seen %d times, want once", name, n)
		}
	}
}

// net/http itself: a server that hangs up before it answers may have done the
// work; one that refuses connections has not.
func TestNothingIsCreatedTwiceOverRealConnections(t *testing.T) {
	var seen atomic.Int64
	srv := rig.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		seen.Add(1)
		conn, _, _ := http.NewResponseController(w).Hijack()
		conn.Close()
	})
	for method, sends := range map[string]int64{"POST": 1, "PATCH": 1, "PUT": 4} {
		seen.Store(0)
		ctx, rec := oktaretry.WithRecorder(t.Context())
		_, err := rig.Over(t, rig.HTTP(t), rig.QuickWaits).RoundTrip(rig.Request(t, ctx, method, srv.URL+"/api/v1/users", strings.NewReader("x")))
		if err == nil {
			t.Fatalf("%s: no error", method)
		}
		if out, _ := rec.Outcome(); seen.Load() != sends || int64(len(out.Attempts)) != sends || out.NotSent {
			t.Errorf("%s: the server saw %d requests, want %d; %d attempts, not sent %t", method, seen.Load(), sends, len(out.Attempts), out.NotSent)
		}
	}

	dead := rig.Serve(t, nil)
	dead.Close()
	ctx, rec := oktaretry.WithRecorder(t.Context())
	rig.Over(t, rig.HTTP(t), rig.QuickWaits).RoundTrip(rig.Request(t, ctx, "POST", dead.URL+"/api/v1/users", script.Text("x")))
	if out := rig.WantStop(t, rec, oktaretry.StopMaxAttempts); len(out.Attempts) != 4 || !out.NotSent {
		t.Errorf("%d attempts at a port that refuses, want 4; not sent %t", len(out.Attempts), out.NotSent)
	}
}

// A wrapper below that retries by itself may have written before its last try
// could not dial.
func TestBaseThatRetriesIsNotJudgedByItsLastError(t *testing.T) {
	var seen atomic.Int64
	srv := rig.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		seen.Add(1)
		conn, _, _ := http.NewResponseController(w).Hijack()
		conn.Close()
	})
	real := rig.HTTP(t)
	naive := script.Func(func(r *http.Request) (*http.Response, error) {
		resp, err := real.RoundTrip(r)
		if err != nil {
			err = &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED} // of its second try
		}
		return resp, err
	})
	_, err := rig.Over(t, naive, rig.QuickWaits).RoundTrip(rig.Request(t, t.Context(), "POST", srv.URL+"/api/v1/users", strings.NewReader("x")))
	if err == nil || seen.Load() != 1 {
		t.Errorf("the server saw %d creates, want 1; %v", seen.Load(), err)
	}
}

func TestNAttemptsSendExactlyNTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for n := 1; n <= 6; n++ {
			for _, step := range []script.Step{script.Bare(503), script.Fail(script.Reset), script.Bare(429)} {
				base := script.Repeat(t, step)
				tr := rig.Over(t, base, func(p *oktaretry.Policy) {
					p.RateLimited.MaxAttempts, p.ServerError.MaxAttempts, p.Network.MaxAttempts = n, n, n
					p.Budget.Disabled, p.Breaker.Disabled = true, true
				})
				ctx, rec := oktaretry.WithRecorder(t.Context())
				if resp, err := tr.RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users", nil)); err == nil {
					resp.Body.Close()
				}
				base.WantSent(n)
				if out := rig.WantStop(t, rec, oktaretry.StopMaxAttempts); len(out.Attempts) != n {
					t.Errorf("the outcome has %d attempts, want %d", len(out.Attempts), n)
				}
			}
		}
	})
}

func TestResendsAreMarkedOnceAndTheCallersHeadersAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := func(id string) script.Step { return script.Bare(429, script.Set("X-Okta-Request-Id", id)) }
		for _, callers := range []http.Header{{}, {"X-Okta-Retry-For": {"old", "older"}, "X-Okta-Retry-Count": {"7", "8"}}} {
			base := script.New(t, limited("reqA"), limited("reqB"), script.Bare(503), script.Fail(script.Reset), limited("reqC"), script.OK())
			req := rig.Request(t, t.Context(), "PUT", "/api/v1/users/1", strings.NewReader("x"))
			for k, v := range callers {
				req.Header[k] = v
			}
			before := fmt.Sprint(req.Header)
			rig.Send(t, rig.Over(t, base, nil), req).Text()
			for i, want := range []string{"", "[reqA] [1]", "[reqB] [2]", "[] [3]", "[] [4]", "[reqC] [5]"} {
				h := base.WantSent(6)[i].Header
				got := fmt.Sprint(h["X-Okta-Retry-For"], " ", h["X-Okta-Retry-Count"])
				if i == 0 {
					want = fmt.Sprint(callers["X-Okta-Retry-For"], " ", callers["X-Okta-Retry-Count"])
				}
				if got != want {
					t.Errorf("attempt %d is marked %s, want %s", i+1, got, want)
				}
			}
			if after := fmt.Sprint(req.Header); after != before {
				t.Errorf("the caller's headers became %s", after)
			}
		}
	})
}

func TestMethodIsKnownWithoutAResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for method, want := range map[string]int{"POST": 1, "PATCH": 1, "DELETE": 4} {
			base := script.Repeat(t, script.Fail(script.Reset))
			ctx, rec := oktaretry.WithRecorder(context.Background())
			rig.Over(t, base, nil).RoundTrip(rig.Request(t, ctx, method, "/api/v1/users/1", nil))
			base.WantSent(want)
			if out, _ := rec.Outcome(); out.Method != method {
				t.Errorf("the outcome has %q, want %q", out.Method, method)
			}
		}
	})
}
