// This file tests how Classify reads a bounded part of an error body and leaves
// all of it to its reader.

package oktaretry_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

const peekLimit = 64 << 10

func bodyOf(status int, length int64, header http.Header, src io.Reader) (*http.Response, *script.Body) {
	if header == nil {
		header = http.Header{"Content-Type": {jsonType}}
	}
	b := script.NewBody(src)
	return &http.Response{StatusCode: status, Header: header, Body: b, ContentLength: length}, b
}

// padded is an error body of n bytes.
func padded(code string, n int) string {
	body := `{"errorCode":"` + code + `","errorSummary":"`
	return body + strings.Repeat("x", n-len(body)-2) + `"}`
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil || z.Close() != nil {
		t.Fatal("gzip failed")
	}
	return b.Bytes()
}

func TestClassifyLeavesTheBodyReadable(t *testing.T) {
	zip := http.Header{"Content-Encoding": {"gzip"}, "Content-Type": {jsonType}}
	// Its code stands before what cannot be compressed, so that it is there in
	// the first half of the stream.
	long := []byte(`{"errorCode":"E0000047","errorSummary":"`)
	for x := uint32(1); len(long) < 4<<10; x = x*1664525 + 1013904223 {
		long = append(long, 'a'+byte(x>>27)%26)
	}
	cut := zipped(t, string(long))
	for _, tt := range []struct {
		name   string
		header http.Header
		body   string
		code   string
	}{
		{"empty", nil, "", ""},
		{"200 B", nil, padded("E0000047", 200), "E0000047"},
		{"511 B", nil, padded("E0000047", 511), "E0000047"},
		{"512 B", nil, padded("E0000047", 512), "E0000047"},
		{"one less than 64 KiB", nil, padded("E0000047", peekLimit-1), "E0000047"},
		{"exactly 64 KiB", nil, padded("E0000047", peekLimit), "E0000047"},
		{"64 KiB + 1", nil, padded("E0000047", peekLimit+1), "E0000047"},
		{"1 MiB", nil, padded("E0000047", 1<<20), "E0000047"},
		{"a code at the end of 64 KiB", nil, `{"x":"` + strings.Repeat("x", peekLimit-33) + `","errorCode":"E0000047"}` + "more", "E0000047"},
		{"a code behind 64 KiB", nil, `{"x":"` + strings.Repeat("x", peekLimit) + `","errorCode":"E0000047"}`, ""},
		{"malformed", nil, `{"errorCode":"E0000047",,,`, "E0000047"},
		{"malformed from the start", nil, "\x00\xff{\"errorCode\":\"E0000047\"}", ""},
		{"HTML", nil, "<html>E0000047</html>", ""},
		{"gzip", zip, string(zipped(t, padded("E0000047", 300))), "E0000047"},
		{"gzip in capitals", http.Header{"Content-Encoding": {"GZIP"}}, string(zipped(t, padded("E0000047", 300))), "E0000047"},
		{"gzip that grows to 1 MiB", zip, string(zipped(t, padded("E0000047", 1<<20))), "E0000047"},
		{"gzip of a code behind 64 KiB", zip, string(zipped(t, `{"x":"`+strings.Repeat("x", peekLimit)+`","errorCode":"E0000047"}`)), ""},
		{"gzip by its header, HTML", zip, "<html>E0000047</html>", ""},
		{"gzip cut off", zip, string(cut[:len(cut)/2]), "E0000047"},
		{"gzip cut off in its header", zip, string(cut[:5]), ""},
		{"called gzip and isn't", zip, padded("E0000047", 300), "E0000047"},
		{"gzip that isn't called so", nil, string(zipped(t, padded("E0000047", 300))), ""},
	} {
		for _, length := range []int64{int64(len(tt.body)), -1} {
			for reading, through := range map[string]func(io.Reader) io.Reader{
				"whole":         func(r io.Reader) io.Reader { return r },
				"in halves":     iotest.HalfReader,
				"its end early": iotest.DataErrReader,
			} {
				t.Run(fmt.Sprint(tt.name, ", length ", length, ", ", reading), func(t *testing.T) {
					resp, src := bodyOf(418, length, tt.header, through(strings.NewReader(tt.body)))
					c := oktaretry.Classify(resp)
					want := oktaretry.ClassClientError
					if tt.code != "" {
						want = oktaretry.ClassRateLimited
					}
					if c.Code != tt.code || c.Class != want {
						t.Errorf("%v, %q; want %v, %q", c.Class, c.Code, want, tt.code)
					}
					if src.BytesRead() > peekLimit {
						t.Errorf("%d bytes were read, want %d at most", src.BytesRead(), peekLimit)
					}
					if resp.ContentLength != length {
						t.Errorf("ContentLength is %d, want %d", resp.ContentLength, length)
					}
					if again := oktaretry.Classify(resp); again.Code != c.Code || again.Class != c.Class {
						t.Errorf("a second time it is %v, %q", again.Class, again.Code)
					}
					if got, err := io.ReadAll(resp.Body); err != nil || string(got) != tt.body {
						t.Errorf("%d bytes were left to read, %v; want all %d", len(got), err, len(tt.body))
					}
					if src.Closes() != 0 {
						t.Error("the body was closed")
					}
					resp.Body.Close()
					resp.Body.Close()
					if src.Closes() != 1 {
						t.Errorf("closed %d times, want once", src.Closes())
					}
					if n, err := resp.Body.Read(make([]byte, 1)); n != 0 || err == nil {
						t.Errorf("a closed body gives %d bytes, %v", n, err)
					}
				})
			}
		}
	}
}

