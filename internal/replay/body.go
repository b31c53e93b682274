// Package replay makes request bodies that can be sent again.
//
// One [Body] serves one call: one request of a caller, sent one or more times. It never reads ahead of the send, never
// touches the caller's request, and keeps of a stream only what was really sent, up to a cap. It starts no goroutine.
//
// The caller's body is closed as net/http promises it: exactly once, on every path, possibly by another goroutine
// after RoundTrip returned. Between attempts a captured stream stays open, though, and so a Read that is stuck in it
// stays stuck. Where that matters, the driver of the call has to know: an HTTP/2 answer's Close waits for the write loop,
// and so for such a Read, until the attempt's context ends. Drain an answer, end its attempt's context, then close it;
// and before an answer that ends the call is discarded, call [Body.Close].
//
// This file holds Body: which of the ways to send a body again a request allows. The capture of a stream is in
// stream.go, what an attempt reads in attempt.go.
package replay

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Never, given to [New] as the cap, says that this body must not be sent twice, whatever the request offers.
const Never int64 = -1

// A Body hands out the body of one request, attempt by attempt.
//
// Its methods are for the one goroutine that drives the call. The bodies that it hands out may be read and closed by
// others at any time, also long after they were replaced. A Body that was used must not be copied.
type Body struct {
	src     io.ReadCloser
	getBody func() (io.ReadCloser, error)
	max     int64
	length  int64

	stream *stream // from the first attempt on, of a body that is captured
	taken  bool    // the first attempt was handed out
	over   bool
}

// New prepares the body of req, and allocates nothing. It reads req here and never again.
//
// A request without a body, and one with GetBody, can be sent again as they are. Of any other body, up to max bytes are
// kept while they are sent; with a max of 0 it can be sent again only as long as nothing of it was read (as after a
// refused connection). With [Never] it is sent once.
func New(req *http.Request, max int64) Body {
	return Body{src: req.Body, getBody: req.GetBody, max: max, length: req.ContentLength}
}

// Next returns the body for the next attempt, which may be nil if the request's is. Whoever takes it must close it, as
// http.RoundTripper demands of a base.
//
// The first one is the caller's own, unwrapped, unless it has to be captured. A later one comes from GetBody, or is
// what was captured followed by the rest of the caller's stream. Once Next has returned it, the attempt before is
// stale: its body gives an error to each Read, and its Close does nothing.
//
// If a Read of the attempt before is still in the caller's stream, its bytes belong to the next one: Next waits for it,
// for no longer than a second, and not beyond ctx. The errors are [ErrBusy], the context's cause, [ErrGetBody], and those
// of [Body.CanReplay]; none matches io.EOF. An error changes nothing about who closes the caller's body, and Next may be
// tried again after ErrBusy or ErrGetBody.
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
		return b.src, nil
	case b.getBody != nil:
		return b.again()
	default:
		return b.stream.next(ctx)
	}
}

// CanReplay returns nil if, as far as is known, [Body.Next] can hand out another attempt, and else why not:
// [ErrNoReplay], [ErrTooLarge], [ErrSource] or [ErrClosed]. Before the first attempt it is nil, unless the body was
// closed.
//
// The answer is of this moment: an attempt that is still being sent can outgrow the cap. Before a wait, ask [Body.Hold].
func (b *Body) CanReplay() error {
	switch {
	case b.taken && b.max < 0 && !b.empty():
		return ErrNoReplay
	case b.stream != nil && b.stream.why() != nil:
		return b.stream.why()
	case b.over:
		return ErrClosed
	}
	return nil
}

// Hold is CanReplay, and keeps a nil answer true: until the next attempt or Close, a late reader of the last attempt
// gets an error instead of outgrowing the cap, so that no wait for a resend is in vain. What a Read that already runs
// brings cannot be promised.
//
// Call it once an attempt is to be followed by another; it may cut short what is left of the upload.
func (b *Body) Hold() error {
	if b.stream != nil {
		b.stream.hold()
	}
	return b.CanReplay()
}

// Close says that the call is over: there will be no further attempt. It closes the caller's body if no attempt has it;
// else the Close of the last attempt's body does, maybe later and in another goroutine. It returns the error of the
// caller's Close, if that happened here. A second Close does nothing.
func (b *Body) Close() error {
	if b.over {
		return nil
	}
	b.over = true
	switch {
	case b.stream != nil:
		return b.stream.finish()
	case !b.taken && b.src != nil:
		return b.src.Close()
	}
	return nil
}

func (b *Body) empty() bool    { return b.src == nil || b.src == http.NoBody }
func (b *Body) captures() bool { return b.getBody == nil && b.max >= 0 }

func (b *Body) again() (io.ReadCloser, error) {
	body, err := b.getBody()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGetBody, notEOF(err))
	}
	if body == nil {
		return nil, fmt.Errorf("%w: no body and no error", ErrGetBody)
	}
	return body, nil
}
