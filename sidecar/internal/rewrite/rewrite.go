// Package rewrite makes the links of an Okta org point to another origin: in Link and
// Location headers, and in the members "href" of a JSON body while it streams.
package rewrite

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// Links replaces one origin by another, each written "scheme://host[:port]". It is a
// value without state, safe for concurrent use.
type Links struct {
	from, to string
}

// New returns Links from one origin to another. Both must consist of what needs no
// escape in JSON.
func New(from, to string) Links { return Links{strings.ToLower(from), to} }

// KeepsLength reports whether a body has as many bytes afterwards as before: a shorter
// origin is filled up with the white space that JSON allows before a value.
func (l Links) KeepsLength() bool { return len(l.to) <= len(l.from) }

// URL returns a URL with its origin replaced; any other URL, and a reference without an
// origin, as it is.
func (l Links) URL(u string) string {
	if n, _ := l.match(u); n > 0 {
		return l.to + u[n:]
	}
	return u
}

// Header returns the value of a Link header with the origin of each target replaced.
func (l Links) Header(value string) string {
	var b strings.Builder
	rest := value
	for {
		i := strings.IndexByte(rest, '<')
		if i < 0 {
			break
		}
		b.WriteString(rest[:i+1])
		rest = rest[i+1:]
		if n, _ := l.match(rest); n > 0 {
			b.WriteString(l.to)
			rest = rest[n:]
		}
	}
	if b.Len() == 0 {
		return value
	}
	b.WriteString(rest)
	return b.String()
}

// match returns the length of the origin that s begins with: 0 if it begins with
// another, and short if more bytes are needed to know. Each byte may be escaped as JSON
// allows. What follows must not belong to the host's name.
func (l Links) match(s string) (n int, short bool) { return match(l.from, s) }

func match[T string | []byte](from string, s T) (n int, short bool) {
	if n = len(from); len(s) > n && s[n] == '/' && string(s[:n]) == from { // nearly always
		return n, false
	}
	n = 0
	for i := range len(from) {
		c, width := unescape(s[n:])
		if width == 0 {
			return 0, true
		}
		if lower(c) != from[i] {
			return 0, false
		}
		n += width
	}
	c, width := unescape(s[n:])
	switch {
	case width == 0:
		return n, true
	case c == '/', c == '?', c == '#', c == '"' && width == 1, c == '>':
		return n, false
	}
	return 0, false
}

