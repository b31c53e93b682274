// This file holds the body of one attempt that needs no capture: the caller's own, or one of GetBody.

package replay

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// single is the request body that one attempt sends. It is closed before the next one is made: GetBody may rewind what
// this one reads, a file for example, and bytes that a late Read took would be missing from the next.
type single struct {
	src io.ReadCloser // never changed

	mu       sync.Mutex
	begun    bool          // it was read; by Read
	closed   bool          // by Close
	over     bool          // the attempt, or the call, is over; by end
	retired  bool          // it reads no more; by end
	srcDone  bool          // src was closed
	reading  bool          // it is inside src.Read
	finished chan struct{} // closed when that Read returns; nil if nobody waits
}

// Read reads the caller's body. A body that was closed before it was read can still be read while its attempt lasts:
// net/http closes it when a connection of HTTP/2 turns out to be unusable, and then sends it through another.
func (a *single) Read(p []byte) (n int, err error) {
	a.mu.Lock()
	switch {
	case a.retired:
		a.mu.Unlock()
		return 0, errStale
	case a.srcDone:
		a.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	a.begun, a.closed, a.reading = true, false, true
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		a.reading = false
		if a.finished != nil {
			close(a.finished)
			a.finished = nil
		}
		if a.retired {
			n, err = 0, errStale
		}
		a.mu.Unlock()
	}()
	return a.src.Read(p)
}

// Close closes the caller's body, unless it was not read yet and its attempt lasts.
func (a *single) Close() error {
	a.mu.Lock()
	a.closed = true
	return a.unlockAndClose()
}

// unread reports whether no Read has begun.
func (a *single) unread() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.begun
}

// end is for a call without another attempt. Whoever still sends the body goes on.
func (a *single) end() error {
	a.mu.Lock()
	a.over = true
	return a.unlockAndClose()
}

// retire ends the attempt: its body reads no more, and is closed. It waits for a Read that is running, for patience at
// most and not beyond ctx.
func (a *single) retire(ctx context.Context) error {
	a.mu.Lock()
	a.retired = true
	if a.reading {
		if a.finished == nil {
			a.finished = make(chan struct{})
		}
		finished := a.finished
		a.mu.Unlock()
		if err := await(ctx, finished); err != nil {
			return err
		}
		a.mu.Lock()
	}
	a.over, a.closed = true, true
	_ = a.unlockAndClose() // the attempt failed already
	return nil
}

// unlockAndClose unlocks mu, and closes src if nobody has it open and it was read, or will not be.
func (a *single) unlockAndClose() error {
	now := a.closed && (a.begun || a.over) && !a.srcDone
	a.srcDone = a.srcDone || now
	a.mu.Unlock()
	if !now {
		return nil
	}
	return a.src.Close()
}

// await waits until done is closed, for patience at most and not beyond ctx.
func await(ctx context.Context, done <-chan struct{}) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return cause(ctx)
	case <-timer.C:
		return ErrBusy
	}
}

var _ io.ReadCloser = (*single)(nil)
