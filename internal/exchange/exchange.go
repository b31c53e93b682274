// Package exchange is one request on its way and what its response refers to:
// the context of the attempt, the request that goes out, the trace that knows
// what was written, and the body of the answer.
//
// This file holds the exchange and the body that ends it; context.go the
// context, peek.go how the start of a body is read and put back, once.go the form of
// a request that is sent once, trace.go what the base reports of it, fate.go what the
// base's error says of it.
package exchange

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	http2   bool // the server's last answer was of HTTP/2
	traced  traced

	// Of Request: one piece of memory with it.
	url    url.URL
	values [inlineValues]string
}

// inlineValues is more than the header fields of an SDK's request.
const inlineValues = 4

// Open begins the context: it ends with parent, or after limit; 0: no limit.
func (x *Exchange) Open(parent context.Context, began time.Time, limit time.Duration) {
	x.Context.Context, x.Began, x.limit = parent, began, limit
}

// Copy makes Request a copy of req with a URL and a Header of its own, whose values
// are u's and h's: a base that changes either in place changes nothing of req, nor of
// another exchange.
func (x *Exchange) Copy(ctx context.Context, req *http.Request, u *url.URL, h http.Header) {
	x.Request = *req.WithContext(ctx)
	x.url = *u
	x.Request.URL, x.Request.Header = &x.url, x.copyHeader(h)
}

// copyHeader is Header.Clone, with the values in x where they fit.
func (x *Exchange) copyHeader(h http.Header) http.Header {
	n := 0
	for _, values := range h {
		n += len(values)
	}
	free := x.values[:]
	if n > len(free) {
		free = make([]string, n)
	}
	own := make(http.Header, len(h))
	for name, values := range h {
		if values == nil {
			own[name] = nil // as in User-Agent: none is sent
			continue
		}
		n := copy(free, values)
		own[name], free = free[:n:n], free[n:]
	}
	return own
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
