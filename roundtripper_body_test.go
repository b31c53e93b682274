// This file tests that the bodies of answers come through as the base gave
// them.

package oktaretry_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestSuccessBodyIsNeverRead(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		header []string
	}{
		"200": {200, []string{"Content-Type", "application/json"}}, "201": {201, []string{"Content-Type", "application/json"}},
		"204": {204, nil}, "206": {206, nil}, "302": {302, []string{"Location", "/"}}, "304": {304, nil},
		"202 not in JSON": {202, []string{"Content-Type", "text/csv"}}, "202 of no type": {202, nil},
	} {
		for _, timeout := range []time.Duration{0, time.Minute} {
			t.Run(fmt.Sprint(name, " with attempt timeout ", timeout), func(t *testing.T) {
				body := script.Text("content")
				tr := rig.Over(t, script.Repeat(t, script.Stream(test.status, body, script.Headers(test.header...))), func(p *oktaretry.Policy) { p.AttemptTimeout = timeout })
				resp, err := tr.RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users", nil))
				if n := body.Reads(); n != 0 {
					t.Errorf("the body was read %d times before its reader had it", n)
				}
				if got := rig.Text(t, resp, err); got != "content" {
					t.Errorf("read %q", got)
				}
				body.WantClosed(t)
			})
		}
	}
}

func TestFirstByteOfASuccessIsNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		start := time.Now()
		go func() {
			for range 3 {
				time.Sleep(time.Minute)
				io.WriteString(w, "x")
			}
			w.Close()
		}()
		resp, err := rig.Over(t, script.Repeat(t, script.Stream(200, r)), nil).RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/logs", nil))
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("the headers took %s", d)
		}
		for i := range 3 {
			if _, err := io.ReadFull(resp.Body, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if d, want := time.Since(start), time.Duration(i+1)*time.Minute; d != want {
				t.Errorf("byte %d came after %s, want %s", i+1, d, want)
			}
		}
		rig.Text(t, resp, nil)
	})
}

func TestUpgradedConnectionCanBeWrittenAndHalfClosed(t *testing.T) {
	srv := rig.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		rw.Flush()
		got, _ := io.ReadAll(rw) // until the client has closed its half
		conn.Write(bytes.ToUpper(got))
	})
	for _, timeout := range []time.Duration{0, time.Minute} {
		tr := rig.Over(t, rig.HTTP(t), func(p *oktaretry.Policy) { p.AttemptTimeout = timeout })
		req := rig.Request(t, t.Context(), "GET", srv.URL+"/echo", nil)
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", "echo")
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		conn, ok := resp.Body.(interface {
			io.ReadWriteCloser
			CloseWrite() error
		})
		if !ok {
			t.Fatalf("the body of a 101 is a %T, which can't be written to and half closed", resp.Body)
		}
		io.WriteString(conn, "hello")
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got := rig.Text(t, resp, nil); got != "HELLO" {
			t.Errorf("the other side sent %q", got)
		}
	}
}

