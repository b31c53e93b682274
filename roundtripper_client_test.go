// This file tests a Transport under an http.Client, over real connections, and
// by many at once.

package oktaretry_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestFifteenRetriedCallsUseOneConnection(t *testing.T) {
	for name, refuse := range map[string]func(http.ResponseWriter, *http.Request){
		"429": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(429)
			io.WriteString(w, `{"errorCode":"E0000047"}`)
		},
		"503 with a long page": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(503)
			io.WriteString(w, strings.Repeat("<p>", 20<<10))
		},
		"503 in chunks": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(503)
			for range 3 {
				io.WriteString(w, "later")
				http.NewResponseController(w).Flush()
			}
		},
		"503 without a body": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) },
		"202, pending": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(202)
			io.WriteString(w, `{"errorCode":"E0000070"}`)
		},
	} {
		for _, method := range []string{"GET", "PUT"} {
			t.Run(method+" "+name, func(t *testing.T) {
				t.Parallel() // it waits for most of its time
				var served, conns atomic.Int64
				srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					if served.Add(1)%3 != 0 {
						refuse(w, r)
						return
					}
					io.WriteString(w, "{}")
				}))
				srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
					if s == http.StateNew {
						conns.Add(1)
					}
				}
				srv.Start()
				defer srv.Close()
				tr := rig.Over(t, rig.HTTP(t), rig.QuickWaits)
				calls := int64(15)
				if method == "PUT" && strings.HasPrefix(name, "202") {
					return // nowhere to ask
				}
				for range calls {
					var body io.Reader
					if method == "PUT" {
						body = script.Text("content")
					}
					resp, err := tr.RoundTrip(rig.Request(t, t.Context(), method, srv.URL+"/api/v1/users/1", body))
					if got := rig.Text(t, resp, err); got != "{}" {
						t.Fatalf("read %q", got)
					}
				}
				if served.Load() != 3*calls || conns.Load() != 1 {
					t.Errorf("%d requests over %d connections, want %d over 1", served.Load(), conns.Load(), 3*calls)
				}
			})
		}
	}
}

// An answer that never ends costs its connection, and neither time nor memory.
func TestDiscardedAnswerIsDrainedWithinABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		endless := script.NewBody(script.Zeros(1 << 40))
		base := script.Repeat(t, script.Stream(503, endless), script.OK())
		resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users", nil))
		rig.Text(t, resp, err)
		if n := endless.BytesRead(); n > 64<<10 {
			t.Errorf("%d bytes of an endless answer were read", n)
		}
		endless.WantClosed(t)

		r, w := io.Pipe()
		defer w.Close()
		base = script.Repeat(t, script.Stream(503, r), script.OK())
		start := time.Now()
		resp, err = rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users", nil))
		rig.Text(t, resp, err)
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("an answer without a byte held the call for %s", d)
		}
		base.WantClosed()
	})
}

// Okta closes a kept connection after 5 s. With http.DefaultTransport's 90 s, a create
// that arrives just then is lost.
func TestCreatesSurviveConnectionsThatOktaCloses(t *testing.T) {
	defer func(old http.RoundTripper) { http.DefaultTransport = old }(http.DefaultTransport)
	synctest.Test(t, func(t *testing.T) {
		base := rig.Pipe(t, func(r *bufio.Reader, w io.Writer) {
			var answered time.Time
			for {
				req, err := http.ReadRequest(r)
				if err != nil || !answered.IsZero() && time.Since(answered) >= 5*time.Second {
					return
				}
				io.Copy(io.Discard, req.Body)
				io.WriteString(w, "HTTP/1.1 201 Created\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n")
				answered = time.Now()
			}
		})
		base.IdleConnTimeout = 90 * time.Second
		http.DefaultTransport = base
		create := func(tr http.RoundTripper) (lost int) {
			for i := range 20 {
				c := rig.Do(t, t.Context(), tr, "POST", "http://org.example/api/v1/users", "user")
				if c.Err != nil {
					lost++
				} else {
					c.Reads("")
				}
				time.Sleep(time.Duration(4+i%2) * time.Second)
			}
			return lost
		}
		tr, err := oktaretry.NewTransport(nil)
		if err != nil {
			t.Fatal(err)
		}
		if lost := create(tr); lost != 0 {
			t.Errorf("%d of 20 creates were lost", lost)
		}
		tr.CloseIdleConnections()
		if lost := create(rig.Over(t, base, nil)); lost == 0 || base.IdleConnTimeout != 90*time.Second {
			t.Errorf("through http.DefaultTransport %d creates were lost; its IdleConnTimeout is %s", lost, base.IdleConnTimeout)
		}
		base.CloseIdleConnections()
	})
	// What cannot be copied is used as it is.
	own := script.Repeat(t, script.OK())
	http.DefaultTransport = own
	tr, err := oktaretry.NewTransport(nil)
	if err != nil {
		t.Fatal(err)
	}
	rig.Get(t, tr, rig.UserURL).Is(200)
	own.WantSent(1)
}

