// This file tests questions against stores that answer, hang and break.

package ask

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

const timeout = 50 * time.Millisecond

// put asks a question and returns its error and how long Put took.
func put(ctx context.Context, q *Questions, question func(context.Context) error) (took time.Duration, got error) {
	began := time.Now()
	got = errors.New("done did not run")
	q.Put(ctx, question, func(_ time.Duration, err error) { got = err })
	return time.Since(began), got
}

func TestPutEndsWithAnswerErrorPanicOrTimeout(t *testing.T) {
	refused := errors.New("refused")
	for _, tt := range []struct {
		name     string
		question func(context.Context) error
		kind     string // "": no error
		takes    time.Duration
	}{
		{"an answer", func(context.Context) error { return nil }, "", 0},
		{"an answer just in time", func(context.Context) error { time.Sleep(timeout - 1); return nil }, "", timeout - 1},
		{"an error", func(context.Context) error { return refused }, "error", 0},
		{"an answer that makes no sense", func(context.Context) error { return ErrInconsistent }, "absurd", 0},
		{"a panic", func(context.Context) error { panic("out of luck") }, "panic", 0},
		{"a store that ends with its context", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, "timeout", timeout},
		{"a store that ignores its context", func(context.Context) error { time.Sleep(time.Hour); return nil }, "timeout", timeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &Questions{Timeout: timeout}
				took, err := put(t.Context(), q, tt.question)
				time.Sleep(time.Hour) // until the store has given up
				if took != tt.takes {
					t.Errorf("it took %s, want %s", took, tt.takes)
				}
				if (err == nil) != (tt.kind == "") || err != nil && Kind(err) != tt.kind {
					t.Errorf("error %v, want one of kind %q", err, tt.kind)
				}
			})
		})
	}
}

// The answer of a question serves calls other than the one that asked.
func TestQuestionOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Questions{Timeout: timeout}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		var ended error
		done := make(chan time.Duration, 1)
		began := time.Now()
		q.Put(ctx, func(ctx context.Context) error {
			time.Sleep(30 * time.Millisecond)
			ended = ctx.Err()
			return nil
		}, func(took time.Duration, err error) { done <- took })
		if took := time.Since(began); took != 10*time.Millisecond {
			t.Errorf("Put returned after %s, want when its context ends", took)
		}
		if took := <-done; took != 30*time.Millisecond || ended != nil {
			t.Errorf("answered after %s, the question's context: %v", took, ended)
		}
	})
}

func TestSaturatedWhileTheStoreHoldsOverdueQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &Questions{Timeout: timeout}
		release := make(chan struct{})
		for i := range maxOverdue {
			if q.Saturated() {
				t.Fatalf("saturated after %d questions", i)
			}
			put(t.Context(), q, func(context.Context) error { <-release; return nil })
		}
		if !q.Saturated() {
			t.Error("the store can hold any number of goroutines")
		}
		close(release)
		synctest.Wait()
		if q.Saturated() {
			t.Error("still saturated when all questions have ended")
		}
	})
}

// A panic of a log handler or a meter is the caller's, as any other of theirs.
func TestPanicOfDoneReachesTheCaller(t *testing.T) {
	defer func() {
		if v := recover(); v != "handler" {
			t.Errorf("recovered %v, want the panic of done", v)
		}
	}()
	q := &Questions{Timeout: time.Minute}
	q.Put(t.Context(), func(context.Context) error { return nil }, func(time.Duration, error) { panic("handler") })
}
