// This file holds the cases about answers that a retry discards.

package contract

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

var discardCases = []Case{{
	Name:       "15 retried calls use one connection",
	Why:        "an outage that costs a handshake for each resend is a worse outage",
	NeedsRetry: true,
	check:      oneConnection,
}, {
	Name:       "every discarded answer is closed",
	Why:        "a body that nobody closes holds a connection for ever",
	NeedsRetry: true,
	check:      discardedClosed,
}, {
	Name:       "a discarded answer without end is not read to its end",
	Why:        "a stream that fails half-way, or a hostile server, holds the call for ever",
	NeedsRetry: true,
	check:      endlessDiscarded,
}, {
	Name:       "a discarded answer that stalls does not stall the call",
	Why:        "a proxy that sends headers and then nothing is what outages look like; nobody waits for the rest of an error page",
	NeedsRetry: true,
	check:      stalledDiscarded,
}, {
	Name:       "a call that waits holds no connection",
	Why:        "an outage or a full window ties up as many connections as there are calls, and those that could go on find none",
	NeedsRetry: true,
	check:      freeWhileWaiting,
}, {
	Name:       "an attempt's context ends after its body is closed, not before",
	Why:        "a base that does something at Close finds its context dead, and net/http drops a connection that it could have kept",
	NeedsRetry: true,
	check:      contextAfterBody,
}}

func oneConnection(l *lab) error {
	var n atomic.Int64
	w := l.serve(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%2 == 1 {
			w.WriteHeader(503)
			io.WriteString(w, strings.Repeat("x", 2<<10))
			return
		}
		io.WriteString(w, "ok")
	})
	rt := l.stack(w)
	for i := range 15 {
		a, err := l.call(rt, l.request("GET", nil))
		if err != nil {
			return fmt.Errorf("call %d: %w", i+1, err)
		}
		if a.StatusCode != 200 {
			return fmt.Errorf("call %d: given up with %d", i+1, a.StatusCode)
		}
		time.Sleep(time.Minute) // each call has an outage of its own: circuits and budgets see a single failure
	}
	if got := w.dials.Load(); got != 1 {
		return fmt.Errorf("%d connections were made for %d requests", got, n.Load())
	}
	return nil
}

func discardedClosed(l *lab) error {
	for _, code := range []int{429, 503} {
		first := status(code, "Retry-After", "1")
		l.call(l.stack(l.base(first, first, status(200))), l.request("GET", nil))
	}
	time.Sleep(time.Minute)
	if n, _, of := l.open(); n > 0 {
		return fmt.Errorf("%d of %d bodies were never closed", n, of)
	}
	return nil
}

// endless returns a reader of 16 MiB that blocks after them.
func endless() io.Reader { return stalling(zeros(16 << 20)) }

func endlessDiscarded(l *lab) error {
	return discarding(l, endless, "16 MiB of a 503 were read")
}

func stalledDiscarded(l *lab) error {
	return discarding(l, func() io.Reader { return stalling(strings.NewReader("<html>")) },
		"the resend waits for the rest of a 503's body")
}

func discarding(l *lab, body func() io.Reader, complaint string) error {
	b := l.base(func(req *http.Request) (*http.Response, error) {
		return respond(req, 503, -1, body()), nil
	}, status(200))
	done := make(chan error, 1)
	rt := l.stack(b)
	go func() {
		a, err := l.call(rt, l.request("GET", nil))
		if err == nil && a.StatusCode != 200 {
			err = fmt.Errorf("given up with %d", a.StatusCode)
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil && l.bytesRead() >= 16<<20 {
			return errors.New(complaint)
		}
		return err
	case <-time.After(10 * time.Minute):
		return fmt.Errorf("%s: no resend within 10 minutes", complaint)
	}
}

// freeWhileWaiting asks a moment after the answer, so that it does not matter how long
// a stack waits.
func freeWhileWaiting(l *lab) error {
	var found findings
	for _, code := range []int{429, 503} {
		for _, size := range []int{100, 100 << 10} {
			var b *scripted
			b = l.base(func(req *http.Request) (*http.Response, error) {
				time.AfterFunc(time.Millisecond, func() {
					if _, held, _ := l.open(); held > 0 && b.count() == 1 {
						found.add("%d with a body of %d bytes: its connection is held during the wait", code, size)
					}
				})
				return text(code, strings.Repeat("x", size), "Retry-After", "20")(req)
			}, status(200))
			l.call(l.stack(b), l.request("GET", nil))
			l.settle()
		}
	}
	return found.err()
}

func contextAfterBody(l *lab) error {
	long := text(503, strings.Repeat("x", 100<<10))
	for _, steps := range [][]step{{status(200)}, {status(503), status(200)}, {long, status(200)}, {status(404)}, {long}} {
		for _, read := range []bool{true, false} {
			rt := l.stack(l.base(steps...))
			if read {
				l.call(rt, l.request("GET", nil))
			} else if resp, err := l.send(rt, l.request("GET", nil)); err == nil {
				resp.Body.Close()
			}
		}
	}
	if n, of := l.lateCloses(); n > 0 {
		return fmt.Errorf("the context of %d of %d attempts had ended when their bodies were closed", n, of)
	}
	return nil
}
