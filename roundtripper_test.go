package oktaretry_test

// The RoundTripper contract: what is the caller's stays the caller's.

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
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
)

func TestTheCallersRequestIsTheSameAfterTheCallAndReadableMeanwhile(t *testing.T) {
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
	pending := memCode(202, "E0000070", "Location", "/api/v1/poll/1")
	for name, hook := range map[string]func(*http.Request) error{"no hook": nil, "a hook that changes all it can": meddle} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := func(s memStep) memStep {
					return func(r *http.Request) (*http.Response, error) { time.Sleep(time.Second); return s(r) }
				}
				base := newMemBase(slow(memLimited(5*time.Second)), slow(memCode(503, "E0000009")), slow(memReset), slow(pending), slow(memOK))
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
				tr := newOver(t, base, nil, opts...)

				req := newReq(t, t.Context(), "PUT", "/api/v1/users/00u1?q=1", watch("body"))
				req.Header.Set("X-Mine", "kept")
				req.Trailer = http.Header{"X-Sum": {"1"}}
				req.TransferEncoding = []string{"chunked"}
				req.GetBody = func() (io.ReadCloser, error) { return watch("body"), nil }
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
				mustOK(t, resp, err)
				close(stop)
				reader.Wait()
				base.wantSent(t, 5)

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

func TestAResendThatAHookSignsGoesToWhereTheHookSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := newMemBase(memLimited(time.Second), memOK)
		tr := newOver(t, base, nil, oktaretry.WithPrepareRetry(func(r *http.Request) error {
			r.URL.RawQuery = "client_assertion=second"
			return nil
		}))
		resp, err := tr.RoundTrip(newReq(t, t.Context(), "POST", "/oauth2/v1/token?client_assertion=first", nil))
		mustOK(t, resp, err)
		sent := base.wantSent(t, 2)
		if a, b := sent[0].URL, sent[1].URL; !strings.HasSuffix(a, "=first") || !strings.HasSuffix(b, "=second") {
			t.Errorf("sent %s, then %s", a, b)
		}
	})
}

func TestTheBaseMayReturnWhatNoRoundTripperMay(t *testing.T) {
	oops := errors.New("oops")
	for name, test := range map[string]struct {
		step memStep
		want string
	}{
		"a response and an error": {func(r *http.Request) (*http.Response, error) {
			resp, _ := memOK(r)
			return resp, oops
		}, "oops"},
		"neither": {memFail(nil), "neither a response nor an error"},
		"a response without a body": {func(r *http.Request) (*http.Response, error) {
			resp, _ := memOK(r)
			resp.Body = nil
			return resp, nil
		}, "a response without a body"},
		"a 503 without a body": {func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 503, Header: http.Header{}}, nil
		}, "a response without a body"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := newMemBase(test.step)
				for _, method := range []string{"GET", "POST"} {
					ctx, rec := oktaretry.WithRecorder(t.Context())
					resp, err := newOver(t, base, nil).RoundTrip(newReq(t, ctx, method, "/api/v1/users", nil))
					if resp != nil || err == nil {
						t.Fatalf("got %v and %v, want an error alone", resp, err)
					}
					if out, _ := rec.Outcome(); out.Class != oktaretry.ClassNetwork || out.Status != 0 {
						t.Errorf("classified as %v with status %d, want no answer", out.Class, out.Status)
					}
					if !strings.Contains(err.Error(), test.want) {
						t.Errorf("error %q doesn't say %q", err, test.want)
					}
				}
				base.wantClosed(t)
			})
		})
	}
}

