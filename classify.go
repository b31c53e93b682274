// This file holds the classes: what kind of answer Okta gave, decided by its
// error code first and its status second; the content of its error bodies; and what
// an error of the base means.

package oktaretry

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry/internal/exchange"
	"github.com/oktaretry/oktaretry/internal/wire"
)

// Class is the kind of an answer. It decides which rule of a [Policy] applies.
type Class uint8

const (
	ClassSuccess     Class = iota // 2xx and 3xx: handed back untouched
	ClassRateLimited              // refused unprocessed because of a limit: wait, then send again
	ClassServerError              // a fault behind Okta's door: back off, with a circuit breaker
	ClassPending                  // E0000070, a factor that waits for its user: poll
	ClassClientError              // every other 4xx: the request itself is refused, fail fast
	ClassNetwork                  // no answer at all
)

var classNames = [...]string{"success", "rate-limited", "server-error", "pending", "client-error", "network"}

// String returns the class's name as [WithRule] takes it and telemetry shows
// it: "success", "rate-limited", "server-error", "pending", "client-error" or
// "network".
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "unknown"
}

// Classification is what an answer means.
type Classification struct {
	Class Class
	// Code is Okta's error code ("E0000047"), or the OAuth error
	// ("server_error") when there is no Okta code, or "".
	Code string
	// Status is the HTTP status on the wire; 0 when there was no answer.
	Status int
	// RequestID is Okta's X-Okta-Request-Id, which Okta Support asks for. It
	// differs from the error's own ID. Answers of an edge proxy have none.
	RequestID string
	// Error is the error body, nil when there was none that could be read.
	Error *APIError
	// Terminal marks a network error that sending again cannot heal: a bad
	// certificate, an unknown host, an unsupported scheme, an invalid request, or
	// an error that did not come of the network: see [WithErrorClassifier].
	Terminal bool
	// NotSent marks a network error of a request of which nothing was written, or
	// that HTTP/2 refused unprocessed, so that sending it again is safe whatever
	// its method.
	NotSent bool
}

// Classify says what an answer means. It reads at most 64 KiB of an error
// body (status 400 and above, and 202 in JSON), also when it is gzip-encoded,
// for at most two seconds, and leaves the body readable in full. A body that
// stalls, is malformed or isn't Okta's is classified by its status. The body
// of any other answer is not read. Classify changes resp.Body; it is not safe
// for concurrent use on one response.
//
// The code beats the status: E0000047 under a 503 is a rate limit. A code that
// the catalogue doesn't know goes by its status. Without a response, nil, the class is
// ClassNetwork.
func Classify(resp *http.Response) Classification {
	if resp == nil {
		return Classification{Class: ClassNetwork}
	}
	ctx := context.Background()
	if resp.Request != nil {
		ctx = resp.Request.Context()
	}
	var c Classification
	c.read(ctx, resp)
	return c
}

// read fills c, which is empty, and reports whether it waited for the body. It does
// not wait longer than ctx lasts.
func (c *Classification) read(ctx context.Context, resp *http.Response) (waited bool) {
	c.Status, c.RequestID = resp.StatusCode, requestID(resp.Header)
	if peekable(resp) {
		_, waited = exchange.Peek(ctx, resp)
		c.Code, c.Error = readError(ctx, resp)
	}
	c.Class = classOf(c.Code, c.Status)
	return waited
}

// ClassifyRedirect says what the error and error_description parameters of an
// OAuth redirect mean. Without an error the class is success.
func ClassifyRedirect(u *url.URL) Classification {
	if u == nil {
		return Classification{}
	}
	// The implicit and form-less response modes put the answer into the
	// fragment instead of the query.
	for _, raw := range []string{u.RawQuery, u.EscapedFragment()} {
		q, _ := url.ParseQuery(raw)
		code := q.Get("error")
		if code == "" {
			continue
		}
		c := Classification{Class: ClassClientError}
		if isOAuthCode(code) {
			c.Code = code
			c.Error = &APIError{Code: code, Description: q.Get("error_description")}
		}
		if e, ok := lookup(c.Code); ok {
			c.Class = e.class
		}
		return c
	}
	return Classification{}
}

// classOf is the whole decision: by code, else by status.
func classOf(code string, status int) Class {
	if code != "" {
		if e, ok := lookup(code); ok && !e.overlay.byStatus {
			return e.class
		}
	}
	switch {
	case status == http.StatusTooManyRequests:
		return ClassRateLimited
	case status >= 500:
		return ClassServerError
	case status >= 400:
		return ClassClientError
	}
	return ClassSuccess
}

// peekable reports whether an answer can carry an error code worth reading.
func peekable(resp *http.Response) bool {
	switch {
	case resp.StatusCode == http.StatusAccepted:
		// Most 202s are plain successes; only a JSON one can say E0000070.
		return isJSON(resp.Header)
	case resp.StatusCode < 400:
		return false
	}
	return true
}

