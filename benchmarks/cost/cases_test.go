package cost_test

// This file holds the cases as data: what is called, and what this library may
// cost at most.

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/oktaretry/oktaretry/benchmarks/internal/meter"
	"github.com/oktaretry/oktaretry/internal/rig/script"
	"github.com/oktaretry/oktaretry/internal/wire"
)

const userURL = "https://acme.okta.com/api/v1/users/00u1"

// target is what a contender should cost above the base at most.
type target struct {
	name string
	peer string // "": none to compare with
	limit
	advised float64 // ns; reported, but no run fails by it: it says more of the machine
	guard   *limit  // where the target is missed: what the run fails above; nil: the target
}

type limit struct {
	ratio  float64 // of its time to the peer's
	allocs float64 // -1: any number
	bytes  float64 // 0: any number
}

// costCase is a call that all contenders make.
type costCase struct {
	name    string // in the tables
	benches func() []*meter.Bench
	base    string // what is subtracted
	targets []target
	also    *alsoHeld // nil: nothing
}

// alsoHeld is a target that no ratio to a peer can say.
type alsoHeld struct {
	needs []string // contenders
	miss  func(*meter.Series) string
}

// Of the guards, two allocations and some 650 bytes are the URL and the Header that each
// attempt has of its own, so that a base that changes them changes nothing of the caller's.
var cases = []costCase{
	{"GET 200", call{status: 200, text: script.UserBody}.by(contenders...), bare, []target{
		{name: ours, peer: failsafe, limit: limit{0.5, 4, 700}, guard: &limit{2.6, 10, 2160}},
		{name: ours + sampled, peer: assembled + sampled, limit: limit{0.6, 20, 0}, guard: &limit{1.8, 28, 0}},
	}, nil},
	{"GET 200, in parallel", call{status: 200, text: script.UserBody, parallel: true}.by(contenders...), bare, []target{
		{name: ours, peer: failsafe, limit: limit{0.5, -1, 0}, guard: &limit{3.5, -1, 0}},
	}, nil},
	{"GET 200, context unused", call{status: 200, text: script.UserBody, plain: true}.by(contenders...), bare, []target{
		{name: ours, peer: failsafe, limit: limit{0.5, 4, 700}, guard: &limit{1.8, 3, 1560}},
		{name: ours + sampled, peer: assembled + sampled, limit: limit{0.6, 20, 0}, guard: &limit{1.6, 21, 0}},
	}, nil},
	{"404 with Okta's body", call{status: 404, text: script.ErrorBody}.by(contenders...), bare, []target{
		{name: ours, peer: failsafe, limit: limit{0.7, 8, 0}, guard: &limit{9, 27, 0}},
	}, nil},
	{"POST 2 KB, GetBody", call{method: http.MethodPost, body: withGetBody, status: 200, text: script.UserBody}.by(contenders...), bare, []target{
		{name: ours, peer: retryable, limit: limit{0.3, -1, 0}, guard: &limit{1.2, -1, 0}},
	}, nil},
	{"POST 2 KB, a stream", call{method: http.MethodPost, body: stream, status: 200, text: script.UserBody}.by(contenders...), bare, nil, nil},
	{"429, then 200", call{status: 200, text: script.UserBody, refused: true}.by(contenders...), bare, nil, nil},
	{"circuit open", refusals, "", []target{
		{name: ours, limit: limit{allocs: -1}, advised: 1000},
	}, nil},
	{"limits of an answer", parseLimits, "", []target{
		{name: "wire.ParseLimits", advised: 150},
	}, nil},
	{"code of an error of 200 bytes", parseError, "", []target{
		{name: "wire.ParseError", peer: "encoding/json", limit: limit{2, 14, 0}, guard: &limit{4, 14, 0}},
	}, nil},
	cores,
	known,
}

// call is a case of one call, or of two attempts.
type call struct {
	method   string // "": GET
	body     bodyKind
	status   int
	text     string
	refused  bool   // a 429 first; virtual time
	url      string // "": userURL
	plain    bool   // the base leaves the request's context alone
	parallel bool   // by two goroutines for each processor
}

type bodyKind uint8

const (
	none        bodyKind = iota
	withGetBody          // as http.NewRequest makes it
	stream               // nobody can open it again
)

// by are the benches of those contenders that can make the call.
func (c call) by(all ...contender) func() []*meter.Bench {
	return func() (benches []*meter.Bench) {
		for _, who := range all {
			if c.refused && !who.retries && who.name != bare {
				continue
			}
			benches = append(benches, &meter.Bench{Name: who.name, Virtual: c.refused, Wall: c.parallel, Make: func(t *testing.T) func(int) {
				return c.caller(t, who)
			}})
		}
		return benches
	}
}

