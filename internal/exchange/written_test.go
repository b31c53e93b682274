// This file tests the trace of an attempt.

package exchange

import (
	"context"
	"net/http/httptrace"
	"sync"
	"testing"
)

func TestBaseFindsTheTraceOfAnAttempt(t *testing.T) {
	if traceKey == nil {
		t.Error("httptrace does not show its key")
	}
	type other struct{}
	for name, key := range map[string]any{"key known": traceKey, "key unknown": nil} {
		t.Run(name, func(t *testing.T) {
			defer func(old any) { traceKey = old }(traceKey)
			traceKey = key
			called := 0
			ctx := httptrace.WithClientTrace(context.WithValue(t.Context(), other{}, "value"), &httptrace.ClientTrace{
				GetConn: func(string) { called++ }, Got100Continue: func() { called++ },
			})
			var w Written
			ctx, cancel := context.WithCancel(w.Watch(ctx))
			defer cancel()
			if ctx.Value(other{}) != "value" {
				t.Error("other values of the context are lost")
			}
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					if httptrace.ContextClientTrace(ctx) == nil {
						t.Error("no trace is found")
					}
				})
			}
			all.Wait()
			trace := httptrace.ContextClientTrace(ctx)
			trace.GetConn("host")
			trace.Got100Continue()
			trace.GotConn(httptrace.GotConnInfo{})
			if called != 2 {
				t.Errorf("the caller's trace was called %d times for two events", called)
			}
			if !w.sought.Load() || !w.got.Load() || w.wrote.Load() {
				t.Errorf("sought %t, got %t, wrote %t", w.sought.Load(), w.got.Load(), w.wrote.Load())
			}
		})
	}
}