// Mocks and hand-made transports often leave ContentLength at 0.
func TestClassifyReadsABodyOfUnsetLength(t *testing.T) {
	resp, _ := bodyOf(202, 0, nil, strings.NewReader(oktaBody("E0000070")))
	if c := oktaretry.Classify(resp); c.Class != oktaretry.ClassPending {
		t.Errorf("%v, want pending", c.Class)
	}
}

func TestClassifyDoesNotTouchTheBodyOfASuccess(t *testing.T) {
	for _, tt := range []struct {
		status      int
		contentType string
	}{
		{101, ""}, {200, jsonType}, {201, jsonType}, {202, "text/plain"}, {202, ""}, {204, ""}, {206, jsonType}, {302, jsonType}, {304, jsonType},
	} {
		resp, src := bodyOf(tt.status, -1, http.Header{"Content-Type": {tt.contentType}}, strings.NewReader(oktaBody("E0000047")))
		if c := oktaretry.Classify(resp); c.Class != oktaretry.ClassSuccess || c.Code != "" {
			t.Errorf("%d: %v, %q", tt.status, c.Class, c.Code)
		}
		if resp.Body != io.ReadCloser(src) || src.Reads() != 0 || src.Closes() != 0 {
			t.Errorf("%d: the body was wrapped (%T), read (%d times) or closed (%d times)", tt.status, resp.Body, src.Reads(), src.Closes())
		}
	}
}

// hanging gives start, then nothing until more is called, then rest.
func hanging(start, rest string) (r io.Reader, more func()) {
	gate := make(chan struct{})
	return io.MultiReader(strings.NewReader(start), readerFunc(func([]byte) (int, error) {
		<-gate
		return 0, io.EOF
	}), strings.NewReader(rest)), func() { close(gate) }
}

// closes is a reader whose Close does something.
type closes struct {
	io.Reader
	close func()
}

func (c closes) Close() error { c.close(); return nil }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestClassifyDoesNotWaitForABodyThatStalls(t *testing.T) {
	for _, tt := range []struct {
		name, start, rest string
		want              oktaretry.Class
	}{
		{"before its code", `{"errorSummary":"x",`, `"errorCode":"E0000047"}`, oktaretry.ClassServerError},
		{"at once", "", oktaBody("E0000047"), oktaretry.ClassServerError},
		{"behind its code", `{"errorCode":"E0000047",`, `"errorSummary":"` + strings.Repeat("x", 2*peekLimit) + `"}`, oktaretry.ClassRateLimited},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src, more := hanging(tt.start, tt.rest)
				resp, _ := bodyOf(503, -1, nil, src)
				began := time.Now()
				c := oktaretry.Classify(resp)
				if took := time.Since(began); took != 2*time.Second || c.Class != tt.want {
					t.Errorf("%v after %v, want %v after 2s", c.Class, took, tt.want)
				}
				if again := oktaretry.Classify(resp); again.Class != c.Class || time.Since(began) != 2*time.Second {
					t.Errorf("a second time it is %v, after %v", again.Class, time.Since(began))
				}
				go func() {
					time.Sleep(time.Hour)
					more()
				}()
				if got, err := io.ReadAll(resp.Body); err != nil || string(got) != tt.start+tt.rest {
					t.Errorf("%d bytes were left to read, %v; want all %d", len(got), err, len(tt.start+tt.rest))
				}
				if waited := time.Since(began); waited != time.Hour+2*time.Second {
					t.Errorf("the reader had its bytes after %v", waited)
				}
			})
		})
	}
}

