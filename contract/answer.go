// This file holds the cases about the answer: it is returned as it was sent.

package contract

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var answerCases = []Case{{
	Name:  "a success is handed back with its body unread",
	Why:   "an export of a gigabyte would be in memory, or on its way, before its reader knows where to put it",
	check: successUnread,
}, {
	Name:  "the first byte of a body arrives when it is sent",
	Why:   "event streams and progress reports arrive all at once, at their end",
	check: firstByteAtOnce,
}, {
	Name:  "the body of a 101 can be written to",
	Why:   "WebSockets and other upgrades take Body for an io.Writer, as net/http documents",
	check: upgradeWrites,
}, {
	Name:  "trailers survive",
	Why:   "checksums and gRPC's status come in them",
	check: trailersSurvive,
}, {
	Name:  "HEAD, 204 and 304 pass",
	Why:   "they have no body, and HEAD a Content-Length all the same: caches live on that",
	check: bodilessPass,
}, {
	Name:  "gzip is decoded, unless the caller asked for it",
	Why:   "one layer too many or too few, and the caller reads garbage",
	check: gzipPasses,
}, {
	Name:  "an error's body is readable in full, ContentLength true",
	Why:   "the body of a 400 names the wrong field; a copy of its first kilobytes, or a wrong length, breaks its reader",
	check: errorBodyWhole,
}, {
	Name:       "an answer that is given up on is whole, or an error",
	Why:        "a last 503 whose body was drained or closed hides what happened",
	NeedsRetry: true,
	check:      lastAnswerWhole,
}}

func successUnread(l *lab) error {
	var found findings
	for _, code := range []int{200, 201, 206, 302} {
		l.now("GET, answered with %d", code)
		b := l.base(func(req *http.Request) (*http.Response, error) {
			return respond(req, code, -1, zeros(1<<20)), nil
		})
		before := l.bytesRead()
		resp, err := l.send(l.stack(b), l.request("GET", nil))
		if err != nil {
			return fmt.Errorf("%d: %w", code, err)
		}
		if l.bytesRead() > before {
			found.add("%d: its body was read before the caller had it", code)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if n != 1<<20 || err != nil {
			found.add("%d: %d bytes of %d (%v)", code, n, 1<<20, err)
		}
		resp.Body.Close()
	}
	return found.err()
}

func firstByteAtOnce(l *lab) error {
	w := l.serve(func(w http.ResponseWriter, r *http.Request) {
		flush := w.(http.Flusher).Flush
		flush()
		for range 3 {
			time.Sleep(time.Minute)
			io.WriteString(w, "tick")
			flush()
		}
	})
	began := time.Now()
	l.now("GET of a slow stream")
	resp, err := l.send(l.stack(w), l.request("GET", nil))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if d := time.Since(began); d > time.Second {
		return errors.New("the response was handed out only when bytes of its body had come")
	}
	for i := range 3 {
		n, err := resp.Body.Read(make([]byte, 1<<10))
		if d := time.Since(began); n != 4 || d > time.Duration(i+1)*time.Minute+time.Second {
			return fmt.Errorf("part %d of the body: %d bytes after %v (%v)", i+1, n, d, err)
		}
	}
	return nil
}

// upgraded is the body of a 101.
type upgraded struct {
	io.ReadCloser
	written bytes.Buffer
}

func (u *upgraded) Write(p []byte) (int, error) { return u.written.Write(p) }

func upgradeWrites(l *lab) error {
	u := new(upgraded)
	b := l.base(func(req *http.Request) (*http.Response, error) {
		resp := respond(req, 101, 0, strings.NewReader("welcome"), "Upgrade", "echo", "Connection", "Upgrade")
		u.ReadCloser = resp.Body
		resp.Body = u
		return resp, nil
	})
	req := l.request("GET", nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := l.send(l.stack(b), req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	w, ok := resp.Body.(io.Writer)
	if !ok {
		return errors.New("the body is no io.Writer any more")
	}
	if _, err := io.WriteString(w, "hello"); err != nil || u.written.String() != "hello" {
		return fmt.Errorf("%q arrived of what was written (%v)", u.written.String(), err)
	}
	if got, err := io.ReadAll(resp.Body); string(got) != "welcome" || err != nil {
		return fmt.Errorf("%q was read (%v)", got, err)
	}
	return nil
}

func trailersSurvive(l *lab) error {
	w := l.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		w.Header().Set("X-Sum", "42")
	})
	a, err := l.call(l.stack(w), l.request("GET", nil))
	switch {
	case err != nil:
		return err
	case a.body != "body":
		return fmt.Errorf("the body is %q", a.body)
	case a.Trailer.Get("X-Sum") != "42":
		return fmt.Errorf("the trailer is %v", a.Trailer)
	}
	return nil
}

func bodilessPass(l *lab) error {
	w := l.serve(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(204)
		case "/304":
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(304)
		default:
			w.Header().Set("Content-Length", "1234")
			w.WriteHeader(200)
		}
	})
	rt := l.stack(w)
	var found findings
	for _, want := range []struct {
		method, path string
		status       int
		length       int64
	}{{"HEAD", "/", 200, 1234}, {"GET", "/204", 204, 0}, {"GET", "/304", 304, 0}} {
		req := l.request(want.method, nil)
		req.URL.Path = want.path
		a, err := l.call(rt, req)
		switch {
		case err != nil:
			found.add("%s, %d: %v", want.method, want.status, err)
		case a.StatusCode != want.status || a.body != "" || a.ContentLength != want.length:
			found.add("%s, %d: came as %d, ContentLength %d, %d bytes", want.method, want.status, a.StatusCode, a.ContentLength, len(a.body))
		case want.status == 304 && a.Header.Get("ETag") == "":
			found.add("304: its ETag is gone")
		}
	}
	return found.err()
}