func TestNeverAResponseAndAnErrorTogether(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	brief, cancelBrief := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancelBrief()
	for _, step := range []memStep{
		memOK, memReply(304, ""), memCode(404, "E0000007"), memCode(429, "E0000047"), memCode(429, "E0000146"), memCode(503, "E0000009"),
		memCode(202, "E0000070"), memCode(202, "E0000070", "Location", "/api/v1/poll"), memReset, memFail(io.EOF), memFail(nil),
		memReply(502, "<html>"),
	} {
		for _, method := range []string{"GET", "POST"} {
			for _, ctx := range []context.Context{t.Context(), canceled, brief, oktaretry.WithNoRetry(t.Context())} {
				tr := newOver(t, newMemBase(step), func(p *oktaretry.Policy) {
					quickly(p)
					p.RateLimited.MaxAttempts, p.Pending.MaxAttempts = 3, 3
				})
				resp, err := tr.RoundTrip(newReq(t, ctx, method, "/api/v1/users", strings.NewReader("x")))
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
}

// A stream may be a pipe that is written while it is read, or larger than
// memory.
func TestAStreamIsNeverReadAheadOfTheSend(t *testing.T) {
	body := watch(strings.Repeat("x", 1<<20))
	tr := newOver(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		if n := body.reads.Load(); n != 0 {
			t.Errorf("%d reads before the base asked for anything", n)
		}
		p := make([]byte, 100)
		for want := int64(100); want <= 1000; want += 100 {
			if _, err := io.ReadFull(req.Body, p); err != nil {
				t.Error(err)
			}
			if n := body.bytes.Load(); n != want {
				t.Errorf("%d bytes were read where the base took %d", n, want)
			}
		}
		req.Body.Close()
		return memOK(req)
	}), nil)
	resp, err := tr.RoundTrip(newReq(t, t.Context(), "PUT", "/api/v1/users/1", body))
	mustOK(t, resp, err)
	if n := body.bytes.Load(); n != 1000 {
		t.Errorf("%d bytes were read where the base took 1000", n)
	}
}

func TestAnEightMiBStreamCostsNoEightMiB(t *testing.T) {
	const size = 8 << 20
	tr := newOver(t, roundTrip(func(req *http.Request) (*http.Response, error) {
		p := make([]byte, 32<<10)
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, req.Body, p)
		if n != size || err != nil {
			t.Errorf("the base read %d bytes, %v", n, err)
		}
		req.Body.Close()
		return memOK(req)
	}), nil)
	for name, length := range map[string]int64{"announced": size, "chunked": -1} {
		req := newReq(t, t.Context(), "POST", "/api/v1/users", &watched{r: io.LimitReader(zeros{}, size)})
		req.ContentLength = length
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		resp, err := tr.RoundTrip(req)
		runtime.ReadMemStats(&after)
		mustOK(t, resp, err)
		if cost := after.TotalAlloc - before.TotalAlloc; cost > 4<<20 {
			t.Errorf("%s: the call allocated %d bytes, its capture may have 1 MiB", name, cost)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// roundTrip is a RoundTripper from a function.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type idleCloser struct {
	roundTrip
	calls int
}

func (c *idleCloser) CloseIdleConnections() { c.calls++ }

func TestCloseIdleConnectionsReachesTheBase(t *testing.T) {
	base := new(idleCloser)
	newOver(t, base, nil).Client().CloseIdleConnections()
	if base.calls != 1 {
		t.Errorf("the base was told %d times, want once", base.calls)
	}
	newOver(t, newMemBase(memOK), nil).CloseIdleConnections() // a base without it is fine
}

func TestAnInvalidRequestIsRefusedAndNothingIsSent(t *testing.T) {
	for name, spoil := range map[string]func(*http.Request){
		"URL is nil":      func(r *http.Request) { r.URL = nil },
		"Header is nil":   func(r *http.Request) { r.Header = nil },
		"URL has no host": func(r *http.Request) { r.URL = &url.URL{Scheme: "https", Path: "/api/v1/users"} },
	} {
		t.Run(name, func(t *testing.T) {
			base := newMemBase(memOK)
			ctx, rec := oktaretry.WithRecorder(t.Context())
			req := newReq(t, ctx, "POST", "/api/v1/users", watch("x"))
			spoil(req)
			resp, err := newOver(t, base, nil).RoundTrip(req)
			if resp != nil || err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, %v", resp, err)
			}
			base.wantSent(t, 0)
			wantStop(t, rec, oktaretry.StopInvalid)
		})
	}
}
