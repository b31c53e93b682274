// This file is the one place that decides what may be shown of a request, an
// answer or an error, in an error's text, a span, a metric or a log. Whatever a
// caller, a server or an error holds, only listed words pass.

package oktaretry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"

	"github.com/oktaretry/oktaretry/internal/exchange"
	"github.com/oktaretry/oktaretry/internal/show"
)

// shownCode returns code if it may be shown. An answer's "error" can hold any
// word; one that neither Okta's table nor OAuth's registry knows could be a name.
func shownCode(code string) string {
	if code == "" || isOktaCode(code) || knownOAuthCodes[code] {
		return code
	}
	if _, ok := lookup(code); ok {
		return code
	}
	return "_OTHER"
}

// countedCode returns code as metrics show it. Ten million words have the form of
// Okta's codes, so one that the catalogue does not know is no label.
func countedCode(code string) string {
	if _, ok := lookup(code); ok || code == "" || knownOAuthCodes[code] {
		return code
	}
	return "_OTHER"
}

// knownOAuthCodes are errors that OAuth, OpenID Connect and DPoP register and
// that the catalogue leaves to their status.
var knownOAuthCodes = map[string]bool{
	"invalid_grant": true, "invalid_token": true, "insufficient_scope": true, "unsupported_grant_type": true,
	"authorization_pending": true, "slow_down": true, "expired_token": true, "too_many_user_codes": true,
	"invalid_dpop_proof": true, "use_dpop_nonce": true, "interaction_required": true, "consent_required": true,
	"account_selection_required": true, "invalid_client_metadata": true, "invalid_redirect_uri": true,
	"unsupported_token_type": true, "invalid_target": true, "mfa_required": true,
}

// group is what may be shown of a value, as a log has it.
func group(a show.Attrs) slog.Value {
	list := make([]slog.Attr, len(a))
	for i, attr := range a {
		list[i] = slog.Any(attr.Name, attr.Value)
	}
	return slog.GroupValue(list...)
}

// shownID returns id if it has the form of Okta's, else "".
func shownID(id string) string {
	if len(id) > 64 {
		return ""
	}
	for i := range len(id) {
		if !idBytes[id[i]] {
			return ""
		}
	}
	return id
}

// idBytes are the bytes that Okta's IDs are made of.
var idBytes = func() (set [256]bool) {
	for _, c := range []byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_@") {
		set[c] = true
	}
	return set
}()

// hiddenEOF is an error that matched io.EOF, without the match. The Okta SDKs take
// an io.EOF for a dropped keep-alive connection and send again at once, without a
// wait and without end.
type hiddenEOF struct{ text string }

func (e *hiddenEOF) Error() string { return e.text }

// Unwrap keeps what is true: the connection ended before the answer did.
func (e *hiddenEOF) Unwrap() error { return io.ErrUnexpectedEOF }

// noEOF returns err, or a text in an error that doesn't match io.EOF.
func noEOF(err error, text string) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	return &hiddenEOF{text: "oktaretry: " + text}
}

// clean returns an error that a caller brought along, such as the cause of a
// context's end, as it may be returned: without a URL in its text, which may hold a
// token, and without a match for io.EOF.
func clean(err error) error {
	err = withoutURL(err)
	err = noEOF(err, err.Error())
	if text := err.Error(); shownText(text) != text {
		return &discreetError{shownText(text), err}
	}
	return err
}

// cleanBase returns an error of the base as it may be returned: with a text of known
// words only, and without a match for io.EOF. Errors of net/http quote paths, queries
// and header values that they refuse, and bytes of the server. A cause that the caller
// gave ctx is the caller's.
func cleanBase(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && cause != ctx.Err() && errors.Is(err, cause) {
		return clean(cause)
	}
	err = withoutURL(err)
	text := shownError(err)
	err = noEOF(err, text)
	if _, hidden := err.(*hiddenEOF); hidden || err.Error() == text {
		return err
	}
	return &discreetError{text, err}
}

