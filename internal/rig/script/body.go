// This file holds bodies that count how they are used.

package script

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// A Body is the body of a request or of a response, and counts how it is used.
// It implements neither GetBody's types nor io.WriterTo: nothing is known of it
// but what is read. It is safe for concurrent use if its reader is.
type Body struct {
	src    io.Reader
	closer io.Closer       // nil: none
	ctx    context.Context // nil: none; its end ends the body

	reads, bytes, closes, late atomic.Int64

	once sync.Once
	done chan struct{} // closed by the first Close
}

// NewBody returns a Body that reads from src, and closes it if it can be
// closed.
func NewBody(src io.Reader) *Body {
	b := &Body{src: src, done: make(chan struct{})}
	b.closer, _ = src.(io.Closer)
	return b
}

// Text returns a Body of that content.
func Text(content string) *Body { return NewBody(strings.NewReader(content)) }

// Read reads, or fails once the body is closed or its request has ended.
func (b *Body) Read(p []byte) (int, error) {
	b.reads.Add(1)
	if b.Closes() > 0 {
		b.late.Add(1)
		return 0, http.ErrBodyReadAfterClose
	}
	if b.ctx != nil && b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	n, err := b.src.Read(p)
	b.bytes.Add(int64(n))
	if end, ok := err.(stalledUntil); ok {
		select {
		case <-b.done:
			err = http.ErrBodyReadAfterClose
		case <-end.ctx.Done():
			err = context.Cause(end.ctx)
		}
	}
	return n, err
}

// Close closes the reader, at the first call.
func (b *Body) Close() (err error) {
	b.closes.Add(1)
	b.once.Do(func() {
		close(b.done)
		if b.closer != nil {
			err = b.closer.Close()
		}
	})
	return err
}

// Reads is how often the body was read.
func (b *Body) Reads() int { return int(b.reads.Load()) }

// BytesRead is how much of the body was read.
func (b *Body) BytesRead() int64 { return b.bytes.Load() }

// Closes is how often the body was closed.
func (b *Body) Closes() int { return int(b.closes.Load()) }

// WantClosed checks that the body was closed once, and not read afterwards.
func (b *Body) WantClosed(t TB) {
	t.Helper()
	if n := b.Closes(); n != 1 {
		t.Errorf("the body was closed %d times, want once", n)
	}
	if n := b.late.Load(); n != 0 {
		t.Errorf("the body was read %d times after it was closed", n)
	}
}

// untilDone makes a Body that reads from it wait for its end.
type untilDone struct{ ctx context.Context }

func (u untilDone) Read([]byte) (int, error) { return 0, stalledUntil(u) }

type stalledUntil struct{ ctx context.Context }

func (stalledUntil) Error() string { return "stalled" }

// Zeros is n bytes that are stored nowhere.
func Zeros(n int64) io.Reader { return io.LimitReader(zeros{}, n) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Bodies makes bodies of one content, for GetBody, and keeps them.
type Bodies struct {
	Content string
	made    []*Body
}

// Get returns another body.
func (b *Bodies) Get() (io.ReadCloser, error) {
	body := Text(b.Content)
	b.made = append(b.made, body)
	return body, nil
}

// WantClosed checks that each body was closed once, and not read afterwards.
func (b *Bodies) WantClosed(t TB) {
	t.Helper()
	for _, body := range b.made {
		body.WantClosed(t)
	}
}
