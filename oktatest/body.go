// This file holds the body of an answer in memory.

package oktatest

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// memoryBody is an answer's body as the caller reads it: until the request's
// context ends or Close is called, as on a real connection.
type memoryBody struct {
	ctx    context.Context
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	ready time.Time // zero: at once
	data  []byte
	fault fault
	reset error // of the connection, where that is the fault
	ended sync.Once
	atEnd func() // called once, when all has been read
}

func newMemoryBody(ctx context.Context, r *reply, atEnd func()) *memoryBody {
	b := &memoryBody{ctx: ctx, closed: make(chan struct{}), data: r.sent(), fault: r.fault, atEnd: atEnd}
	if r.bodyDelay > 0 {
		b.ready = time.Now().Add(r.bodyDelay)
	}
	return b
}

// maxCloseReads is how much of a body net/http's Close reads, where closeReads is true.
const maxCloseReads = 256 << 10

var errBodyClosed = errors.New("http: read on closed response body")

// Read returns io.EOF along with the last bytes, as net/http does where the
// length is known.
func (b *memoryBody) Read(p []byte) (int, error) {
	n, err := b.read(p)
	if err == io.EOF {
		b.ended.Do(b.atEnd)
	}
	return n, err
}

func (b *memoryBody) read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.over(); err != nil {
		return 0, err
	}
	if wait := time.Until(b.ready); !b.ready.IsZero() && wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		if err := b.block(t.C); err != nil {
			return 0, err
		}
	}
	if len(b.data) > 0 {
		n := copy(p, b.data)
		b.data = b.data[n:]
		if len(b.data) == 0 && b.fault == faultNone {
			return n, io.EOF
		}
		return n, nil
	}
	switch b.fault {
	case faultCut:
		return 0, io.ErrUnexpectedEOF
	case faultCutReset:
		return 0, b.reset
	case faultStall:
		return 0, b.block(nil)
	}
	return 0, io.EOF
}

// over is why nothing can be read any more.
func (b *memoryBody) over() error {
	select {
	case <-b.closed:
		return errBodyClosed
	default:
	}
	if b.ctx.Err() != nil && (len(b.data) > 0 || b.fault != faultNone) {
		return context.Cause(b.ctx)
	}
	return nil
}

// block waits until the time has come, the context has ended or Close was
// called.
func (b *memoryBody) block(until <-chan time.Time) error {
	select {
	case <-until:
		return nil
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case <-b.closed:
		return errBodyClosed
	}
}

// Close gives the connection back where net/http would: a rest that is small, and there,
// is read for its sake since Go 1.27.
func (b *memoryBody) Close() error {
	b.once.Do(func() {
		close(b.closed)
		b.mu.Lock()
		rest := closeReads && b.fault == faultNone && len(b.data) <= maxCloseReads && !b.ready.After(time.Now()) && b.ctx.Err() == nil
		b.mu.Unlock()
		if rest {
			b.ended.Do(b.atEnd)
		}
	})
	return nil
}

// gunzipped decodes a body as it is read.
type gunzipped struct {
	source io.ReadCloser
	z      *gzip.Reader
	err    error
}

func (g *gunzipped) Read(b []byte) (int, error) {
	if g.z == nil && g.err == nil {
		g.z, g.err = gzip.NewReader(g.source)
	}
	if g.err != nil {
		return 0, g.err
	}
	return g.z.Read(b)
}

func (g *gunzipped) Close() error { return g.source.Close() }
