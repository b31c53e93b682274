// This file holds the cases about resends: each sends the same request, once.

package contract

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/internal/h2raw"
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
}, {
	Name:  "each attempt goes over the wire once",
	Why:   "net/http repeats what it takes for safe, uncounted and without a wait: one create was 2,002 requests in 3 s",
	check: onceOverTheWire,
}, {
	Name:  "no attempt reads from the body of the next",
	Why:   "GetBody of a file rewinds it under the upload that a server has answered early: each attempt sends half, and the file is a mix",
	check: bodiesApart,
}, {
	Name:    "what a base does to a request is not in the next one",
	Why:     "no base should edit its request, yet many do: a gateway's prefix, a cookie or a signature then stands there twice",
	Feature: true,
	check:   requestsApart,
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

func onceOverTheWire(l *lab) error {
	var found findings
	var got atomic.Int64
	reset, err := l.serveHTTP2(func(c *h2raw.Conn, stream uint32, _ []byte) {
		if got.Add(1) <= 20 {
			c.Reset(stream, h2raw.ProtocolError)
			return
		}
		c.Respond(stream, 200, "ok")
	})
	if err != nil {
		return err
	}
	for _, method := range []string{"POST", "PUT"} {
		got.Store(0)
		reset.sends.Store(0)
		req := l.request(method, strings.NewReader("body"))
		req.URL.Scheme = "https"
		l.call(l.stack(reset), req)
		l.settle()
		if n, sends := got.Load(), reset.sends.Load(); n != sends {
			found.add("%s over HTTP/2, its stream reset: attempts %d, requests %d", method, sends, n)
		}
	}
	got.Store(0)
	dying := l.serve(func(w http.ResponseWriter, r *http.Request) {
		if got.Add(1) != 2 {
			return
		}
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			conn.Close()
		}
	})
	rt := l.stack(dying)
	for range 2 {
		l.call(rt, l.request("GET", nil))
	}
	l.settle()
	if n, sends := got.Load(), dying.sends.Load(); n != sends {
		found.add("GET over a kept connection that ends: attempts %d, requests %d", sends, n)
	}
	return found.err()
}

// A file is read from where it stands, by whoever has it.
type file struct {
	mu   sync.Mutex
	data string
	at   int
}

func (f *file) Read(p []byte) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n = copy(p, f.data[f.at:]); n == 0 {
		return 0, io.EOF
	}
	f.at += n
	return n, nil
}

func (f *file) rewind() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = 0
}

// upload reads a kilobyte a second and closes the body.
func upload(body io.ReadCloser) (sent string) {
	defer body.Close()
	for p := make([]byte, 1024); ; time.Sleep(time.Second) {
		n, err := body.Read(p)
		if sent += string(p[:n]); err != nil {
			return sent
		}
	}
}

func bodiesApart(l *lab) error {
	f := &file{data: strings.Repeat("0123456789abcdef", 640)}
	var second string
	b := l.base(func(req *http.Request) (*http.Response, error) {
		go upload(req.Body) // as HTTP/2 does, which answers meanwhile
		time.Sleep(time.Millisecond)
		return status(503)(req)
	}, func(req *http.Request) (*http.Response, error) {
		second = upload(req.Body)
		return status(200)(req)
	})
	b.unread, b.open = true, true
	req := l.request("PUT", nil)
	req.Body, req.ContentLength = io.NopCloser(f), int64(len(f.data))
	req.GetBody = func() (io.ReadCloser, error) {
		f.rewind()
		return io.NopCloser(f), nil
	}
	l.call(l.stack(b), req)
	time.Sleep(time.Minute)
	if b.count() > 1 && second != f.data {
		return fmt.Errorf("after an early 503 the second attempt sent %d bytes of %d", len(second), len(f.data))
	}
	return nil
}

func requestsApart(l *lab) error {
	var found findings
	b := l.base(status(503), status(503), status(200))
	n := 0
	b.onSend = func(req *http.Request) {
		n++
		req.URL.Path = "/gateway" + req.URL.Path
		req.Header.Add("X-Gateway", "1")
		req.AddCookie(&http.Cookie{Name: "gateway", Value: "1"})
		if got := req.Header.Values("X-Gateway"); req.URL.Path != "/gateway/api/v1/users" || len(got) > 1 || len(req.Cookies()) > 1 {
			found.add("attempt %d is for %s, with X-Gateway %q and %d cookies", n, req.URL.Path, got, len(req.Cookies()))
		}
	}
	req := l.request("GET", nil)
	before := snap(req)
	l.call(l.stack(b), req)
	if fields := before.changed(); fields != "" {
		found.add("the caller's request has changed: %s", fields)
	}
	return found.err()
}
