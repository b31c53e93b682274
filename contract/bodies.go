// This file holds bodies that record how they are used.

package contract

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A requestBody is a caller's body of no type that net/http knows, so that it has no
// GetBody and no length.
type requestBody struct {
	io.Reader
	read   atomic.Int64
	closes atomic.Int64
}

func watched(r io.Reader) *requestBody { return &requestBody{Reader: r} }

func (b *requestBody) Read(p []byte) (int, error) {
	if b.closes.Load() > 0 {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.Reader.Read(p)
	b.read.Add(int64(n))
	return n, err
}

func (b *requestBody) Close() error {
	b.closes.Add(1)
	return nil
}

// zeros returns a reader of n zeros that takes no memory.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// An answerBody is a response's body. It ends with its request's context, as one on
// a connection does, and the lab lists it.
type answerBody struct {
	l      *lab
	ctx    context.Context
	src    io.Reader
	read   atomic.Int64
	closed chan struct{}
	once   sync.Once
	late   bool // ctx had ended when the body was closed
}

func (l *lab) answerBody(req *http.Request, src io.Reader) *answerBody {
	b := &answerBody{l: l, ctx: req.Context(), src: src, closed: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bodies = append(l.bodies, b)
	return b
}

var errBodyClosed = errors.New("http: read on closed response body")

func (b *answerBody) Read(p []byte) (int, error) {
	select {
	case <-b.closed:
		return 0, errBodyClosed
	default:
	}
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	n, err := b.src.Read(p)
	b.read.Add(int64(n))
	if err == errStalled {
		err = b.wait(nil)
	}
	return n, err
}

// wait blocks until the body is closed, its request's context ends, or until fires.
func (b *answerBody) wait(until <-chan time.Time) error {
	select {
	case <-b.closed:
		return errBodyClosed
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	case <-b.l.over:
		return io.ErrUnexpectedEOF
	case <-until:
		return nil
	}
}

func (b *answerBody) Close() error {
	b.once.Do(func() {
		b.late = b.ctx.Err() != nil
		close(b.closed)
	})
	return nil
}

func (b *answerBody) isClosed() bool {
	select {
	case <-b.closed:
		return true
	default:
		return false
	}
}

// bytesRead returns how many bytes were read of all response bodies.
func (l *lab) bytesRead() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.bodies {
		n += b.read.Load()
	}
	return n
}

// open returns how many response bodies are not closed, how many of these hold a
// connection because their request's context has not ended either, and how many
// there are.
func (l *lab) open() (n, held, of int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.bodies {
		if !b.isClosed() {
			n++
			if b.ctx.Err() == nil {
				held++
			}
		}
	}
	return n, held, len(l.bodies)
}

// lateCloses returns how many bodies were closed after their request's context had
// ended, and how many were closed.
func (l *lab) lateCloses() (n, of int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.bodies {
		if b.isClosed() {
			of++
			if b.late {
				n++
			}
		}
	}
	return n, of
}

// errStalled makes an answerBody block until it ends.
var errStalled = errors.New("stalled")

// stalling returns a reader of r that blocks after it instead of ending.
func stalling(r io.Reader) io.Reader { return io.MultiReader(r, stall{}) }

type stall struct{}

func (stall) Read([]byte) (int, error) { return 0, errStalled }
