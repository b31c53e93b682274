// This file holds how the start of a body is read and put back, within a bound of
// size and of time, and how a body lets go of its connection.

package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
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

// Bounds of what Free reads of a longer body, such as a proxy's page.
const (
	freeLimit   = 256 << 10
	freeTimeout = 100 * time.Millisecond
)

// Peek returns the first PeekLimit bytes of resp's body, or as many as arrived
// within PeekTimeout and before ctx ended, and replaces resp.Body by one that yields
// all of it again, each byte as soon as it is there. waited reports that they were not
// there at once. A second Peek returns the same bytes without reading. It is not safe
// for concurrent use on one response.
func Peek(ctx context.Context, resp *http.Response) (start []byte, waited bool) {
	if p, ok := resp.Body.(*peekedBody); ok {
		start := p.snapshot()
		return start[:min(len(start), PeekLimit)], p.waited
	}
	if resp.Body == nil || resp.Body == http.NoBody {
		return nil, false
	}
	p := &peekedBody{src: resp.Body, limit: PeekLimit, apart: *resp}
	p.apart.Trailer = resp.Trailer.Clone()
	// One byte more than there is, so that the end is seen in the same read.
	if n := resp.ContentLength; n >= int64(len(p.short)) && n < PeekLimit {
		p.buf = make([]byte, 0, n+1)
	} else {
		p.buf = p.short[:0]
	}
	resp.Body = p
	// A Read can only be abandoned by reading in another goroutine. It ends when
	// that Read returns: when bytes arrive, or when the body is closed.
	p.ahead(true)
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
	p.await(ctx, PeekTimeout)
	return p.snapshot(), true
}

// peekedBody yields what fill has read and then the rest of src.
type peekedBody struct {
	src    io.ReadCloser
	over   atomic.Bool // fill has ended
	waited bool        // Peek waited for it
	limit  int         // of buf

	mu    sync.Mutex
	buf   []byte        // what was read; like the rest, guarded by mu until over
	more  chan struct{} // closed when there is more, or fill has ended; nil if nobody waits for that
	done  chan struct{} // closed when over; nil if nobody waits for that
	err   error         // what reading ended with; nil when src may yield more
	panic any           // what src.Read panicked with

	off    int // how much of buf the reader has had
	closed atomic.Bool
	freed  atomic.Bool
	short  [256]byte // where buf begins, unless the body is known to be longer

	apart http.Response  // what the response was before fill: see Apart
	below *http.Response // whose body src is, if apart has taken its place; nil: it has not, or its trailer was copied
}

// Apart returns resp, or a copy to take its place if its body is still being read ahead:
// net/http writes the trailer into a response when the end of its body is read, which its
// reader must meet no sooner than that. The copy has it once its own body was read.
func Apart(resp *http.Response) *http.Response {
	if resp == nil {
		return nil
	}
	p, ok := resp.Body.(*peekedBody)
	if !ok || p.over.Load() || resp == &p.apart {
		return resp
	}
	p.apart.Body, p.below = p, resp
	return &p.apart
}

// copyTrailer gives the reader the trailer of a body that it has read.
func (p *peekedBody) copyTrailer() {
	if p.below == nil {
		return
	}
	if p.apart.Trailer == nil && len(p.below.Trailer) > 0 {
		p.apart.Trailer = make(http.Header)
	}
	maps.Copy(p.apart.Trailer, p.below.Trailer)
	p.below = nil
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
		p.buf, p.panic = buf, recover()
		if p.err == nil { // else Free has given up
			p.err = err
		}
		p.over.Store(true)
		p.ahead(false)
		announce(&p.more)
		announce(&p.done)
	}()
	for idle := 0; len(buf) < p.limit && idle < maxIdleReads; idle++ {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), min(max(512, 2*cap(buf)), p.limit))
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
		if n > 0 {
			announce(&p.more)
		}
		p.mu.Unlock()
	}
}

// announce closes a channel that somebody waits for, if anybody does.
func announce(c *chan struct{}) {
	if *c != nil {
		close(*c)
		*c = nil
	}
}

// await waits until fill has ended, for no longer than timeout nor beyond ctx.
func (p *peekedBody) await(ctx context.Context, timeout time.Duration) {
	p.mu.Lock()
	if p.over.Load() {
		p.mu.Unlock()
		return
	}
	p.done = make(chan struct{})
	done := p.done
	p.mu.Unlock()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-ctx.Done():
	case <-timer.C:
	}
}

