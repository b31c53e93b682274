// This file tests that errors which did not come of the network are nobody's
// failure: they end their call at once, unless they say that they pass, and open no
// circuit. Over the real net/http, whose texts the library knows.

package circuit_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// tokenRefused is what golang.org/x/oauth2 returns from a RoundTrip whose token the
// token endpoint refused.
type tokenRefused struct{ passes bool }

func (tokenRefused) Error() string     { return `oauth2: "invalid_client" "The client secret is wrong."` }
func (e tokenRefused) Temporary() bool { return e.passes }

// 1,242 callers once heard "host circuit open" of a host that was never asked, since
// the credential of the layer below was refused.
func TestErrorOfALayerBelowIsFinalAndNobodysFailure(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		sent int // of 50 calls
	}{
		{"unknown", tokenRefused{}, 50},
		{"unknown, as http.Client wraps it", &url.Error{Op: "Post", URL: "https://example.okta.com/token", Err: tokenRefused{}}, 50},
		{"unknown, and passes", tokenRefused{passes: true}, 200},
		{"network, of another host", &url.Error{Op: "Post", URL: "https://login.example.com/token", Err: script.Refused}, 200},
		{"another Transport's refusal", &oktaretry.CircuitOpenError{Scope: oktaretry.TripsHost, RetryAfter: time.Second}, 50},
		{"another Transport's rate limit", &oktaretry.RateLimitError{Code: "E0000047", RetryAfter: time.Second}, 50},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			tr, base := rig.New(t, func(p *oktaretry.Policy) { p.Budget.Disabled = true })
			base.Always(script.Fail(tt.err))
			for range 50 {
				if c := rig.Get(t, tr, rig.UserURL); !errors.Is(c.Err, tt.err) && errors.Unwrap(tt.err) == nil {
					t.Fatalf("error %v, want the base's", c.Err)
				}
			}
			base.WantSent(tt.sent)
			for _, c := range tr.Snapshot().Circuits {
				if c.Failures != 0 {
					t.Errorf("%d failures count against the %s's circuit", c.Failures, c.Scope)
				}
			}
		})
	}
}

func TestOwnErrorOfATransportBelowIsHandedOnAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below, base := rig.New(t, nil)
		base.Always(script.Code(429, "E0000047", script.Set("Retry-After", "7200")))
		tr := rig.Over(t, below, nil)
		e := rig.Failure[*oktaretry.RateLimitError](rig.Get(t, tr, rig.UserURL))
		if e.Code != "E0000047" || e.ClientSide || e.RetryAfter < time.Hour {
			t.Errorf("got %+v", *e)
		}
		base.WantSent(1)
	})
}

func TestErrorClassifierJudgesErrorsOfTheUsersLayers(t *testing.T) {
	queueFull := errors.New("queue is full")
	for _, tt := range []struct {
		kind           oktaretry.ErrorKind
		err            error
		sent, failures int
	}{
		{oktaretry.ErrorDefault, script.Reset, 4, 4},
		{oktaretry.ErrorNeutral, script.Reset, 4, 0},
		{oktaretry.ErrorFinal, script.Reset, 1, 0},
		{oktaretry.ErrorDefault, queueFull, 1, 0},
		{oktaretry.ErrorNeutral, queueFull, 4, 0},
	} {
		rig.Virtual(t, fmt.Sprint(tt.kind, tt.err), func(t *testing.T) {
			base := script.Repeat(t, script.Fail(tt.err))
			tr := rig.Over(t, base, nil, oktaretry.WithErrorClassifier(func(err error) oktaretry.ErrorKind {
				if !errors.Is(err, tt.err) {
					t.Errorf("asked about %v", err)
				}
				return tt.kind
			}))
			rig.Get(t, tr, rig.UserURL)
			base.WantSent(tt.sent)
			if c := tr.Snapshot().Circuits[0]; c.Failures != tt.failures {
				t.Errorf("%d failures count against the host, want %d", c.Failures, tt.failures)
			}
		})
	}
}

