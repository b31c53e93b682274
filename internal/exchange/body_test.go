// This file tests the bodies of answers: in what order they and their exchange end,
// that those which stall end, and that those which break off are asked for again.

package exchange_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/h2raw"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// hooked is a body with functions for its methods.
type hooked struct {
	io.Reader
	close func() error
}

func (b hooked) Close() error { return b.close() }

// answer returns a step that answers with a body.
func answer(status int, body func(*http.Request) io.ReadCloser) script.Step {
	return script.Do(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: body(r), ContentLength: -1, Request: r}, nil
	})
}

// What a base does when its body is closed, it does with the attempt's context.
func TestContextEndsAfterTheBodysClose(t *testing.T) {
	for name, status := range map[string]int{"success": 200, "error": 404, "discarded": 503} {
		for _, reads := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " read=", reads), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var ctx context.Context
					closed := 0
					step := answer(status, func(r *http.Request) io.ReadCloser {
						ctx = r.Context()
						ctx.Done()
						return hooked{strings.NewReader("content"), func() error {
							closed++
							time.Sleep(500 * time.Millisecond) // net/http drains for 50 ms
							if err := ctx.Err(); err != nil {
								t.Errorf("Close meets %v", err)
							}
							return nil
						}}
					})
					base := script.Repeat(t, step, script.OK())
					resp, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/logs", nil))
					if err != nil {
						t.Fatal(err)
					}
					if reads {
						io.Copy(io.Discard, resp.Body)
					} else {
						resp.Body.Close()
					}
					if closed != 1 || ctx.Err() == nil {
						t.Errorf("the body was closed %d times, and then the context has %v", closed, ctx.Err())
					}
				})
			})
		}
	}
}

// Over HTTP/2 a Close waits for an upload that is stuck, until the context ends.
func TestCloseThatWaitsForTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		step := answer(200, func(r *http.Request) io.ReadCloser {
			return hooked{strings.NewReader("content"), func() error { <-r.Context().Done(); return nil }}
		})
		start := time.Now()
		resp, err := rig.Over(t, script.New(t, step), nil).RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/logs", nil))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if d := time.Since(start); d > time.Second {
			t.Errorf("Close took %s", d)
		}
	})
}

// net/http since Go 1.27 reads what is left of a closed body, to keep its connection.
func TestUnreadBodiesCostNoConnectionsMore(t *testing.T) {
	count := func(over func(*http.Transport) http.RoundTripper) int64 {
		var conns atomic.Int64
		srv := rig.Serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, strings.Repeat("x", 10_000)) })
		base := rig.HTTP(t)
		base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conns.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		rt := over(base)
		for range 12 {
			resp, err := rt.RoundTrip(rig.Request(t, t.Context(), "GET", srv.URL, nil))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
		}
		return conns.Load()
	}
	alone := count(func(base *http.Transport) http.RoundTripper { return base })
	with := count(func(base *http.Transport) http.RoundTripper { return rig.Over(t, base, nil) })
	// net/http gives up draining after 50 ms, which a busy machine can take.
	if alone == 1 && with > 6 || with > 12 {
		t.Errorf("12 calls with unread bodies took %d connections, %d without this library", with, alone)
	}
}

// A wait may take minutes; the connection of the answer in hand is free meanwhile, also
// if there is more of it than is looked at.
func TestWaitingCallHoldsNoConnection(t *testing.T) {
	for name, body := range map[string]func() io.Reader{
		"without a known end": func() io.Reader { return script.Zeros(1 << 30) },
		"stalled":             func() io.Reader { return io.MultiReader(strings.NewReader("<html>"), neverReads{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				closed := make(chan struct{})
				step := answer(503, func(r *http.Request) io.ReadCloser {
					return hooked{untilClosed{body(), closed}, func() error { close(closed); return nil }}
				}).With(script.Set("Retry-After", "20"))
				base := script.New(t, step, script.OK())
				call := rig.Start(t, rig.Over(t, base, nil), "/api/v1/users")
				time.Sleep(5 * time.Second)
				select {
				case <-closed:
				default:
					t.Error("the connection is held through the wait")
				}
				(<-call).Is(200)
			})
		})
	}
}

// neverReads makes untilClosed wait for its end.
type neverReads struct{}

func (neverReads) Read([]byte) (int, error) { return 0, errWait }

var errWait = errors.New("wait")

type untilClosed struct {
	io.Reader
	closed chan struct{}
}

func (b untilClosed) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == errWait {
		<-b.closed
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// An error's body can be a stream like any other.
func TestBytesOfAnErrorBodyArriveAsTheyCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			for i, word := range []string{"{", `"errorCode"`, ":"} {
				time.Sleep(time.Duration(min(i, 1)) * time.Minute)
				io.WriteString(w, word)
			}
			w.Close()
		}()
		start := time.Now()
		c := rig.Get(t, rig.Over(t, script.New(t, script.Stream(404, r)), nil), "/api/v1/users").Is(404)
		got := make([]byte, 100)
		for i, want := range []string{"{", `"errorCode"`, ":"} {
			n, err := c.Resp.Body.Read(got)
			if err != nil || string(got[:n]) != want {
				t.Fatalf("read %q, %v; want %q", got[:n], err, want)
			}
			if d := time.Since(start); d > time.Duration(i)*time.Minute+2*time.Second {
				t.Errorf("%q came after %s", want, d)
			}
		}
		c.Resp.Body.Close()
	})
}