func gzipPasses(l *lab) error {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, strings.Repeat("plain ", 1000))
	z.Close()
	w := l.serve(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(packed.Bytes())
			return
		}
		io.WriteString(w, "the transport did not ask for gzip")
	})
	rt := l.stack(w)
	a, err := l.call(rt, l.request("GET", nil))
	switch {
	case err != nil:
		return err
	case a.body != strings.Repeat("plain ", 1000) || !a.Uncompressed || a.ContentLength != -1:
		return fmt.Errorf("decoded by the transport: %d bytes, Uncompressed %t, ContentLength %d", len(a.body), a.Uncompressed, a.ContentLength)
	}
	req := l.request("GET", nil)
	req.Header.Set("Accept-Encoding", "gzip")
	switch a, err = l.call(rt, req); {
	case err != nil:
		return err
	case a.body != packed.String() || a.Header.Get("Content-Encoding") != "gzip" || a.Uncompressed:
		return fmt.Errorf("asked for by the caller: %d bytes of %d, Content-Encoding %q", len(a.body), packed.Len(), a.Header.Get("Content-Encoding"))
	}
	return nil
}

func errorBodyWhole(l *lab) error {
	long := strings.Repeat("0123456789abcdef", 20_000)
	var found findings
	for _, c := range []struct {
		method, name, contentType, body string
		status                          int
	}{
		{"GET", "JSON", "application/json", `{"errorCode":"E0000007","errorSummary":"Not found","errorCauses":[]}`, 404},
		{"POST", "JSON of 320 KB", "application/json", `{"errorCode":"E0000001","errorSummary":"` + long + `"}`, 400},
		{"POST", "JSON cut short", "application/json", `{"errorCode":"E00000`, 422},
		{"GET", "HTML of 320 KB", "text/html", "<html>" + long, 403},
		{"POST", "a 503 in HTML", "text/html", "<html>" + long, 503},
		{"POST", "nothing", "", "", 409},
	} {
		for _, chunked := range []bool{false, true} {
			w := l.serve(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", c.contentType)
				if !chunked {
					w.Header().Set("Content-Length", strconv.Itoa(len(c.body)))
				}
				w.WriteHeader(c.status)
				if chunked {
					w.(http.Flusher).Flush()
				}
				io.WriteString(w, c.body)
			})
			a, err := l.call(l.stack(w), l.request(c.method, nil))
			want := int64(len(c.body))
			if chunked {
				want = -1
			}
			switch {
			case err != nil && c.status == 503:
				// Some stacks return an error instead, which another case is about:
				// answers that are given up on.
			case err != nil:
				found.add("%d, %s, chunked %t: %v", c.status, c.name, chunked, err)
			case a.body != c.body:
				found.add("%d, %s, chunked %t: %d bytes of %d", c.status, c.name, chunked, len(a.body), len(c.body))
			case a.ContentLength != want && a.ContentLength != -1:
				found.add("%d, %s, chunked %t: ContentLength %d for %d bytes", c.status, c.name, chunked, a.ContentLength, len(a.body))
			}
		}
	}
	return found.err()
}

func lastAnswerWhole(l *lab) error {
	body := strings.Repeat("unavailable ", 20_000)
	resp, err := l.send(l.stack(l.base(text(503, body))), l.request("GET", nil))
	if resp == nil {
		if errors.Is(err, errNeither) || errors.Is(err, errNilBody) {
			return err
		}
		return nil // an error instead of the answer
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("reading the last of the 503s: %w", err)
	case string(got) != body:
		return fmt.Errorf("the last of the 503s has %d bytes of %d", len(got), len(body))
	}
	return nil
}
