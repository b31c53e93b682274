// This file tests which errors come of the network.

package fault_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/textproto"
	"net/url"
	"os"
	"syscall"
	"testing"

	"github.com/oktaretry/oktaretry/internal/fault"
)

func TestOfNetwork(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, tt := range []struct {
		err  error
		want bool
		name string
	}{
		{dial, true, "connection refused"},
		{&url.Error{Op: "Get", URL: "https://a/b", Err: dial}, true, "connection refused"},
		{errors.Join(errors.New("layer"), dial), true, "connection refused"},
		{&net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}, true, "timeout"},
		{&net.DNSError{Err: "try again", IsTemporary: true}, true, "no such host"},
		{io.EOF, true, "connection closed"},
		{fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", io.ErrUnexpectedEOF), true, "connection closed"},
		{context.DeadlineExceeded, true, "timeout"},
		{tls.RecordHeaderError{Msg: "not TLS"}, true, "tls.RecordHeaderError"},
		{textproto.ProtocolError("malformed MIME header line"), true, "textproto.ProtocolError"},
		{errors.New("http: server closed idle connection"), true, "errors.errorString"},
		{errors.New("http2: client connection lost"), true, "errors.errorString"},
		{errors.New("stream error: stream ID 1; INTERNAL_ERROR; received from peer"), true, "errors.errorString"},
		{errors.New("http2: Transport: cannot retry err [GOAWAY] after Request.Body was written; define Request.GetBody to avoid this error"), true, "errors.errorString"},
		{errors.New("Bad Gateway"), true, "errors.errorString"}, // of a proxy to CONNECT

		{errors.New("Proxy Authentication Required"), false, "errors.errorString"},
		{errors.New("oauth2: cannot fetch token: 503 Service Unavailable\nResponse: {}"), false, "errors.errorString"},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, false, "net.OpError"},
		{&fs.PathError{Op: "read", Path: "/home/jane/upload", Err: syscall.EIO}, false, "input/output error"},
		{context.Canceled, false, "errors.errorString"},
		{fmt.Errorf("signing: %w", errors.New("no key")), false, "fmt.wrapError"},
	} {
		if got := fault.OfNetwork(tt.err); got != tt.want {
			t.Errorf("%v: of the network %t, want %t", tt.err, got, tt.want)
		}
		if got := fault.Name(tt.err); got != tt.name {
			t.Errorf("%v is named %q, want %q", tt.err, got, tt.name)
		}
	}
}

func TestOfAnotherHost(t *testing.T) {
	for target, want := range map[string]bool{
		"https://A.okta.com/token": false, "https://b.okta.com/token": true, "/token": false, "://": false,
	} {
		if got := fault.OfAnotherHost(fmt.Errorf("token: %w", &url.Error{Op: "Post", URL: target, Err: io.EOF}), "a.okta.com"); got != want {
			t.Errorf("%s: of another host %t, want %t", target, got, want)
		}
	}
	if fault.OfAnotherHost(io.EOF, "a.okta.com") {
		t.Error("an error without a URL is of another host")
	}
}

func TestConnecting(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, true},
		{&net.OpError{Op: "proxyconnect", Net: "tcp", Err: io.EOF}, true},
		{&url.Error{Op: "Get", URL: "https://a/b", Err: &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}}, true},
		{&net.DNSError{Err: "server misbehaving", IsTemporary: true}, true},
		{tls.RecordHeaderError{Msg: "not TLS"}, true},
		{errors.New("net/http: TLS handshake timeout"), true},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: internal error")}, true},
		{&net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}, false},
		{io.ErrUnexpectedEOF, false},
		{context.DeadlineExceeded, false},
	} {
		if got := fault.Connecting(tt.err); got != tt.want {
			t.Errorf("%v: %t, want %t", tt.err, got, tt.want)
		}
	}
}