// A body in memory may know nothing of contexts.
func TestBodyThatIgnoresItsContextDoesNotHoldACanceledCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r, w := io.Pipe()
		defer w.Close()
		time.AfterFunc(100*time.Millisecond, cancel)
		start := time.Now()
		c := rig.Do(t, ctx, rig.Over(t, script.New(t, script.Stream(503, r)), nil), "GET", "/api/v1/users", "")
		if d := time.Since(start); d != 100*time.Millisecond || !errors.Is(c.Err, context.Canceled) {
			t.Errorf("the call ended after %s with %v", d, c.Err)
		}
	})
}

// A body in memory may know nothing of contexts, and a base may have looked at none.
func TestBodyThatIsReadAheadHoldsNoCall(t *testing.T) {
	ahead := func(p *oktaretry.Policy) {
		p.RetryBodies = 1 << 10
		p.Network.Action = oktaretry.FailFast
	}
	for name, start := range map[string]string{"at once": "", "half-way": "01234"} {
		rig.Virtual(t, "stalls "+name+" of a canceled call", func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			c := rig.Do(t, ctx, rig.Over(t, stalling(start), ahead), "GET", "/api/v1/users", "").TookBetween(time.Second, time.Second)
			if !errors.Is(c.Err, context.Canceled) {
				t.Errorf("the call ended with %v", c.Err)
			}
		})
		rig.Virtual(t, "stalls "+name, func(t *testing.T) {
			c := rig.Get(t, rig.Over(t, stalling(start), ahead), "/api/v1/users")
			var timeout net.Error
			if c.TookBetween(2*time.Minute, 2*time.Minute); !errors.As(c.Err, &timeout) || !timeout.Timeout() {
				t.Errorf("the call ended with %v", c.Err)
			}
		})
	}
}

// stalling is a base whose answers begin and then deliver nothing until they are closed.
func stalling(start string) http.RoundTripper {
	return script.Func(func(r *http.Request) (*http.Response, error) {
		body, w := io.Pipe()
		go io.WriteString(w, start)
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: body, ContentLength: -1, Request: r}, nil
	})
}

func TestBodyThatIsReadAheadEndsWithItsClose(t *testing.T) {
	for _, most := range []int64{4, 10} {
		tr := rig.Over(t, script.New(t, script.Reply(200, "0123456789")), func(p *oktaretry.Policy) { p.RetryBodies = most })
		body := rig.Get(t, tr, "/api/v1/users").Is(200).Resp.Body
		body.Close()
		if got, err := io.ReadAll(body); len(got) > 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("read %q, %v after Close", got, err)
		}
	}
}

// net/http writes a trailer into its response when the end of the body is read: here by
// another goroutine than the caller's, while that may look at the response.
func TestTrailerOfASlowErrorBodyComesWithItsEnd(t *testing.T) {
	for name, announced := range map[string]string{"announced": "Trailer: X-Checksum\r\n", "unannounced": ""} {
		rig.Virtual(t, name, func(t *testing.T) {
			base := rig.Pipe(t, func(r *bufio.Reader, w io.Writer) {
				http.ReadRequest(r)
				fmt.Fprintf(w, "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n%s\r\n3\r\nfir\r\n", announced)
				time.Sleep(5 * time.Second)
				io.WriteString(w, "2\r\nst\r\n0\r\nX-Checksum: 1\r\n\r\n")
				io.Copy(io.Discard, r)
			})
			defer base.CloseIdleConnections()
			c := rig.Get(t, rig.Over(t, base, nil), "http://okta.example/api/v1/users").Is(404)
			resp := c.Resp
			time.Sleep(10 * time.Second)
			if _, known := resp.Trailer["X-Checksum"]; known != (announced != "") || resp.Trailer.Get("X-Checksum") != "" {
				t.Errorf("before the end of the body the trailer is %v", resp.Trailer)
			}
			c.Reads("first")
			if got := resp.Trailer.Get("X-Checksum"); got != "1" {
				t.Errorf("at the end of the body the trailer is %v", resp.Trailer)
			}
		})
	}
}