// withoutURL returns what the innermost *url.Error wraps; anything that wraps one
// repeats its text.
func withoutURL(err error) error {
	var u *url.Error
	for errors.As(err, &u) && u.Err != nil {
		err = u.Err
	}
	return err
}

// shownText returns text without what stands in URLs besides their hosts, and without
// what net/http and net/textproto quote.
func shownText(text string) string {
	for _, phrase := range quoting {
		if i := strings.Index(text, phrase); i >= 0 {
			text = text[:i+len(phrase)]
		}
	}
	if !strings.Contains(text, "://") {
		return text
	}
	return urlInText.ReplaceAllString(text, "$1$2")
}

// quoting are the phrases after which they quote bytes that they could not parse.
var quoting = []string{
	"malformed HTTP response", "malformed HTTP version", "malformed HTTP status code", "malformed MIME header", "invalid method",
	"invalid header field name", "invalid trailer field name", "unsupported protocol scheme",
}

var urlInText = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/?#"'<>@]*@)?([^\s/?#"'<>]*)[^\s"'<>]*`)

// discreet are the errors of this package whose texts hold nothing private.
type discreet interface{ discreet() }

func (e *hiddenEOF) discreet()     {}
func (e *discreetError) discreet() {}

// discreetError matches what err matches, with a text of its own.
type discreetError struct {
	text string
	err  error
}

func (e *discreetError) Error() string        { return e.text }
func (e *discreetError) Is(target error) bool { return errors.Is(e.err, target) }
func (e *discreetError) As(target any) bool   { return errors.As(e.err, target) }
func (e *discreetError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.err, &t) && t.Timeout()
}

// shownError returns the text of an error of the base as far as it is known to hold
// nothing of a request or an answer but a host; of any other, its type.
func shownError(err error) string {
	text := err.Error()
	switch e := err.(type) {
	case discreet, *exchange.LostError, *exchange.StallError:
		return text // of a Transport below this one, or of this one
	case *net.OpError:
		return shownOp(e) + ": " + shownError(e.Err)
	case *net.DNSError:
		return "lookup " + plain(e.Name) + ": " + shownError(errors.New(e.Err))
	case *os.SyscallError:
		return plain(e.Syscall) + ": " + shownError(e.Err)
	case syscall.Errno, *tls.CertificateVerificationError, x509.UnknownAuthorityError, x509.HostnameError, x509.CertificateInvalidError:
		return text // of certificates, which the server shows to everybody
	case interface{ Unwrap() []error }:
		var parts []string
		for _, err := range e.Unwrap() {
			parts = append(parts, shownError(err))
		}
		return strings.Join(parts, "; ")
	}
	known := knownText.FindString(text)
	inner := errors.Unwrap(err)
	switch {
	case known == "" && inner == nil:
		return fmt.Sprintf("error of type %T", err)
	case known == "":
		return fmt.Sprintf("%T: %s", err, shownError(inner))
	case inner != nil && strings.HasSuffix(known, ": "):
		return known + shownError(inner)
	}
	if inner, ok := strings.CutPrefix(text, cannotRetry); ok {
		inner, _, _ = strings.Cut(inner, "] after Request.Body")
		return cannotRetry + shownError(errors.New(inner)) + "]"
	}
	return strings.TrimSuffix(known, ": ")
}

// shownOp returns what of a network error precedes its cause.
func shownOp(e *net.OpError) string {
	parts := []string{plain(e.Op)}
	if e.Net != "" {
		parts = append(parts, plain(e.Net))
	}
	for _, addr := range []net.Addr{e.Source, e.Addr} {
		switch a := addr.(type) {
		case *net.TCPAddr, *net.UDPAddr, *net.UnixAddr:
			parts = append(parts, a.String())
		}
	}
	return strings.Join(parts, " ")
}