// A plain writer below has no half to close.
func TestHalfClosingAnOrdinaryBodyIsAnError(t *testing.T) {
	type readWriter struct {
		io.ReadCloser
		io.Writer
	}
	body := readWriter{io.NopCloser(strings.NewReader("")), io.Discard}
	tr := rig.Over(t, script.Func(func(r *http.Request) (*http.Response, error) { return script.Stream(101, body).Respond(r) }), nil)
	resp, err := tr.RoundTrip(rig.Request(t, t.Context(), "GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := resp.Body.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("CloseWrite = %v, want ErrNotSupported", err)
	}
}

func TestEveryFormOfAnswerPasses(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, `{"errorCode":"E0000007"}`)
	z.Close()
	srv := rig.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/trailer":
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "content")
			w.Header().Set("X-Sum", "7")
		case "/trailer404":
			w.Header().Set("Trailer", "X-Sum")
			w.WriteHeader(404)
			io.WriteString(w, "content")
			w.Header().Set("X-Sum", "7")
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.WriteHeader(304)
		case "/chunked", "/chunked400":
			if r.URL.Path != "/chunked" {
				w.WriteHeader(400)
			}
			io.WriteString(w, "con")
			http.NewResponseController(w).Flush()
			io.WriteString(w, "tent")
		case "/links":
			w.Header().Add("Link", "<a>; rel=self")
			w.Header().Add("Link", "<b>; rel=next")
			io.WriteString(w, "[]")
		case "/gzip", "/gzip404":
			w.Header().Set("Content-Encoding", "gzip")
			if r.URL.Path != "/gzip" {
				w.WriteHeader(404)
			}
			w.Write(zipped.Bytes())
		default:
			w.Header().Set("Content-Length", "7")
			if r.URL.Path == "/404" {
				w.WriteHeader(404)
			}
			io.WriteString(w, "content")
		}
	})
	tr := rig.Over(t, rig.HTTP(t), nil)
	clear, raw := `{"errorCode":"E0000007"}`, zipped.String()
	for _, test := range []struct {
		method, path string
		zip          bool // the caller asks for gzip, so the transport leaves it to them
		status       int
		body         string
		length       int64
		code         string
	}{
		{"GET", "/", false, 200, "content", 7, ""},
		{"GET", "/404", false, 404, "content", 7, ""},
		{"HEAD", "/", false, 200, "", 7, ""},
		{"HEAD", "/404", false, 404, "", 7, ""},
		{"GET", "/204", false, 204, "", 0, ""},
		{"GET", "/304", false, 304, "", 0, ""},
		{"GET", "/chunked", false, 200, "content", -1, ""},
		{"GET", "/chunked400", false, 400, "content", -1, ""},
		{"GET", "/trailer", false, 200, "content", -1, ""},
		{"GET", "/trailer404", false, 404, "content", -1, ""},
		{"GET", "/links", false, 200, "[]", 2, ""},
		{"GET", "/gzip", false, 200, clear, -1, ""},
		{"GET", "/gzip", true, 200, raw, int64(len(raw)), ""},
		{"GET", "/gzip404", false, 404, clear, -1, "E0000007"},
		{"GET", "/gzip404", true, 404, raw, int64(len(raw)), "E0000007"},
	} {
		t.Run(fmt.Sprint(test.method, test.path, test.zip), func(t *testing.T) {
			req := rig.Request(t, t.Context(), test.method, srv.URL+test.path, nil)
			if test.zip {
				req.Header.Set("Accept-Encoding", "gzip")
			}
			resp, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != test.status || !strings.HasPrefix(resp.Status, fmt.Sprint(test.status, " ")) {
				t.Errorf("status %d %q, want %d", resp.StatusCode, resp.Status, test.status)
			}
			if resp.ContentLength != test.length {
				t.Errorf("ContentLength %d, want %d", resp.ContentLength, test.length)
			}
			if got := rig.Text(t, resp, nil); got != test.body {
				t.Errorf("body %q, want %q", got, test.body)
			}
			if strings.HasPrefix(test.path, "/trailer") && resp.Trailer.Get("X-Sum") != "7" {
				t.Errorf("trailer %v, want X-Sum: 7", resp.Trailer)
			}
			if test.path == "/links" && len(resp.Header["Link"]) != 2 {
				t.Errorf("Link headers %q, want two", resp.Header["Link"])
			}
			if out, _ := oktaretry.OutcomeOf(resp); out.Code != test.code {
				t.Errorf("code %q, want %q", out.Code, test.code)
			}
		})
	}
}

func TestErrorBodyIsReadableInFull(t *testing.T) {
	bodies := map[string]string{
		"empty": "", "Okta's": `{"errorCode":"E0000007","errorSummary":"Not found"}`, "HTML": "<html><body>502 Bad Gateway",
		"cut short": `{"errorCode":"E00`, "not UTF-8": "\xff\xfe{\x00", "null": "null", "an array": "[[[[",
	}
	for _, n := range []int{511, 512, 513, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20} {
		bodies[fmt.Sprint(n, " bytes")] = strings.Repeat("0123456789abcdef", n/16+1)[:n]
	}
	reads := map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader,
		"end with the data": iotest.DataErrReader, "in halves": iotest.HalfReader,
	}
	for name, body := range bodies {
		for how, reader := range reads {
			if how == "byte by byte" && len(body) > 100<<10 {
				continue
			}
			for _, status := range []int{400, 429, 503} {
				for _, announced := range []bool{true, false} {
					tr := rig.Over(t, script.Func(func(r *http.Request) (*http.Response, error) {
						resp, err := script.Stream(status, io.NopCloser(reader(strings.NewReader(body))), script.Set("Content-Type", "application/json")).Respond(r)
						if announced {
							resp.ContentLength = int64(len(body))
						}
						return resp, err
					}), func(p *oktaretry.Policy) { p.ReturnRateLimited = true })
					ctx := oktaretry.WithNoRetry(t.Context())
					resp, err := tr.RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users", nil))
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if announced && resp.ContentLength != int64(len(body)) || !announced && resp.ContentLength != -1 {
						t.Errorf("%s: ContentLength became %d", name, resp.ContentLength)
					}
					if got := rig.Text(t, resp, nil); got != body {
						t.Errorf("%s, %s, under %d: read %d bytes, want these %d", name, how, status, len(got), len(body))
					}
				}
			}
		}
	}
}

