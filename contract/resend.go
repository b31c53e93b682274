// This file holds the cases about resends: each sends the same request, once.

package contract

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

var resendCases = []Case{{
	Name:  "each attempt sends the same bytes, with their length",
	Why:   "half a user, or none, is created on the second attempt",
	check: sameBytes,
}, {
	Name:  "an attempt that broke off half-way is followed by the whole body",
	Why:   "a resend that goes on where the first one stopped is garbage, and may parse",
	check: wholeAfterHalf,
}, {
	Name:  "one attempt at a time, and none after the answer",
	Why:   "an attempt that is not reported may change data unnoticed",
	check: onceEach,
}, {
	Name:  "header fields of a resend do not pile up",
	Why:   "a field that grows with each attempt ends as a 431, or as a signature that is wrong",
	check: noPilingUp,
}}

func sameBytes(l *lab) error {
	data := strings.Repeat("0123456789abcdef", 640)
	kinds := map[string]func() *http.Request{
		"bytes.Reader":   func() *http.Request { return l.request("PUT", bytes.NewReader([]byte(data))) },
		"bytes.Buffer":   func() *http.Request { return l.request("PUT", bytes.NewBufferString(data)) },
		"strings.Reader": func() *http.Request { return l.request("PUT", strings.NewReader(data)) },
		"own GetBody": func() *http.Request {
			req := l.request("PUT", nil)
			req.Body, req.ContentLength = watched(strings.NewReader(data)), int64(len(data))
			req.GetBody = func() (io.ReadCloser, error) { return watched(strings.NewReader(data)), nil }
			return req
		},
		"stream": func() *http.Request {
			req := l.request("PUT", nil)
			req.Body = watched(strings.NewReader(data))
			return req
		},
		"stream of known length": func() *http.Request {
			req := l.request("PUT", nil)
			req.Body, req.ContentLength = watched(strings.NewReader(data)), int64(len(data))
			return req
		},
	}
	var found findings
	for _, kind := range sorted(kinds) {
		var attempts, wrong []string
		w := l.serve(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			attempts = append(attempts, r.Method)
			if kind != "stream" && r.ContentLength != int64(len(data)) {
				wrong = append(wrong, fmt.Sprintf("attempt %d has Content-Length %d for %d bytes", len(attempts), r.ContentLength, len(data)))
			}
			if string(body) != data || err != nil {
				wrong = append(wrong, fmt.Sprintf("attempt %d sent %d bytes of %d (%v)", len(attempts), len(body), len(data), err))
			}
			if len(attempts) < 3 {
				w.WriteHeader(503)
			}
		})
		_, err := l.call(l.stack(w), kinds[kind]())
		l.settle()
		switch {
		case len(wrong) > 0:
			found.add("%s: %s", kind, strings.Join(wrong, ", "))
		case err != nil && len(attempts) < 3:
			found.add("%s: after %d attempts: %v", kind, len(attempts), err)
		}
	}
	return found.err()
}

func wholeAfterHalf(l *lab) error {
	data := strings.Repeat("0123456789abcdef", 640)
	var found findings
	for _, stream := range []bool{false, true} {
		var second []byte
		b := l.base(func(req *http.Request) (*http.Response, error) {
			io.ReadFull(req.Body, make([]byte, 100))
			return status(503)(req)
		}, func(req *http.Request) (*http.Response, error) {
			second, _ = io.ReadAll(req.Body)
			return status(200)(req)
		})
		b.unread = true
		req := l.request("PUT", strings.NewReader(data))
		if stream {
			req.Body, req.GetBody = watched(strings.NewReader(data)), nil
		}
		_, err := l.call(l.stack(b), req)
		l.settle()
		switch {
		case b.count() == 2 && string(second) != data:
			found.add("stream %t: the second attempt sent %d bytes of %d", stream, len(second), len(data))
		case err != nil:
			found.add("stream %t: %v", stream, err)
		}
	}
	return found.err()
}

func onceEach(l *lab) error {
	slow := func(s step) step {
		return func(req *http.Request) (*http.Response, error) {
			time.Sleep(5 * time.Second)
			return s(req)
		}
	}
	b := l.base(slow(status(503)), slow(status(503)), slow(status(200)))
	a, err := l.call(l.stack(b), l.request("PUT", strings.NewReader("body")))
	sends := b.count()
	time.Sleep(10 * time.Minute)
	l.settle()
	switch {
	case err == nil && a.StatusCode == 200 && sends != 3:
		return fmt.Errorf("sent %d times for 503, 503 and 200", sends)
	case b.most > 1:
		return fmt.Errorf("%d attempts of one call were under way at a time", b.most)
	case b.count() != sends:
		return fmt.Errorf("sent %d times more after the answer was handed out", b.count()-sends)
	}
	return nil
}

func noPilingUp(l *lab) error {
	b := l.base(status(503), status(503), status(200))
	req := l.request("GET", nil)
	req.Header.Add("X-Mine", "1")
	req.Header.Add("X-Mine", "2")
	own := req.Header.Clone()
	l.call(l.stack(b), req)
	var found findings
	for i, s := range b.all() {
		for _, field := range sorted(s.header) {
			values, mine := s.header[field], own[field]
			if mine != nil && !slices.Equal(values, mine) {
				found.add("attempt %d has %s %q, the caller's is %q", i+1, field, values, mine)
			} else if mine == nil && len(values) > 1 {
				found.add("attempt %d has %s %q", i+1, field, values)
			}
		}
	}
	if len(req.Header) != len(own) {
		found.add("the caller's header has %d fields, had %d", len(req.Header), len(own))
	}
	return found.err()
}
