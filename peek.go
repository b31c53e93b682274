// This file reads the start of a body and puts it back, within a bound of
// size and of time.

package oktaretry

import (
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// peek returns up to peekLimit bytes of resp's body, as many as came within
// peekTimeout, and replaces resp.Body by one that yields all of it again.
// Peeking a second time returns the same bytes without reading.
func peek(resp *http.Response) []byte {
	if p, ok := resp.Body.(*peekedBody); ok {
		return p.snapshot()
	}
	if resp.Body == nil || resp.Body == http.NoBody {
		return nil
	}
	p := &peekedBody{src: resp.Body}
	// One byte more than there is, so that the end is seen in the same read.
	if n := resp.ContentLength; n >= int64(len(p.short)) && n < peekLimit {
		p.buf = make([]byte, 0, n+1)
	} else {
		p.buf = p.short[:0]
	}
	resp.Body = p
	// Only another goroutine can stop waiting for a Read. It ends with that
	// Read: when bytes come, or when the body is closed.
	go p.fill()
	// Most bodies came with their headers, and are read in no time. To give way
	// until then costs a third of what it takes to be woken up. Another core may
	// have to be started to read one; what takes longer than that is waited for.
	for range 4 {
		runtime.Gosched()
		if p.over.Load() {
			return p.buf
		}
	}
	p.late = true
	timer := time.NewTimer(peekTimeout)
	defer timer.Stop()
	select {
	case <-p.ended():
	case <-timer.C:
	}
	return p.snapshot()
}

// peekedBody yields what fill has read and then the rest of src.
type peekedBody struct {
	src  io.ReadCloser
	over atomic.Bool // fill has ended
	late bool        // it was waited for

	mu    sync.Mutex
	buf   []byte        // what was read; like the rest, guarded by mu until it is over
	done  chan struct{} // closed when it is over; nil if nobody waits for that
	err   error         // what reading ended with; nil when src has more to say
	panic any           // what src.Read panicked with

	off    int // how much of buf the reader has had
	closed atomic.Bool
	freed  sync.Once
	short  [256]byte // where buf begins, unless it is known to be longer
}

// maxIdleReads is how many Reads in a row may bring nothing, not even an error.
// A body that goes on so is left to its reader.
const maxIdleReads = 100

// fill reads src up to the limit, its end or its first error.
func (p *peekedBody) fill() {
	buf, err := p.buf, error(nil)
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.buf, p.err, p.panic = buf, err, recover()
		p.over.Store(true)
		if p.done != nil {
			close(p.done)
		}
	}()
	for idle := 0; len(buf) < peekLimit && idle < maxIdleReads; idle++ {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(max(512, 2*cap(buf)), peekLimit))
			copy(grown, buf)
			buf = grown
		}
		var n int
		if n, err = p.src.Read(buf[len(buf):cap(buf)]); n > 0 {
			idle = 0
		}
		buf = buf[:len(buf)+n]
		if err != nil {
			return
		}
		p.mu.Lock()
		p.buf = buf
		p.mu.Unlock()
	}
}

// ended returns a channel that is closed when fill has ended.
func (p *peekedBody) ended() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done == nil {
		p.done = make(chan struct{})
		if p.over.Load() {
			close(p.done)
		}
	}
	return p.done
}

// snapshot returns what has come so far. Later bytes land behind it, so it
// stays valid while fill goes on.
func (p *peekedBody) snapshot() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf
}

// whole reports whether all that there is of the body is already in memory, so
// that nothing of it is left on the connection.
func (p *peekedBody) whole() bool { return p.over.Load() && p.err != nil }

func (p *peekedBody) Read(b []byte) (int, error) {
	if p.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	if !p.over.Load() {
		<-p.ended()
	}
	if p.panic != nil {
		panic(p.panic)
	}
	if p.off < len(p.buf) {
		n := copy(b, p.buf[p.off:])
		p.off += n
		return n, nil
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.src.Read(b)
}

func (p *peekedBody) Close() error {
	p.closed.Store(true)
	return p.free()
}

// free closes src. What is in memory can still be read.
func (p *peekedBody) free() (err error) {
	p.freed.Do(func() { err = p.src.Close() })
	return err
}
