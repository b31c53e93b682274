// This file tests the capture of a stream: what is read and kept of it, and what a later attempt sends.

package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/oktaretry/oktaretry/internal/replay"
)

func TestNothingIsReadAheadOfTheSend(t *testing.T) {
	src := &source{data: text(1000)}
	b := replay.New(request(t, src), 2000)
	body := next(t, &b)
	for i, want := range []int64{0, 100, 200} {
		if got := src.pos.Load(); got != want {
			t.Fatalf("step %d: %d bytes were read, want %d", i, got, want)
		}
		readN(t, body, src.data[want:want+100])
	}
	reads := src.reads.Load()
	body.Close()
	body = next(t, &b)
	readN(t, body, src.data[:300])
	if got := src.reads.Load(); got != reads {
		t.Errorf("the replay of what was sent read the stream %d times", got-reads)
	}
}

// After an early response a prefix is captured; the rest is still in the caller's stream.
func TestLaterAttemptSendsTheCaptureThenTheRest(t *testing.T) {
	src := &source{data: text(5000), chunk: 700}
	b := replay.New(request(t, src), 5000)
	for _, sent := range []int{0, 1300, 40, 0, 2600, 5000} {
		body := next(t, &b)
		readN(t, body, src.data[:sent])
		body.Close()
		wantCloses(t, src, 0, "between attempts")
	}
	body := next(t, &b)
	readAll(t, body, src.data)
	body.Close()
	wantCloses(t, src, 1, "after all was sent")
	body = next(t, &b)
	readAll(t, body, src.data)
	body.Close()
	b.Close()
	wantCloses(t, src, 1, "after the call")
}

func TestCapBoundsTheCapture(t *testing.T) {
	tests := []struct {
		name           string
		size, max      int
		announce       bool
		read           int
		want           error
		keptAfterwards int
	}{
		{"below", 99, 100, false, 99, nil, 99},
		{"exactly", 100, 100, false, 100, nil, 100},
		{"one over, not yet sent", 101, 100, false, 100, nil, 100},
		{"one over, sent", 101, 100, false, 101, replay.ErrTooLarge, 0},
		{"announced too large, prefix sent", 1000, 100, true, 60, nil, 60},
		{"announced too large, unsent", 1000, 100, true, 0, nil, 0},
		{"a cap of 0, unsent", 1000, 0, false, 0, nil, 0},
		{"a cap of 0, sent", 1000, 0, false, 1, replay.ErrTooLarge, 0},
		{"empty stream under a cap of 0", 0, 0, false, 0, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := &source{data: text(tt.size)}
			req := request(t, src)
			if tt.announce {
				req.ContentLength = int64(tt.size)
			}
			b := replay.New(req, int64(tt.max))
			body := next(t, &b)
			readN(t, body, src.data[:tt.read])
			if tt.read == tt.size {
				readAll(t, body, nil)
			}
			if kept, capacity := b.Captured(); kept != tt.keptAfterwards || capacity > tt.max {
				t.Errorf("kept %d in %d, want %d in at most %d", kept, capacity, tt.keptAfterwards, tt.max)
			}
			for name, f := range map[string]func() error{"CanReplay": b.CanReplay, "Hold": b.Hold} {
				if err := f(); !errors.Is(err, tt.want) {
					t.Errorf("%s = %v, want %v", name, err, tt.want)
				}
			}
			body.Close()
			again, err := b.Next(context.Background())
			if !errors.Is(err, tt.want) {
				t.Fatalf("Next = %v, want %v", err, tt.want)
			}
			if err == nil {
				readAll(t, again, src.data)
				again.Close()
			}
			b.Close()
			wantCloses(t, src, 1, "after the call")
		})
	}
}

// A body that is too large to keep is still sent in full, by the first attempt as by a later one.
func TestTooLargeBodyIsSentInFull(t *testing.T) {
	src := &source{data: text(1000), chunk: 64}
	b := replay.New(request(t, src), 100)
	body := next(t, &b)
	readN(t, body, src.data[:90])
	body.Close()
	body = next(t, &b)
	readAll(t, body, src.data)
	if _, err := b.Next(context.Background()); !errors.Is(err, replay.ErrTooLarge) {
		t.Errorf("Next = %v, want ErrTooLarge", err)
	}
	body.Close()
	wantCloses(t, src, 1, "after all was sent")
	b.Close()
	wantCloses(t, src, 1, "after the call")
}

