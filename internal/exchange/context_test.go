// This file tests the context of an attempt against the rules of contexts.

package exchange

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

type callerKey struct{}

func newContext(parent context.Context, limit time.Duration) *Context {
	return &Context{Context: parent, Began: time.Now(), limit: limit}
}

// wantEnd fails unless the context has ended, or not, in every way to see it.
func wantEnd(t *testing.T, c *Context, want error) {
	t.Helper()
	synctest.Wait()
	select {
	case <-c.Done():
		if want == nil {
			t.Error("Done is closed")
		}
	default:
		if want != nil {
			t.Error("Done is open")
		}
	}
	if err := c.Err(); !errors.Is(err, want) {
		t.Errorf("Err is %v, want %v", err, want)
	}
}

// However it ends, it does so for one who asked for Done before, one who asks
// later, one who never does, and for the contexts that are derived from it.
func TestContextEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(c *Context, cancel context.CancelCauseFunc)
		want error
	}{
		"with its parent": {func(_ *Context, cancel context.CancelCauseFunc) { cancel(errors.New("enough")) }, context.Canceled},
		"by its limit":    {func(*Context, context.CancelCauseFunc) { time.Sleep(time.Minute) }, context.Canceled},
		"by its release":  {func(c *Context, _ context.CancelCauseFunc) { c.Release() }, context.Canceled},
		"not yet":         {func(*Context, context.CancelCauseFunc) { time.Sleep(time.Minute - 1) }, nil},
		"not once settled": {func(c *Context, _ context.CancelCauseFunc) {
			c.Settle(time.Now())
			time.Sleep(time.Hour)
		}, nil},
	} {
		for _, asked := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				c := newContext(parent, time.Minute)
				child := context.Context(c)
				if asked {
					var stop context.CancelFunc
					child, stop = context.WithCancel(c)
					defer stop()
				}
				tt.end(c, cancel)
				synctest.Wait()
				if err := c.Err(); !errors.Is(err, tt.want) {
					t.Errorf("%s: Err is %v before anybody asks for Done", name, err)
				}
				wantEnd(t, c, tt.want)
				if !errors.Is(child.Err(), tt.want) {
					t.Errorf("%s: a derived context has %v", name, child.Err())
				}
			})
		}
	}
}

// A base that keeps a context sees no other end of it later: that of an answer
// that was read was a cancellation at first, and then the caller's deadline.
func TestContextEndsOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		limit time.Duration
		end   func(c *Context)
		want  error
	}{
		"by its release":  {time.Hour, func(c *Context) { c.Release() }, context.Canceled},
		"by its limit":    {time.Second, func(*Context) { time.Sleep(time.Second) }, context.Canceled},
		"with its parent": {time.Hour, func(c *Context) { time.Sleep(time.Minute) }, context.DeadlineExceeded},
	} {
		for _, asked := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				c := newContext(parent, tt.limit)
				if asked {
					c.Done()
				}
				tt.end(c)
				synctest.Wait()
				first, cause := c.Err(), context.Cause(c)
				time.Sleep(time.Hour)
				c.Release()
				if last := c.Err(); first != tt.want || last != first {
					t.Errorf("%s, asked %v: Err is %v, then %v; want %v", name, asked, first, last, tt.want)
				}
				wantEnd(t, c, tt.want)
				if last := context.Cause(c); asked && last != cause {
					t.Errorf("%s: the cause is %v, then %v", name, cause, last)
				}
			})
		}
	}
}

func TestContextReportsItsCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancelCause(t.Context())
		enough := errors.New("enough")
		c, late := newContext(parent, 0), newContext(t.Context(), time.Minute)
		c.Done()
		late.Done()
		cancel(enough)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := context.Cause(c); got != enough {
			t.Errorf("the cause is %v, want the parent's", got)
		}
		if got := context.Cause(late); got != ErrTimeout {
			t.Errorf("the cause is %v, want the limit", got)
		}
	})
}

// A context of a type that package context doesn't know costs a goroutine for
// each that is derived from it, unless it lets it see what is behind it.
func TestDerivingFromContextStartsNoGoroutine(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := runtime.NumGoroutine()
	for range 100 {
		child, stop := context.WithCancel(newContext(parent, time.Hour))
		defer stop()
		context.AfterFunc(child, func() {})
	}
	if n := runtime.NumGoroutine() - before; n > 10 {
		t.Errorf("%d goroutines for 100 contexts", n)
	}
}

// The parent must not keep the attempts of a long sync.
func TestReleasedContextLeavesItsParent(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	var heap runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&heap)
	before := heap.HeapObjects
	for range 10_000 {
		c := newContext(parent, time.Hour)
		c.Done()
		c.Settle(time.Now())
		c.Release()
	}
	runtime.GC()
	runtime.ReadMemStats(&heap)
	if n := int64(heap.HeapObjects) - int64(before); n > 1000 {
		t.Errorf("%d objects are left of 10,000 attempts", n)
	}
}

func TestSettleReportsLateAnswers(t *testing.T) {
	for _, asked := range []bool{false, true} {
		for after, want := range map[time.Duration]bool{time.Minute - 1: false, time.Minute: true, time.Hour: true} {
			synctest.Test(t, func(t *testing.T) {
				c := newContext(t.Context(), time.Minute)
				if asked {
					c.Done()
				}
				time.Sleep(after)
				if late := c.Settle(time.Now()) == time.Minute; late != want {
					t.Errorf("an answer after %s is late: %t", after, late)
				}
			})
		}
	}
}

func TestContextHasParentsValuesAndDeadline(t *testing.T) {
	parent, cancel := context.WithTimeout(context.WithValue(t.Context(), callerKey{}, "caller"), time.Hour)
	defer cancel()
	c := newContext(parent, time.Minute)
	for range 2 {
		if v := c.Value(callerKey{}); v != "caller" {
			t.Errorf("Value is %v", v)
		}
		want, _ := parent.Deadline()
		if d, ok := c.Deadline(); !ok || !d.Equal(want) {
			t.Errorf("Deadline is %v, %t", d, ok)
		}
		c.Done()
	}
}
