// Package replay makes request bodies that can be sent again.
//
// One [Body] serves one call: one request of a caller, sent one or more times. It never reads ahead of the send, never
// changes the caller's request, and keeps of a stream only what was sent, up to a cap. It starts no goroutine.
//
// The caller's body is closed as net/http promises: exactly once, on every path, possibly by another goroutine after
// RoundTrip has returned. Between attempts a captured stream stays open, and a Read that is stuck in it stays stuck. Close
// of an HTTP/2 response waits for the write loop, and so for such a Read, until the attempt's context ends. So bound the
// time of that Close, and call [Body.Close] before the response that ends the call is discarded.
//
// This file holds Body: how a request allows its body to be sent again.
package replay

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Body returns the body of one request, attempt by attempt.
//
// Its methods are for the one goroutine that runs the call. The bodies that it returns may be read and closed by others at
// any time, also after they were replaced. A Body that was used must not be copied.
type Body struct {
	src     io.ReadCloser                 // the request's Body
	getBody func() (io.ReadCloser, error) // the request's GetBody
	max     int64                         // the cap
	length  int64                         // the request's ContentLength

	stream *stream // the capture, from the first attempt on; nil where none is needed; by Next
	single *single // the body of the last attempt, where none is captured; by Next
	taken  bool    // the first attempt has its body; by Next
	over   bool    // by Close
}

// New returns the Body of req. It allocates nothing, and does not use req later.
//
// A request without a body, or with GetBody, can be sent again as it is. Of any other body, up to max bytes are kept while
// they are sent; with a max of 0 it can be sent again only if nothing of it was read, as after a refused connection.
func New(req *http.Request, max int64) Body {
	b := Capture(req, max)
	b.getBody = req.GetBody
	return b
}

// Capture is New for a request whose GetBody is not to be trusted: up to max bytes of its body are kept whether it has one
// or not.
func Capture(req *http.Request, max int64) Body {
	return Body{src: req.Body, max: max, length: req.ContentLength}
}

// Next returns the body for the next attempt; nil if the request's is. It must be closed, as http.RoundTripper demands of
// a base.
//
// A later body comes from GetBody, or is what was captured followed by the rest of the caller's stream. The body of the
// attempt before is then stale: its Read returns an error, and its Close does nothing. A body of the attempt before is
// closed before GetBody is called.
//
// If the attempt before is inside a Read of its body, Next waits for it, for a second at most and not beyond ctx: what a
// Read takes from the caller's stream belongs to the next attempt, and GetBody may rewind what it reads. The errors are
// [ErrBusy], the context's cause, [ErrGetBody], and those of [Body.CanReplay]; none matches io.EOF. After an error the
// caller's body is closed by the same party as before, and after ErrBusy or ErrGetBody Next may be called again.
func (b *Body) Next(ctx context.Context) (io.ReadCloser, error) {
	if err := b.CanReplay(); err != nil {
		return nil, err
	}
	first := !b.taken
	b.taken = true
	switch {
	case b.empty():
		return b.src, nil
	case first && b.captures():
		b.stream = newStream(b.src, b.max, b.length)
		return b.stream.cur, nil
	case first:
		return b.lend(b.src), nil
	case b.getBody != nil:
		return b.again(ctx)
	default:
		return b.stream.next(ctx)
	}
}

// CanReplay returns nil if [Body.Next] can return another body, as far as is known, and otherwise the reason:
// [ErrTooLarge], [ErrSource] or [ErrClosed]. Before the first attempt it is nil, unless the body was closed.
//
// The result may change: an attempt that is still being sent can outgrow the cap. Before a wait, use [Body.Hold].
func (b *Body) CanReplay() error {
	switch {
	case b.stream != nil && b.stream.why() != nil:
		return b.stream.why()
	case b.over:
		return ErrClosed
	}
	return nil
}

// Hold is CanReplay with a nil result that lasts: until the next attempt or Close, a reader of the last attempt gets an
// error instead of outgrowing the cap, so that no wait for a resend is in vain. Only a Read that is running may still
// outgrow it.
//
// Hold is for an attempt that is to be followed by another: it may cut the rest of its upload short.
func (b *Body) Hold() error {
	if b.stream != nil {
		b.stream.hold()
	}
	return b.CanReplay()
}

// Close ends the call: there will be no further attempt. It closes the caller's body unless an attempt has it; then the
// Close of that attempt's body does, maybe later and in another goroutine. It returns the error of the caller's Close, if
// that was called here. A second Close does nothing.
func (b *Body) Close() error {
	if b.over {
		return nil
	}
	b.over = true
	switch {
	case b.stream != nil:
		return b.stream.finish()
	case b.single != nil:
		return b.single.end()
	case !b.taken && b.src != nil:
		return b.src.Close()
	}
	return nil
}

// Unread reports whether the body of the last attempt is one of which no Read has begun.
func (b *Body) Unread() bool {
	switch {
	case b.stream != nil:
		return b.stream.unread()
	case b.single != nil:
		return b.single.unread()
	}
	return false
}

func (b *Body) empty() bool    { return b.src == nil || b.src == http.NoBody }
func (b *Body) captures() bool { return b.getBody == nil }

func (b *Body) lend(src io.ReadCloser) io.ReadCloser {
	b.single = &single{src: src}
	return b.single
}

func (b *Body) again(ctx context.Context) (io.ReadCloser, error) {
	if err := b.single.retire(ctx); err != nil {
		return nil, err
	}
	body, err := b.getBody()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGetBody, notEOF(err))
	}
	if body == nil {
		return nil, fmt.Errorf("%w: no body and no error", ErrGetBody)
	}
	return b.lend(body), nil
}
