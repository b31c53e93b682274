// Package exchange is one request on its way and what its response refers to:
// the context of the attempt, the request that goes out, the trace that knows
// what was written, and the body of the answer.
//
// This file holds the exchange; context.go the context, body.go the body that ends it,
// peek.go how the start of a body is read and put back, once.go the form of
// a request that is sent once, trace.go what the base reports of it, fate.go what the
// base's error says of it.
package exchange

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Exchange is one attempt: its context, its request and the body of its answer.
// They are one piece of memory, since every attempt needs all three. The zero
// Exchange is ready for Open.
//
// It is the context of its request, and ends when the response's body was closed,
// or read to its end, as the context does that net/http makes for itself.
type Exchange struct {
	Context
	Request http.Request
	traced  traced

	// Of the answer's body. One goroutine reads it at a time; any may close it.
	src     io.ReadCloser
	readErr error // what reading it ended with; it is then closed

	// Of Request: one piece of memory with it.
	url    url.URL
	values [inlineValues]string
}

// inlineValues is more than the header fields of an SDK's request.
const inlineValues = 4

// Open begins the context: it ends with parent, or after limit; 0: no limit.
func (x *Exchange) Open(parent context.Context, began time.Time, limit time.Duration) {
	x.Context.Context, x.exchange, x.Began, x.limit = parent, x, began, limit
}

// Copy makes Request a copy of req with a URL and a Header of its own, whose values
// are u's and h's: a base that changes either in place changes nothing of req, nor of
// another exchange. ctx must end with its Cancel.
func (x *Exchange) Copy(ctx context.Context, req *http.Request, u *url.URL, h http.Header) {
	x.Request = *req.WithContext(ctx)
	x.url = *u
	x.Request.URL, x.Request.Header = &x.url, x.copyHeader(h)
	//lint:ignore SA1019 http.Client sets it
	x.Request.Cancel = nil // ctx ends with it
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
