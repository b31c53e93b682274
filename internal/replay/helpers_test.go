// This file holds what the tests of this package have in common: a caller's stream, and bodies that are read.

package replay_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/oktaretry/oktaretry/internal/replay"
)

// source is a caller's stream: it yields data in chunks, and counts its Reads and Closes.
type source struct {
	data     []byte
	chunk    int             // most bytes of a Read; 0: no limit
	end      error           // how it ends; nil: io.EOF
	withLast bool            // the end comes along with the last bytes
	before   func(pos int64) // runs at the start of each Read
	onClose  func()
	closeErr error

	pos    atomic.Int64
	reads  atomic.Int64
	closes atomic.Int64
	active atomic.Int64
	beside atomic.Bool // two Reads ran at once
}

func (s *source) Read(p []byte) (int, error) {
	if s.active.Add(1) != 1 {
		s.beside.Store(true)
	}
	defer s.active.Add(-1)
	s.reads.Add(1)
	pos := s.pos.Load()
	if s.before != nil {
		s.before(pos)
	}
	end := s.end
	if end == nil {
		end = io.EOF
	}
	rest := s.data[pos:]
	if len(rest) == 0 {
		return 0, end
	}
	if s.chunk > 0 {
		p = p[:min(s.chunk, len(p))]
	}
	n := copy(p, rest)
	s.pos.Add(int64(n))
	if s.withLast && n == len(rest) {
		return n, end
	}
	return n, nil
}

func (s *source) Close() error {
	s.closes.Add(1)
	if s.onClose != nil {
		s.onClose()
	}
	return s.closeErr
}

// text returns n bytes in which no short sequence repeats soon.
func text(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// request returns a request that streams body: no GetBody, unknown length.
func request(t testing.TB, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequest("POST", "https://example.okta.com/api/v1/users", body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func next(t testing.TB, b *replay.Body) io.ReadCloser {
	t.Helper()
	rc, err := b.Next(context.Background())
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return rc
}

// readN reads exactly n bytes and checks them.
func readN(t testing.TB, rc io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(rc, got); err != nil {
		t.Fatalf("reading %d bytes: %v", len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes differ from the original", len(want))
	}
}

// readAll reads to the end and checks that it is want.
func readAll(t testing.TB, rc io.Reader, want []byte) {
	t.Helper()
	got, err := io.ReadAll(rc)
	if err != nil {
		t.Fatalf("after %d of %d bytes: %v", len(got), len(want), err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes, which differ from the original %d", len(got), len(want))
	}
}

func wantCloses(t testing.TB, s *source, want int64, when string) {
	t.Helper()
	if got := s.closes.Load(); got != want {
		t.Fatalf("%s: the caller's body was closed %d times, want %d", when, got, want)
	}
}
