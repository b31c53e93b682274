// This file tests bodies that net/http sends: its write loops may still read when the next attempt begins.

package replay_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/replay"
)

const (
	long    = 8 << 20
	refusal = `{"errorCode":"E0000047"}`
)

// protocols runs test for each protocol, with a function that starts its server. They run at once, for a server that has
// closed a connection of HTTP/1.1 waits half a second for its client to notice.
func protocols(t *testing.T, test func(t *testing.T, serve func(http.HandlerFunc) *httptest.Server)) {
	for _, http2 := range []bool{false, true} {
		name := "HTTP/1.1"
		if http2 {
			name = "HTTP/2"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(handler http.HandlerFunc) *httptest.Server {
				srv := httptest.NewUnstartedServer(handler)
				srv.EnableHTTP2 = http2
				srv.StartTLS()
				t.Cleanup(srv.Close)
				return srv
			})
		})
	}
}

// send makes one attempt as the RoundTripper does: a clone with a context and a body of its own, the response drained and
// closed.
//
// The context ends before the response is closed. Close of an HTTP/2 response waits for the write loop, and so for a Read
// of the caller's stream that may be stuck; after a drain to the end this costs no connection.
func send(t *testing.T, srv *httptest.Server, req *http.Request, b *replay.Body) int {
	t.Helper()
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	attempt := req.Clone(ctx)
	attempt.Body = next(t, b)
	resp, err := srv.Client().Transport.RoundTrip(attempt)
	if err != nil {
		t.Fatalf("RoundTrip: %v", err)
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode == 429 && string(answer) != refusal {
		t.Errorf("the answer's body is %q, %v", answer, err)
	}
	cancel()
	resp.Body.Close()
	return resp.StatusCode
}

// answerEarly refuses the first n requests without reading their bodies, and checks the body of the next one.
func answerEarly(t *testing.T, n int64, want []byte) http.HandlerFunc {
	var calls atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) <= n {
			if r.ProtoMajor == 1 {
				w.Header().Set("Connection", "close") // else the server first reads 256 KiB of the body
			}
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, refusal)
			return
		}
		got, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("the server read %d bytes, %v; want the original %d", len(got), err, len(want))
		}
		if r.ContentLength >= 0 && r.ContentLength != int64(len(want)) {
			t.Errorf("Content-Length %d, want %d", r.ContentLength, len(want))
		}
	}
}

// closing returns a function that waits for the Close of src, which net/http may call after RoundTrip has returned.
func closing(src *source) (wait func(*testing.T)) {
	closed := make(chan struct{})
	once := sync.OnceFunc(func() { close(closed) })
	src.onClose = once
	return func(t *testing.T) {
		t.Helper()
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Fatal("the caller's body was never closed")
		}
		wantCloses(t, src, 1, "after the call")
	}
}

func TestWholeBodyIsSentAfterEarlyResponses(t *testing.T) {
	t.Parallel()
	data := text(long)
	for _, announced := range []bool{true, false} {
		protocols(t, func(t *testing.T, serve func(http.HandlerFunc) *httptest.Server) {
			srv := serve(answerEarly(t, 3, data))
			src := &source{data: data}
			closed := closing(src)
			req, _ := http.NewRequest("POST", srv.URL, src)
			if announced {
				req.ContentLength = long
			}
			b := replay.New(req, long)
			for i, want := range []int{429, 429, 429, 200} {
				if got := send(t, srv, req, &b); got != want {
					t.Fatalf("attempt %d: status %d, want %d", i+1, got, want)
				}
				if err := b.Hold(); err != nil {
					t.Fatal(err)
				}
			}
			b.Close()
			closed(t)
			if src.beside.Load() {
				t.Error("two Reads were in the caller's stream at once")
			}
		})
	}
}

// The caller's stream is slow: the response comes while the write loop waits for more, and what that late Read returns must
// be in the resend. Only what was sent by then is kept.
func TestResendHasTheBytesOfABlockedRead(t *testing.T) {
	t.Parallel()
	const sent, limit = 64 << 10, 512 << 10
	data := text(long)
	protocols(t, func(t *testing.T, serve func(http.HandlerFunc) *httptest.Server) {
		early := answerEarly(t, 1, data)
		stuck, gate := make(chan struct{}), make(chan struct{})
		srv := serve(func(w http.ResponseWriter, r *http.Request) {
			<-stuck
			early(w, r)
		})
		src := &source{data: data, chunk: 16 << 10, before: func(pos int64) {
			if pos == sent {
				close(stuck)
				<-gate
			}
		}}
		closed := closing(src)
		req, _ := http.NewRequest("POST", srv.URL, src)
		b := replay.New(req, limit)
		if got := send(t, srv, req, &b); got != 429 {
			t.Fatalf("status %d, want 429", got)
		}
		if err := b.Hold(); err != nil {
			t.Fatal(err)
		}
		if kept, capacity := b.Captured(); kept != sent || capacity > limit {
			t.Errorf("%d bytes in %d are kept, want %d", kept, capacity, sent)
		}
		wantCloses(t, src, 0, "between attempts")
		close(gate)
		if got := send(t, srv, req, &b); got != 200 {
			t.Fatalf("status %d, want 200", got)
		}
		if err := b.CanReplay(); !errors.Is(err, replay.ErrTooLarge) {
			t.Errorf("CanReplay = %v, want ErrTooLarge", err)
		}
		b.Close()
		closed(t)
	})
}