func TestTransportServes100Goroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		answers := []script.Step{script.OK(), script.OK(), script.OK(), script.OK(), script.OK(), script.OK(), script.LimitedFor(2 * time.Second), script.Down(), script.Fail(script.Reset)}
		base := script.Repeat(t, script.Do(func(r *http.Request) (*http.Response, error) {
			time.Sleep(10 * time.Millisecond)
			return answers[n.Add(1)%int64(len(answers))].Respond(r)
		}))
		tr := rig.Over(t, base, func(p *oktaretry.Policy) {
			p.Breaker.Disabled, p.Budget.Disabled = true, true
			p.ServerError.MaxAttempts, p.Network.MaxAttempts = 100, 100
			p.ServerError.MaxElapsed, p.Network.MaxElapsed = 0, 0
		})
		var done sync.WaitGroup
		for i := range 100 {
			done.Go(func() {
				for k := range 5 {
					content := fmt.Sprint("content ", i, k)
					rig.Send(t, tr, rig.Request(t, t.Context(), "PUT", fmt.Sprint("/api/v1/users/", i), script.Text(content))).Text()
					_ = tr.Snapshot()
				}
			})
		}
		done.Wait()
		base.WantClosed()
		for _, s := range base.Sent() {
			if want := strings.TrimPrefix(s.Body, "content "); !strings.HasPrefix(want, strings.TrimPrefix(s.URL.String(), rig.Org+"/api/v1/users/")) {
				t.Errorf("%s carried %q", s.URL.String(), s.Body)
			}
		}
	})
}

func TestClientFollowsRedirectsWithBodies(t *testing.T) {
	for status, want := range map[int]string{301: "GET ", 302: "GET ", 303: "GET ", 307: "POST content", 308: "POST content"} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := script.Repeat(t, script.LimitedFor(time.Second), script.Reply(status, "moved", script.Set("Location", "/api/v1/groups")), script.LimitedFor(time.Second), script.OK())
				ctx, rec := oktaretry.WithRecorder(t.Context())
				resp, err := rig.Over(t, base, nil).Client().Do(rig.Request(t, ctx, "POST", "/api/v1/users", strings.NewReader("content")))
				rig.Text(t, resp, err)
				sent := base.WantSent(4)
				for i, s := range sent {
					path, carried := "/api/v1/users", "POST content"
					if i >= 2 {
						path, carried = "/api/v1/groups", want
					}
					if got := s.Method + " " + s.Body; got != carried || s.URL.String() != rig.Org+path {
						t.Errorf("request %d: %s to %s, want %s to %s", i+1, got, s.URL.String(), carried, path)
					}
				}
				if n := len(rec.Outcomes()); n != 2 {
					t.Errorf("%d outcomes, want one for each hop", n)
				}
				base.WantClosed()
			})
		})
	}
}

func TestClientTimeoutCoversWaits(t *testing.T) {
	for name, test := range map[string]struct {
		step   script.Step
		within time.Duration
		stop   oktaretry.StopReason
	}{
		"a wait that doesn't fit is not begun": {script.LimitedFor(time.Minute), 0, oktaretry.StopDeadline},
		"waits that fit, until none does":      {script.Code(503, "", script.Set("Retry-After", "4")), 8 * time.Second, oktaretry.StopDeadline},
		"polls":                                {script.Pending("/poll"), 8 * time.Second, oktaretry.StopDeadline},
		"the base hangs":                       {script.Hang(), 10 * time.Second, oktaretry.StopDeadline},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := rig.Over(t, script.Repeat(t, test.step), nil).Client()
				client.Timeout = 10 * time.Second
				ctx, rec := oktaretry.WithRecorder(t.Context())
				start := time.Now()
				resp, err := client.Do(rig.Request(t, ctx, "GET", "/api/v1/users", nil))
				if d := time.Since(start); d < test.within || d > test.within+rig.OwnSpread {
					t.Errorf("the call took %s, want %s", d, test.within)
				}
				rig.WantStop(t, rec, test.stop)
				if err == nil { // a 503 comes back as Okta sent it
					rig.Text(t, resp, nil)
				} else if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v is no deadline", err)
				}
			})
		})
	}
}

