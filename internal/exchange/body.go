// This file holds the body of an answer: it ends its exchange when it was closed, and
// itself when nothing comes.

package exchange

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// closeGrace is how long a body's Close may take before the exchange's context ends.
// net/http's reads what is left of a body for 50 ms, to keep the connection; over
// HTTP/2 it waits for an upload that is stuck in its Read, without end.
const closeGrace = time.Second

// Wrap returns a response's body that ends the exchange when it was closed, and is
// closed when it was read to its end. The context ends after the Close below has
// returned, so that it still holds for whatever a base does there. A Read that
// delivers nothing for stall ends with a [*StallError]; 0: it may take for ever. A body
// that can be written to, as that of a 101, still can, and has no such limit.
func (x *Exchange) Wrap(src io.ReadCloser, stall time.Duration) io.ReadCloser {
	if src == http.NoBody {
		x.Release()
		return src
	}
	x.src = src
	if w, ok := src.(io.Writer); ok {
		return &upgraded{(*body)(x), w}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stall = stall
	return (*body)(x)
}

// body is an exchange as its answer's body.
type body Exchange

func (b *body) Read(p []byte) (n int, err error) {
	x := (*Exchange)(b)
	if x.readErr != nil {
		return 0, x.readErr
	}
	x.beginRead()
	defer func() {
		if x.endRead() && err != nil {
			err = &StallError{x.stall}
		}
		if err != nil {
			x.readErr = err
			x.close(err == io.EOF) // many readers never do
		}
	}()
	return x.src.Read(p)
}

// Close closes the body below, unless it is closed.
func (b *body) Close() error { return (*Exchange)(b).close(false) }

// close closes the body. whole is whether it was read to its end.
func (x *Exchange) close(whole bool) error {
	x.mu.Lock()
	first := !x.closing
	x.closing = true
	x.mu.Unlock()
	if !first {
		return nil
	}
	defer x.Release()
	if x.beginClose(whole) {
		defer x.endClose()
	}
	return x.src.Close()
}

// upgraded can be written to, and half closed if the body below can. The end of
// reading does not close it.
type upgraded struct {
	*body
	io.Writer
}

func (b *upgraded) Read(p []byte) (int, error) { return b.src.Read(p) }

func (b *upgraded) CloseWrite() error {
	if w, ok := b.Writer.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return fmt.Errorf("CloseWrite: %w", http.ErrNotSupported)
}

// StallError is the error of a body that delivered nothing for too long. It is a
// net.Error. It doesn't match context.DeadlineExceeded: the caller's own deadline has
// not passed.
type StallError struct{ After time.Duration }

func (e *StallError) Error() string {
	return fmt.Sprintf("oktaretry: the response's body delivered nothing for %s", e.After)
}
func (e *StallError) Timeout() bool   { return true }
func (e *StallError) Temporary() bool { return true }

// beginRead sets the alarm for a Read. Making its timer takes two allocations, so over
// a base that never looked at the context, as none over a network does, the first Read
// has none until it looks.
func (x *Exchange) beginRead() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reading = true
	if x.stall > 0 && !x.ahead && (x.timer != nil || x.begun) {
		x.setAlarm(x.stall, stalled)
	}
	x.begun = true
}

// boundFirstRead has the first Read, too, end with an alarm, over any base.
func (b *body) boundFirstRead() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun = true
}

// readAhead is called with true while the body is read before anybody asks for it:
// then it may take its time.
func (b *body) readAhead(ahead bool) {
	x := (*Exchange)(b)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ahead = ahead
	switch {
	case !x.reading || x.stall == 0:
	case ahead:
		x.stopAlarm()
	default:
		x.setAlarm(x.stall, stalled)
	}
}

// endRead reports whether the alarm ended the Read.
func (x *Exchange) endRead() (over bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.reading = false
	x.stopAlarm()
	return x.ended == stalled
}

// beginClose ends the exchange at once if its body is being read, for a Close may wait
// for that: net/http's does, for the Read of a gzip header. Otherwise it is to end
// after closeGrace, unless endClose comes first. It reports whether that is set, which
// it need not be for a body that was read whole if nothing is sent any more.
func (x *Exchange) beginClose(whole bool) (grace bool) {
	x.mu.Lock()
	sends := x.Request.Body != nil && x.Request.Body != http.NoBody && x.Request.Body != Sole
	reading := x.reading
	if grace = !reading && (sends || !whole); grace {
		x.setAlarm(closeGrace, slowToClose)
	}
	x.mu.Unlock()
	if reading {
		x.Release()
	}
	return grace
}

func (x *Exchange) endClose() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stopAlarm()
}