// The call ends with an early response while the write loop is stuck in the caller's stream: the stream is closed as soon
// as net/http closes the attempt's body.
func TestStreamIsClosedAfterAnEarlyResponse(t *testing.T) {
	t.Parallel()
	protocols(t, func(t *testing.T, serve func(http.HandlerFunc) *httptest.Server) {
		early := answerEarly(t, 1, nil)
		stuck, gate := make(chan struct{}), make(chan struct{})
		srv := serve(func(w http.ResponseWriter, r *http.Request) {
			<-stuck
			early(w, r)
		})
		src := &source{data: text(1000), chunk: 500, before: func(pos int64) {
			if pos == 500 {
				close(stuck)
				<-gate
			}
		}}
		closed := closing(src)
		req, _ := http.NewRequest("POST", srv.URL, src)
		b := replay.New(req, 1<<20)
		if got := send(t, srv, req, &b); got != 429 {
			t.Fatalf("status %d, want 429", got)
		}
		b.Close()
		close(gate)
		closed(t)
	})
}

func TestBodiesFromGetBodyAreSentInFull(t *testing.T) {
	t.Parallel()
	data := text(200 << 10)
	for name, body := range map[string]func() io.Reader{
		"bytes.Reader":   func() io.Reader { return bytes.NewReader(data) },
		"bytes.Buffer":   func() io.Reader { return bytes.NewBuffer(bytes.Clone(data)) },
		"strings.Reader": func() io.Reader { return strings.NewReader(string(data)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			protocols(t, func(t *testing.T, serve func(http.HandlerFunc) *httptest.Server) {
				srv := serve(answerEarly(t, 2, data))
				req, _ := http.NewRequest("PUT", srv.URL, body())
				b := replay.New(req, 0)
				defer b.Close()
				for _, want := range []int{429, 429, 200} {
					if got := send(t, srv, req, &b); got != want {
						t.Fatalf("status %d, want %d", got, want)
					}
				}
			})
		})
	}
}

// A refused connection reads nothing, so even a body far beyond the cap can be sent again.
func TestUnsentBodyCanBeSentAgain(t *testing.T) {
	t.Parallel()
	data := text(long)
	srv := httptest.NewServer(answerEarly(t, 0, data))
	defer srv.Close()
	src := &source{data: data}
	closed := closing(src)
	req, _ := http.NewRequest("POST", srv.URL, src)
	b := replay.New(req, 10)

	ctx, cancel := context.WithCancel(context.Background())
	refuse := &httptrace.ClientTrace{GetConn: func(string) { cancel() }}
	attempt := req.Clone(httptrace.WithClientTrace(ctx, refuse))
	attempt.Body = next(t, &b)
	if _, err := srv.Client().Transport.RoundTrip(attempt); !errors.Is(err, context.Canceled) {
		t.Fatalf("RoundTrip = %v, want the refusal", err)
	}
	if err := b.Hold(); err != nil {
		t.Fatal(err)
	}
	if got := send(t, srv, req, &b); got != 200 {
		t.Fatalf("status %d, want 200", got)
	}
	b.Close()
	closed(t)
}

// A captured body that is resent keeps the connection: net/http sees it sent in full.
func TestResendsShareAConnection(t *testing.T) {
	t.Parallel()
	var conns sync.Map
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conns.Store(r.RemoteAddr, true)
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, refusal)
	}))
	defer srv.Close()
	src := &source{data: text(10_000)}
	closed := closing(src)
	req, _ := http.NewRequest("POST", srv.URL, src)
	req.ContentLength = 10_000
	b := replay.New(req, 10_000)
	for range 10 {
		send(t, srv, req, &b)
		if err := b.Hold(); err != nil {
			t.Fatal(err)
		}
	}
	b.Close()
	closed(t)
	n := 0
	conns.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("10 attempts used %d connections, want 1", n)
	}
}