// The last 503 of a call that waited before it: its connection was let go, its
// bytes were not.
func TestErrorBodyKeptThroughAWaitIsReadableInFull(t *testing.T) {
	for name, body := range map[string]string{"small": "<html>", "beyond the peek limit": strings.Repeat("y", 100<<10)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := script.Repeat(t, script.Reply(503, body))
				// A circuit that opens elsewhere during the wait leaves the call with the answer in hand.
				tr := rig.Over(t, base, func(p *oktaretry.Policy) { p.Breaker.MinCalls, p.Breaker.OpenFor = 2, time.Hour })
				time.AfterFunc(100*time.Millisecond, func() { warmUp(t, tr) })
				ctx, rec := oktaretry.WithRecorder(t.Context())
				resp, err := tr.RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users", nil))
				if got := rig.Text(t, resp, err); got != body {
					t.Errorf("read %d bytes, want %d", len(got), len(body))
				}
				rig.WantStop(t, rec, oktaretry.StopCircuitOpen)
				base.WantClosed()
			})
		})
	}
}

// A wait may take minutes. The connection of the answer in hand is free as soon
// as all that there is of it is in memory.
func TestWaitHoldsNoConnection(t *testing.T) {
	for name, step := range map[string]script.Step{
		"backoff": script.Reply(503, "<html>", script.Set("Retry-After", "10")), "rate limit": script.LimitedFor(10 * time.Second),
		"poll":       script.Code(202, "E0000070", script.Set("Retry-After", "10")),
		"broken off": script.Stream(503, io.NopCloser(iotest.ErrReader(errors.New("connection lost"))), script.Set("Retry-After", "10")),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := script.Repeat(t, step, script.OK())
				time.AfterFunc(5*time.Second, func() {
					if n := base.Open(); n != 0 {
						t.Error("the connection is held through the wait")
					}
				})
				rig.Send(t, rig.Over(t, base, nil), rig.Request(t, t.Context(), "GET", "/api/v1/users", nil)).Text()
				base.WantSent(2)
			})
		})
	}
}

func TestBrokenErrorBodyReturnsItsError(t *testing.T) {
	broken := errors.New("connection lost")
	body := io.MultiReader(strings.NewReader(`{"errorCode"`), iotest.ErrReader(broken))
	tr := rig.Over(t, script.Repeat(t, script.Stream(404, io.NopCloser(body))), nil)
	resp, err := tr.RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users/1", nil))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if string(got) != `{"errorCode"` || !errors.Is(err, broken) {
		t.Errorf("read %q and %v", got, err)
	}
	resp.Body.Close()
}

func TestStalledErrorBodyIsClassifiedByStatusAndReadableLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			io.WriteString(w, `{"errorCode":`)
			time.Sleep(time.Hour)
			io.WriteString(w, `"E0000007"}`)
			w.Close()
		}()
		start := time.Now()
		tr := rig.Over(t, script.Repeat(t, script.Stream(404, r)), func(p *oktaretry.Policy) { p.BodyTimeout = 0 })
		resp, err := tr.RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users/1", nil))
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("the answer was held back for %s", d)
		}
		if got := rig.Text(t, resp, err); got != `{"errorCode":"E0000007"}` {
			t.Errorf("read %q", got)
		}
		if d := time.Since(start); d != time.Hour {
			t.Errorf("the body took %s, want an hour", d)
		}
	})
}

// Over net/http itself, with connections in memory: an answer that stalls is
// dropped for a resend, or closed by the caller, without anyone hanging.
func TestStalledErrorBodyCanBeClosedAnyTime(t *testing.T) {
	// net/http's gzip reader holds a lock while it waits for the ten bytes of gzip's header, and its Close wants that lock.
	for header, timeout := range map[string]time.Duration{
		"": time.Minute, "Content-Encoding: gzip\r\n": time.Minute, "Content-Encoding: gzip\r\nX: y\r\n": 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			var served atomic.Int64
			base := rig.Pipe(t, func(r *bufio.Reader, w io.Writer) {
				if _, err := http.ReadRequest(r); err != nil {
					return
				}
				status := "503 x"
				if served.Add(1) == 2 {
					status = "404 x"
				}
				fmt.Fprintf(w, "HTTP/1.1 %s\r\n%sContent-Length: 100\r\n\r\n{", status, header)
				io.Copy(io.Discard, r) // never another byte
			})
			start := time.Now()
			resp, err := rig.Over(t, base, func(p *oktaretry.Policy) { p.AttemptTimeout = timeout }).RoundTrip(
				rig.Request(t, t.Context(), "GET", "http://example.okta.com/api/v1/users/1", nil))
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != 404 || served.Load() != 2 {
				t.Errorf("status %d after %d sends", resp.StatusCode, served.Load())
			}
			if d := time.Since(start); d > 6*time.Second {
				t.Errorf("took %s, two stalls of 2s and a backoff", d)
			}
			done := make(chan error)
			go func() { done <- resp.Body.Close() }()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(time.Minute):
				t.Fatal("Close hangs")
			}
		})
	}
}