// ahead is whether src is read before anybody asks for it.
func (p *peekedBody) ahead(is bool) {
	if b, ok := p.src.(*body); ok {
		b.readAhead(is)
	}
}

// ready waits until there is more than the reader has had, or fill has ended.
func (p *peekedBody) ready() {
	for {
		p.mu.Lock()
		if p.over.Load() || p.err != nil || p.off < len(p.buf) || p.closed.Load() {
			p.mu.Unlock()
			return
		}
		if p.more == nil {
			p.more = make(chan struct{})
		}
		more := p.more
		p.ahead(false)
		p.mu.Unlock()
		<-more
		p.mu.Lock()
		p.ahead(!p.over.Load())
		p.mu.Unlock()
	}
}

// snapshot returns the bytes read so far. Later ones are appended behind it, so
// it stays valid while fill goes on.
func (p *peekedBody) snapshot() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf
}

// errDropped is what reading the rest of an answer ends with that Free gave up.
var errDropped = errors.New("oktaretry: the rest of this answer was dropped to free its connection")

// Free closes the connection's part of a peeked body, so that the connection can be
// used again while the answer is kept; what is in memory can still be read. Of a body
// that is longer than PeekLimit and names its length it reads the rest first, within a
// bound of size and time; of any other, or one that stalls, the rest is lost. It does
// nothing for a body that was not peeked at.
func Free(ctx context.Context, resp *http.Response) {
	if resp == nil {
		return
	}
	p, ok := resp.Body.(*peekedBody)
	if !ok {
		return
	}
	whole := resp.ContentLength > PeekLimit && resp.ContentLength <= freeLimit
	if whole && p.over.Load() && p.err == nil && p.panic == nil && len(p.buf) == PeekLimit {
		p.over.Store(false)
		p.limit = int(resp.ContentLength) + 1 // so that the end is seen in the same read
		p.ahead(true)
		go p.fill()
	}
	if !p.over.Load() {
		p.await(ctx, freeTimeout)
	}
	p.mu.Lock()
	if p.err == nil {
		p.err = errDropped
	}
	p.mu.Unlock()
	p.free()
}

func (p *peekedBody) Read(b []byte) (int, error) {
	if !p.over.Load() {
		p.ready()
	}
	if p.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := p.readKept(b)
	if n == 0 && err == nil {
		n, err = p.src.Read(b) // fill has ended, so the rest is the reader's alone
	}
	if err == io.EOF {
		p.copyTrailer()
	}
	return n, err
}

// readKept reads what is in memory, and then what there is no more to read for.
func (p *peekedBody) readKept(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.panic != nil:
		panic(p.panic)
	case p.off < len(p.buf):
		n := copy(b, p.buf[p.off:])
		p.off += n
		return n, nil
	}
	return 0, p.err
}

func (p *peekedBody) Close() error {
	p.mu.Lock()
	p.closed.Store(true)
	announce(&p.more)
	p.mu.Unlock()
	return p.free()
}

// free closes src, once; a second call does not wait for the first. Bytes in memory can
// still be read.
func (p *peekedBody) free() error {
	if p.freed.Swap(true) {
		return nil
	}
	return p.src.Close()
}

// ReadAhead reads a body of up to most bytes into memory, and returns the error that
// it breaks off with. A longer one it leaves as it was. It closes the body when ctx
// ends, for one in memory may not look at its context.
func ReadAhead(ctx context.Context, resp *http.Response, most int64) error {
	src := resp.Body
	if src == nil || src == http.NoBody || resp.ContentLength > most {
		return nil
	}
	if _, writable := src.(io.Writer); writable {
		return nil // of a 101
	}
	defer context.AfterFunc(ctx, func() { src.Close() })()
	if b, ok := src.(*body); ok {
		b.boundFirstRead()
	}
	var start bytes.Buffer
	if resp.ContentLength > 0 {
		start.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	n, err := start.ReadFrom(io.LimitReader(src, most+1))
	if err != nil {
		return err
	}
	resp.Body = &joined{from: &start, src: src}
	if n > most {
		resp.Body = &joined{from: io.MultiReader(&start, src), src: src}
	}
	return nil
}

// joined is a body that is read from elsewhere, until it is closed.
type joined struct {
	from   io.Reader
	src    io.Closer
	closed atomic.Bool
}

func (j *joined) Read(p []byte) (int, error) {
	if j.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	return j.from.Read(p)
}

func (j *joined) Close() error {
	j.closed.Store(true)
	return j.src.Close()
}