// plain returns text if it is a name or a few words.
func plain(text string) string {
	if len(text) > 253 || strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_ ") != "" {
		return "?"
	}
	return text
}

const cannotRetry = "http2: Transport: cannot retry err ["

// knownText is the beginning of a text that holds nothing of a request or an answer:
// all of it, or up to where net/http and the packages below it begin to quote.
var knownText = regexp.MustCompile(`^(?:` + strings.Join([]string{
	// Of net, io, context and crypto/tls.
	`EOF$`, `unexpected EOF$`, `i/o timeout$`, `use of closed network connection$`, `io: read/write on closed pipe$`,
	`context canceled$`, `context deadline exceeded$`, `deadline exceeded$`, `no such host$`, `server misbehaving$`,
	`connection refused$`, `connection reset by peer$`, `broken pipe$`, `missing address$`, `tls: [A-Za-z' -]+`, `remote error: tls: [A-Za-z' -]+`,
	// Of net/http, about requests.
	`net/http: invalid header field (?:name|value)`, `net/http: invalid trailer field (?:name|value)`, `net/http: invalid method`,
	`unsupported protocol scheme`, `http: no Host in request URL$`, `http: nil Request\.(?:URL|Header)$`, `http: invalid Host header`,
	`net/http: can't write control character in Request\.URL$`, `http: Request\.ContentLength=-?\d+ with nil Body$`,
	`http: ContentLength=\d+ with Body length \d+$`, `http: server gave HTTP response to HTTPS client$`, `invalid URL escape`,
	`invalid character`, `invalid port`, `(?:http2: )?invalid Host header`, `(?:http2: )?invalid request :path`,
	`(?:http2: )?invalid HTTP (?:header|trailer) (?:name|value)`, `(?:http2: )?invalid (?:Upgrade|Transfer-Encoding|Connection) request header`,
	`(?:http2: )?invalid Trailer key`, `(?:http2: )?request header list larger than peer's advertised limit$`, `http2: unsupported scheme$`,
	`http2: request body larger than specified content length$`,
	// About connections.
	`http: server closed idle connection$`, `readLoopPeekFailLocked: `, `write error: `, `net/http: HTTP/1\.x transport connection broken: `,
	`net/http: (?:request canceled|timeout awaiting response headers|TLS handshake timeout|cannot rewind body after connection loss)`,
	`net/http: server response headers exceeded \d+ bytes; aborted$`, `http2: timeout awaiting response headers$`,
	`http2: client conn(?:ection)? (?:is closed|not usable|could not be established|lost|force closed via ClientConn\.Close)$`,
	`http2: Transport received Server's graceful shutdown GOAWAY$`, `http2: Transport received GOAWAY from server ErrCode:[A-Z0-9_]+`,
	`http2: server sent GOAWAY and closed the connection; LastStreamID=\d+, ErrCode=[A-Z0-9_]+`, `http2: no cached connection was available$`,
	`http2: unexpected ALPN protocol`, `stream error: stream ID \d+; [A-Z0-9_]+(?:; received from peer)?`, `connection error: [A-Z0-9_]+`,
	regexp.QuoteMeta(cannotRetry), `http2: frame too large`, `http2: failed reading the frame payload: `,
	// About answers.
	`malformed (?:HTTP response|HTTP version|HTTP status code|MIME header|chunked encoding)`, `invalid byte in chunk length`,
	`bad Content-Length`, `http: message cannot contain multiple Content-Length headers`, `unsupported transfer encoding`,
	`too many transfer encodings`, `http: (?:unexpected EOF reading trailer|suspiciously long trailer after chunked body)`,
	`http2: response header list larger than advertised limit$`, `malformed response from server`,
	`net/http: server replied with more than declared Content-Length; truncated$`, `gzip: invalid (?:header|checksum)$`,
	`http: (?:read on closed response body|invalid Read on closed Body)`, `http2: response body closed$`,
}, `|`) + `)`)
