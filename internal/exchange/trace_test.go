// This file tests the trace of an exchange.

package exchange

import (
	"context"
	"net"
	"net/http/httptrace"
	"sync"
	"testing"
	"time"
)

func TestBaseFindsTheTraceOfAnExchange(t *testing.T) {
	if traceKey == nil {
		t.Fatal("httptrace does not show its key")
	}
	type other struct{}
	called := 0
	parent := httptrace.WithClientTrace(context.WithValue(t.Context(), other{}, "value"), &httptrace.ClientTrace{
		GetConn: func(string) { called++ }, Got100Continue: func() { called++ },
	})
	var x Exchange
	x.Open(parent, time.Now(), 0)
	ctx, cancel := context.WithCancel(&x)
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
	if got := x.traced; !got.sought || !got.got || got.wrote {
		t.Errorf("sought %t, got %t, wrote %t", got.sought, got.got, got.wrote)
	}
}

// incomparable is a connection that == panics for.
type incomparable struct {
	net.Conn
	_ []byte
}

func TestConnectionsThatCannotBeComparedAreNotTheSame(t *testing.T) {
	a, b := net.Pipe()
	for _, conns := range []struct {
		a, b net.Conn
		same bool
	}{{a, a, true}, {a, b, false}, {nil, nil, false}, {incomparable{Conn: a}, incomparable{Conn: a}, false}} {
		if got := sameConn(conns.a, conns.b); got != conns.same {
			t.Errorf("%v and %v are the same: %t", conns.a, conns.b, got)
		}
	}
}
