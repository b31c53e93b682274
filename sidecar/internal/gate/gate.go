// Package gate stands between a connection and net/http's server: it follows the
// requests on the wire and refuses those that two parsers could read differently.
//
// net/http reads what HTTP/1.1 calls "ought to be handled as an error" (a Content-Length
// beside a Transfer-Encoding, folded fields) and forwards it in a harmless form. A proxy
// that holds credentials has no reason to accept it at all.
package gate

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"time"
)

// Listener accepts connections through gates.
type Listener struct {
	net.Listener
	MaxHeader int           // bytes of a request's line and fields
	Write     time.Duration // for how long a client may not read what it is sent
	Refused   func(error)   // called once for each connection that is refused; may be nil
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, l: l, scan: scanner{max: l.MaxHeader}}, nil
}

// conn is a connection of which only well-formed requests can be read. Reads are of one
// goroutine at a time, as net/http's are.
type conn struct {
	net.Conn
	l    *Listener
	scan scanner
	err  error
}

// Read returns bytes up to the first that must not pass, and from then on an error, at
// which net/http answers 400 and closes the connection.
func (c *conn) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.Conn.Read(p)
	good, refused := c.scan.scan(p[:n])
	if refused == nil {
		return n, err
	}
	c.err = refused
	if c.l.Refused != nil {
		c.l.Refused(refused)
	}
	if good == 0 {
		return 0, refused
	}
	return good, nil
}

func (c *conn) Write(p []byte) (int, error) {
	if c.l.Write > 0 {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.l.Write)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(p)
}

// What a request is refused for. Each text is a constant: nothing of the request.
var (
	ErrTooLarge = errors.New("header too large")
	ErrLine     = errors.New("malformed request line")
	ErrEnding   = errors.New("line that does not end in CR LF")
	ErrControl  = errors.New("control character in the header")
	ErrFold     = errors.New("folded header field")
	ErrName     = errors.New("malformed header field name")
	ErrHost     = errors.New("none or several Host fields")
	ErrLength   = errors.New("malformed or repeated Content-Length")
	ErrEncoding = errors.New("Transfer-Encoding other than chunked")
	ErrBoth     = errors.New("Content-Length and Transfer-Encoding")
	ErrChunk    = errors.New("malformed chunk")
	ErrTrailer  = errors.New("forbidden trailer field")
	ErrHTTP2    = errors.New("HTTP/2 without ALPN")
)

type state uint8

const (
	inLine state = iota // the request line
	inHeader
	inBody      // left bytes of it remain
	inChunkSize // the line before a chunk
	inChunk     // left bytes of it remain
	inChunkEnd  // the line after a chunk
	inTrailer
)

// scanner follows the requests of one connection. It keeps the line that is being read,
// and nothing else of them.
type scanner struct {
	max     int
	state   state
	line    []byte // the beginning of a line of which the rest has not come
	size    int    // of the header, so far
	left    int64
	request framing
}

// framing is what a request's header says of its body and host.
type framing struct {
	http11  bool
	hosts   int
	lengths int
	length  int64
	chunked bool
}

// scan returns how many bytes of p may pass.
func (s *scanner) scan(p []byte) (int, error) {
	for at := 0; at < len(p); {
		if s.state == inBody || s.state == inChunk {
			n := min(s.left, int64(len(p)-at))
			at += int(n)
			if s.left -= n; s.left == 0 {
				s.endOfData()
			}
			continue
		}
		rest := p[at:]
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return s.partOfLine(p, at)
		}
		line := rest[:end+1]
		if len(s.line) > 0 {
			line = append(s.line, line...)
			s.line = line[:0]
		}
		if err := s.wholeLine(line); err != nil {
			return at, err
		}
		at += end + 1
	}
	return len(p), nil
}

func (s *scanner) endOfData() {
	if s.state == inChunk {
		s.state = inChunkEnd
	} else {
		s.state = inLine
	}
}

// maxChunkLine is the length of 15 hexadecimal digits, CR and LF.
const maxChunkLine = 17

