// This file tests which requests pass, over a server of net/http, and holds the gate's
// view of where a request ends against net/http's.

package gate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const maxHeader = 8 << 10

var shapes = []struct {
	name string
	wire string
	want error
}{
	{"a GET", "GET /a HTTP/1.1\r\nHost: x\r\n\r\n", nil},
	{"a POST", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", nil},
	{"chunks", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n", nil},
	{"a trailer", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\nTrailer: X-A\r\n\r\n0\r\nX-A: 1\r\n\r\n", nil},
	{"HTTP/1.0", "GET /a HTTP/1.0\r\n\r\n", nil},
	{"absolute form", "GET http://acme.okta.com/a HTTP/1.1\r\nHost: acme.okta.com\r\n\r\n", nil},
	{"an empty value", "GET /a HTTP/1.1\r\nHost: x\r\nX-A:\r\n\r\n", nil},
	{"Content-Length and Transfer-Encoding", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ErrBoth},
	{"Transfer-Encoding and Content-Length", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", ErrBoth},
	{"two lengths", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", ErrLength},
	{"two equal lengths", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", ErrLength},
	{"lengths in one field", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello", ErrLength},
	{"a signed length", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello", ErrLength},
	{"a negative length", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", ErrLength},
	{"a length without digits", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\n", ErrLength},
	{"a length beyond all bounds", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n", ErrLength},
	{"an underscore", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent_Length: 6\r\n\r\nhello", ErrLength},
	{"two encodings", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ErrEncoding},
	{"another encoding", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", ErrEncoding},
	{"a list of encodings", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", ErrEncoding},
	{"chunks of HTTP/1.0", "POST /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ErrEncoding},
	{"a vertical tab in an encoding", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", ErrControl},
	{"a folded field", "GET /a HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n 2\r\n\r\n", ErrFold},
	{"a folded encoding", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", ErrEncoding},
	{"a first field that is folded", "GET /a HTTP/1.1\r\n Host: x\r\n\r\n", ErrFold},
	{"a space before the colon", "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello", ErrName},
	{"a field without a name", "GET /a HTTP/1.1\r\nHost: x\r\n: 1\r\n\r\n", ErrName},
	{"a field without a colon", "GET /a HTTP/1.1\r\nHost: x\r\nX-A\r\n\r\n", ErrName},
	{"a NUL", "GET /a HTTP/1.1\r\nHost: x\r\nX-A: 1\x002\r\n\r\n", ErrControl},
	{"a bare CR", "GET /a HTTP/1.1\r\nHost: x\r\nX-A: 1\rX-B: 2\r\n\r\n", ErrControl},
	{"a bare LF", "GET /a HTTP/1.1\r\nHost: x\nX-A: 1\r\n\r\n", ErrEnding},
	{"no Host", "GET /a HTTP/1.1\r\n\r\n", ErrHost},
	{"two Hosts", "GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", ErrHost},
	{"a blank in the target", "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", ErrLine},
	{"no version", "GET /a\r\n\r\n", ErrLine},
	{"another version", "GET /a HTTP/1.2\r\nHost: x\r\n\r\n", ErrLine},
	{"HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ErrHTTP2},
	{"an empty line first", "\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n", ErrLine},
	{"a chunk extension", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", ErrChunk},
	{"a chunk size with a sign", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", ErrChunk},
	{"a chunk size beyond all bounds", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", ErrChunk},
	{"a chunk that is longer", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n", ErrChunk},
	{"a chunk line that ends in LF", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", ErrEnding},
	{"a length as a trailer", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n", ErrTrailer},
	{"a long field", "GET /a HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", maxHeader) + "\r\n\r\n", ErrTooLarge},
	{"many fields", "GET /a HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: 1\r\n", maxHeader/8) + "\r\n", ErrTooLarge},
	{"a line without an end", "GET /" + strings.Repeat("a", maxHeader), ErrTooLarge},
}

func TestOnlyRequestsThatAllParsersReadAlikePass(t *testing.T) {
	for _, tt := range shapes {
		t.Run(tt.name, func(t *testing.T) {
			const first = "POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
			for _, size := range []int{1, 2, 7, 1 << 20} {
				s := scanner{max: maxHeader}
				var err error
				for _, piece := range pieces(first+tt.wire, size) {
					if _, err = s.scan([]byte(piece)); err != nil {
						break
					}
				}
				if err != tt.want {
					t.Errorf("in pieces of %d: %v, want %v", size, err, tt.want)
				}
				if err == nil && s.state != inLine {
					t.Errorf("in pieces of %d: not at the end of a request", size)
				}
			}
		})
	}
}

func pieces(s string, size int) (all []string) {
	for ; len(s) > size; s = s[size:] {
		all = append(all, s[:size])
	}
	return append(all, s)
}

func TestARefusedRequestIsAnsweredAndReachesNoHandler(t *testing.T) {
	for _, tt := range shapes {
		t.Run(tt.name, func(t *testing.T) {
			var refused error
			handled := 0
			answer := serve(t, tt.wire, func(err error) { refused = err }, func(w http.ResponseWriter, r *http.Request) {
				if _, err := io.Copy(io.Discard, r.Body); err == nil {
					handled++
				}
			})
			if tt.want == nil {
				if handled != 1 || !strings.Contains(answer, " 200 ") {
					t.Errorf("handled %d times, answered %q", handled, answer)
				}
				return
			}
			if handled != 0 || !strings.HasPrefix(answer, "HTTP/1.1 400 ") && !errors.Is(tt.want, ErrChunk) &&
				!errors.Is(tt.want, ErrTrailer) && tt.name != "a chunk line that ends in LF" {
				t.Errorf("handled %d times, answered %q", handled, answer)
			}
			if refused != tt.want {
				t.Errorf("refused for %v, want %v", refused, tt.want)
			}
		})
	}
}

// serve sends wire to a server behind a gate and returns what comes back until the server
// closes the connection.
func serve(t *testing.T, wire string, refused func(error), h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(&Listener{Listener: l, MaxHeader: maxHeader, Write: time.Minute, Refused: refused})
	}()
	defer func() { srv.Close(); <-done }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, wire)
	c.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(c)
	if err != nil && len(answer) == 0 {
		t.Fatal(err)
	}
	return string(answer)
}

// FuzzScan holds the gate against net/http: whatever passes as whole requests is that
// many requests to net/http, too, with the same bodies in sum.
func FuzzScan(f *testing.F) {
	for _, tt := range shapes {
		f.Add([]byte(tt.wire))
		f.Add([]byte("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + tt.wire))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		s := scanner{max: maxHeader}
		requests := 0
		for i := range wire {
			if good, err := s.scan(wire[i : i+1]); err != nil || good != 1 {
				return
			}
			if s.state == inLine && len(s.line) == 0 {
				requests++
			}
		}
		if s.state != inLine || len(s.line) > 0 {
			return
		}
		r := bufio.NewReader(bytes.NewReader(wire))
		for i := range requests {
			req, err := http.ReadRequest(r)
			if err != nil {
				if i == 0 || !errors.Is(err, io.EOF) {
					return // net/http is stricter, which harms nobody
				}
				t.Fatalf("net/http sees %d requests, the gate %d", i, requests)
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				t.Fatal(fmt.Errorf("request %d: %w", i, err))
			}
		}
		if rest, _ := io.ReadAll(r); len(rest) > 0 {
			t.Fatalf("net/http leaves %q", rest)
		}
	})
}
