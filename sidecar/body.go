// This file reads the bodies of clients.

package sidecar

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// abandoned is how long what is left of a body that nobody reads may take to come:
	// net/http reads some of it, so that the connection can be kept.
	abandoned = 500 * time.Millisecond
	// perKiB is how much longer a body may take for each KiB that has come.
	perKiB = time.Second
	// maxAhead is how much of a body is read before somebody wants it.
	maxAhead = 64 << 10
)

var (
	errSlowBody   = errors.New("sidecar: the client sends its body too slowly")
	errBodyClosed = errors.New("sidecar: the body is closed")
)

// clientBody is the body of a client's request. A goroutine reads it, up to maxAhead
// before it is wanted: net/http notices that a client has gone away only once its body
// has been read, and a create that waits in line must not be sent when nobody waits for
// it any more, since its client may have sent another. net/http ends the call of a client
// that breaks its body off, or sends it too slowly.
type clientBody struct {
	src     io.Reader
	control *http.ResponseController
	stall   time.Duration

	waited time.Duration // in reads of src; as read, the goroutine's
	read   int64

	broken atomic.Bool // it did not come whole

	mu      sync.Mutex
	changed sync.Cond
	ahead   []byte // has come and was not wanted yet
	err     error  // of src, after what is ahead
	closed  bool   // nobody wants the rest
}

// newClientBody returns a body that begins to come at once. Its user abandons it.
func newClientBody(src io.Reader, control *http.ResponseController, stall time.Duration) *clientBody {
	b := &clientBody{src: src, control: control, stall: stall}
	b.changed.L = &b.mu
	go b.receiveAll()
	return b
}

// Read implements [io.Reader].
func (b *clientBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.ahead) == 0 && b.err == nil && !b.closed {
		b.changed.Wait()
	}
	switch {
	case b.closed:
		return 0, errBodyClosed
	case len(b.ahead) == 0:
		return 0, b.err
	}
	n := copy(p, b.ahead)
	b.ahead = b.ahead[:copy(b.ahead, b.ahead[n:])]
	b.changed.Broadcast()
	if len(b.ahead) == 0 {
		return n, b.err
	}
	return n, nil
}

// Close ends the reading. What net/http does with the rest is its own affair.
func (b *clientBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.close()
	return nil
}

func (b *clientBody) close() {
	b.closed, b.ahead = true, nil
	b.changed.Broadcast()
}

// abandon closes the body. Afterwards the connection is net/http's alone.
func (b *clientBody) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.close()
	if b.err != io.EOF {
		abandonBody(b.control)
	}
}

// abandonBody ends the reading of a body soon. The next request's header has a time of
// its own.
func abandonBody(control *http.ResponseController) {
	control.SetReadDeadline(time.Now().Add(abandoned))
}

// receiveAll reads until the end of the body, or until it is closed.
func (b *clientBody) receiveAll() {
	piece := copyBuffers.Get()
	defer copyBuffers.Put(piece)
	for b.await() {
		began := time.Now()
		n, err := b.src.Read(piece)
		b.waited += time.Since(began)
		b.read += int64(n)
		if b.received(piece[:n], err) != nil {
			return
		}
	}
}

// await returns whether more of the body is wanted, once there is room for it, and has
// the client's time for it run.
func (b *clientBody) await() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.ahead) >= maxAhead && !b.closed {
		b.changed.Wait()
	}
	if b.closed {
		return false
	}
	allowed := b.stall + time.Duration(b.read>>10)*perKiB - b.waited
	b.control.SetReadDeadline(time.Now().Add(max(allowed, 0)))
	return true
}

// received keeps what has come, and returns why no more will.
func (b *clientBody) received(piece []byte, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errBodyClosed
	}
	if err == nil || err == io.EOF {
		b.control.SetReadDeadline(time.Time{})
	} else {
		b.broken.Store(true)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = errSlowBody
		}
	}
	b.ahead, b.err = append(b.ahead, piece...), err
	b.changed.Broadcast()
	return err
}
