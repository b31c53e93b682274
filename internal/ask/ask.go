// Package ask puts questions to a store that may be slow, hung or broken, each
// within a bounded time.
package ask

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Errors of questions, beside those that the store itself returns.
var (
	ErrTimeout      = errors.New("no answer in time")
	ErrInconsistent = errors.New("an answer that makes no sense")
)

// PanicError is a panic of the store.
type PanicError struct{ Value any }

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Kind returns the kind of a question's error in one word.
func Kind(err error) string {
	var panicked *PanicError
	switch {
	case errors.Is(err, ErrTimeout):
		return "timeout"
	case errors.Is(err, ErrInconsistent):
		return "absurd"
	case errors.As(err, &panicked):
		return "panic"
	}
	return "error"
}

// Questions are the questions put to one store. The zero value with a Timeout is
// ready for use. It is safe for concurrent use.
type Questions struct {
	// Timeout is how long an answer is waited for.
	Timeout time.Duration

	overdue atomic.Int32 // questions that were neither answered in time nor given up by the store
}

// maxOverdue bounds the goroutines that a store can hold which ignores the end of
// its context.
const maxOverdue = 16

// Saturated reports whether the store holds as many overdue questions as it may:
// then it must not be asked.
func (q *Questions) Saturated() bool { return q.overdue.Load() >= maxOverdue }

// Put asks one question and waits until it is answered, until Timeout is over,
// or until ctx ends. The end of ctx does not end the question: its answer serves
// other calls, too.
//
// done runs once, with how long it took and the question's error: what question
// returned, ErrTimeout, or a *PanicError. Where ctx ends first, it runs after Put
// has returned. A panic of done goes on in the goroutine of Put, if that still
// waits.
func (q *Questions) Put(ctx context.Context, question func(context.Context) error, done func(time.Duration, error)) {
	asked := time.Now()
	over := make(chan struct{})
	var once sync.Once
	var thrown any // by done
	end := func(err error) {
		once.Do(func() {
			defer close(over)
			defer func() { thrown = recover() }()
			done(time.Since(asked), err)
		})
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), q.Timeout+q.Timeout/2)
	var state atomic.Int32 // 0: not answered yet
	const answered, overdue = 1, 2
	expire := func() {
		if state.CompareAndSwap(0, overdue) {
			q.overdue.Add(1)
			cancel()
			end(ErrTimeout)
		}
	}
	timer := time.AfterFunc(q.Timeout, func() {
		// A timer that fires late means that the process did not get to run, and
		// the answer may have arrived unread: it gets as much time more.
		if late := time.Since(asked) - q.Timeout; late > q.Timeout/10 {
			time.AfterFunc(min(late, q.Timeout/2), expire)
			return
		}
		expire()
	})
	go func() {
		defer cancel()
		err := Recovered(within, question)
		if !state.CompareAndSwap(0, answered) {
			q.overdue.Add(-1)
			return
		}
		timer.Stop()
		if err != nil && within.Err() != nil {
			err = ErrTimeout
		}
		end(err)
	}()
	select {
	case <-over:
		if thrown != nil {
			panic(thrown)
		}
	case <-ctx.Done():
	}
}

// Recovered returns question's error, or a *PanicError if it panicked, which
// would otherwise end the process.
func Recovered(ctx context.Context, question func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v}
		}
	}()
	return question(ctx)
}
