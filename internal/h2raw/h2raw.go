// Package h2raw is the server's end of an HTTP/2 connection, frame by frame, for
// tests: it resets streams and goes away as no http.Server can be made to.
package h2raw

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// Error codes of RFC 9113, section 7.
const (
	NoError       = 0x0
	ProtocolError = 0x1
	RefusedStream = 0x7
)

// Types of frames and their flags.
const (
	typeData, typeHeaders, typeReset, typeSettings, typePing, typeGoAway = 0, 1, 3, 4, 6, 7

	flagAck, flagEndStream, flagEndHeaders = 0x1, 0x1, 0x4
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Conn is a connection of a client.
type Conn struct {
	conn   net.Conn
	frames chan []byte // to be written, with room for all that a test sends; nil closes the connection
	ended  chan struct{}
}

// Serve reads requests from conn until it ends, and calls each with the stream and
// the body of every one that is complete. It closes conn.
func Serve(conn net.Conn, each func(c *Conn, stream uint32, body []byte)) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, len(preface))); err != nil {
		return
	}
	c := &Conn{conn, make(chan []byte, 1024), make(chan struct{})}
	defer close(c.ended)
	// A client can wait for its own write while this end waits for the client.
	go c.write()
	c.send(typeSettings, 0, 0, nil)
	bodies := map[uint32][]byte{}
	for {
		kind, flags, stream, payload, err := readFrame(conn)
		if err != nil {
			return
		}
		switch kind {
		case typeSettings, typePing:
			if flags&flagAck == 0 {
				c.send(kind, flagAck, 0, map[byte][]byte{typePing: payload}[kind])
			}
		case typeHeaders, typeData:
			if kind == typeData {
				bodies[stream] = append(bodies[stream], payload...)
			}
			if flags&flagEndStream != 0 {
				each(c, stream, bodies[stream])
				delete(bodies, stream)
			}
		}
	}
}

// Respond answers a request.
func (c *Conn) Respond(stream uint32, status int, body string) {
	c.Begin(stream, status, "")
	c.send(typeData, flagEndStream, stream, []byte(body))
}

// Begin sends the beginning of an answer.
func (c *Conn) Begin(stream uint32, status int, body string) {
	// A literal without indexing (RFC 7541, section 6.2.2), its name the static table's
	// eighth, ":status".
	c.send(typeHeaders, flagEndHeaders, stream, fmt.Appendf([]byte{0x08, 3}, "%d", status))
	if body != "" {
		c.send(typeData, 0, stream, []byte(body))
	}
}

// Reset resets a stream.
func (c *Conn) Reset(stream, code uint32) {
	c.send(typeReset, 0, stream, binary.BigEndian.AppendUint32(nil, code))
}

// GoAway announces that no stream after the last one is served.
func (c *Conn) GoAway(last, code uint32) {
	c.send(typeGoAway, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code))
}

// Close closes the connection, once all is written.
func (c *Conn) Close() {
	select {
	case c.frames <- nil:
	case <-c.ended:
	}
}

func (c *Conn) send(kind, flags byte, stream uint32, payload []byte) {
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	frame = binary.BigEndian.AppendUint32(append(frame, flags), stream)
	select {
	case c.frames <- append(frame, payload...):
	case <-c.ended:
	}
}

func (c *Conn) write() {
	for {
		select {
		case frame := <-c.frames:
			if frame == nil {
				c.conn.Close()
				return
			}
			if _, err := c.conn.Write(frame); err != nil {
				return
			}
		case <-c.ended:
			return
		}
	}
}

func readFrame(r io.Reader) (kind, flags byte, stream uint32, payload []byte, err error) {
	var head [9]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return 0, 0, 0, nil, err
	}
	var b bytes.Buffer
	_, err = io.CopyN(&b, r, int64(binary.BigEndian.Uint32(head[:4])>>8))
	return head[3], head[4], binary.BigEndian.Uint32(head[5:]) & (1<<31 - 1), b.Bytes(), err
}
