// This file tests what a body is sent again from, and what forbids that.

package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/oktaretry/oktaretry/internal/replay"
)

func TestEachAttemptSendsTheSameBytes(t *testing.T) {
	data := text(10_000)
	ownGetBody := func(t *testing.T) *http.Request {
		req := request(t, &source{data: data})
		req.GetBody = func() (io.ReadCloser, error) { return &source{data: data}, nil }
		return req
	}
	plain := func(r func() io.Reader) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request { return request(t, r()) }
	}
	tests := []struct {
		name string
		req  func(*testing.T) *http.Request
	}{
		{"bytes.Reader", plain(func() io.Reader { return bytes.NewReader(data) })},
		{"bytes.Buffer", plain(func() io.Reader { return bytes.NewBuffer(bytes.Clone(data)) })},
		{"strings.Reader", plain(func() io.Reader { return strings.NewReader(string(data)) })},
		{"own GetBody", ownGetBody},
		{"stream", plain(func() io.Reader { return &source{data: data} })},
		{"stream with EOF along the last bytes", plain(func() io.Reader { return iotest.DataErrReader(bytes.NewReader(data)) })},
		{"stream byte by byte", plain(func() io.Reader { return iotest.OneByteReader(bytes.NewReader(data)) })},
		{"stream in halves", plain(func() io.Reader { return iotest.HalfReader(bytes.NewReader(data)) })},
		{"stream of known length", func(t *testing.T) *http.Request {
			req := request(t, &source{data: data})
			req.ContentLength = int64(len(data))
			return req
		}},
		{"stream that fills the cap", plain(func() io.Reader { return &source{data: data, chunk: 3333} })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := tt.req(t)
			own, length := req.Body, req.ContentLength
			b := replay.New(req, int64(len(data)))
			for i := range 4 {
				body := next(t, &b)
				if err := iotest.TestReader(body, data); err != nil {
					t.Fatalf("attempt %d: %v", i+1, err)
				}
				if err := body.Close(); err != nil {
					t.Fatal(err)
				}
				if err := b.CanReplay(); err != nil {
					t.Fatalf("CanReplay after attempt %d: %v", i+1, err)
				}
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			if req.Body != own || req.ContentLength != length {
				t.Error("the caller's request was changed")
			}
		})
	}
}

func TestNextReturnsNoBodyAsItIs(t *testing.T) {
	for _, body := range []io.ReadCloser{nil, http.NoBody} {
		for _, max := range []int64{0, 10} {
			req := request(t, nil)
			req.Body = body
			b := replay.New(req, max)
			for range 3 {
				if got := next(t, &b); got != body {
					t.Errorf("Next = %v, want %v", got, body)
				}
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestCaptureDoesWithoutGetBody(t *testing.T) {
	src := &source{data: text(10)}
	req := request(t, src)
	req.GetBody = func() (io.ReadCloser, error) { t.Error("GetBody was called"); return nil, nil }
	b := replay.Capture(req, 10)
	for range 3 {
		body := next(t, &b)
		readAll(t, body, src.data)
		body.Close()
	}
	b.Close()
	wantCloses(t, src, 1, "after the call")
}

func TestNextReturnsErrorsOfGetBody(t *testing.T) {
	broken := errors.New("file not found")
	tests := []struct {
		name    string
		getBody func() (io.ReadCloser, error)
		match   error
		text    string
	}{
		{"error", func() (io.ReadCloser, error) { return nil, broken }, broken, "file not found"},
		{"EOF", func() (io.ReadCloser, error) { return nil, io.EOF }, nil, "EOF"},
		{"wrapped EOF", func() (io.ReadCloser, error) { return nil, fmt.Errorf("seek: %w", io.EOF) }, nil, "seek: EOF"},
		{"nothing", func() (io.ReadCloser, error) { return nil, nil }, nil, "no body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := &source{}
			req := request(t, src)
			req.GetBody = tt.getBody
			b := replay.New(req, 10)
			next(t, &b).Close()
			body, err := b.Next(context.Background())
			if body != nil || !errors.Is(err, replay.ErrGetBody) || errors.Is(err, io.EOF) {
				t.Fatalf("Next = %v, %v", body, err)
			}
			if tt.match != nil && !errors.Is(err, tt.match) {
				t.Errorf("%v doesn't match %v", err, tt.match)
			}
			if !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%q does not contain %q", err, tt.text)
			}
			b.Close()
			wantCloses(t, src, 1, "after the call")
		})
	}
}

func TestNoAttemptAfterClose(t *testing.T) {
	withGetBody := request(t, strings.NewReader("x"))
	for name, req := range map[string]*http.Request{
		"none": request(t, nil), "GetBody": withGetBody, "stream": request(t, &source{data: text(1)}),
	} {
		for _, sent := range []bool{false, true} {
			b := replay.New(req, 10)
			if sent {
				if body := next(t, &b); body != nil {
					body.Close()
				}
			}
			b.Close()
			if _, err := b.Next(context.Background()); !errors.Is(err, replay.ErrClosed) {
				t.Errorf("%s, sent %t: Next = %v, want ErrClosed", name, sent, err)
			}
			if err := b.CanReplay(); !errors.Is(err, replay.ErrClosed) {
				t.Errorf("%s, sent %t: CanReplay = %v, want ErrClosed", name, sent, err)
			}
		}
	}
}

// Each body of a request with GetBody costs what follows its Reads.
func TestRequestsThatNeedNoCaptureAllocateLittle(t *testing.T) {
	empty, again := request(t, nil), request(t, strings.NewReader("x"))
	reader := io.NopCloser(strings.NewReader("x"))
	again.GetBody = func() (io.ReadCloser, error) { return reader, nil }
	refused := request(t, &source{})
	ctx := context.Background()
	allocs := testing.AllocsPerRun(100, func() {
		for _, req := range []*http.Request{empty, again} {
			b := replay.New(req, 1<<20)
			_, _ = b.Next(ctx)
			_, _ = b.Next(ctx)
			_ = b.Close()
		}
		b := replay.New(refused, 1<<20)
		_ = b.Close()
	})
	if allocs != 2 {
		t.Errorf("%v allocations, want 2", allocs)
	}
}