// http.Client closes Request.Cancel when its Timeout has passed, and older programs do
// so by themselves. net/http obeys it until the body is closed.
func TestRequestCancelEndsTheCall(t *testing.T) {
	arrived := make(chan struct{}, 1) // a request that gets no headers
	hangs := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/logs" {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
		} else {
			arrived <- struct{}{}
		}
		<-r.Context().Done()
	}
	inMemory := script.Func(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path != "/api/v1/logs" {
			arrived <- struct{}{}
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		}
		return script.Stalled(200, "").Respond(r)
	})
	h2 := httptest.NewUnstartedServer(http.HandlerFunc(hangs))
	h2.EnableHTTP2 = true
	h2.StartTLS()
	t.Cleanup(h2.Close)
	for name, wire := range map[string]struct {
		url  string
		base http.RoundTripper
	}{
		"HTTP/1.1": {rig.Serve(t, hangs).URL, rig.HTTP(t)},
		"HTTP/2":   {h2.URL, h2.Client().Transport},
		"memory":   {rig.Org, inMemory},
	} {
		for _, path := range []string{"/api/v1/users", "/api/v1/logs"} {
			t.Run(name+path, func(t *testing.T) {
				req := rig.Request(t, t.Context(), "GET", wire.url+path, nil)
				cancel := make(chan struct{})
				//lint:ignore SA1019 it is obeyed all the same
				req.Cancel = cancel
				if path == "/api/v1/users" {
					go func() {
						<-arrived
						close(cancel)
					}()
				}
				c := rig.Send(t, rig.Over(t, wire.base, nil), req)
				if c.Err == nil {
					close(cancel)
					if _, err := io.ReadAll(c.Resp.Body); err == nil {
						t.Error("the body ended without an error")
					}
					c.Resp.Body.Close()
					return
				}
				if c.Stopped(oktaretry.StopCanceled); !errors.Is(c.Err, context.Canceled) || len(c.Outcome.Attempts) != 1 {
					t.Errorf("the call ended with %v after %d attempts", c.Err, len(c.Outcome.Attempts))
				}
			})
		}
	}
}

func TestRequestCancelEndsWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		step  script.Step
		after time.Duration // negative: before the call
		sends int
	}{
		"in a backoff": {script.Code(503, "", script.Set("Retry-After", "20")), 5 * time.Second, 1},
		"in line":      {script.LimitedFor(time.Minute), 5 * time.Second, 1},
		"in a poll":    {script.Pending("/poll"), 2 * time.Second, 1},
		"before":       {script.OK(), -1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := script.Repeat(t, tt.step)
				req := rig.Request(t, t.Context(), "GET", "/api/v1/users", nil)
				cancel := make(chan struct{})
				//lint:ignore SA1019 it is obeyed all the same
				req.Cancel = cancel
				if tt.after < 0 {
					close(cancel)
				} else {
					time.AfterFunc(tt.after, func() { close(cancel) })
				}
				c := rig.Send(t, rig.Over(t, base, nil), req).Stopped(oktaretry.StopCanceled)
				base.WantSent(tt.sends)
				if !errors.Is(c.Err, context.Canceled) || c.Took != max(tt.after, 0) {
					t.Errorf("the call ended after %s with %v", c.Took, c.Err)
				}
			})
		})
	}
}

func TestClientCookieJarWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.LimitedFor(time.Second), script.Reply(200, "{}", script.Set("Set-Cookie", "sid=1; Path=/")), script.Code(503, ""), script.OK())
		client := rig.Over(t, base, nil).Client()
		client.Jar, _ = cookiejar.New(nil)
		for range 2 {
			resp, err := client.Do(rig.Request(t, t.Context(), "GET", "/api/v1/users/me", nil))
			rig.Text(t, resp, err)
		}
		for i, want := range []string{"", "", "sid=1", "sid=1"} {
			if got := base.WantSent(4)[i].Header.Get("Cookie"); got != want {
				t.Errorf("request %d carried the cookie %q, want %q", i+1, got, want)
			}
		}
	})
}

