// This file tests bodies that need no capture: the caller's own, and those of GetBody.

package replay_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/internal/replay"
)

// rewound returns a request whose GetBody rewinds the one stream that all its bodies read, as of a file.
func rewound(t *testing.T, src *source) *http.Request {
	req := request(t, io.NopCloser(src))
	req.GetBody = func() (io.ReadCloser, error) {
		src.pos.Store(0)
		return io.NopCloser(src), nil
	}
	return req
}

// A Read that runs on after GetBody has rewound the file takes bytes that the next attempt then lacks.
func TestGetBodyWaitsForALateRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := slow(replay.Patience / 2)
		b := replay.New(rewound(t, src), 0)
		old := next(t, &b)
		done := late(t, old, src.data[:50])
		body := next(t, &b)
		if err := <-done; err == nil || err.Error() != "oktaretry: this attempt is over" {
			t.Errorf("the late Read = %v", err)
		}
		if n, err := old.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("a stale body reads %d bytes, %v", n, err)
		}
		src.before = nil
		readAll(t, body, src.data)
		body.Close()
		b.Close()
		if src.beside.Load() {
			t.Error("two Reads ran at once")
		}
	})
}

func TestGetBodyIsNotCalledDuringAStuckRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := slow(3 * replay.Patience)
		req := rewound(t, src)
		getBody, calls := req.GetBody, 0
		req.GetBody = func() (io.ReadCloser, error) { calls++; return getBody() }
		b := replay.New(req, 0)
		old := next(t, &b)
		done := late(t, old, src.data[:50])
		start := time.Now()
		if _, err := b.Next(t.Context()); !errors.Is(err, replay.ErrBusy) || time.Since(start) != replay.Patience {
			t.Errorf("Next = %v after %v", err, time.Since(start))
		}
		gone := errors.New("the user quit")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		if _, err := b.Next(ctx); !errors.Is(err, gone) {
			t.Errorf("Next = %v, want the context's cause", err)
		}
		if calls != 0 {
			t.Errorf("GetBody was called %d times during a Read", calls)
		}
		<-done
		src.before = nil
		body := next(t, &b)
		readAll(t, body, src.data)
		b.Close()
	})
}

// GetBody of a program that opens its file anew may fail while it is open.
func TestBodyIsClosedBeforeGetBody(t *testing.T) {
	for _, byBase := range []bool{true, false} {
		src := &source{data: text(10)}
		req := request(t, src)
		req.GetBody = func() (io.ReadCloser, error) {
			wantCloses(t, src, 1, "when GetBody is called")
			return io.NopCloser(src), nil
		}
		b := replay.New(req, 0)
		old := next(t, &b)
		readN(t, old, src.data[:5])
		if byBase {
			old.Close()
		}
		next(t, &b).Close()
		old.Close()
		b.Close()
		wantCloses(t, src, 1, "after the call")
	}
}

// net/http closes an unread body when a connection of HTTP/2 turns out to be unusable, and sends it through the next.
func TestBodyThatWasClosedUnreadCanBeSent(t *testing.T) {
	for name, getBody := range map[string]func() (io.ReadCloser, error){
		"stream": nil, "GetBody": func() (io.ReadCloser, error) { return http.NoBody, nil },
	} {
		src := &source{data: text(10)}
		req := request(t, src)
		req.GetBody = getBody
		b := replay.New(req, 10)
		body := next(t, &b)
		body.Close()
		if !b.Unread() {
			t.Errorf("%s: a body that was only closed was read", name)
		}
		readAll(t, body, src.data)
		if b.Unread() {
			t.Errorf("%s: a body that was sent was not read", name)
		}
		body.Close()
		if n, err := body.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s: a closed body reads %d bytes, %v", name, n, err)
		}
		b.Close()
		wantCloses(t, src, 1, name+", after the call")
	}
}

// The caller's body is closed though the base closed it unread and the call ends.
func TestUnreadBodyIsClosedWithTheCall(t *testing.T) {
	for _, baseFirst := range []bool{true, false} {
		src := &source{data: text(10)}
		req := request(t, src)
		req.GetBody = func() (io.ReadCloser, error) { return http.NoBody, nil }
		b := replay.New(req, 10)
		body := next(t, &b)
		for _, base := range []bool{baseFirst, !baseFirst} {
			wantCloses(t, src, 0, "while one has it open")
			if base {
				body.Close()
			} else {
				b.Close()
			}
		}
		wantCloses(t, src, 1, "after the call")
	}
}