// readError finds the error code in the body or, failing that, in
// WWW-Authenticate, and puts what it read of the body back.
func readError(ctx context.Context, resp *http.Response) (string, *APIError) {
	if parsed, ok := wire.ParseError(peekText(ctx, resp)); ok {
		if e := newAPIError(parsed); e != nil {
			return e.Code, e
		}
	}
	code, description := wire.ChallengeError(resp.Header["Www-Authenticate"])
	if !isOAuthCode(code) {
		return "", nil
	}
	return code, &APIError{Code: code, Description: description}
}

// requestID returns X-Okta-Request-Id if it looks like one.
func requestID(h http.Header) string { return shownID(first(h["X-Okta-Request-Id"])) }

// first is what Header.Get returns of a field whose name is canonical already.
func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// isOktaCode reports whether s has the form of Okta's codes, E and 7 digits.
func isOktaCode[T string | []byte](s T) bool {
	if len(s) != 8 || s[0] != 'E' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// isOAuthCode reports whether s has the form of OAuth's errors: lower-case
// words joined by underscores.
func isOAuthCode[T string | []byte](s T) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if (s[i] < 'a' || s[i] > 'z') && s[i] != '_' {
			return false
		}
	}
	return true
}

func isJSON(h http.Header) bool {
	media, _, _ := strings.Cut(first(h["Content-Type"]), ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// peekText returns the start of the body as text: peeked at, and unzipped when
// the transport below left that to its caller.
func peekText(ctx context.Context, resp *http.Response) []byte {
	raw, _ := exchange.Peek(ctx, resp)
	if len(raw) == 0 || !strings.EqualFold(first(resp.Header["Content-Encoding"]), "gzip") {
		return raw
	}
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		return raw // plain already: a proxy or base has decoded it and kept the header
	}
	// A truncated or damaged stream still yields its start.
	text, _ := io.ReadAll(io.LimitReader(z, exchange.PeekLimit))
	return text
}

// terminal reports whether the same request would meet the same error again.
func terminal(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		unknownCA    x509.UnknownAuthorityError
		badHost      x509.HostnameError
		badCert      x509.CertificateInvalidError
		dns          *net.DNSError
		address      *net.AddrError
		escape       url.EscapeError
		invalidHost  url.InvalidHostError
		record       tls.RecordHeaderError
	)
	var broken *brokenBaseError
	switch {
	case errors.As(err, &broken):
		return true
	case errors.As(err, &verification), errors.As(err, &unknownCA), errors.As(err, &badHost), errors.As(err, &badCert):
		return true
	case errors.As(err, &dns):
		return dns.IsNotFound && !dns.IsTemporary
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		return true // a server without TLS; http.Client makes ErrSchemeMismatch of it
	case errors.As(err, &address), errors.As(err, &escape), errors.As(err, &invalidHost):
		return true
	case errors.Is(err, http.ErrSchemeMismatch), errors.Is(err, http.ErrNotSupported), errors.Is(err, http.ErrSkipAltProtocol):
		return true
	}
	// net/http has no values for these. A test against the real one catches a
	// change of its texts.
	text := err.Error()
	for _, part := range []string{
		"unsupported protocol scheme", "invalid header field", "invalid method", "no Host in request URL",
		"nil Request.URL", "nil Request.Header", "with nil Body", "ContentLength=", "invalid trailer", "invalid Host header",
		"control character in Request.URL",
	} {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// brokenBaseError is the error of a base that breaks the RoundTripper contract.
type brokenBaseError struct{ returned string }

func (e *brokenBaseError) Error() string {
	return "oktaretry: the base transport returned " + e.returned
}

func (e *brokenBaseError) discreet() {}

// APIError is the content of an error body. Summary, Description and Causes
// quote what users typed (logins, names): treat them as personal data. This
// library puts none of them into an error text, span, metric or log.
type APIError struct {
	Code        string   // errorCode, or OAuth's error
	ID          string   // errorId: identifies this one error for Okta Support
	Link        string   // errorLink
	Summary     string   // errorSummary
	Causes      []string // errorCauses[].errorSummary
	Description string   // OAuth's error_description
}

// Error returns the code and the error's ID, never the summary.
func (e APIError) Error() string {
	text := "okta: " + shownCode(e.Code)
	if id := shownID(e.ID); id != "" {
		text += " (error id " + id + ")"
	}
	return text
}

func (e *APIError) discreet() {}

func (e *APIError) clone() *APIError {
	if e == nil {
		return nil
	}
	own := *e
	own.Causes = slices.Clone(e.Causes)
	return &own
}

// newAPIError returns the content of p, or nil when neither member holds something
// that looks like an error code: any text could stand there, and the code goes into
// telemetry.
func newAPIError(p wire.Error) *APIError {
	code := p.Code
	if !isOktaCode(code) {
		if code = p.OAuth; !isOAuthCode(code) {
			return nil
		}
	}
	return &APIError{Code: code, ID: p.ID, Link: p.Link, Summary: p.Summary, Causes: p.Causes, Description: p.Description}
}