// breaksOff are servers whose first answers of half a body, and no more of it, are
// followed by whole ones.
func breaksOff(t *testing.T, halves int64, whole string, stall bool) map[string]func() (string, http.RoundTripper, *atomic.Int64) {
	half := whole[:len(whole)/2]
	return map[string]func() (string, http.RoundTripper, *atomic.Int64){
		"HTTP/1.1": func() (string, http.RoundTripper, *atomic.Int64) {
			var n atomic.Int64
			url, base, _ := http1(t, func(_ int, r *http.Request, w io.Writer) bool {
				if n.Add(1) > halves {
					fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(whole), whole)
					return true
				}
				fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(whole), half)
				if stall {
					<-t.Context().Done()
				}
				return false
			})
			return url, base, &n
		},
		"HTTP/2": func() (string, http.RoundTripper, *atomic.Int64) {
			var n atomic.Int64
			url, base := http2(t, func(c *h2raw.Conn, id uint32, _ []byte) {
				if n.Add(1) > halves {
					c.Respond(id, 200, whole)
					return
				}
				if c.Begin(id, 200, half); !stall {
					c.Reset(id, h2raw.NoError)
				}
			})
			return url, base, &n
		},
		"memory": func() (string, http.RoundTripper, *atomic.Int64) {
			var n atomic.Int64
			base := script.Func(func(r *http.Request) (*http.Response, error) {
				resp := &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: int64(len(whole)), Request: r}
				switch pr, pw := io.Pipe(); {
				case n.Add(1) > halves:
					resp.Body = io.NopCloser(strings.NewReader(whole))
				case stall:
					go io.WriteString(pw, half)
					resp.Body = pr
				default:
					go func() {
						io.WriteString(pw, half)
						pw.CloseWithError(io.ErrUnexpectedEOF)
					}()
					resp.Body = pr
				}
				return resp, nil
			})
			return "http://okta.example", base, &n
		},
	}
}

func quick(edit func(*oktaretry.Policy)) func(*oktaretry.Policy) {
	return func(p *oktaretry.Policy) {
		rig.QuickWaits(p)
		edit(p)
	}
}

func TestBodyThatStallsEndsWithATimeout(t *testing.T) {
	for name, serve := range breaksOff(t, 1, "0123456789", true) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, base, _ := serve()
			tr := rig.Over(t, base, quick(func(p *oktaretry.Policy) { p.BodyTimeout = 20 * time.Millisecond }))
			resp, err := tr.RoundTrip(rig.Request(t, t.Context(), "GET", url+"/api/v1/logs", nil))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			var timeout net.Error
			if string(got) != "01234" || !errors.As(err, &timeout) || !timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("read %q, %v", got, err)
			}
			resp.Body.Close()
		})
	}
}

// The limit is of each Read: neither a slow body nor a slow reader is cut.
func TestSlowBodiesAndReadersAreNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{200, 404} {
			r, w := io.Pipe()
			go func() {
				for range 10 {
					time.Sleep(2*time.Minute - time.Second)
					io.WriteString(w, "x")
				}
				w.Close()
			}()
			c := rig.Get(t, rig.Over(t, script.New(t, script.Stream(status, r)), nil), "/api/v1/logs").Is(status)
			time.Sleep(time.Hour)
			c.Reads(strings.Repeat("x", 10))
		}
	})
}

func TestBodyThatBreaksOffIsAskedForAgain(t *testing.T) {
	const whole = "0123456789"
	for _, tt := range []struct {
		name   string
		method string
		limit  int64
		halves int64
		sends  int64
		got    string // "": an error
	}{
		{"GET", "GET", 10, 1, 2, whole},
		{"GET twice", "GET", 10, 2, 3, whole},
		{"GET for ever", "GET", 10, 99, 4, ""},
		{"PUT", "PUT", 10, 1, 2, whole},
		{"POST", "POST", 10, 1, 1, "01234"},
		{"longer than that", "GET", 4, 1, 1, "01234"},
		{"off", "GET", 0, 1, 1, "01234"},
	} {
		for _, stall := range []bool{false, true} {
			for name, serve := range breaksOff(t, tt.halves, whole, stall) {
				test := func(t *testing.T) {
					url, base, n := serve()
					tr := rig.Over(t, base, quick(func(p *oktaretry.Policy) {
						p.BodyTimeout, p.RetryBodies = 20*time.Millisecond, tt.limit
					}))
					c := rig.Do(t, t.Context(), tr, tt.method, url+"/api/v1/users/1", "")
					if n.Load() != tt.sends || int64(len(c.Outcome.Attempts)) != tt.sends {
						t.Errorf("sent %d times in %d attempts, want %d", n.Load(), len(c.Outcome.Attempts), tt.sends)
					}
					if tt.got == "" {
						if c.Err == nil {
							t.Error("no error")
						}
						return
					}
					var got bytes.Buffer
					_, err := got.ReadFrom(c.Is(200).Resp.Body)
					if got.String() != tt.got || (err == nil) != (tt.got == whole) {
						t.Errorf("read %q, %v; want %q", got.String(), err, tt.got)
					}
					c.Resp.Body.Close()
				}
				t.Run(fmt.Sprint(tt.name, "/", name, " stall=", stall), func(t *testing.T) {
					t.Parallel()
					if name == "memory" {
						synctest.Test(t, test)
					} else {
						test(t)
					}
				})
			}
		}
	}
}