// The buffers of net/http are large; no Read may exceed the cap when a response may come before the next one.
func TestReadStopsAtTheCap(t *testing.T) {
	src := &source{data: text(1000)}
	b := replay.New(request(t, src), 100)
	body := next(t, &b)
	if n, err := body.Read(make([]byte, 1000)); n != 100 || err != nil {
		t.Errorf("Read = %d, %v, want what is left up to the cap", n, err)
	}
	body.Close()
	body = next(t, &b)
	readAll(t, body, src.data)
}

func TestCloseFreesTheCapture(t *testing.T) {
	src := &source{data: text(100)}
	b := replay.New(request(t, src), 100)
	body := next(t, &b)
	readAll(t, body, src.data)
	b.Close()
	if kept, capacity := b.Captured(); capacity != 0 {
		t.Errorf("%d bytes in %d are kept after the call", kept, capacity)
	}
}

func TestHoldStopsAReadBeyondTheCap(t *testing.T) {
	src := &source{data: text(1000)}
	b := replay.New(request(t, src), 100)
	late := next(t, &b)
	readN(t, late, src.data[:50])
	if err := b.Hold(); err != nil {
		t.Fatal(err)
	}
	readN(t, late, src.data[50:100]) // within the cap it may read on
	if n, err := late.Read(make([]byte, 10)); n != 0 || err == nil || errors.Is(err, io.EOF) {
		t.Errorf("Read beyond the cap = %d, %v, want an error", n, err)
	}
	if err := b.CanReplay(); err != nil {
		t.Errorf("CanReplay after Hold: %v", err)
	}
	body := next(t, &b)
	readAll(t, body, src.data) // the next attempt is not stopped
}

// Without a further attempt no Read is stopped: an upload may outlive its response.
func TestCloseLetsTheLastAttemptReadOn(t *testing.T) {
	src := &source{data: text(1000)}
	b := replay.New(request(t, src), 100)
	first := next(t, &b)
	readN(t, first, src.data[:100])
	first.Close()
	body := next(t, &b)
	readN(t, body, src.data[:30])
	b.Hold()
	b.Close()
	readAll(t, body, src.data[30:])
	if kept, _ := b.Captured(); kept != 0 {
		t.Errorf("%d bytes are kept after the call", kept)
	}
	wantCloses(t, src, 0, "while it is sent")
	body.Close()
	wantCloses(t, src, 1, "after it was sent")
}

func TestErrorOfTheStreamIsFinal(t *testing.T) {
	broken := errors.New("disk failure")
	tests := []struct {
		name     string
		end      error
		withLast bool
	}{
		{"alone", broken, false},
		{"with the last bytes", broken, true},
		{"EOF in disguise", fmt.Errorf("tar: %w", io.EOF), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := &source{data: text(100), end: tt.end, withLast: tt.withLast}
			b := replay.New(request(t, src), 1000)
			body := next(t, &b)
			got, err := io.ReadAll(body)
			if len(got) != 100 || err != tt.end {
				t.Fatalf("read %d bytes, %v; want all and the stream's own error", len(got), err)
			}
			if _, err := body.Read(make([]byte, 1)); err != tt.end {
				t.Errorf("Read again = %v, want the same error", err)
			}
			body.Close()
			wantCloses(t, src, 1, "once nothing can be sent again")
			_, err = b.Next(context.Background())
			if !errors.Is(err, replay.ErrSource) || errors.Is(err, io.EOF) || errors.Is(tt.end, broken) && !errors.Is(err, broken) {
				t.Errorf("Next = %v", err)
			}
			if err := b.CanReplay(); !errors.Is(err, replay.ErrSource) {
				t.Errorf("CanReplay = %v, want ErrSource", err)
			}
			b.Close()
			wantCloses(t, src, 1, "after the call")
		})
	}
}

type badCount int

func (n badCount) Read(p []byte) (int, error) { return min(int(n), len(p)+1), nil }

