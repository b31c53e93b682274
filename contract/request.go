// This file holds the cases about the caller's request, which stays unchanged.

package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

var requestCases = []Case{{
	Name:  "the caller's request is the same after the call",
	Why:   "callers reuse, log and sign requests, and http.Client follows redirects from them",
	check: requestStaysTheSame,
}, {
	Name:  "the caller's request may be read while the call runs",
	Why:   "a tracer or a logger that reads it meanwhile must not meet a half-made resend, or a data race",
	check: requestMayBeReadMeanwhile,
}, {
	Name:  "the caller's body is closed on every path",
	Why:   "a file or pipe behind it leaks, or its writer hangs, when an early return forgets it",
	check: bodyIsClosedOnEveryPath,
}}

// snapshot is a request and its fields before the call.
type snapshot struct {
	req     *http.Request
	was     http.Request
	url     url.URL
	header  http.Header
	trailer http.Header
	coding  []string
}

func snap(req *http.Request) *snapshot {
	return &snapshot{req, *req, *req.URL, req.Header.Clone(), req.Trailer.Clone(), slices.Clone(req.TransferEncoding)}
}

// changed returns the names of the fields that have changed.
func (s *snapshot) changed() string {
	now, was := s.req, &s.was
	same := func(a, b http.Header) bool { return maps.EqualFunc(a, b, slices.Equal) }
	var fields []string
	for field, ok := range map[string]bool{
		"Method":           now.Method == was.Method,
		"URL":              now.URL == was.URL && reflect.DeepEqual(*now.URL, s.url),
		"Header":           reflect.ValueOf(now.Header).Pointer() == reflect.ValueOf(was.Header).Pointer() && same(now.Header, s.header),
		"Body":             now.Body == was.Body,
		"GetBody":          reflect.ValueOf(now.GetBody).Pointer() == reflect.ValueOf(was.GetBody).Pointer(),
		"ContentLength":    now.ContentLength == was.ContentLength,
		"TransferEncoding": slices.Equal(now.TransferEncoding, s.coding),
		"Trailer":          same(now.Trailer, s.trailer),
		"Close":            now.Close == was.Close,
		"Host":             now.Host == was.Host,
		"Response":         now.Response == was.Response,
		"Context":          now.Context() == was.Context(),
	} {
		if !ok {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	return strings.Join(fields, ", ")
}

// uploads returns one request of each kind that a stack may treat differently.
func (l *lab) uploads() map[string]*http.Request {
	stream := l.request("PUT", nil)
	stream.Body, stream.Trailer = watched(strings.NewReader("streamed")), http.Header{"X-Sum": {"1"}}
	own := l.request("PUT", nil)
	own.Body, own.ContentLength = watched(strings.NewReader("own")), 3
	own.GetBody = func() (io.ReadCloser, error) { return watched(strings.NewReader("own")), nil }
	return map[string]*http.Request{
		"GET":                      l.request("GET", nil),
		"PUT of a bytes.Reader":    l.request("PUT", bytes.NewReader([]byte("bytes"))),
		"PUT of a stream":          stream,
		"PUT with its own GetBody": own,
	}
}

func requestStaysTheSame(l *lab) error {
	var found findings
	for _, kind := range sorted(l.uploads()) {
		req := l.uploads()[kind]
		before := snap(req)
		l.call(l.stack(l.base(limited(time.Second), status(503), status(200))), req)
		time.Sleep(time.Minute)
		if fields := before.changed(); fields != "" {
			found.add("%s: changed %s", kind, fields)
		}
	}
	return found.err()
}

func requestMayBeReadMeanwhile(l *lab) error {
	var found findings
	for _, kind := range sorted(l.uploads()) {
		req := l.uploads()[kind]
		before := snap(req)
		fields := make(map[string]bool)
		b := l.base(status(503), status(503), status(200))
		b.onSend = func(*http.Request) {
			if f := before.changed(); f != "" {
				fields[f] = true
			}
		}
		stop := make(chan struct{})
		go func() { // with -race, these reads detect writes of the stack
			for before.changed() != "?" {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		}()
		l.call(l.stack(b), req)
		close(stop)
		for _, f := range sorted(fields) {
			found.add("%s: %s was changed during the call", kind, f)
		}
	}
	return found.err()
}

func bodyIsClosedOnEveryPath(l *lab) error {
	type path struct {
		name   string
		method string
		steps  []step
		before func(*http.Request, context.CancelFunc)
	}
	nothing := func(*http.Request, context.CancelFunc) {}
	paths := []path{
		{"a success", "POST", []step{status(200)}, nothing},
		{"a 400", "POST", []step{status(400)}, nothing},
		{"a 503 to a POST", "POST", []step{status(503)}, nothing},
		{"503s without end", "PUT", []step{status(503)}, nothing},
		{"a lost connection", "POST", []step{fail(errReset)}, nothing},
		{"a refused connection", "POST", []step{fail(errDial)}, nothing},
		{"a context that is cancelled already", "POST", []step{status(200)}, func(_ *http.Request, cancel context.CancelFunc) { cancel() }},
		{"a wait that is cancelled", "PUT", []step{limited(time.Minute)}, func(_ *http.Request, cancel context.CancelFunc) {
			time.AfterFunc(10*time.Second, cancel)
		}},
		{"a request without a URL", "POST", nil, func(r *http.Request, _ context.CancelFunc) { r.URL = nil }},
		{"a URL without a host", "POST", nil, func(r *http.Request, _ context.CancelFunc) { r.URL = &url.URL{Scheme: "http", Path: "/"} }},
		{"a scheme that nobody knows", "POST", nil, func(r *http.Request, _ context.CancelFunc) {
			r.URL = &url.URL{Scheme: "gopher", Host: "okta.example", Path: "/"}
		}},
	}
	var found findings
	all := 0
	for _, p := range paths {
		for _, getBody := range []bool{false, true} {
			ctx, cancel := context.WithCancel(l.ctx)
			req := l.request(p.method, nil).WithContext(ctx)
			bodies := []*requestBody{watched(strings.NewReader("body"))}
			req.Body, req.ContentLength = bodies[0], 4
			if getBody {
				req.GetBody = func() (io.ReadCloser, error) {
					bodies = append(bodies, watched(strings.NewReader("body")))
					return bodies[len(bodies)-1], nil
				}
			}
			var base http.RoundTripper = l.base(p.steps...)
			if p.steps == nil {
				base = &http.Transport{} // which refuses the request itself
			}
			rt := l.stack(base)
			l.now("a body, and %s", p.name)
			p.before(req, cancel)
			var resp *http.Response
			if catch(func() { resp, _ = rt.RoundTrip(req) }) == nil && resp != nil && resp.Body != nil {
				resp.Body.Close()
			}
			time.Sleep(time.Minute)
			cancel()
			all++
			open := 0
			for _, b := range bodies {
				if b.closes.Load() == 0 {
					open++
				}
			}
			switch {
			case open > 0 && getBody && bodies[0].closes.Load() > 0:
				found.add("left open after %s: a body that GetBody made", p.name)
			case open > 0 && getBody:
				found.add("left open after %s, with GetBody", p.name)
			case open > 0:
				found.add("left open after %s", p.name)
			}
		}
	}
	if len(found) == all {
		return errors.New("left open on every path, from a success to a request that was never sent")
	}
	return found.err()
}

// sorted returns the keys of m in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// wantSends adds a finding unless b got n requests.
func wantSends(found *findings, what string, b *scripted, n int) {
	if got := b.count(); got != n {
		found.add("%s: sent %s, want %s", what, times(got), times(n))
	}
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return fmt.Sprintf("%d times", n)
}