// caller sets a contender up over a base of its own.
func (c call) caller(t *testing.T, who contender) func(int) {
	tr := who.wrap(&script.Fast{Status: c.status, Body: c.text, Flaky: c.refused, Plain: c.plain})
	if c.refused && who.name == bare {
		tr = twice{tr} // so that all make two attempts
	}
	if c.parallel {
		var callers []func()
		for range 2 * runtime.NumCPU() {
			callers = append(callers, c.calls(t, who.name, tr))
		}
		return func(n int) {
			var left atomic.Int64
			left.Store(int64(n))
			var all sync.WaitGroup
			for _, call := range callers {
				all.Go(func() {
					for left.Add(-16) > -16 {
						for range 16 {
							call()
						}
					}
				})
			}
			all.Wait()
		}
	}
	call := c.calls(t, who.name, tr)
	return func(n int) {
		for range n {
			call()
		}
	}
}

var twoKB = bytes.Repeat([]byte("0123456789abcdef"), 128)

// calls returns a function that makes one call, for one goroutine. It allocates
// nothing: that is the base's and the transport's.
func (c call) calls(t *testing.T, name string, tr http.RoundTripper) func() {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, c.method, cmp.Or(c.url, userURL), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "SSWS 00abcdefghijklmnopqrstuvwxyz0123456789ABCD")
	content := bytes.NewReader(twoKB)
	var body io.ReadCloser
	switch c.body {
	case withGetBody:
		body = io.NopCloser(content) // the type that http.NewRequest makes of a bytes.Reader
	case stream:
		body = struct{ io.ReadCloser }{io.NopCloser(content)}
	}
	getBody := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(twoKB)), nil }
	buf := make([]byte, 4096)
	return func() {
		if c.body != none {
			content.Reset(twoKB)
			req.Body, req.ContentLength = body, int64(len(twoKB))
		}
		if c.body == withGetBody {
			req.GetBody = getBody
		}
		resp, err := tr.RoundTrip(req)
		if err != nil {
			panic(name + ": " + err.Error())
		}
		for {
			if _, err := resp.Body.Read(buf); err != nil {
				break
			}
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			panic(name + ": " + resp.Status)
		}
	}
}

// twice sends each request twice and returns the second answer.
type twice struct{ base http.RoundTripper }

func (b twice) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.base.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	resp.Body.Close()
	return b.base.RoundTrip(req)
}

// refusals are calls that an open circuit refuses.
func refusals() (benches []*meter.Bench) {
	for _, who := range open {
		benches = append(benches, &meter.Bench{Name: who.name, Make: func(t *testing.T) func(int) {
			base := &script.Fast{Status: 503}
			tr := who.wrap(base)
			base.Status = 200 // whoever asks gets an answer
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, userURL, nil)
			if err != nil {
				t.Fatal(err)
			}
			return func(n int) {
				for range n {
					if _, err := tr.RoundTrip(req); err == nil {
						t.Error(errors.New(who.name + ": a request was sent through an open circuit"))
						return
					}
				}
			}
		}})
	}
	return benches
}

var oktaHeader = http.Header{
	"Date": {"Tue, 15 Nov 2022 12:45:26 GMT"}, "X-Rate-Limit-Limit": {"600"},
	"X-Rate-Limit-Remaining": {"0"}, "X-Rate-Limit-Reset": {"1668516386"},
}

func parseLimits() []*meter.Bench {
	return []*meter.Bench{{Name: "wire.ParseLimits", Make: func(t *testing.T) func(int) {
		return func(n int) {
			for range n {
				wire.ParseLimits(oktaHeader)
			}
		}
	}}}
}

func parseError() []*meter.Bench {
	body := []byte(script.ErrorBody)
	return []*meter.Bench{
		{Name: "wire.ParseError", Make: func(t *testing.T) func(int) {
			return func(n int) {
				for range n {
					if e, ok := wire.ParseError(body); !ok || len(e.Code) != 8 {
						t.Error("no code")
					}
				}
			}
		}},
		{Name: "encoding/json", Make: func(t *testing.T) func(int) {
			return func(n int) {
				for range n {
					var e struct {
						Code string `json:"errorCode"`
					}
					if err := json.Unmarshal(body, &e); err != nil || len(e.Code) != 8 {
						t.Error("no code")
					}
				}
			}
		}},
	}
}
