package replay

// The body of one attempt over a captured stream: what is known of it already, then the stream.

import (
	"io"
	"net/http"
)

// An attempt is the request body that one attempt sends. Like any request body it is read by one goroutine at a time,
// and closed by any, also during a Read. All fields are under s.mu.
type attempt struct {
	s       *stream
	off     int  // how much of s.buf was read
	retired bool // reads no more
	closed  bool
}

// Read reads what earlier attempts captured, and then, at the caller's own pace and in the caller's own chunks, its
// stream. It ends as that does.
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
	case a.closed:
		s.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
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
	p, ok := s.window(p)
	if !ok {
		s.mu.Unlock()
		return 0, errStale
	}
	s.reading = true
	s.mu.Unlock()
	return a.readSource(p)
}

// readSource reads the caller's stream, outside the lock. What it brings counts, whatever became of the attempt
// meanwhile: nobody can read it a second time. A Read that panics goes on up, and leaves the stream failed.
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
		_ = s.unlockAndClose() // the base closed this attempt before: nobody is left to tell
	}()
	return s.src.Read(p)
}

// Close ends the attempt, and closes the caller's stream if no later attempt can need it. If one has taken over, it is
// that one's Close that counts.
func (a *attempt) Close() error {
	s := a.s
	s.mu.Lock()
	a.closed = true
	return s.unlockAndClose()
}

var _ io.ReadCloser = (*attempt)(nil)
