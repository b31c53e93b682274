// This file holds a saboteur for each case, a transport that breaks it, and tests
// that each case finds its own.

package contract_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/contract"
)

type wrap = func(http.RoundTripper) http.RoundTripper

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// above puts a layer above ours.
func above(layer func(next http.RoundTripper, req *http.Request) (*http.Response, error)) wrap {
	return func(base http.RoundTripper) http.RoundTripper {
		next := ours(base)
		return roundTrip(func(req *http.Request) (*http.Response, error) { return layer(next, req) })
	}
}

// asking changes a copy of the request on its way to ours.
func asking(change func(*http.Request)) wrap {
	return above(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		req = req.Clone(req.Context())
		change(req)
		return next.RoundTrip(req)
	})
}

// answering changes the responses that ours returns.
func answering(change func(*http.Response)) wrap {
	return above(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err == nil {
			copied := *resp
			resp = &copied
			change(resp)
		}
		return resp, err
	})
}

type body struct {
	io.Reader
	io.Closer
}

type lazy func(p []byte) (int, error)

func (f lazy) Read(p []byte) (int, error) { return f(p) }

// kept is the memory that a saboteur retains.
var kept bytes.Buffer

// saboteurs are keyed by the name of the case that each breaks, with a part of the
// error that the case must return.
var saboteurs = map[string]struct {
	wrap wrap
	want string // in the error
}{
	"the caller's request is the same after the call": {above(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		req.Header.Set("X-Trace", "1")
		return resp, err
	}), "changed Header"},
	"the caller's request may be read while the call runs": {above(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		defer func(host string) { req.Host = host }(req.Host)
		req.Host = "elsewhere.example"
		return next.RoundTrip(req)
	}), "Host was changed during the call"},
	"the caller's body is closed on every path": {above(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		if err := req.Context().Err(); err != nil {
			return nil, err
		}
		return next.RoundTrip(req)
	}), "left open after a context that is cancelled already"},
	"a streaming body is not read ahead of the send": {asking(func(req *http.Request) {
		data, _ := io.ReadAll(req.Body)
		req.Body = body{bytes.NewReader(data), req.Body}
	}), "1048576 bytes of the body were read before the base"},
	"a stream of 8 MiB does not cost 8 MiB": {asking(func(req *http.Request) {
		req.Body = body{io.TeeReader(req.Body, &kept), req.Body}
	}), "more than 4 MiB"},
	"a success is handed back with its body unread": {answering(func(resp *http.Response) {
		data, _ := io.ReadAll(resp.Body)
		resp.Body = body{bytes.NewReader(data), resp.Body}
	}), "read before the caller had it"},
	"the first byte of a body arrives when it is sent": {answering(func(resp *http.Response) {
		src := resp.Body
		var all io.Reader
		resp.Body = body{lazy(func(p []byte) (int, error) {
			if all == nil {
				data, _ := io.ReadAll(src)
				all = bytes.NewReader(data)
			}
			return all.Read(p)
		}), src}
	}), "part 1"},
	"the body of a 101 can be written to": {answering(func(resp *http.Response) {
		resp.Body = body{resp.Body, resp.Body}
	}), "no io.Writer"},
	"trailers survive": {answering(func(resp *http.Response) { resp.Trailer = nil }), "the trailer is"},
	"HEAD, 204 and 304 pass": {answering(func(resp *http.Response) {
		resp.ContentLength = 0
	}), "HEAD, 200: came as 200, ContentLength 0"},
	"gzip is decoded, unless the caller asked for it": {asking(func(req *http.Request) {
		req.Header.Set("Accept-Encoding", "gzip")
	}), "Uncompressed false"},
	"an error's body is readable in full, ContentLength true": {answering(func(resp *http.Response) {
		resp.Body = body{io.LimitReader(resp.Body, 4096), resp.Body}
	}), "4096 bytes of"},
	"an answer that is given up on is whole, or an error": {answering(func(resp *http.Response) {
		if resp.StatusCode == 503 {
			resp.Body.Close()
		}
	}), "reading the last"},

	"15 retried calls use one connection": {looped(func(n *naive) {
		n.prepare = func(req *http.Request, _ int) *http.Request {
			req = req.Clone(req.Context())
			req.Close = true
			return req
		}
	}), "connections were made"},
	"every discarded answer is closed": {looped(func(n *naive) {
		n.discard = func(*http.Response) {}
	}), "never closed"},
	"a discarded answer without end is not read to its end": {looped(nil), "no resend"},
	"a discarded answer that stalls does not stall the call": {looped(func(n *naive) {
		n.discard = func(resp *http.Response) { io.CopyN(io.Discard, resp.Body, 4096); resp.Body.Close() }
	}), "no resend"},

	"a call that waits holds no connection": {looped(func(n *naive) {
		n.discard = func(resp *http.Response) { time.AfterFunc(time.Second, func() { resp.Body.Close() }) }
	}), "429 with a body of 100 bytes: its connection is held"},
	"an attempt's context ends after its body is closed, not before": {timingOut, "had ended when"},

	"never a response and an error together": {above(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err == nil && resp.StatusCode >= 500 {
			err = errors.New("server error")
		}
		return resp, err
	}), "503s without end: a response (503) and an error"},
	"a base that returns nothing, or an answer and an error, is an error": {looped(nil), "it panics"},
	"a response without a body is no panic, and never handed out so":      {looped(nil), "whose Body is nil"},
	"CloseIdleConnections reaches the base":                               {asking(func(*http.Request) {}), "does not reach"},
	"100 goroutines get their own answers, side by side":                  {takingTurns, "took 1m40s"},
	"http.Client follows redirects with bodies": {above(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		req.GetBody = nil
		return next.RoundTrip(req)
	}), "307: ends with 307"},
	"a panic of the base goes up, and the next call works": {takingTurnsForEver, "hangs"},
	"nothing is left behind": {above(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		go func() { select {} }()
		return next.RoundTrip(req)
	}), "goroutines are left"},

	"each attempt sends the same bytes, with their length":             {looped(nil), "stream: attempt 2 sent 0 bytes"},
	"an attempt that broke off half-way is followed by the whole body": {resuming, "second attempt sent 10140 bytes"},
	"one attempt at a time, and none after the answer": {above(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		time.AfterFunc(time.Minute, func() { next.RoundTrip(req.WithContext(context.Background())) })
		return resp, err
	}), "after the answer"},
	"header fields of a resend do not pile up": {looped(func(n *naive) {
		n.prepare = func(req *http.Request, i int) *http.Request {
			if i == 1 {
				n.prepare = func(*http.Request, int) *http.Request { req.Header.Add("X-Retry", "1"); return req }
				req = req.Clone(req.Context())
			}
			return req
		}
	}), `attempt 3 has X-Retry ["1" "1"]`},

	"each attempt goes over the wire once":                           {looped(nil), "GET over a kept connection that ends: attempts 2, requests 3"},
	"no attempt reads from the body of the next":                     {rewinding, "the second attempt sent"},
	"what a base does to a request is not in the next one":           {looped(nil), "is for /gateway/gateway/api/v1/users, with X-Gateway"},
	"a POST that HTTP/2 left unprocessed is sent again":              {postOnce, "a graceful GOAWAY is not sent again"},
	"a redirect of a poll does not post the challenge again":         {polling, "the challenge was posted"},
	"a closed Request.Cancel ends the call, in flight and in a wait": {looped(nil), "in flight: the call ended"},

	"a POST or PATCH is not sent again on a 5xx":                {looped(nil), "POST, 500: sent twice, want once"},
	"a POST or PATCH is not sent again after a lost connection": {looped(nil), "PATCH, connection reset after the body: sent twice"},
	"a POST is sent again on a 429, when the server says":       {postOnce, "sent once"},
	"a POST of which nothing was written is sent again":         {postOnce, "not sent again"},
	"an Idempotency-Key makes a POST repeatable":                {postOnce, "not sent again"},
	"a certificate error is final":                              {looped(nil), "sent 4 times"},
	"a scheme that nobody knows is final":                       {looped(nil), "sent 4 times"},
	"an unknown host is final":                                  {looped(nil), "sent 4 times"},
	"an invalid header is final":                                {looped(nil), "sent 4 times"},
	"the base's io.EOF is not handed out as io.EOF":             {looped(nil), "matches io.EOF"},

	"Retry-After is kept: never early, and not much late": {looped(func(n *naive) {
		n.pause = func(context.Context, time.Duration) error { time.Sleep(time.Second); return nil }
	}), "earlier"},
	"a wait ends at once when the context is cancelled": {looped(func(n *naive) {
		n.pause = func(_ context.Context, d time.Duration) error { time.Sleep(d); return nil }
	}), "59.999999s after its context"},
	"the error of a cancelled wait matches context.Canceled": {above(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil {
			err = errors.New("request cancelled")
		}
		return resp, err
	}), `the error is "request cancelled"`},
	"a wait that cannot fit before the deadline is not begun": {looped(nil), "waited for the deadline"},
}

