// This file holds the form of a request that net/http does not send again by itself.

package exchange

import (
	"io"
	"net/http"
	"strings"
)

// SendOnce gives Request a form that net/http does not send again by itself, without a
// wait, a count and, over HTTP/2, without end. spoken is the major version of HTTP of
// the server's last answer, 0 if there was none. once is for a request that must not
// go twice on any account.
//
//   - A request with a body is sent again by its GetBody, so it gets none.
//   - One without a body that goes to a server of HTTP/1.1 is sent again when a kept
//     connection was closed, if its method or a field marks it as idempotent. So a GET
//     gets an empty body that cannot be had again: what is written is the same. In any
//     other request the mark is spelled as net/http does not look for it.
//   - Over HTTP/2 an empty body would be a frame more. What is sent again there is
//     stopped when it is: see gotConn.
func (x *Exchange) SendOnce(spoken int, once bool) {
	r := &x.Request
	x.traced.http2 = spoken == 2
	r.GetBody = nil
	if r.Body != nil && r.Body != http.NoBody {
		return
	}
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions:
		if spoken == 1 || spoken == 0 && once {
			r.Body = Sole
		}
		return
	}
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, ok := r.Header[name]; ok {
			delete(r.Header, name)
			if len(values) > 0 { // else it is a mark only, and never sent
				r.Header[strings.ToLower(name)] = values
			}
		}
	}
}

// Sole is the empty body of a request without one. See SendOnce.
var Sole io.ReadCloser = sole{}

type sole struct{}

func (sole) Read([]byte) (int, error) { return 0, io.EOF }
func (sole) Close() error             { return nil }
