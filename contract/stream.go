// This file holds the cases about streams on their way to the server.

package contract

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
)

var streamCases = []Case{{
	Name:  "a streaming body is not read ahead of the send",
	Why:   "a body that waits for the server's first bytes, or for a user, would never be sent",
	check: noReadAhead,
}, {
	Name:  "a stream of 8 MiB does not cost 8 MiB",
	Why:   "an upload that was streamed to save memory is kept whole, once for each call in flight",
	check: streamStaysSmall,
}}

func noReadAhead(l *lab) error {
	body := watched(zeros(1 << 20))
	ahead, beside := int64(-1), int64(-1)
	b := l.base(func(req *http.Request) (*http.Response, error) {
		if ahead < 0 && req.Body != nil {
			ahead = body.read.Load()
			io.ReadFull(req.Body, make([]byte, 1<<10))
			beside = body.read.Load()
			io.Copy(io.Discard, req.Body)
		}
		return status(200)(req)
	})
	b.unread = true
	req := l.request("POST", nil)
	req.Body = body
	_, err := l.call(l.stack(b), req)
	l.settle()
	switch {
	case err != nil:
		return fmt.Errorf("POST of a stream: %w", err)
	case ahead != 0:
		return fmt.Errorf("%d bytes of the body were read before the base was called", ahead)
	case beside > 1<<16:
		return fmt.Errorf("%d bytes of the body were read when the base had asked for %d", beside, 1<<10)
	}
	return nil
}

func streamStaysSmall(l *lab) error {
	const size, bound = 8 << 20, 4 << 20
	var before, peak uint64
	b := l.base(func(req *http.Request) (*http.Response, error) {
		n, err := io.Copy(io.Discard, req.Body)
		peak = max(peak, heap())
		if n != size && err == nil {
			err = fmt.Errorf("%d bytes were sent instead of %d", n, size)
		}
		if err != nil {
			return nil, err
		}
		return status(200)(req)
	})
	b.unread = true
	rt := l.stack(b)
	req := l.request("POST", nil)
	req.Body = watched(zeros(size))
	before = heap()
	if _, err := l.call(rt, req); err != nil {
		return fmt.Errorf("POST of a stream: %w", err)
	}
	l.settle()
	if peak > before+bound {
		return errors.New("more than 4 MiB are held when the stream has been sent")
	}
	return nil
}

// heap returns the size of all live objects.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // the second one empties pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
