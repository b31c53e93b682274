// This file plays random calls over a stream.

package replay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/oktaretry/oktaretry/internal/replay"
)

// FuzzAttempts makes random calls: a stream of some length in random chunks, attempts that stop anywhere, a cap below or
// above. It compares what each attempt reads with the original, and with a model whether the body may be sent again, how
// far the stream was read, and when it was closed.
func FuzzAttempts(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed, uint16(seed*13), uint16(1000))
	}
	f.Add(uint64(1), uint16(0), uint16(0))
	f.Add(uint64(2), uint16(1), uint16(0))
	f.Add(uint64(3), uint16(4096), uint16(4096))
	f.Add(uint64(4), uint16(4096), uint16(4095))
	f.Fuzz(func(t *testing.T, seed uint64, size, limit uint16) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		data := text(int(size))
		src := &source{data: data, withLast: rnd.IntN(2) == 0}
		src.before = func(int64) { src.chunk = 1 + rnd.IntN(600) }
		req := request(t, src)
		switch rnd.IntN(3) {
		case 0:
			req.ContentLength = int64(size)
		case 1:
			req.ContentLength = -1
		}
		b := replay.New(req, int64(limit))

		var sent int // the model: how much an attempt has read at most
		var ended bool
		for range 1 + rnd.IntN(6) {
			body, err := b.Next(context.Background())
			if sent > int(limit) {
				if !errors.Is(err, replay.ErrTooLarge) {
					t.Fatalf("Next after %d of at most %d bytes = %v, want ErrTooLarge", sent, limit, err)
				}
				break
			}
			if err != nil {
				t.Fatalf("Next: %v", err)
			}
			got, eof := readSome(t, body, rnd, rnd.IntN(int(size)*3/2+2))
			if !bytes.HasPrefix(data, got) || eof && len(got) != len(data) {
				t.Fatalf("an attempt read %d bytes (end: %t) that are not the original's", len(got), eof)
			}
			sent, ended = max(sent, len(got)), ended || eof
			if pos := int(src.pos.Load()); pos != sent {
				t.Fatalf("%d bytes of the stream were read, of which %d were sent", pos, sent)
			}
			if kept, capacity := b.Captured(); kept > int(limit) || capacity > int(limit) {
				t.Fatalf("%d bytes in %d are kept, the cap is %d", kept, capacity, limit)
			}
			if rnd.IntN(4) != 0 {
				body.Close()
			} else {
				defer body.Close() // late: when replaced, or as the last
			}
			if src.closes.Load() != 0 && !ended && !(src.withLast && sent == len(data)) && sent <= int(limit) {
				t.Fatal("the stream was closed while it was needed")
			}
		}
		b.Close()
		t.Cleanup(func() { wantCloses(t, src, 1, "after the call") })
	})
}

// readSome reads about want bytes, in reads of any size.
func readSome(t *testing.T, r io.Reader, rnd *rand.Rand, want int) (got []byte, eof bool) {
	for len(got) < want {
		p := make([]byte, rnd.IntN(700))
		n, err := r.Read(p)
		got = append(got, p[:n]...)
		if err == io.EOF {
			return got, true
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return got, false
}
