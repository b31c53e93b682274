// This file is the one place that decides what may be shown of a request, an
// answer or an error, in an error's text, a span, a metric or a log. Whatever a
// caller, a server or an error holds, only listed words pass.

package oktaretry

import (
	"errors"
	"io"
	"net/url"
	"regexp"
	"strconv"
	"strings"
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

// noEOF returns err, or its text in an error that doesn't match io.EOF.
func noEOF(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	return &hiddenEOF{text: "oktaretry: " + err.Error()}
}

// clean returns an error of the base as it may be returned: without a URL in its
// text, which may hold a token, and without a match for io.EOF.
func clean(err error) error {
	var u *url.Error
	for errors.As(err, &u) && u.Err != nil {
		err = u.Err // anything that wraps a *url.Error repeats its text, so it goes too
	}
	err = noEOF(err)
	if text := err.Error(); shownText(text) != text {
		return &discreetError{shownText(text), err}
	}
	return err
}

// shownText returns text without what may quote a request or an answer: all of a
// URL but its host, and bytes that net/http could not parse.
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

// quoting are the phrases of net/http and net/textproto after which they quote
// bytes that they could not parse: of a body, where an answer was longer than its
// Content-Length; of a token, where it stood for a header's name.
var quoting = []string{
	"malformed HTTP response", "malformed HTTP version", "malformed HTTP status code", "malformed MIME header", "invalid method",
	"invalid header field name", "invalid trailer field name", "unsupported protocol scheme",
}

var urlInText = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/?#"'<>@]*@)?([^\s/?#"'<>]*)[^\s"'<>]*`)

// discreetError matches what err matches, with a text of its own.
type discreetError struct {
	text string
	err  error
}

func (e *discreetError) Error() string        { return e.text }
func (e *discreetError) GoString() string     { return strconv.Quote(e.text) } // %#v would print err
func (e *discreetError) Is(target error) bool { return errors.Is(e.err, target) }
func (e *discreetError) As(target any) bool   { return errors.As(e.err, target) }
func (e *discreetError) Timeout() bool {
	var t interface{ Timeout() bool }
	return errors.As(e.err, &t) && t.Timeout()
}
