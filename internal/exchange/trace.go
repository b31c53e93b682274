// This file holds what an exchange learns of its base through httptrace: whether it
// looked for a connection, got one, wrote to it, and began to send the request again
// by itself.

package exchange

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"reflect"
)

// traced is what the base has reported. Context.mu guards it.
type traced struct {
	ctx  context.Context // with the hooks, composed with the caller's; nil until the base asks
	conn net.Conn        // that the base got last

	sought, dialed, got, reused bool
	wrote                       bool
	http2                       bool // the server's last answer was of HTTP/2; by SendOnce
	again                       bool // it got another connection after it had written
	refused                     bool // the same one, so that HTTP/2 had refused the request
}

// Value makes the trace when the base first asks for it: over one that never does,
// that saves seven allocations. Package net has a key of its own for the same hooks.
// Of the parent's values it has all others.
func (x *Exchange) Value(key any) any {
	if _, ofCancel := key.(*int); !ofCancel { // else it is package context, which asks for Context's own
		if traced := x.trace(key == traceKey); traced != nil {
			return traced.Value(key)
		}
	}
	return x.Context.Value(key)
}

// trace returns the parent with the caller's trace, if any, composed with the
// exchange's own; nil if nobody has asked for it yet.
func (x *Exchange) trace(asked bool) context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.traced.ctx == nil && asked {
		x.traced.ctx = httptrace.WithClientTrace(x.Context.Context, x.hooks())
	}
	return x.traced.ctx
}

func (x *Exchange) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.traced.sought = true
		},
		ConnectStart: func(string, string) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.traced.dialed = true
		},
		GotConn: x.gotConn,
		WroteHeaders: func() {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.traced.wrote = true
		},
	}
}

// gotConn ends an exchange over HTTP/2 whose base has written the request and now
// begins to send it again. Of a request without a body, net/http does so whenever its
// stream is refused, its connection is going away or, before Go 1.27, its stream is
// reset for a protocol error: without end, and whatever the request's method is. The
// next attempt is the call's to decide on. HTTP/2 looks at the context before it
// writes, so nothing is sent again.
//
// HTTP/1.1 does not look, so it is kept from trying: see SendOnce.
func (x *Exchange) gotConn(info httptrace.GotConnInfo) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := &x.traced
	same := t.got && sameConn(t.conn, info.Conn)
	t.again = t.again || t.got && t.wrote
	t.got, t.conn, t.reused = true, info.Conn, info.Reused
	stop := t.again && (x.traced.http2 || speaksHTTP2(info.Conn))
	t.refused = stop && same
	if stop {
		x.end(sentAgain)
	}
}

// Connected reports whether the base has reported a connection.
func (x *Exchange) Connected() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.traced.got
}

// Queued reports whether the base looked for a connection, and neither got nor began
// to make one: the request was in the base's own queue.
func (x *Exchange) Queued() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.traced.sought && !x.traced.got && !x.traced.dialed
}

func sameConn(a, b net.Conn) bool {
	return a != nil && reflect.TypeOf(a).Comparable() && reflect.ValueOf(a).Comparable() && a == b
}

func speaksHTTP2(conn net.Conn) bool {
	c, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	return ok && c.ConnectionState().NegotiatedProtocol == "h2"
}

// traceKey is the key by which httptrace finds a trace in a context. It is not
// exported, but any context that is asked for it sees it.
var traceKey = func() any {
	asked := keyRecorder{Context: context.Background()}
	httptrace.ContextClientTrace(&asked)
	return asked.key
}()

// keyRecorder is a context that records the key it is asked for.
type keyRecorder struct {
	context.Context
	key any
}

func (r *keyRecorder) Value(key any) any {
	r.key = key
	return nil
}
