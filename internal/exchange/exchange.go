// Package exchange is one request on its way and what its response refers to:
// the context of the attempt, the request that goes out, the trace that knows
// what was written, and the body of the answer.
//
// This file holds the exchange and the body that ends it; context.go the
// context, peek.go how the start of a body is read and put back, written.go the
// trace.
package exchange

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Exchange is one attempt: its context, its request and the body of its answer.
// They are one piece of memory, since every attempt needs all three. The zero
// Exchange is ready for Open.
//
// It is the context of its request, and ends when the response's body is read
// to its end or closed, as the context does that net/http makes for itself.
type Exchange struct {
	Context
	Request http.Request
	body    body
}

// Open begins the context: it ends with parent, or after limit; 0: no limit.
func (x *Exchange) Open(parent context.Context, began time.Time, limit time.Duration) {
	x.Context.Context, x.Began, x.limit = parent, began, limit
}

// Wrap returns a response's body that ends the exchange when it was read to its
// end or closed. A body that can be written to, as that of a 101, still can.
func (x *Exchange) Wrap(src io.ReadCloser) io.ReadCloser {
	if src == http.NoBody {
		x.Release()
		return src
	}
	x.body = body{src, x}
	if w, ok := src.(io.Writer); ok {
		return &upgraded{&x.body, w}
	}
	return &x.body
}

type body struct {
	io.ReadCloser
	exchange *Exchange
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.exchange.Release()
	}
	return n, err
}

// Close ends the exchange first: a Close of net/http's may wait for what only
// that ends, a Read of a gzip header or an upload over HTTP/2.
func (b *body) Close() error {
	b.exchange.Release()
	return b.ReadCloser.Close()
}

// upgraded can be written to, and half closed if the body below can.
type upgraded struct {
	*body
	io.Writer
}

func (b *upgraded) CloseWrite() error {
	if w, ok := b.Writer.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return fmt.Errorf("CloseWrite: %w", http.ErrNotSupported)
}
