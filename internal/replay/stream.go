// This file holds the capture of a caller's stream: what is kept of it, when it is closed, and how it passes from one
// attempt to the next.

package replay

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// patience is how long an attempt waits for a Read of the one before. Such a Read usually ends at once; where it
	// doesn't, the resend would stall as well.
	patience = time.Second

	// firstGrowth is the least capacity of a capture of unknown length: most bodies for Okta fit.
	firstGrowth = 512
)

// stream is a body that can be read only once, shared by the attempts of a call. Only the current attempt reads it, and
// mu is never held while it does: neither the caller's Read nor its Close runs under a lock.
type stream struct {
	src    io.ReadCloser // never changed
	max    int64         // how much of it is kept at most; never changed
	length int64         // as the request announces it; 0 and less: unknown; never changed

	mu      sync.Mutex    // guards all below, and the attempts
	cur     *attempt      // by next
	buf     []byte        // all that was read from src, until it is lost or no longer needed; by took, lose and release
	end     error         // io.EOF or the error that src ended with; by took
	lost    error         // why buf is gone; by lose
	held    bool          // cur must not outgrow the capture, if there is one and it may be needed; by hold and next
	over    bool          // no attempt will follow cur; by finish
	closed  bool          // src was closed; by unlockAndClose
	reading bool          // cur is inside src.Read; by attempt.Read and took
	idle    chan struct{} // closed when that Read returns; nil unless next waits for it; by retire and took

	first attempt // saves an allocation
}

// newStream returns the stream with its first attempt.
func newStream(src io.ReadCloser, max, length int64) *stream {
	s := &stream{src: src, max: max, length: length}
	s.first.s = s
	s.cur = &s.first
	return s
}

// next replaces the current attempt. On an error the current one stays: it reads no more, but its Close still closes src.
func (s *stream) next(ctx context.Context) (io.ReadCloser, error) {
	if err := s.retire(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil {
		return nil, s.lost
	}
	s.held = false
	s.cur = &attempt{s: s}
	return s.cur, nil
}

// retire stops the current attempt from starting another Read, and waits for the one that may be running.
func (s *stream) retire(ctx context.Context) error {
	s.mu.Lock()
	s.cur.retired = true
	if !s.reading {
		s.mu.Unlock()
		return nil
	}
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	s.mu.Unlock()

	return await(ctx, idle)
}

// finish ends the call. An attempt that is still being sent reads the rest of src uncaptured.
func (s *stream) finish() error {
	s.mu.Lock()
	s.over = true
	s.release()
	return s.unlockAndClose()
}

func (s *stream) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

// unread reports whether no Read of the current attempt has begun.
func (s *stream) unread() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.cur.begun
}

func (s *stream) why() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// room returns the part of p to read into, no more than the capture has room for; false if the read is not allowed. A
// full capture is given up only if there is more to send: the read that finds out may find the end. Under mu.
func (s *stream) room(p []byte) ([]byte, bool) {
	if s.over || s.lost != nil {
		return p, true
	}
	room := s.max - int64(len(s.buf))
	if room == 0 {
		return p, !s.held
	}
	return p[:min(room, int64(len(p)))], true
}

// took records the result of a Read of src. Under mu.
func (s *stream) took(p []byte, err error) {
	s.reading = false
	if s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
	if err != nil {
		s.end = err
	}
	switch {
	case s.lost != nil:
	case err != nil && err != io.EOF:
		s.lose(fmt.Errorf("%w: %w", ErrSource, notEOF(err)))
	case s.over:
	case err == io.EOF && int64(len(s.buf))+int64(len(p)) < s.length:
		// A server refuses it; over HTTP/2 by resetting the stream, as it may for other reasons.
		s.lose(fmt.Errorf("%w: it is shorter than its Content-Length", ErrSource))
	case int64(len(s.buf))+int64(len(p)) > s.max:
		s.lose(ErrTooLarge)
	default:
		s.grow(len(p))
		s.buf = append(s.buf, p...)
	}
}

// lose gives the capture up. The current attempt has read all of it. Under mu.
func (s *stream) lose(why error) {
	s.lost = why
	s.buf = nil
}

// release frees the capture of a call that is over, once the last attempt has read all of it. Under mu.
func (s *stream) release() {
	if s.over && s.cur.off == len(s.buf) {
		s.buf, s.cur.off = nil, 0
	}
}

// grow makes room for n more bytes: for all that the request announces, if that is within the cap, and otherwise by
// doubling, up to the cap. Under mu.
func (s *stream) grow(n int) {
	need := len(s.buf) + n
	if need <= cap(s.buf) {
		return
	}
	size := int64(max(2*cap(s.buf), need, firstGrowth))
	if s.length >= int64(need) && s.length <= s.max {
		size = s.length
	}
	size = min(size, s.max)
	s.buf = append(make([]byte, 0, size), s.buf...)
}

// unlockAndClose unlocks mu, and closes src once no attempt has it open and none will need it: the call is over, or src
// has ended, or the capture is lost.
//
// So a body that was sent in full is closed when its attempt is, as by net/http; only one of which more may be read stays
// open between attempts. A Close runs beside a Read only if the base closed the attempt beside a Read.
func (s *stream) unlockAndClose() error {
	last := s.over || s.end != nil || s.lost != nil
	now := last && s.cur.closed && !s.closed
	if now {
		s.closed = true
	}
	s.mu.Unlock()
	if !now {
		return nil
	}
	return s.src.Close()
}