func TestInvalidCountIsAnError(t *testing.T) {
	for _, n := range []badCount{-1, 1 << 20} {
		b := replay.New(request(t, n), 1000)
		body := next(t, &b)
		if n, err := body.Read(make([]byte, 10)); n != 0 || err == nil {
			t.Errorf("Read = %d, %v", n, err)
		}
		if err := b.CanReplay(); !errors.Is(err, replay.ErrSource) {
			t.Errorf("CanReplay = %v, want ErrSource", err)
		}
	}
}

func TestPanicOfTheStreamFailsTheBodyAndHoldsNoLock(t *testing.T) {
	src := &source{data: text(100), before: func(pos int64) {
		if pos == 50 {
			panic("boom")
		}
	}}
	b := replay.New(request(t, src), 1000)
	body := next(t, &b)
	readN(t, body, src.data[:50:50])
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v", got)
			}
		}()
		_, _ = body.Read(make([]byte, 10))
	}()
	if _, err := b.Next(context.Background()); !errors.Is(err, replay.ErrSource) {
		t.Errorf("Next = %v, want ErrSource", err)
	}
	body.Close()
	b.Close()
	wantCloses(t, src, 1, "after the call")
}

func TestLongStreamAllocatesItsCapAtMost(t *testing.T) {
	const size, max = 8 << 20, 64 << 10
	src := &source{data: text(size)}
	req := request(t, src)
	p := make([]byte, 32<<10)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)

	b := replay.New(req, max)
	body := next(t, &b)
	var sent int
	for {
		n, err := body.Read(p)
		sent += n
		if _, capacity := b.Captured(); capacity > max {
			t.Fatalf("capacity %d exceeds the cap after %d bytes", capacity, sent)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	body.Close()
	b.Close()

	runtime.ReadMemStats(&after)
	if sent != size {
		t.Errorf("%d bytes sent, want %d", sent, size)
	}
	// Doubling up to the cap allocates less than twice the cap in all, garbage included.
	if got := after.TotalAlloc - before.TotalAlloc; got > 3*max {
		t.Errorf("%d bytes allocated for a cap of %d", got, max)
	}
}

func TestCaptureGrowsAsTheBodyIsSent(t *testing.T) {
	src := &source{data: text(1 << 20), chunk: 1024}
	b := replay.New(request(t, src), 10<<20)
	body := next(t, &b)
	for sent := 0; sent < len(src.data); sent += 1024 {
		readN(t, body, src.data[sent:sent+1024])
		if _, capacity := b.Captured(); capacity > 2*(sent+1024) {
			t.Fatalf("capacity %d after %d bytes", capacity, sent+1024)
		}
	}
}

func TestAnnouncedLengthIsAllocatedOnce(t *testing.T) {
	src := &source{data: text(3000), chunk: 100}
	req := request(t, src)
	req.ContentLength = 3000
	b := replay.New(req, 1<<20)
	body := next(t, &b)
	if _, capacity := b.Captured(); capacity != 0 {
		t.Errorf("%d bytes allocated before anything was sent", capacity)
	}
	for sent := 0; sent < 3000; sent += 100 {
		readN(t, body, src.data[sent:sent+100])
		if _, capacity := b.Captured(); capacity != 3000 {
			t.Fatalf("capacity %d, want 3000", capacity)
		}
	}
}

func TestCapturesOfConcurrentCallsShareNoMemory(t *testing.T) {
	var all sync.WaitGroup
	for caller := range 8 {
		all.Go(func() {
			for i := range 300 {
				// Some fit into the first piece of memory, some make it grow.
				data := bytes.Repeat([]byte{byte(caller), byte(i)}, 1+(caller*977+i*131)%3000)
				b := replay.New(request(t, &source{data: data, chunk: 100 + 700*(i%3)}), 1<<20)
				body := next(t, &b)
				readN(t, body, data[:len(data)*(i%5)/4])
				body.Close()
				body = next(t, &b)
				half := len(data) / 2
				readN(t, body, data[:half])
				if i%2 == 0 {
					b.Close() // the base reads on
				}
				readAll(t, body, data[half:])
				body.Close()
				b.Close()
			}
		})
	}
	all.Wait()
}
