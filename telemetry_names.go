// This file holds the names by which telemetry speaks of things, and bounds
// them: whatever a caller, a server or an error says, only a listed word gets
// into a label.

package oktaretry

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The attributes of ours. The others are those of the HTTP semantic
// conventions.
const (
	keyClass      = attribute.Key("oktaretry.class")
	keyCode       = attribute.Key("oktaretry.code")
	keyRequestID  = attribute.Key("oktaretry.request_id")
	keyBucket     = attribute.Key("oktaretry.bucket")
	keyLimit      = attribute.Key("oktaretry.limit")
	keyRemaining  = attribute.Key("oktaretry.remaining")
	keyReset      = attribute.Key("oktaretry.reset") // Unix seconds, on Okta's clock
	keyAttempts   = attribute.Key("oktaretry.attempts")
	keyStop       = attribute.Key("oktaretry.stop")
	keyWaited     = attribute.Key("oktaretry.waited") // seconds
	keyNeeded     = attribute.Key("oktaretry.needed") // seconds
	keyWait       = attribute.Key("oktaretry.wait")   // seconds
	keyWaitReason = attribute.Key("oktaretry.wait.reason")
	keyPoll       = attribute.Key("oktaretry.poll") // true on the attempts that poll
	keyDuration   = attribute.Key("oktaretry.duration")
	keyKind       = attribute.Key("oktaretry.rate_limit.kind")
	keyScope      = attribute.Key("oktaretry.circuit.scope")
	keyFrom       = attribute.Key("oktaretry.circuit.from")
	keyTo         = attribute.Key("oktaretry.circuit.to")
)

// knownMethods bounds the method attribute, for any text can stand there. The
// conventions demand that an operator can replace the list.
var knownMethods = sync.OnceValue(func() map[string]attribute.KeyValue {
	return methodsOf(os.Getenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"))
})

func methodsOf(list string) map[string]attribute.KeyValue {
	names := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, http.MethodConnect, "QUERY",
	}
	if list != "" {
		names = strings.Split(list, ",")
	}
	known := make(map[string]attribute.KeyValue, len(names))
	for _, name := range names {
		if name = strings.TrimSpace(name); name != "" {
			known[name] = semconv.HTTPRequestMethodKey.String(name)
		}
	}
	return known
}

func methodAttribute(method string) attribute.KeyValue {
	if m, ok := knownMethods()[method]; ok {
		return m
	}
	return semconv.HTTPRequestMethodOther
}

// shownMethod is the method as span names and error texts show it.
func shownMethod(method string) string {
	if _, ok := knownMethods()[method]; ok {
		return method
	}
	return "HTTP"
}

// errorType is the error.type of the semantic conventions: the status, or the
// kind of a network error; "" where there is no error.
func errorType(c Classification, err error) string {
	if c.Status >= 400 {
		return strconv.Itoa(c.Status)
	}
	return failureType(c, err)
}

// failureType is the error.type of a call or an attempt without a bad status.
func failureType(c Classification, err error) string {
	if err == nil {
		return ""
	}
	var (
		timeout interface{ Timeout() bool }
		limited *RateLimitError
		open    *CircuitOpenError
		pending *PendingError
	)
	switch {
	case errors.As(err, &limited):
		return "rate_limited"
	case errors.As(err, &open):
		return "circuit_open"
	case errors.As(err, &pending):
		return "pending"
	case c.Terminal:
		return "terminal"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case c.NotSent:
		return "connect"
	}
	return semconv.ErrorTypeOther.Value.AsString()
}

// shownCode is a code that may stand in a text or a label. Any word can stand
// in an answer's "error"; one that neither Okta's table nor OAuth's registry
// knows could be a person's.
func shownCode(code string) string {
	if code == "" || isOktaCode(code) || knownOAuthCodes[code] {
		return code
	}
	if _, ok := lookup(code); ok {
		return code
	}
	return "_OTHER"
}

// countedCode is a code as metrics show it. There are ten million that have the
// form of Okta's, so one that the catalogue does not know is no label.
func countedCode(code string) string {
	if _, ok := lookup(code); ok || code == "" || knownOAuthCodes[code] {
		return code
	}
	return "_OTHER"
}

// knownOAuthCodes are errors that OAuth, OpenID Connect and DPoP register and
// the catalogue leaves to their status.
var knownOAuthCodes = map[string]bool{
	"invalid_grant": true, "invalid_token": true, "insufficient_scope": true, "unsupported_grant_type": true,
	"authorization_pending": true, "slow_down": true, "expired_token": true, "too_many_user_codes": true,
	"invalid_dpop_proof": true, "use_dpop_nonce": true, "interaction_required": true, "consent_required": true,
	"account_selection_required": true, "invalid_client_metadata": true, "invalid_redirect_uri": true,
	"unsupported_token_type": true, "invalid_target": true, "mfa_required": true,
}

// shownScheme bounds the scheme, for a URL made by hand can hold any.
func shownScheme(scheme string) string {
	if scheme == "http" || scheme == "https" {
		return scheme
	}
	return "other"
}

// serverPort is the port that a URL without one means, too.
func serverPort(u *url.URL) int {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return port
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}

// protocolVersion is network.protocol.version; "" when a base doesn't say.
func protocolVersion(resp *http.Response) string {
	switch {
	case resp == nil || resp.ProtoMajor < 1 || resp.ProtoMajor > 3:
		return ""
	case resp.ProtoMajor == 1 && resp.ProtoMinor == 0:
		return "1.0"
	case resp.ProtoMajor == 1:
		return "1.1"
	}
	return strconv.Itoa(resp.ProtoMajor)
}
