// This file holds how the start of a body is read and put back, within a bound
// of size and of time.

package exchange

import (
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what Peek reads. An error body of Okta's has a few hundred bytes.
const (
	PeekLimit   = 64 << 10
	PeekTimeout = 2 * time.Second
)

// Peek returns the first PeekLimit bytes of resp's body, or as many as arrived
// within PeekTimeout, and replaces resp.Body by one that yields all of it again.
// waited reports that they were not there at once. A second Peek returns the
// same bytes without reading. It is not safe for concurrent use on one response.
func Peek(resp *http.Response) (start []byte, waited bool) {
	if p, ok := resp.Body.(*peekedBody); ok {
		return p.snapshot(), p.waited
	}
	if resp.Body == nil || resp.Body == http.NoBody {
		return nil, false
	}
	p := &peekedBody{src: resp.Body}
	// One byte more than there is, so that the end is seen in the same read.
	if n := resp.ContentLength; n >= int64(len(p.short)) && n < PeekLimit {
		p.buf = make([]byte, 0, n+1)
	} else {
		p.buf = p.short[:0]
	}
	resp.Body = p
	// A Read can only be abandoned by reading in another goroutine. It ends when
	// that Read returns: when bytes arrive, or when the body is closed.
	go p.fill()
	// Most bodies arrived with their headers, and are read at once. Yielding until
	// then costs a third of a wake-up: an error answer takes 1.15 times as long
	// without it.
	for range 4 {
		runtime.Gosched()
		if p.over.Load() {
			return p.buf, false
		}
	}
	p.waited = true
	timer := time.NewTimer(PeekTimeout)
	defer timer.Stop()
	select {
	case <-p.ended():
	case <-timer.C:
	}
	return p.snapshot(), true
}

// peekedBody yields what fill has read and then the rest of src.
type peekedBody struct {
	src    io.ReadCloser
	over   atomic.Bool // fill has ended
	waited bool        // Peek waited for it

	mu    sync.Mutex
	buf   []byte        // what was read; like the rest, guarded by mu until over
	done  chan struct{} // closed when over; nil if nobody waits for that
	err   error         // what reading ended with; nil when src may yield more
	panic any           // what src.Read panicked with

	off    int // how much of buf the reader has had
	closed atomic.Bool
	freed  sync.Once
	short  [256]byte // where buf begins, unless the body is known to be longer
}

// maxIdleReads is how many Reads in a row may return neither bytes nor an error.
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
	for idle := 0; len(buf) < PeekLimit && idle < maxIdleReads; idle++ {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(max(512, 2*cap(buf)), PeekLimit))
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

// snapshot returns the bytes read so far. Later ones are appended behind it, so
// it stays valid while fill goes on.
func (p *peekedBody) snapshot() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf
}

// Free closes the connection's part of a peeked body that is in memory whole, so
// that the connection can be used again; the body can still be read. It does
// nothing for any other body.
func Free(resp *http.Response) {
	if resp == nil {
		return
	}
	if p, ok := resp.Body.(*peekedBody); ok && p.over.Load() && p.err != nil {
		p.free()
	}
}

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

// free closes src, once. Bytes in memory can still be read.
func (p *peekedBody) free() (err error) {
	p.freed.Do(func() { err = p.src.Close() })
	return err
}
