// This file holds the cases about the transport as a whole: over a broken base, with
// many callers, and what it leaves behind.

package contract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

var wholeCases = []Case{{
	Name:  "never a response and an error together",
	Why:   "callers look at the error first, and leak the response",
	check: neverBoth,
}, {
	Name:  "a base that returns nothing, or an answer and an error, is an error",
	Why:   "the fault of one layer ends the process with a nil pointer, or passes through all of them",
	check: badBase,
}, {
	Name:  "a response without a body is no panic, and never handed out so",
	Why:   "net/http guarantees that Body is never nil, and callers close it unchecked",
	check: nilBody,
}, {
	Name:  "CloseIdleConnections reaches the base",
	Why:   "http.Client asks the outermost transport; connections to a moved host stay open for ever",
	check: closeIdle,
}, {
	Name:  "100 goroutines get their own answers, side by side",
	Why:   "a RoundTripper must be safe for concurrent use, and one that takes turns is a bottleneck",
	check: manyCallers,
}, {
	Name:  "http.Client follows redirects with bodies",
	Why:   "a 307 needs GetBody of a request that came through untouched",
	check: redirects,
}, {
	Name:  "a panic of the base goes up, and the next call works",
	Why:   "a lock or a slot that is held for ever turns one bug into an outage",
	check: panicsGoUp,
}, {
	Name:  "nothing is left behind",
	Why:   "a goroutine or an open body for each failed call is an outage that comes days later",
	check: nothingLeft,
	leaks: true,
}}

func neverBoth(l *lab) error {
	var found findings
	for _, p := range []struct {
		name   string
		method string
		base   func(cancel func()) step
		cancel time.Duration // negative: before the call
	}{
		{"a success", "GET", func(func()) step { return status(200) }, 0},
		{"503s without end", "GET", func(func()) step { return status(503) }, 0},
		{"a 503 to a POST", "POST", func(func()) step { return status(503) }, 0},
		{"429s without end", "GET", func(func()) step { return limited(time.Second) }, 5 * time.Minute},
		{"lost connections without end", "GET", func(func()) step { return fail(errReset) }, 0},
		{"a context cancelled before", "GET", func(func()) step { return status(200) }, -1},
		{"a context cancelled in a wait", "GET", func(func()) step { return limited(time.Minute) }, 10 * time.Second},
		{"a context cancelled as a 503 arrives", "GET", func(cancel func()) step {
			return func(req *http.Request) (*http.Response, error) { cancel(); return status(503)(req) }
		}, 0},
	} {
		ctx, cancel := context.WithCancel(l.ctx)
		rt := l.stack(l.base(p.base(cancel)))
		if p.cancel < 0 {
			cancel()
		} else if p.cancel > 0 {
			time.AfterFunc(p.cancel, cancel)
		}
		_, err := l.call(rt, l.request(p.method, nil).WithContext(ctx))
		if both := (*bothError)(nil); errors.As(err, &both) || errors.Is(err, errNeither) {
			found.add("%s: %v", p.name, err)
		}
		cancel()
		time.Sleep(10 * time.Minute)
	}
	return found.err()
}

func badBase(l *lab) error {
	both := func(req *http.Request) (*http.Response, error) {
		resp, _ := status(200)(req)
		return resp, errors.New("oops")
	}
	var found findings
	for name, s := range map[string]step{"nothing": fail(nil), "both": both} {
		for _, method := range []string{"GET", "POST"} {
			rt, err := l.wrapper(l.base(s))
			if err != nil {
				return err
			}
			_, err = l.call(rt, l.request(method, nil))
			if errors.As(err, new(*panicError)) || errors.As(err, new(*bothError)) || errors.Is(err, errNeither) {
				found.add("%s, %s: %v", method, name, err)
			}
		}
	}
	slices.Sort(found)
	return found.err()
}

func nilBody(l *lab) error {
	var found findings
	for _, code := range []int{200, 404, 503} {
		rt, err := l.wrapper(l.base(func(req *http.Request) (*http.Response, error) {
			resp, _ := status(code)(req)
			resp.Body.Close()
			resp.Body = nil
			return resp, nil
		}))
		if err != nil {
			return err
		}
		_, err = l.call(rt, l.request("GET", nil))
		if p := (*panicError)(nil); errors.As(err, &p) || errors.Is(err, errNilBody) {
			found.add("%d: %v", code, err)
		}
	}
	return found.err()
}

