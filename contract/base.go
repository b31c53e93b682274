// This file holds a base in memory: it answers by a script and records the requests
// that reach it.

package contract

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A step answers one request. The base has read the request's body, unless it is
// unread, and closes it afterwards.
type step func(*http.Request) (*http.Response, error)

// sent is one request as it reached the base.
type sent struct {
	at     time.Time
	header http.Header
	length int64
	body   string
}

// scripted is a base that keeps net/http's contract and answers by a script, whose
// last step answers all further requests.
type scripted struct {
	l      *lab
	steps  []step
	unread bool                // the body is left to the steps
	open   bool                // it is theirs to close, too
	onSend func(*http.Request) // called first

	mu    sync.Mutex
	sends []sent
	busy  int // requests in flight
	most  int // of busy
	idled int // calls of CloseIdleConnections
}

func (l *lab) base(steps ...step) *scripted { return &scripted{l: l, steps: steps} }

func (b *scripted) CloseIdleConnections() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.idled++
}

func (b *scripted) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil && !b.open {
		defer req.Body.Close()
	}
	if err := req.Context().Err(); err != nil {
		return nil, context.Cause(req.Context())
	}
	n := b.enter(req)
	defer b.leave()
	if n >= maxSends {
		<-b.l.over // which ends a loop without end
		return nil, fmt.Errorf("sent more than %d times", maxSends)
	}
	if b.onSend != nil {
		b.onSend(req)
	}
	if req.Body != nil && !b.unread {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		b.mu.Lock()
		b.sends[n].body = string(body)
		b.mu.Unlock()
	}
	return b.steps[min(n, len(b.steps)-1)](b.l.of(req))
}

func (b *scripted) enter(req *http.Request) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy++
	b.most = max(b.most, b.busy)
	b.sends = append(b.sends, sent{at: time.Now(), header: req.Header.Clone(), length: req.ContentLength})
	return len(b.sends) - 1
}

func (b *scripted) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy--
}

func (b *scripted) count() int { return len(b.all()) }

func (b *scripted) all() []sent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]sent(nil), b.sends...)
}

type labKey struct{}

// of returns req with the lab in its context, for a step.
func (l *lab) of(req *http.Request) *http.Request {
	return req.WithContext(context.WithValue(req.Context(), labKey{}, l))
}

func labOf(req *http.Request) *lab { return req.Context().Value(labKey{}).(*lab) }

// status answers with a short text.
func status(code int, header ...string) step {
	return text(code, http.StatusText(code)+"\n", header...)
}

// text answers with a body of a known length.
func text(code int, body string, header ...string) step {
	return func(req *http.Request) (*http.Response, error) {
		return respond(req, code, int64(len(body)), strings.NewReader(body), header...), nil
	}
}

// respond returns a response with the header fields that servers send.
func respond(req *http.Request, code int, length int64, body io.Reader, header ...string) *http.Response {
	h := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}, "Content-Type": {"text/plain"}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	if length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", code, http.StatusText(code)), StatusCode: code,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, ContentLength: length, Body: labOf(req).answerBody(req, body), Request: req,
	}
}

// limited answers 429 and names the wait, as Okta and other servers do.
func limited(wait time.Duration) step {
	return func(req *http.Request) (*http.Response, error) {
		return text(429, `{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit due to too many requests."}`,
			"Content-Type", "application/json",
			"Retry-After", strconv.Itoa(int(wait/time.Second)),
			"X-Rate-Limit-Limit", "600", "X-Rate-Limit-Remaining", "0",
			"X-Rate-Limit-Reset", strconv.FormatInt(time.Now().Add(wait).Unix(), 10))(req)
	}
}

// fail answers with an error.
func fail(err error) step {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// Errors as net/http's Transport returns them.
var (
	errReset = &net.OpError{Op: "read", Net: "tcp", Addr: addr{}, Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	errDial  = &net.OpError{Op: "dial", Net: "tcp", Addr: addr{}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
)
