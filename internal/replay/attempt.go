// This file holds the body of one attempt over a captured stream: what earlier attempts captured, then the rest of the
// stream.

package replay

import (
	"io"
	"net/http"
)

// attempt is the request body that one attempt sends. Like any request body it is read by one goroutine at a time, and
// closed by any, also during a Read. s.mu guards its fields.
type attempt struct {
	s       *stream // never changed
	off     int     // how much of s.buf was read; by Read, readSource and stream.release
	begun   bool    // it was read; by Read
	retired bool    // it reads no more; by stream.retire
	closed  bool    // by Close
}

// Read reads what earlier attempts captured and then the caller's stream, in that one's own chunks. It ends as the stream
// does. As with single, a body that was closed before it was read can still be read.
func (a *attempt) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	s := a.s
	s.mu.Lock()
	switch {
	case a.retired:
		s.mu.Unlock()
		return 0, errStale
	case a.closed && (a.begun || s.closed):
		s.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	a.begun, a.closed = true, false
	switch {
	case a.off < len(s.buf):
		n := copy(p, s.buf[a.off:])
		a.off += n
		s.release()
		s.mu.Unlock()
		return n, nil
	case s.end != nil:
		err := s.end
		s.mu.Unlock()
		return 0, err
	case s.reading:
		s.mu.Unlock()
		return 0, ErrBusy
	}
	p, ok := s.room(p)
	if !ok {
		s.mu.Unlock()
		return 0, errStale
	}
	s.reading = true
	s.mu.Unlock()
	return a.readSource(p)
}

// readSource reads the caller's stream, outside the lock. What it reads is captured even if the attempt was retired
// meanwhile, for it cannot be read a second time. A panic of the stream's Read leaves the stream failed, and is passed on.
func (a *attempt) readSource(p []byte) (n int, err error) {
	s := a.s
	err = errPanicked
	defer func() {
		if n < 0 || n > len(p) {
			n, err = 0, errBadCount
		}
		s.mu.Lock()
		s.took(p[:n], err)
		a.off = len(s.buf)
		if a.retired {
			n, err = 0, errStale
		}
		_ = s.unlockAndClose() // if it closes, the base closed this attempt before and awaits no error
	}()
	return s.src.Read(p)
}

// Close ends the attempt, and closes the caller's stream if no attempt can need it any more. Close of an attempt that was
// replaced does nothing.
func (a *attempt) Close() error {
	s := a.s
	s.mu.Lock()
	a.closed = true
	return s.unlockAndClose()
}

var _ io.ReadCloser = (*attempt)(nil)