// unescape returns the first character of s, which lies within a JSON string, and how
// many bytes it takes: 0 if it is cut off. A character beyond ASCII is returned as 0.
func unescape[T string | []byte](s T) (c byte, width int) {
	switch {
	case len(s) == 0:
		return 0, 0
	case s[0] != '\\':
		return s[0], 1
	case len(s) == 1:
		return 0, 0
	case s[1] != 'u':
		return s[1], 2
	case len(s) < 6:
		return 0, 0
	}
	var code rune
	for i := 2; i < 6; i++ {
		d := s[i]

		switch {
		case '0' <= d && d <= '9':
			code = code<<4 | rune(d-'0')
		case 'a' <= lower(d) && lower(d) <= 'f':
			code = code<<4 | rune(lower(d)-'a'+10)
		default:
			return 0, 6
		}
	}
	if code >= 0x80 {
		code = 0
	}
	return byte(code), 6
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

const (
	key        = `"href"`
	chunk      = 32 << 10
	maxPending = 4 << 10 // what is held back of a member that is not complete yet
)

// buffers are what one body needs while it streams.
type buffers struct {
	in, out []byte
}

var pool = sync.Pool{New: func() any {
	return &buffers{in: make([]byte, 0, chunk+maxPending), out: make([]byte, 0, chunk+2*maxPending)}
}}

// Body returns a reader of src, a JSON document, with the origin of each member "href"
// replaced. It holds no more than 36 KiB of it, and of what has been read nothing back
// but the beginning of such a member. A document that is malformed passes.
//
// A member is known without a parser: within a string a quotation mark is escaped, so
// the bytes "href" with bare marks, followed by a colon and another bare mark, are a
// member's name wherever they stand in valid JSON.
func (l Links) Body(src io.ReadCloser) io.ReadCloser {
	return &body{links: l, src: src}
}

type body struct {
	links Links
	src   io.ReadCloser
	b     *buffers
	ready []byte // of b.out: written, not read yet
	last  byte   // the byte before b.in
	err   error  // of src
}

func (r *body) Read(p []byte) (int, error) {
	for len(r.ready) == 0 {
		if r.err != nil {
			r.release()
			return 0, r.err
		}
		if len(p) == 0 {
			return 0, nil
		}
		r.fill()
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

func (r *body) Close() error { return r.src.Close() }

// release gives the buffers back, by the reader and not by Close, which another
// goroutine may call during a Read.
func (r *body) release() {
	if r.b != nil {
		r.b.in, r.b.out = r.b.in[:0], r.b.out[:0]
		pool.Put(r.b)
		r.b, r.ready = nil, nil
	}
}

// fill reads once and rewrites what came.
func (r *body) fill() {
	if r.b == nil {
		r.b = pool.Get().(*buffers)
	}
	b := r.b
	n, err := r.src.Read(b.in[len(b.in) : len(b.in)+chunk])
	b.in, r.err = b.in[:len(b.in)+n], err
	done := r.rewrite(err != nil)
	r.ready = b.out
	if done > 0 {
		r.last = b.in[done-1]
	}
	b.in = b.in[:copy(b.in, b.in[done:])]
}

// rewrite appends to out what in becomes, and returns how much of in that was.
func (r *body) rewrite(end bool) (done int) {
	in, out := r.b.in, r.b.out[:0]
	defer func() { r.b.out = out }()
	for at := 0; ; {
		i := indexKey(in[at:])
		if i < 0 {
			stop := len(in)
			if !end {
				stop -= cutOff(in[at:])
			}
			out = append(out, in[done:stop]...)
			return stop
		}
		at += i
		before := r.last
		if at > 0 {
			before = in[at-1]
		}
		member := in[at:]
		open, n, short := 0, 0, false
		if before != '\\' {
			open, n, short = r.links.value(member)
		}
		switch {
		case short && !end && len(member) < maxPending:
			out = append(out, in[done:at]...)
			return at
		case n > 0 && !short:
			out = append(out, in[done:at+open]...)
			for range n - len(r.links.to) {
				out = append(out, ' ')
			}
			out = append(append(out, '"'), r.links.to...)
			done = at + open + 1 + n
			at = done
		default:
			at += len(key)
		}
	}
}

// value returns where the string of a member opens and how long the origin is that it
// begins with, 0 for none.
func (l Links) value(member []byte) (open, n int, short bool) {
	i := len(key)
	for _, want := range [...]byte{':', '"'} {
		for i < len(member) && isSpace(member[i]) {
			i++
		}
		if i == len(member) {
			return 0, 0, true
		}
		if member[i] != want {
			return 0, 0, false
		}
		i++
	}
	// An origin takes six bytes a character where all are escaped.
	end := min(len(member), i+6*(len(l.from)+1))
	n, short = match(l.from, member[i:end])
	return i - 1, n, short
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// indexKey returns where the first key in b is, or -1. Its f is the rarest byte in it:
// [bytes.Index] would stop at each quotation mark.
func indexKey(b []byte) int {
	const before = len(`"hre`)
	for at := before; at < len(b); {
		i := bytes.IndexByte(b[at:], 'f')
		if i < 0 {
			return -1
		}
		at += i + 1
		if start := at - 1 - before; start+len(key) <= len(b) && string(b[start:start+len(key)]) == key {
			return start
		}
	}
	return -1
}

// cutOff returns how many bytes at the end of b may be the beginning of a key.
func cutOff(b []byte) int {
	for n := min(len(key)-1, len(b)); n > 0; n-- {
		if string(b[len(b)-n:]) == key[:n] {
			return n
		}
	}
	return 0
}