func closeIdle(l *lab) error {
	b := l.base(status(200))
	client := &http.Client{Transport: l.stack(b)}
	client.CloseIdleConnections()
	l.settle()
	if b.idled == 0 {
		return errors.New("http.Client.CloseIdleConnections does not reach the base")
	}
	return nil
}

func manyCallers(l *lab) error {
	echo := l.base(func(req *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		time.Sleep(time.Second)
		return respond(req, 200+len(body)%2*204, int64(len(body)), strings.NewReader(string(body))), nil
	})
	echo.unread = true
	rt := l.stack(echo)
	began := time.Now()
	errs := make(chan error)
	for i := range 100 {
		go func() {
			want := strings.Repeat(fmt.Sprint(i, " "), i+1)
			a, err := l.call(rt, l.request("POST", strings.NewReader(want)))
			if err == nil && a.body != want {
				err = fmt.Errorf("caller %d got %d bytes, want %d", i, len(a.body), len(want))
			}
			errs <- err
		}()
	}
	var found findings
	for range 100 {
		if err := <-errs; err != nil && len(found) < 3 {
			found.add("%v", err)
		}
	}
	if d := time.Since(began); d > 20*time.Second {
		found.add("100 calls of a second each took %v", d)
	}
	return found.err()
}

func redirects(l *lab) error {
	var found findings
	for _, code := range []int{303, 307, 308} {
		var got []string
		w := l.serve(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = append(got, r.Method+" "+r.URL.Path+" "+string(body))
			if r.URL.Path == "/old" {
				http.Redirect(w, r, "/new", code)
				return
			}
			io.WriteString(w, "done")
		})
		client := &http.Client{Transport: l.stack(w)}
		want := "POST /old body, POST /new body"
		if code == 303 {
			want = "POST /old body, GET /new "
		}
		l.now("POST, answered with a %d", code)
		var resp *http.Response
		var err error
		if p := catch(func() { resp, err = client.Post("http://okta.example/old", "text/plain", strings.NewReader("body")) }); p != nil {
			return p
		}
		l.settle()
		switch {
		case err != nil:
			found.add("%d: %v", code, err)
			continue
		case resp.StatusCode != 200 || strings.Join(got, ", ") != want:
			found.add("%d: ends with %d; the server saw %q, want %q", code, resp.StatusCode, strings.Join(got, ", "), want)
		}
		resp.Body.Close()
	}
	return found.err()
}

func panicsGoUp(l *lab) error {
	panicking := true
	b := l.base(func(req *http.Request) (*http.Response, error) {
		if panicking {
			panic("boom")
		}
		return status(200)(req)
	})
	rt := l.stack(b)
	for i := range 30 {
		l.now("a call whose base panics")
		p := catch(func() { rt.RoundTrip(l.request("GET", nil)) })
		if p == nil || p.value != any("boom") {
			return fmt.Errorf("call %d: the base's panic came up as %v", i+1, p)
		}
	}
	panicking = false
	a, err := l.call(rt, l.request("GET", nil))
	if err != nil || a.StatusCode != 200 {
		return fmt.Errorf("the call after 30 panics does not get through: %v", err)
	}
	return nil
}

func nothingLeft(l *lab) error {
	for _, p := range []struct {
		method string
		cancel time.Duration
		steps  []step
	}{
		{"GET", 0, []step{status(200)}},
		{"GET", 0, []step{status(404)}},
		{"POST", 0, []step{status(503)}},
		{"GET", 0, []step{status(503), status(200)}},
		{"PUT", 0, []step{status(503)}},
		{"POST", 0, []step{limited(time.Second), status(200)}},
		{"GET", 10 * time.Second, []step{limited(time.Minute)}},
		{"GET", 0, []step{fail(errReset), status(200)}},
		{"POST", 0, []step{fail(errReset)}},
		{"GET", 0, []step{fail(errDial)}},
		{"GET", -1, []step{status(200)}},
	} {
		ctx, cancel := context.WithCancel(l.ctx)
		if p.cancel < 0 {
			cancel()
		} else if p.cancel > 0 {
			time.AfterFunc(p.cancel, cancel)
		}
		rt := l.stack(l.base(p.steps...))
		for range 3 {
			l.call(rt, l.request(p.method, strings.NewReader("body")).WithContext(ctx))
		}
		time.Sleep(10 * time.Minute)
		cancel()
	}
	if _, held, of := l.open(); held > 0 {
		return fmt.Errorf("%d of %d response bodies were never closed, nor did their contexts end", held, of)
	}
	return nil
}