func TestAttemptTimeoutGoesByWhatWouldFollow(t *testing.T) {
	const s = time.Second
	hang, slow := script.Hang(), func(d time.Duration) script.Step { return script.OK().Takes(d) }
	once := func(ctx context.Context) context.Context { return oktaretry.WithNoRetry(ctx) }
	short := func(p *oktaretry.Policy) { p.AttemptTimeout = 6 * s }
	for _, tt := range []struct {
		name   string
		method string
		ctx    func(context.Context) context.Context
		policy func(*oktaretry.Policy)
		limit  time.Duration // of the client; 0: none
		steps  []script.Step // the last one repeats
		status int           // 0: an error
		took   time.Duration // besides the waits, which are of 2 s at most
		sent   int
	}{
		{"a hang", "GET", nil, nil, 0, []script.Step{hang, slow(s)}, 200, 61 * s, 2},
		{"an endpoint that needs 90 s", "GET", nil, nil, 0, []script.Step{slow(90 * s)}, 200, 150 * s, 2},
		{"nothing but hangs", "GET", nil, nil, 0, []script.Step{hang}, 0, 179 * s, 2},
		{"a create that takes 75 s", "POST", nil, nil, 0, []script.Step{slow(75 * s)}, 200, 75 * s, 1},
		{"a create that hangs", "POST", nil, nil, 0, []script.Step{hang}, 0, 180 * s, 1},
		{"a call that is sent once", "GET", once, nil, 0, []script.Step{slow(75 * s)}, 200, 75 * s, 1},
		{"network errors that fail fast", "GET", nil, func(p *oktaretry.Policy) { p.Network.Action = oktaretry.FailFast }, 0, []script.Step{slow(75 * s)}, 200, 75 * s, 1},
		{"the last attempt that is left", "GET", nil, func(p *oktaretry.Policy) { p.Network.MaxAttempts = 1 }, 0, []script.Step{slow(75 * s)}, 200, 75 * s, 1},
		{"no cap on the time", "GET", nil, func(p *oktaretry.Policy) { p.Network.MaxElapsed = 0 }, 0, []script.Step{hang}, 0, (60 + 120 + 120 + 180) * s, 4},
		{"after another answer", "GET", nil, nil, 0, []script.Step{script.Bare(502), hang, slow(s)}, 200, 61 * s, 3},
		{"a short timeout", "GET", nil, short, 0, []script.Step{hang}, 0, (6 + 12 + 12 + 18) * s, 4},
		{"no bound", "GET", nil, func(p *oktaretry.Policy) { p.AttemptTimeout = 0 }, 0, []script.Step{slow(time.Hour)}, 200, time.Hour, 1},
		{"the longest", "POST", nil, func(p *oktaretry.Policy) { p.AttemptTimeout = math.MaxInt64 }, 0, []script.Step{slow(time.Hour)}, 200, time.Hour, 1},

		{"a hang under a client's 30 s", "GET", nil, nil, 30 * s, []script.Step{hang, slow(s)}, 200, 16 * s, 2},
		{"two of them", "GET", nil, nil, 30 * s, []script.Step{hang, hang, slow(s)}, 200, 23 * s, 3},
		{"a create under 30 s", "POST", nil, nil, 30 * s, []script.Step{slow(29 * s)}, 200, 29 * s, 1},
		{"a slow answer under 8 s", "GET", nil, nil, 8 * s, []script.Step{slow(7 * s)}, 200, 7 * s, 1},
		{"a distant deadline", "GET", nil, nil, 200 * s, []script.Step{hang, slow(s)}, 200, 61 * s, 2},
		{"a short timeout under 30 s", "GET", nil, short, 30 * s, []script.Step{hang, slow(s)}, 200, 7 * s, 2},

		{"a timeout of the call's own", "GET", timeoutOf(10 * s), nil, 0, []script.Step{hang}, 0, 40 * s, 4},
		{"of a create", "POST", timeoutOf(10 * s), nil, 0, []script.Step{hang}, 0, 10 * s, 1},
		{"under 12 s", "GET", timeoutOf(10 * s), nil, 12 * s, []script.Step{slow(9 * s)}, 200, 9 * s, 1},
		{"none for the call", "GET", timeoutOf(0), nil, 0, []script.Step{slow(time.Hour)}, 200, time.Hour, 1},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.Repeat(t, tt.policy, tt.steps...)
			ctx := t.Context()
			if tt.ctx != nil {
				ctx = tt.ctx(ctx)
			}
			if tt.limit > 0 {
				var cancel func()
				ctx, cancel = context.WithTimeout(ctx, tt.limit)
				defer cancel()
			}
			c := rig.Do(t, ctx, rt, tt.method, rig.UserURL, "{}").TookBetween(tt.took, tt.took+6*s+tt.took/60) // resends of what hung are spread
			if tt.status != 0 {
				c.Is(tt.status)
			} else if c.Err == nil || c.Took-c.Outcome.Waited() > tt.took+s {
				t.Errorf("got %v, %v in attempts; want a timeout after %v", c.Err, c.Took-c.Outcome.Waited(), tt.took)
			}
			base.WantSent(tt.sent)
		})
	}
}

func timeoutOf(d time.Duration) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return oktaretry.WithAttemptTimeout(ctx, d) }
}
