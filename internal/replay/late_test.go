// This file tests attempts that are still reading when the next one begins, in virtual time.

package replay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/internal/replay"
)

// slow returns a stream of 100 bytes whose Read from byte 50 on takes d.
func slow(d time.Duration) *source {
	return &source{data: text(100), chunk: 50, before: func(pos int64) {
		if pos == 50 {
			time.Sleep(d)
		}
	}}
}

// late starts a Read of the second half, and returns once that is in the caller's stream.
func late(t *testing.T, body io.Reader, first []byte) <-chan error {
	readN(t, body, first)
	done := make(chan error, 1)
	go func() {
		n, err := body.Read(make([]byte, 100))
		if n != 0 {
			err = errors.Join(err, errors.New("a stale Read returned bytes"))
		}
		done <- err
	}()
	synctest.Wait()
	return done
}

func TestLateReadIsPartOfTheNextAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := slow(replay.Patience / 2)
		b := replay.New(request(t, src), 100)
		old := next(t, &b)
		done := late(t, old, src.data[:50])

		start := time.Now()
		body := next(t, &b)
		if got := time.Since(start); got != replay.Patience/2 {
			t.Errorf("Next took %v, want %v", got, replay.Patience/2)
		}
		if err := <-done; err == nil || errors.Is(err, io.EOF) || err.Error() != "oktaretry: this attempt is over" {
			t.Errorf("the late Read = %v", err)
		}
		if _, err := old.Read(make([]byte, 1)); err == nil {
			t.Error("a stale body can still be read")
		}
		old.Close()
		readAll(t, body, src.data)
		body.Close()
		b.Close()
		wantCloses(t, src, 1, "after the call")
	})
}

func TestNextIsBusyDuringAStuckRead(t *testing.T) {
	for _, closedFirst := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			src := slow(10 * replay.Patience)
			b := replay.New(request(t, src), 100)
			old := next(t, &b)
			done := late(t, old, src.data[:50])

			start := time.Now()
			for i := range time.Duration(2) {
				if _, err := b.Next(t.Context()); !errors.Is(err, replay.ErrBusy) {
					t.Fatalf("Next = %v, want ErrBusy", err)
				}
				if got := time.Since(start); got != (i+1)*replay.Patience {
					t.Errorf("Next returned after %v, want %v", got, (i+1)*replay.Patience)
				}
			}
			if closedFirst {
				old.Close()
				wantCloses(t, src, 0, "while the call goes on")
				b.Close()
				wantCloses(t, src, 1, "when both are closed")
			} else {
				b.Close()
				wantCloses(t, src, 0, "while the base has the body open")
				old.Close()
				wantCloses(t, src, 1, "when both are closed")
			}
			<-done
			old.Close()
			wantCloses(t, src, 1, "after the call")
		})
	}
}

func TestNextCanBeCalledAgainAfterErrBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := slow(3 * replay.Patience)
		b := replay.New(request(t, src), 100)
		old := next(t, &b)
		done := late(t, old, src.data[:50])
		if _, err := b.Next(t.Context()); !errors.Is(err, replay.ErrBusy) {
			t.Fatalf("Next = %v, want ErrBusy", err)
		}
		old.Close()
		<-done
		body := next(t, &b)
		readAll(t, body, src.data)
		wantCloses(t, src, 0, "while an attempt has the body open")
		body.Close()
		wantCloses(t, src, 1, "after all was sent")
	})
}

func TestLateReadCanOutgrowTheCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := slow(replay.Patience / 2)
		b := replay.New(request(t, src), 50)
		old := next(t, &b)
		done := late(t, old, src.data[:50])
		if _, err := b.Next(t.Context()); !errors.Is(err, replay.ErrTooLarge) {
			t.Fatalf("Next = %v, want ErrTooLarge", err)
		}
		<-done
		old.Close()
		wantCloses(t, src, 1, "once nothing can be sent again")
		b.Close()
		wantCloses(t, src, 1, "after the call")
	})
}

func TestContextEndsTheWaitForALateRead(t *testing.T) {
	gone := errors.New("the user quit")
	tests := []struct {
		name  string
		cause error
		match error
		text  string
	}{
		{"cause", gone, gone, "the user quit"},
		{"no cause", nil, context.Canceled, "context canceled"},
		{"EOF as a cause", io.EOF, context.Canceled, "context canceled: EOF"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := slow(10 * replay.Patience)
				b := replay.New(request(t, src), 100)
				old := next(t, &b)
				done := late(t, old, src.data[:50])
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(replay.Patience/4, func() { cancel(tt.cause) })
				start := time.Now()
				_, err := b.Next(ctx)
				if got := time.Since(start); got != replay.Patience/4 {
					t.Errorf("Next took %v", got)
				}
				if !errors.Is(err, tt.match) || errors.Is(err, io.EOF) || err.Error() != tt.text {
					t.Errorf("Next = %v", err)
				}
				b.Close()
				<-done
				old.Close()
				wantCloses(t, src, 1, "after the call")
			})
		})
	}
}

// Two Reads of one body at once are the base's mistake; they must not reach the caller's stream.
func TestStreamIsNeverReadTwiceAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := slow(time.Second)
		b := replay.New(request(t, src), 100)
		body := next(t, &b)
		readN(t, body, src.data[:50])
		go func() { _, _ = body.Read(make([]byte, 100)) }()
		synctest.Wait()
		if n, err := body.Read(make([]byte, 100)); n != 0 || !errors.Is(err, replay.ErrBusy) {
			t.Errorf("Read = %d, %v, want ErrBusy", n, err)
		}
		time.Sleep(2 * time.Second)
		body.Close()
		body = next(t, &b)
		readAll(t, body, src.data)
		if src.beside.Load() {
			t.Error("two Reads were in the caller's stream at once")
		}
	})
}

// Write loops of a base read and close while later attempts run. For the race detector.
func TestLateReadersLoseNoBytes(t *testing.T) {
	data := text(20_000)
	for round := range 200 {
		src := &source{data: data, chunk: 1 + round*7, withLast: round%2 == 0}
		b := replay.New(request(t, src), int64(len(data)))
		var loops sync.WaitGroup
		for range 5 {
			body := next(t, &b)
			begun := make(chan struct{})
			begin := sync.OnceFunc(func() { close(begun) })
			loops.Go(func() {
				defer begin()
				var got []byte
				p := make([]byte, 512)
				for {
					n, err := body.Read(p)
					got = append(got, p[:n]...)
					if err != nil {
						break
					}
					begin()
				}
				if !bytes.HasPrefix(data, got) {
					t.Errorf("an attempt sent other bytes")
				}
				body.Close()
			})
			loops.Go(func() {
				if round%3 == 0 {
					body.Close() // beside the Read, as HTTP/2 does
				}
			})
			if round%3 != 0 {
				<-begun
			}
		}
		if err := b.Hold(); err != nil {
			t.Fatal(err)
		}
		body := next(t, &b)
		readAll(t, body, data)
		body.Close()
		b.Close()
		loops.Wait()
		wantCloses(t, src, 1, "after the call")
		if src.beside.Load() {
			t.Fatal("two Reads were in the caller's stream at once")
		}
	}
}
