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
	hooks *httptrace.ClientTrace // composed with the caller's; nil until the base asks
	conn  net.Conn               // that the base got last

	sought, got, reused, wrote bool
	http2                      bool // the server's last answer was of HTTP/2; by SendOnce
	again                      bool // it got another connection after it had written
	refused                    bool // the same one, so that HTTP/2 had refused the request
}

// Value makes the trace when the base first asks for it: over one that never does,
// that saves four allocations. Of the parent's values it has all others.
func (x *Exchange) Value(key any) any {
	if key == traceKey {
		return x.trace()
	}
	return x.Context.Value(key)
}

// trace returns the caller's trace, if any, composed with the exchange's own.
func (x *Exchange) trace() *httptrace.ClientTrace {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.traced.hooks == nil {
		parent, own := x.Context.Context, x.hooks()
		if httptrace.ContextClientTrace(parent) != nil {
			own = httptrace.ContextClientTrace(httptrace.WithClientTrace(parent, own))
		}
		x.traced.hooks = own
	}
	return x.traced.hooks
}

func (x *Exchange) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.traced.sought = true
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