// refusedBody is a body of which a part can be read.
func refusedBody(err error) io.Reader {
	return io.MultiReader(strings.NewReader("abc"), errorReader{err})
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// proxy answers CONNECT with a status.
func proxy(t testing.TB, status int) func(*http.Transport) {
	s := rig.Serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
	u, _ := url.Parse(s.URL)
	return func(base *http.Transport) { base.Proxy = http.ProxyURL(u) }
}

func TestWhatNeverMetTheHostIsFinalAndNobodysFailureOverTheRealTransport(t *testing.T) {
	silent := rig.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	h2 := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler) // resets the stream
		}
		<-r.Context().Done()
	}))
	h2.EnableHTTP2 = true
	h2.Config.ErrorLog = log.New(io.Discard, "", 0)
	h2.StartTLS()
	defer h2.Close()
	mutual := httptest.NewUnstartedServer(http.NotFoundHandler())
	mutual.Config.ErrorLog = log.New(io.Discard, "", 0)
	mutual.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	mutual.StartTLS()
	defer mutual.Close()
	trust := func(s *httptest.Server) func(*http.Transport) {
		return func(base *http.Transport) {
			base.TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			base.ForceAttemptHTTP2 = s.EnableHTTP2
		}
	}
	body := func(r io.Reader, length int64) func(*http.Request) {
		return func(req *http.Request) { req.Body, req.GetBody, req.ContentLength = io.NopCloser(r), nil, length }
	}
	for _, tt := range []struct {
		name   string
		url    string
		base   func(*http.Transport)
		change func(*http.Request)
		passes bool
	}{
		{name: "a body that cannot be read", url: silent.URL, change: body(refusedBody(errors.New("disk")), -1)},
		{name: "a body whose own connection broke", url: silent.URL, change: body(refusedBody(io.ErrUnexpectedEOF), 9)},
		{name: "a body that cannot be read, over HTTP/2", url: h2.URL, base: trust(h2), change: body(refusedBody(io.ErrUnexpectedEOF), -1)},
		{name: "a body above its length, over HTTP/2", url: h2.URL, base: trust(h2), change: body(strings.NewReader("abcdef"), 3)},
		{name: "a body below its length, over HTTP/2", url: h2.URL, base: trust(h2), change: body(strings.NewReader("abc"), 6)},
		{name: "a body below its length", url: silent.URL, change: body(strings.NewReader("abc"), 6)},
		{name: "a header's name, over HTTP/2", url: h2.URL, base: trust(h2), change: func(r *http.Request) {
			r.Header["Bad Name"] = []string{"v"}
		}},
		{name: "an Upgrade over HTTP/2", url: h2.URL, base: trust(h2), change: func(r *http.Request) {
			r.Header["Upgrade"] = []string{"a", "b"}
		}},
		{name: "407 of a proxy", url: "https://org.test/", base: proxy(t, 407)},
		{name: "403 of a proxy", url: "https://org.test/", base: proxy(t, 403)},
		{name: "503 of a proxy", url: "https://org.test/", base: proxy(t, 503), passes: true},
		{name: "a TLS alert", url: mutual.URL, base: trust(mutual)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := rig.HTTP(t)
			if tt.base != nil {
				tt.base(base)
			}
			var sends atomic.Int64
			tr := rig.Over(t, script.Func(func(r *http.Request) (*http.Response, error) {
				sends.Add(1)
				return base.RoundTrip(r)
			}), func(p *oktaretry.Policy) {
				rig.QuickWaits(p)
				p.Breaker.Disabled = false
			})
			req := rig.Request(t, t.Context(), "PUT", tt.url, nil)
			if tt.change != nil {
				tt.change(req)
			}
			c := rig.Send(t, tr, req)
			if c.Err == nil {
				c.Resp.Body.Close()
				t.Fatal("no error")
			}
			failures := tr.Snapshot().Circuits[0].Failures
			if tt.passes {
				if sends.Load() != 4 || failures == 0 {
					t.Errorf("sent %d times, %d failures count: %v", sends.Load(), failures, c.Err)
				}
				return
			}
			if sends.Load() != 1 || failures != 0 || !c.Outcome.Terminal || c.Outcome.Stop != oktaretry.StopFailFast {
				t.Errorf("sent %d times, %d failures count, terminal %t, stop %v: %v", sends.Load(), failures, c.Outcome.Terminal, c.Outcome.Stop, c.Err)
			}
		})
	}
}

// A base with a bound of its own on connections makes calls wait in a queue that the
// host knows nothing of.
func TestTimeInTheBasesOwnQueueIsNobodysFailure(t *testing.T) {
	for _, tt := range []struct {
		bound, failures int
	}{
		{1, 1}, // of the call that has the connection
		{0, 3},
	} {
		rig.Virtual(t, fmt.Sprint("bound ", tt.bound), func(t *testing.T) {
			base := rig.Pipe(t, func(r *bufio.Reader, _ io.Writer) { io.Copy(io.Discard, r) })
			base.MaxConnsPerHost = tt.bound
			tr := rig.Over(t, base, nil)
			var all sync.WaitGroup
			for _, deadline := range []time.Duration{30 * time.Second, 10 * time.Second, 10 * time.Second} {
				all.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), deadline)
					defer cancel()
					rig.Do(t, ctx, tr, "POST", "http://example.okta.com/api/v1/users/00u1", "").Stopped(oktaretry.StopDeadline) // which is not repeated
				})
				synctest.Wait()
			}
			all.Wait()
			if n := tr.Snapshot().Circuits[0].Failures; n != tt.failures {
				t.Errorf("%d failures count against the host, want %d", n, tt.failures)
			}
			base.CloseIdleConnections()
			synctest.Wait()
		})
	}
}
