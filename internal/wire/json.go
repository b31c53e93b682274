// A scanner over JSON that may be cut off, malformed or hostile: it skips what it
// is not asked for, never recurses, never looks at a byte more than a few times,
// and hands out views.

package wire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// A scanner walks the members of one object, or the elements of one array, of
// which b is the text and i the next byte to read. It gives up, for good, at the
// first thing that is not complete or not JSON at its own level; deeper levels
// are only checked for strings that end and brackets that balance.
type scanner struct {
	b []byte
	i int

	key [len("error_description")]byte // room for the longest key that anybody looks for
}

// open starts a scanner behind the opening bracket that b begins with. If it does
// not, there is nothing to scan.
func open(b []byte, bracket byte) scanner {
	i, c := peek(b, 0)
	if c != bracket {
		return scanner{}
	}
	return scanner{b: b, i: i + 1}
}

// member returns the next member of an object: its key, good until the next call,
// and its value as it stands. Keys that are escaped and none of those that this
// package looks for may come out empty.
func (s *scanner) member() (key, value []byte, ok bool) {
	i, c := peek(s.b, s.i)
	if c != '"' {
		return nil, nil, false
	}
	end, escaped := skipString(s.b, i)
	if end == i {
		return nil, nil, false
	}
	key = s.b[i+1 : end-1]
	if escaped {
		key = unescapeKey(s.key[:0], key)
	}
	if i, c = peek(s.b, end); c != ':' {
		return nil, nil, false
	}
	value, ok = s.value(i + 1)
	return key, value, ok
}

// element returns the next element of an array.
func (s *scanner) element() (value []byte, ok bool) { return s.value(s.i) }

// value returns the value at i, and moves past the comma behind it. A value that
// something else follows is complete all the same, but the last one.
func (s *scanner) value(i int) (value []byte, ok bool) {
	start, c := peek(s.b, i)
	var end int
	switch c {
	case '"':
		end, _ = skipString(s.b, start)
	case '{', '[':
		end = skipNested(s.b, start)
	default:
		end = skipScalar(s.b, start)
	}
	if end == start {
		return nil, false
	}
	if i, c = peek(s.b, end); c == ',' {
		s.i = i + 1
	} else {
		s.i = len(s.b)
	}
	return s.b[start:end], true
}

// unescapeKey appends to dst, up to its capacity, what raw stands for. All names
// of interest are ASCII and short: others become nothing.
func unescapeKey(dst, raw []byte) []byte {
	for len(raw) > 0 {
		r, n := nextRune(raw)
		if r >= utf8.RuneSelf || len(dst) == cap(dst) {
			return nil
		}
		dst, raw = append(dst, byte(r)), raw[n:]
	}
	return dst
}

// peek skips white space from i on, and returns the place and the byte behind it,
// 0 at the end.
func peek(b []byte, i int) (int, byte) {
	if i < len(b) && b[i] > ' ' {
		return i, b[i]
	}
	return skipSpace(b, i)
}

func skipSpace(b []byte, i int) (int, byte) {
	for ; i < len(b); i++ {
		switch c := b[i]; c {
		case ' ', '\n', '\t', '\r':
		default:
			return i, c
		}
	}
	return i, 0
}

// skipString returns what lies behind the string that begins at i, and whether it
// has a backslash. It returns i itself if the string does not end.
func skipString(b []byte, i int) (end int, escaped bool) {
	for end = i + 1; end < len(b); end++ {
		// Eight bytes at a time: strings are most of a body, and most are too short
		// for bytes.IndexByte to pay.
		for len(b)-end >= 8 {
			found := specials(binary.LittleEndian.Uint64(b[end:]))
			if found != 0 {
				end += bits.TrailingZeros64(found) / 8
				break
			}
			end += 8
		}
		if end == len(b) {
			break
		}
		switch b[end] {
		case '"':
			return end + 1, escaped
		case '\\':
			escaped = true
			end++
		}
	}
	return i, escaped
}

// specials marks the first quote or backslash of word with the highest bit of its
// byte; what it marks above that one means nothing. Taking 1 from each byte of the
// difference borrows into the highest bit where that is zero.
func specials(word uint64) uint64 {
	const each = 0x0101010101010101
	quotes := (word ^ each*'"') - each
	backslashes := (word ^ each*'\\') - each
	return (quotes | backslashes) &^ word & (each << 7)
}

// skipNested returns what lies behind the bracket that balances the one at i, or i
// if none does.
func skipNested(b []byte, i int) int {
	depth := 0
	for end := i; end < len(b); end++ {
		switch b[end] {
		case '"':
			next, _ := skipString(b, end)
			if next == end {
				return i
			}
			end = next - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return end + 1
			}
		}
	}
	return i
}

// skipScalar returns what lies behind the number or literal at i, or behind what
// stands in its place, or i if nothing does.
func skipScalar(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-', c == '+', c == '.':
		default:
			return i
		}
	}
	return i
}

// text returns the content of a value that is a string, else nil.
func text(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	return value[1 : len(value)-1]
}

// lookup returns the value of the last member of that name, as the last wins in
// encoding/json, or nil if object is none or has no such member.
func lookup(object []byte, name string) (found []byte) {
	s := open(object, '{')
	for {
		key, value, ok := s.member()
		if !ok {
			return found
		}
		if string(key) == name {
			found = value
		}
	}
}

// Unescape returns the Go string that the content of a JSON string stands for. What
// is not valid in JSON, a broken escape, half a surrogate pair, a byte that is not
// UTF-8, becomes U+FFFD. It allocates the result and, if nothing needs to be
// replaced, copies raw just once.
func Unescape(raw []byte) string {
	if Plain(raw) {
		return string(raw)
	}
	text := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		r, n := nextRune(raw)
		text = utf8.AppendRune(text, r)
		raw = raw[n:]
	}
	return string(text)
}

// Plain reports whether what raw holds of JSON strings stands for itself, so that
// each view into it needs no Unescape.
func Plain(raw []byte) bool { return bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) }

// nextRune decodes what raw, the content of a JSON string and not empty, begins with,
// and returns how many bytes that took. Of a broken escape it takes the backslash
// alone, so that the text behind it stays readable.
func nextRune(raw []byte) (rune, int) {
	if raw[0] != '\\' {
		return utf8.DecodeRune(raw)
	}
	if len(raw) < 2 {
		return utf8.RuneError, 1
	}
	switch c := raw[1]; c {
	case '"', '\\', '/':
		return rune(c), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r := escapedUnit(raw)
		if r < 0 {
			return utf8.RuneError, 1
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if pair := utf16.DecodeRune(r, escapedUnit(raw[6:])); pair != utf8.RuneError {
			return pair, 12
		}
		return utf8.RuneError, 6
	}
	return utf8.RuneError, 1
}

// escapedUnit decodes the six bytes of one \uXXXX, or returns -1.
func escapedUnit(raw []byte) (r rune) {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return -1
	}
	for _, c := range raw[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}