var postOnce = above(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
	if req.Method == "POST" {
		req = req.WithContext(oktaretry.WithNoRetry(req.Context()))
	}
	return next.RoundTrip(req)
})

// resuming continues a body where the previous attempt stopped reading.
func resuming(base http.RoundTripper) http.RoundTripper {
	n := looped(func(n *naive) {
		n.prepare = func(req *http.Request, _ int) *http.Request {
			req = req.Clone(req.Context())
			if req.Body != nil {
				req.Body = io.NopCloser(req.Body)
			}
			return req
		}
	})
	return n(base)
}

// rewinding makes each further body by GetBody, whatever the last attempt still reads.
func rewinding(base http.RoundTripper) http.RoundTripper {
	n := looped(func(n *naive) {
		n.prepare = func(req *http.Request, i int) *http.Request {
			if i > 1 && req.GetBody != nil {
				req = req.Clone(req.Context())
				req.Body, _ = req.GetBody()
			}
			return req
		}
	})
	return n(base)
}

type closer func() error

func (f closer) Close() error { return f() }

// timingOut ends the context of each attempt when its body is being closed.
func timingOut(base http.RoundTripper) http.RoundTripper {
	return looped(nil)(roundTrip(func(req *http.Request) (*http.Response, error) {
		ctx, cancel := context.WithTimeout(req.Context(), time.Hour)
		resp, err := base.RoundTrip(req.WithContext(ctx))
		if err != nil {
			cancel()
			return nil, err
		}
		src := resp.Body
		resp.Body = body{src, closer(func() error { cancel(); return src.Close() })}
		return resp, nil
	}))
}

