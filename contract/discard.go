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