// partOfLine keeps the beginning of a line.
func (s *scanner) partOfLine(p []byte, at int) (int, error) {
	s.line = append(s.line, p[at:]...)
	switch {
	case s.size+len(s.line) > s.max:
		return at, ErrTooLarge
	case (s.state == inChunkSize || s.state == inChunkEnd) && len(s.line) > maxChunkLine:
		return at, ErrChunk
	}
	return len(p), nil
}

func (s *scanner) wholeLine(line []byte) error {
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok {
		return ErrEnding
	}
	switch s.state {
	case inChunkSize:
		return s.chunkSize(text)
	case inChunkEnd:
		if len(text) > 0 {
			return ErrChunk
		}
		s.state = inChunkSize
		return nil
	}
	if s.size += len(line); s.size > s.max {
		return ErrTooLarge
	}
	for _, c := range text {
		if c < ' ' && c != '\t' || c == 0x7f {
			return ErrControl
		}
	}
	if s.state == inLine {
		return s.requestLine(string(text))
	}
	if len(text) == 0 {
		return s.endOfHeader()
	}
	return s.field(text)
}

func (s *scanner) requestLine(text string) error {
	if text == "PRI * HTTP/2.0" {
		return ErrHTTP2
	}
	parts := strings.Split(text, " ")
	if len(parts) != 3 || !isToken(parts[0]) || parts[1] == "" || strings.Contains(parts[1], "\t") {
		return ErrLine
	}
	if parts[2] != "HTTP/1.1" && parts[2] != "HTTP/1.0" {
		return ErrLine
	}
	s.request = framing{http11: parts[2] == "HTTP/1.1"}
	s.state = inHeader
	return nil
}

// field checks a field of a header or trailer.
func (s *scanner) field(text []byte) error {
	if text[0] == ' ' || text[0] == '\t' {
		return ErrFold
	}
	name, value, ok := bytes.Cut(text, []byte(":"))
	if !ok || !isToken(string(name)) {
		return ErrName
	}
	r := &s.request
	switch framed := frames(name); {
	case framed == "":
		return nil
	case s.state == inTrailer:
		return ErrTrailer
	case framed == "host":
		r.hosts++
	case framed == "content-length":
		return r.setLength(bytes.Trim(value, " \t"))
	case r.chunked || !strings.EqualFold(string(bytes.Trim(value, " \t")), "chunked"):
		return ErrEncoding
	default:
		r.chunked = true
	}
	return nil
}

// frames returns the field, if it is one that decides where a request ends or goes. An
// underscore counts as a hyphen: some servers take it for one.
func frames(name []byte) string {
	for _, known := range [...]string{"host", "content-length", "transfer-encoding"} {
		if len(name) != len(known) {
			continue
		}
		if strings.EqualFold(strings.ReplaceAll(string(name), "_", "-"), known) {
			return known
		}
	}
	return ""
}

func (r *framing) setLength(digits []byte) error {
	if r.lengths++; r.lengths > 1 || len(digits) == 0 || len(digits) > 18 {
		return ErrLength
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return ErrLength
		}
		r.length = r.length*10 + int64(d-'0')
	}
	return nil
}

func (s *scanner) endOfHeader() error {
	s.size = 0
	if s.state == inTrailer {
		s.state = inLine
		return nil
	}
	r := &s.request
	switch {
	case r.hosts > 1, r.http11 && r.hosts == 0:
		return ErrHost
	case r.chunked && r.lengths > 0:
		return ErrBoth
	case r.chunked && !r.http11:
		return ErrEncoding
	case r.chunked:
		s.state = inChunkSize
	case r.length > 0:
		s.state, s.left = inBody, r.length
	default:
		s.state = inLine
	}
	return nil
}

func (s *scanner) chunkSize(text []byte) error {
	if len(text) == 0 || len(text) > maxChunkLine-2 {
		return ErrChunk
	}
	s.left = 0
	for _, c := range text {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return ErrChunk
		}
		s.left = s.left<<4 | int64(c)
	}
	s.state = inChunk
	if s.left == 0 {
		s.state = inTrailer
	}
	return nil
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