func TestClassifyWaitsTwoSecondsForABodyThatIsSlow(t *testing.T) {
	for _, tt := range []struct {
		name  string
		every time.Duration // between the bytes of a body of 24
		took  time.Duration
		want  oktaretry.Class
	}{
		{"a little", 10 * time.Millisecond, 240 * time.Millisecond, oktaretry.ClassRateLimited},
		{"just not too much", 83 * time.Millisecond, 24 * 83 * time.Millisecond, oktaretry.ClassRateLimited},
		{"too much", time.Second, 2 * time.Second, oktaretry.ClassServerError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const body = `{"errorCode":"E0000047"}`
				src := iotest.OneByteReader(strings.NewReader(body))
				resp, _ := bodyOf(503, int64(len(body)), nil, iotest.DataErrReader(readerFunc(func(p []byte) (int, error) {
					n, err := src.Read(p)
					if err == nil {
						time.Sleep(tt.every)
					}
					return n, err
				})))
				began := time.Now()
				c := oktaretry.Classify(resp)
				if took := time.Since(began); took != tt.took || c.Class != tt.want {
					t.Errorf("%v after %v, want %v after %v", c.Class, took, tt.want, tt.took)
				}
				if got, err := io.ReadAll(resp.Body); err != nil || string(got) != body {
					t.Errorf("%q, %v were left to read", got, err)
				}
				if took := time.Since(began); took != 24*tt.every {
					t.Errorf("it was read after %v", took)
				}
				if c := oktaretry.Classify(resp); c.Class != oktaretry.ClassRateLimited {
					t.Errorf("once it is there it is %v", c.Class)
				}
			})
		})
	}
}

// A bubble of synctest ends only when its goroutines do.
func TestClosingABodyThatStallsLeavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, more := hanging(`{"x":`, "")
		resp, _ := bodyOf(503, -1, nil, closes{src, more})
		oktaretry.Classify(resp)
		resp.Body.Close()
		if n, err := resp.Body.Read(make([]byte, 10)); n != 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("a closed body gives %d bytes, %v", n, err)
		}
	})
}

func TestBodyErrorReachesItsReader(t *testing.T) {
	broken := errors.New("connection reset")
	for _, tt := range []struct {
		start string
		code  string
	}{{"", ""}, {`{"errorCode":"E0000047","errorS`, "E0000047"}, {padded("E0000047", peekLimit+10), "E0000047"}} {
		failed := false
		src := readerFunc(func([]byte) (int, error) {
			if failed {
				return 0, io.EOF
			}
			failed = true
			return 0, broken
		})
		resp, _ := bodyOf(429, 1<<20, nil, io.MultiReader(strings.NewReader(tt.start), src))
		if c := oktaretry.Classify(resp); c.Code != tt.code || c.Class != oktaretry.ClassRateLimited {
			t.Errorf("%v, %q", c.Class, c.Code)
		}
		got, err := io.ReadAll(resp.Body)
		if err != broken || string(got) != tt.start {
			t.Errorf("%d bytes and %v; want %d and the body's own error", len(got), err, len(tt.start))
		}
	}
}

// The body is peeked at on another goroutine, where nobody could recover.
func TestBodyPanicReachesItsReader(t *testing.T) {
	reads := 0
	resp, _ := bodyOf(503, -1, nil, readerFunc(func(p []byte) (int, error) {
		switch reads++; reads {
		case 1:
			return copy(p, `{"errorCode":"E0000047"`), nil
		case 2:
			panic("boom")
		}
		return 0, io.EOF
	}))
	if c := oktaretry.Classify(resp); c.Class != oktaretry.ClassRateLimited {
		t.Errorf("%v, want rate-limited", c.Class)
	}
	defer func() {
		if r := recover(); r != "boom" {
			t.Errorf("recovered %v, want the body's panic", r)
		}
	}()
	io.ReadAll(resp.Body)
}

func TestStalledBodysPanicReachesItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resp, _ := bodyOf(503, -1, nil, readerFunc(func([]byte) (int, error) {
			time.Sleep(time.Minute)
			panic("boom")
		}))
		oktaretry.Classify(resp)
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v, want the body's panic", r)
			}
		}()
		io.ReadAll(resp.Body)
	})
}

// Reads that bring little are not like Reads that bring nothing.
func TestClassifyReadsABodyThatComesInSmallPieces(t *testing.T) {
	body := `{"errorSummary":"` + strings.Repeat("x", 500) + `","errorCode":"E0000047"}`
	resp, _ := bodyOf(503, -1, nil, iotest.OneByteReader(strings.NewReader(body)))
	if c := oktaretry.Classify(resp); c.Code != "E0000047" {
		t.Errorf("%+v", c)
	}
}

// A Read may bring nothing and no error. A body that goes on so would spin.
func TestClassifyGivesUpOnABodyThatBringsNothing(t *testing.T) {
	idle := 0
	resp, _ := bodyOf(503, -1, nil, io.MultiReader(readerFunc(func([]byte) (int, error) {
		if idle++; idle > 1_000_000 {
			return 0, io.EOF
		}
		return 0, nil
	}), strings.NewReader("late")))
	if c := oktaretry.Classify(resp); c.Class != oktaretry.ClassServerError || idle > 1000 {
		t.Errorf("%v after %d empty reads", c.Class, idle)
	}
	idle = 1_000_000
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != "late" {
		t.Errorf("%q, %v were left to read", got, err)
	}
}