// polling follows the Location of a 202 and returns what it gets there.
func polling(base http.RoundTripper) http.RoundTripper {
	next := looped(nil)(base)
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil || resp.StatusCode != http.StatusAccepted {
			return resp, err
		}
		resp.Body.Close()
		poll, err := http.NewRequestWithContext(req.Context(), "GET", "http://okta.example"+resp.Header.Get("Location"), nil)
		if err != nil {
			return nil, err
		}
		return next.RoundTrip(poll)
	})
}

func takingTurns(base http.RoundTripper) http.RoundTripper {
	next, turn := ours(base), make(chan struct{}, 1)
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		turn <- struct{}{}
		defer func() { <-turn }()
		return next.RoundTrip(req)
	})
}

func takingTurnsForEver(base http.RoundTripper) http.RoundTripper {
	next, turn := ours(base), make(chan struct{}, 1)
	return roundTrip(func(req *http.Request) (*http.Response, error) {
		turn <- struct{}{}
		resp, err := next.RoundTrip(req)
		<-turn // not after a panic
		return resp, err
	})
}

func TestEachCaseCanFail(t *testing.T) {
	for _, c := range contract.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			s, ok := saboteurs[c.Name]
			if !ok {
				t.Fatal("this case has no saboteur")
			}
			if raceEnabled && strings.Contains(c.Name, "may be read while") {
				t.Skip("the race detector finds this one first")
			}
			err := c.Check(t, s.wrap)
			if err == nil || errors.Is(err, contract.ErrNotApplicable) {
				t.Fatalf("its saboteur passes: %v", err)
			}
			if !strings.Contains(err.Error(), s.want) {
				t.Errorf("the error is %q, want %q in it", err, s.want)
			}
		})
	}
	kept = bytes.Buffer{}
	if len(saboteurs) != len(contract.Cases()) {
		t.Errorf("%d saboteurs for %d cases", len(saboteurs), len(contract.Cases()))
	}
}

func TestCasesThatNeedARetryAreSkippedWithoutOne(t *testing.T) {
	bare := func(base http.RoundTripper) http.RoundTripper { return base }
	for _, c := range contract.Cases() {
		err := c.Check(t, bare)
		switch {
		case c.NeedsRetry && !errors.Is(err, contract.ErrNotApplicable):
			t.Errorf("%s: %v, want not applicable", c.Name, err)
		case err != nil && !errors.Is(err, contract.ErrNotApplicable):
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

func TestCheckEndsWhenTheStackBlocksInRealTime(t *testing.T) {
	defer contract.SetRealBound(200 * time.Millisecond)()
	stuck := func(http.RoundTripper) http.RoundTripper {
		return roundTrip(func(*http.Request) (*http.Response, error) {
			var mu sync.Mutex
			mu.Lock()
			mu.Lock()
			return nil, nil
		})
	}
	err := contract.Cases()[0].Check(t, stuck)
	if err == nil || !strings.Contains(err.Error(), "of real time") {
		t.Errorf("got %v", err)
	}
}

// TestRunFails runs itself in a process of its own, because the failure of a subtest
// fails its parents.
func TestRunFails(t *testing.T) {
	const key = "OKTARETRY_RUN_SABOTEUR"
	if os.Getenv(key) != "" {
		contract.Run(t, looped(nil))
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestRunFails$", "-test.v")
	cmd.Env = append(os.Environ(), key+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatal("Run does not fail over a transport that breaks the contract")
	}
	for _, want := range []string{
		"--- FAIL: TestRunFails/Resending/a_POST_or_PATCH_is_not_sent_again_on_a_5xx",
		"POST, 500: sent twice, want once",
		"why it matters: the server may have done the work",
		"--- PASS: TestRunFails/RoundTripper/trailers_survive",
		"--- SKIP: TestRunFails/Waiting/a_wait_that_cannot_fit_before_the_deadline_is_not_begun",
	} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("its report lacks %q", want)
		}
	}
}
