package outage_test

// This file holds the server in trouble: it answers, fails or hangs as the
// scenario says, and writes down each request that came.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

// fate is what becomes of a request.
type fate uint8

const (
	served      fate = iota
	unavailable      // a bare 503, as the edge answers for Okta
	internal         // a 500 E0000009, which is one endpoint's fault
	refused          // the connection is: nothing of the request was written
	hung             // the request was written, and no answer ever comes
)

// fates says what becomes of a request to an endpoint, so long after the
// trouble began. It is called under the server's lock, in the order of arrival.
type fates func(at time.Duration, endpoint string, r *rand.Rand) fate

const (
	least, most = 20 * time.Millisecond, 80 * time.Millisecond // a served call takes
	failsIn     = 20 * time.Millisecond                        // a 5xx takes
	refusesIn   = time.Millisecond

	// Each endpoint's rate limit is far away. It is told as Okta tells it,
	// because a client that knows no limit may be careful.
	limit  = 10_000
	window = time.Minute
)

type server struct {
	start, trouble time.Time
	fates          fates

	mu     sync.Mutex
	random *rand.Rand
	hits   []time.Duration // when requests came, since start
	window int64
	used   map[string]int // by endpoint, in this window
}

// recordKey is where a call's context carries its record. All attempts of the
// call inherit it, so the server knows which of them are the same call's.
type recordKey struct{}

func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		io.Copy(io.Discard, req.Body)
		req.Body.Close()
	}
	call, ok := req.Context().Value(recordKey{}).(*record)
	if !ok {
		return nil, fmt.Errorf("%s %s: the call's context is lost", req.Method, req.URL.Path)
	}
	endpoint := endpointOf(req)
	now := time.Now()
	s.mu.Lock()
	f := served
	if at := now.Sub(s.trouble); at >= 0 {
		f = s.fates(at, endpoint, s.random)
	}
	takes := least + rand.N(most-least)
	s.hits = append(s.hits, now.Sub(s.start))
	call.hits = append(call.hits, now.Sub(s.start))
	if f != refused {
		call.reached++
	}
	header := s.limits(endpoint, now)
	s.mu.Unlock()

	switch f {
	case refused:
		if err := sleep(req.Context(), refusesIn); err != nil {
			return nil, err
		}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case hung:
		<-req.Context().Done()
		return nil, context.Cause(req.Context())
	case unavailable, internal:
		if err := sleep(req.Context(), failsIn); err != nil {
			return nil, err
		}
		if f == unavailable {
			return reply(req, http.StatusServiceUnavailable, "text/html", "<html>Service Unavailable</html>", http.Header{}), nil
		}
		return reply(req, http.StatusInternalServerError, "application/json", `{"errorCode":"E0000009","errorSummary":"Internal Server Error"}`, header), nil
	}
	if err := sleep(req.Context(), takes); err != nil {
		return nil, err
	}
	return reply(req, http.StatusOK, "application/json", bodies[endpoint], header), nil
}

// limits counts the request in its endpoint's window and returns Okta's headers.
func (s *server) limits(endpoint string, now time.Time) http.Header {
	if n := now.UnixNano() / int64(window); n != s.window {
		s.window, s.used = n, make(map[string]int)
	}
	s.used[endpoint]++
	return http.Header{
		"X-Rate-Limit-Limit":     {fmt.Sprint(limit)},
		"X-Rate-Limit-Remaining": {fmt.Sprint(limit - s.used[endpoint])},
		"X-Rate-Limit-Reset":     {fmt.Sprint((s.window + 1) * int64(window/time.Second))},
	}
}

func reply(req *http.Request, status int, kind, body string, h http.Header) *http.Response {
	h.Set("Content-Type", kind)
	h.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h, Request: req,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// endpointOf is the method and the path, with an id left out.
func endpointOf(req *http.Request) string {
	path := strings.TrimSuffix(req.URL.Path, "/00a1")
	if path != req.URL.Path {
		path += "/{id}"
	}
	return req.Method + " " + path
}

// bodies are what the endpoints answer.
var bodies = map[string]string{
	getUser:     user,
	listUsers:   "[" + user + "]",
	getGroup:    group,
	createUser:  user,
	createGroup: group,
}

var (
	user  = mustJSON(map[string]any{"id": "00a1", "status": "ACTIVE", "profile": map[string]string{"login": "a@example.com", "email": "a@example.com"}})
	group = mustJSON(map[string]any{"id": "00a1", "type": "OKTA_GROUP", "profile": map[string]string{"name": "g"}})
)

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// sleep waits, and says why it ended early.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
