package oktaretry

import (
	"context"
	"net/http/httptrace"
	"sync"
	"testing"
)

func TestABaseFindsTheTraceOfAnAttempt(t *testing.T) {
	if traceKey == nil {
		t.Error("httptrace didn't show its key")
	}
	type other struct{}
	for name, learnt := range map[string]any{"key known": traceKey, "key unknown": nil} {
		t.Run(name, func(t *testing.T) {
			defer func(key any) { traceKey = key }(traceKey)
			traceKey = learnt
			told := 0
			ctx := httptrace.WithClientTrace(context.WithValue(t.Context(), other{}, "value"), &httptrace.ClientTrace{
				GetConn: func(string) { told++ }, Got100Continue: func() { told++ },
			})
			var w written
			ctx, cancel := context.WithCancel(w.watch(ctx))
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
			if told != 2 {
				t.Errorf("the caller's trace was told %d times of two events", told)
			}
			if !w.sought.Load() || !w.got.Load() || w.wrote.Load() {
				t.Errorf("sought %t, got %t, wrote %t", w.sought.Load(), w.got.Load(), w.wrote.Load())
			}
		})
	}
}
