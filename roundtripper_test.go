// This file tests the contract of http.RoundTripper: the caller's request stays
// unchanged.

package oktaretry_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/gotest"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestMain(m *testing.M) { os.Exit(gotest.Main(m)) }

func TestRequestIsUnchangedAndReadableDuringTheCall(t *testing.T) {
	meddle := func(r *http.Request) error {
		r.Header.Set("Authorization", "DPoP new")
		r.Header["Accept"][0] = "text/html"
		r.URL.RawQuery = "client_assertion=new"
		r.URL.Path = "/elsewhere"
		r.Trailer.Set("X-Sum", "changed")
		r.TransferEncoding[0] = "identity"
		r.Host, r.Method, r.ContentLength = "elsewhere.example", "PATCH", 3
		return nil
	}
	pending := script.Pending("/api/v1/poll/1")
	for name, hook := range map[string]func(*http.Request) error{"no hook": nil, "a hook that changes all it can": meddle} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := func(s script.Step) script.Step {
					return script.Do(func(r *http.Request) (*http.Response, error) { time.Sleep(time.Second); return s.Respond(r) })
				}
				base := script.Repeat(t, slow(script.LimitedFor(5*time.Second)), slow(script.Down()), slow(script.Fail(script.Reset)), slow(pending), slow(script.OK()))
				opts := []oktaretry.Option{
					oktaretry.WithTracerProvider(sdktrace.NewTracerProvider()), oktaretry.WithPropagators(propagation.TraceContext{}),
				}
				if hook != nil {
					opts = append(opts, oktaretry.WithPrepareRetry(func(r *http.Request) error {
						if r.Method == "GET" {
							return nil // a poll has neither body nor trailer
						}
						return hook(r)
					}))
				}
				tr := rig.Over(t, base, nil, opts...)

				req := rig.Request(t, t.Context(), "PUT", "/api/v1/users/00u1?q=1", script.Text("body"))
				req.Header.Set("X-Mine", "kept")
				req.Trailer = http.Header{"X-Sum": {"1"}}
				req.TransferEncoding = []string{"chunked"}
				req.GetBody = func() (io.ReadCloser, error) { return script.Text("body"), nil }
				before, header, trailer, target := *req, req.Header.Clone(), req.Trailer.Clone(), *req.URL
				getBody := reflect.ValueOf(req.GetBody).Pointer()

				stop := make(chan struct{})
				var reader sync.WaitGroup
				reader.Go(func() {
					for {
						for _, values := range req.Header {
							_ = strings.Join(values, "")
						}
						_, _, _, _ = req.URL.String(), req.Method+req.Host, req.Trailer.Get("X-Sum")+req.TransferEncoding[0], req.Context()
						_, _, _ = req.Body, req.ContentLength, req.GetBody != nil
						select {
						case <-stop:
							return
						case <-time.After(300 * time.Millisecond):
						}
					}
				})
				resp, err := tr.RoundTrip(req)
				rig.Text(t, resp, err)
				close(stop)
				reader.Wait()
				base.WantSent(5)

				switch {
				case req.Method != before.Method, req.Host != before.Host, req.ContentLength != before.ContentLength, req.Close != before.Close:
					t.Errorf("plain fields changed: %+v", req)
				case req.URL != before.URL, *req.URL != target:
					t.Errorf("the URL changed to %v", req.URL)
				case !maps.EqualFunc(req.Header, header, func(a, b []string) bool { return strings.Join(a, "|") == strings.Join(b, "|") }):
					t.Errorf("the header changed to %v", req.Header)
				case req.Trailer.Get("X-Sum") != trailer.Get("X-Sum"), req.TransferEncoding[0] != "chunked":
					t.Errorf("trailer or transfer encoding changed: %v %v", req.Trailer, req.TransferEncoding)
				case req.Body != before.Body, reflect.ValueOf(req.GetBody).Pointer() != getBody, req.Context() != before.Context():
					t.Error("body or context changed")
				}
			})
		})
	}
}

func TestHookChangesTheURLOfItsResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.LimitedFor(time.Second), script.OK())
		tr := rig.Over(t, base, nil, oktaretry.WithPrepareRetry(func(r *http.Request) error {
			r.URL.RawQuery = "client_assertion=second"
			return nil
		}))
		resp, err := tr.RoundTrip(rig.Request(t, t.Context(), "POST", "/oauth2/v1/token?client_assertion=first", nil))
		rig.Text(t, resp, err)
		sent := base.WantSent(2)
		if a, b := sent[0].URL.String(), sent[1].URL.String(); !strings.HasSuffix(a, "=first") || !strings.HasSuffix(b, "=second") {
			t.Errorf("sent %s, then %s", a, b)
		}
	})
}

func TestInvalidAnswersOfTheBaseAreErrors(t *testing.T) {
	oops := errors.New("oops")
	for name, test := range map[string]struct {
		step script.Step
		want string
	}{
		"a response and an error": {script.Do(func(r *http.Request) (*http.Response, error) {
			resp, _ := script.OK().Respond(r)
			return resp, oops
		}), "error of type *errors.errorString"},
		"neither": {script.Nothing(), "neither a response nor an error"},
		"a response without a body": {script.Do(func(r *http.Request) (*http.Response, error) {
			resp, _ := script.OK().Respond(r)
			resp.Body = nil
			return resp, nil
		}), "a response without a body"},
		"a 503 without a body": {script.Do(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 503, Header: http.Header{}}, nil
		}), "a response without a body"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := script.Repeat(t, test.step)
				for _, method := range []string{"GET", "POST"} {
					ctx, rec := oktaretry.WithRecorder(t.Context())
					resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, ctx, method, "/api/v1/users", nil))
					if resp != nil || err == nil {
						t.Fatalf("got %v and %v, want an error alone", resp, err)
					}
					if out, _ := rec.Outcome(); out.Class != oktaretry.ClassNetwork || out.Status != 0 {
						t.Errorf("classified as %v with status %d, want no answer", out.Class, out.Status)
					}
					if !strings.Contains(err.Error(), test.want) {
						t.Errorf("error %q lacks %q", err, test.want)
					}
				}
				base.WantClosed()
			})
		})
	}
}

func TestNeverAResponseAndAnErrorTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		brief, cancelBrief := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancelBrief()
		for _, step := range []script.Step{
			script.OK(), script.Bare(304), script.Code(404, "E0000007"), script.Limited(), script.Code(429, "E0000146"), script.Down(),
			script.Code(202, "E0000070"), script.Pending("/api/v1/poll"), script.Fail(script.Reset), script.Fail(io.EOF), script.Nothing(),
			script.Reply(502, "<html>"),
		} {
			for _, method := range []string{"GET", "POST"} {
				for _, ctx := range []context.Context{t.Context(), canceled, brief, oktaretry.WithNoRetry(t.Context())} {
					tr := rig.Over(t, script.Repeat(t, step), func(p *oktaretry.Policy) {
						p.Budget.Disabled, p.Breaker.Disabled = true, true
						p.RateLimited.MaxAttempts, p.Pending.MaxAttempts = 3, 3
					})
					resp, err := tr.RoundTrip(rig.Request(t, ctx, method, "/api/v1/users", strings.NewReader("x")))
					if (resp == nil) == (err == nil) {
						t.Errorf("%s: response %v with error %v", method, resp, err)
					}
					if resp != nil {
						if resp.Body == nil || resp.Request == nil {
							t.Errorf("a response without body or request")
						}
						resp.Body.Close()
					}
				}
			}
		}
	})
}

// A stream may be a pipe that is written while it is read, or larger than
// memory.
func TestStreamIsNeverReadAhead(t *testing.T) {
	body := script.Text(strings.Repeat("x", 1<<20))
	tr := rig.Over(t, script.Func(func(req *http.Request) (*http.Response, error) {
		if n := body.Reads(); n != 0 {
			t.Errorf("%d reads before the base asked for anything", n)
		}
		p := make([]byte, 100)
		for want := int64(100); want <= 1000; want += 100 {
			if _, err := io.ReadFull(req.Body, p); err != nil {
				t.Error(err)
			}
			if n := body.BytesRead(); n != want {
				t.Errorf("%d bytes were read where the base took %d", n, want)
			}
		}
		req.Body.Close()
		return script.OK().Respond(req)
	}), nil)
	resp, err := tr.RoundTrip(rig.Request(t, t.Context(), "PUT", "/api/v1/users/1", body))
	rig.Text(t, resp, err)
	if n := body.BytesRead(); n != 1000 {
		t.Errorf("%d bytes were read where the base took 1000", n)
	}
}

func Test8MiBStreamAllocatesLess(t *testing.T) {
	const size = 8 << 20
	tr := rig.Over(t, script.Func(func(req *http.Request) (*http.Response, error) {
		p := make([]byte, 32<<10)
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, req.Body, p)
		if n != size || err != nil {
			t.Errorf("the base read %d bytes, %v", n, err)
		}
		req.Body.Close()
		return script.OK().Respond(req)
	}), nil)
	for name, length := range map[string]int64{"announced": size, "chunked": -1} {
		req := rig.Request(t, t.Context(), "POST", "/api/v1/users", script.NewBody(script.Zeros(size)))
		req.ContentLength = length
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		resp, err := tr.RoundTrip(req)
		runtime.ReadMemStats(&after)
		rig.Text(t, resp, err)
		if cost := after.TotalAlloc - before.TotalAlloc; cost > 4<<20 {
			t.Errorf("%s: the call allocated %d bytes, its capture may have 1 MiB", name, cost)
		}
	}
}

func TestCloseIdleConnectionsReachesTheBase(t *testing.T) {
	base := script.New(t)
	rig.Over(t, base, nil).Client().CloseIdleConnections()
	if n := base.IdleClosed(); n != 1 {
		t.Errorf("the base's idle connections were closed %d times, want once", n)
	}
	rig.Over(t, script.Func(base.RoundTrip), nil).CloseIdleConnections() // a base without it is fine
}

func TestInvalidRequestIsNotSent(t *testing.T) {
	for name, spoil := range map[string]func(*http.Request){
		"URL is nil":      func(r *http.Request) { r.URL = nil },
		"Header is nil":   func(r *http.Request) { r.Header = nil },
		"URL has no host": func(r *http.Request) { r.URL = &url.URL{Scheme: "https", Path: "/api/v1/users"} },
	} {
		t.Run(name, func(t *testing.T) {
			base := script.Repeat(t, script.OK())
			ctx, rec := oktaretry.WithRecorder(t.Context())
			req := rig.Request(t, ctx, "POST", "/api/v1/users", script.Text("x"))
			spoil(req)
			resp, err := rig.Over(t, base, nil).RoundTrip(req)
			if resp != nil || err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, %v", resp, err)
			}
			base.WantSent(0)
			rig.WantStop(t, rec, oktaretry.StopInvalid)
		})
	}
}
