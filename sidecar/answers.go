// This file is what the sidecar answers by itself: errors in Okta's form, without a word
// of the request.

package sidecar

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry"
)

// answer is an error that the sidecar answers with.
type answer struct {
	kind       string // for metrics and logs, and the header Oktaretry-Error
	status     int
	code       string
	summary    string
	cause      string
	requestID  string        // of Okta's last answer; "" if there was none
	retryAfter time.Duration // 0: nobody knows
	limit      int           // of the bucket; less than 1: unknown
}

// oktaError is the form of Okta's errors:
// https://developer.okta.com/docs/reference/error-codes/.
type oktaError struct {
	Code    string       `json:"errorCode"`
	Summary string       `json:"errorSummary"`
	Link    string       `json:"errorLink"`
	ID      string       `json:"errorId"`
	Causes  []errorCause `json:"errorCauses"`
}

type errorCause struct {
	Summary string `json:"errorSummary"`
}

// answerTo returns the answer to a call that ended without one of Okta's.
func answerTo(ctx context.Context, err error) answer {
	var (
		limited *oktaretry.RateLimitError
		open    *oktaretry.CircuitOpenError
		pending *oktaretry.PendingError
		network net.Error
		token   *tokenError
	)
	switch {
	case errors.As(err, &limited):
		return limitedAnswer(limited)
	case errors.As(err, &open):
		return openAnswer(open)
	case errors.As(err, &pending):
		return answer{kind: "pending", status: http.StatusGatewayTimeout, code: orElse(pending.Code, "E0000070"),
			summary: "The factor has not answered yet.", cause: "The user may still answer: poll on, and send no second challenge.",
			requestID: pending.RequestID, retryAfter: pending.RetryAfter}
	case errors.As(err, &token):
		return answer{kind: "credential", status: http.StatusBadGateway, code: "E0000009", summary: "The sidecar has no credential that Okta accepts.",
			cause: "Nothing was sent. Its log has the reason."}
	case stopping(ctx):
		return answer{kind: "stopping", status: http.StatusGatewayTimeout, code: "E0000009", summary: "The sidecar stopped before Okta answered.",
			cause: "Whether Okta has done what was asked is unknown."}
	case errors.Is(err, context.DeadlineExceeded):
		return answer{kind: "deadline", status: http.StatusGatewayTimeout, code: "E0000009", summary: "Okta did not answer within the time that the call had.",
			cause: "Whether Okta has done what was asked is unknown."}
	case errors.As(err, &network) && network.Timeout():
		return answer{kind: "timeout", status: http.StatusGatewayTimeout, code: "E0000009", summary: "Okta did not answer in time.",
			cause: "Whether Okta has done what was asked is unknown."}
	}
	return answer{kind: "network", status: http.StatusBadGateway, code: "E0000009", summary: "Okta was not reached, or broke the connection off.",
		cause: "What could be repeated safely was repeated."}
}

func limitedAnswer(e *oktaretry.RateLimitError) answer {
	a := answer{kind: "rate_limited", status: http.StatusTooManyRequests, code: orElse(e.Code, "E0000047"), requestID: e.RequestID,
		summary: "API call exceeded rate limit due to too many requests.", cause: "Okta refused the call, and the wait does not fit.",
		retryAfter: max(e.RetryAfter, time.Second), limit: e.Limit}
	if e.ClientSide {
		a.cause = "The bucket is used up, and the wait does not fit: nothing was sent."
	}
	return a
}

func openAnswer(e *oktaretry.CircuitOpenError) answer {
	return answer{kind: "circuit_open", status: http.StatusServiceUnavailable, code: orElse(e.Code, "E0000009"),
		summary: "Okta has been failing, and the call was not sent.", cause: "A circuit is open: it is that of the " + e.Scope.String() + ".",
		retryAfter: max(e.RetryAfter, time.Second)}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// fail answers a call that ended with an error.
func (s *Sidecar) fail(w http.ResponseWriter, r *http.Request, err error) {
	ctx := r.Context()
	c := callOf(ctx)
	if s.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	var a answer
	switch {
	case c.body != nil && c.body.broken.Load():
		a = answer{kind: "client_body", status: http.StatusBadRequest, code: "E0000003", summary: "The body of the request did not come, or came too slowly."}
		w.Header().Set("Connection", "close")
	case ctx.Err() == context.Canceled && !stopping(ctx):
		s.metrics.answered("canceled")
		panic(http.ErrAbortHandler) // there is nobody to answer
	default:
		a = answerTo(ctx, err)
	}
	s.answer(w, r, a)
}

// refuse answers a request that is not sent to Okta.
func (s *Sidecar) refuse(w http.ResponseWriter, r *http.Request, f *refusal) {
	s.metrics.refusedFor(f.reason)
	s.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, "request refused", slog.String("reason", f.reason))
	h := w.Header()
	h.Set("Connection", "close") // its body, if any, is not read
	switch {
	case f.proxy:
		h.Set("Proxy-Authenticate", "Bearer, Basic")
	case f.status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case f.status == http.StatusMethodNotAllowed:
		h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	write(w, r, answer{kind: "refused", status: f.status, code: f.code, summary: f.text})
}

func (s *Sidecar) answer(w http.ResponseWriter, r *http.Request, a answer) {
	s.metrics.answered(a.kind)
	id := write(w, r, a)
	s.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, "call failed", slog.String("error_type", a.kind), slog.Int("status", a.status),
		slog.String("code", a.code), slog.String("error_id", id), slog.String("okta_request_id", a.requestID))
}

// write sends an answer and returns its id, which the log has as well.
func write(w http.ResponseWriter, r *http.Request, a answer) (id string) {
	var random [9]byte
	rand.Read(random[:])
	id = "oktaretry-" + hex.EncodeToString(random[:])
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set(headerPrefix+"Error", a.kind)
	if a.requestID != "" {
		h.Set("X-Okta-Request-Id", a.requestID)
	}
	if a.retryAfter > 0 {
		setRetryAfter(h, a)
	}
	e := oktaError{Code: a.code, Summary: a.summary, Link: a.code, ID: id, Causes: []errorCause{}}
	if a.cause != "" {
		e.Causes = append(e.Causes, errorCause{"oktaretry: " + a.cause})
	}
	body, _ := json.Marshal(e) // of strings
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		w.Write(body)
	}
	return id
}

// setRetryAfter names the wait as any client reads it and, for a 429, as Okta's SDKs do:
// by the difference of X-Rate-Limit-Reset and Date. Both are rounded up to whole seconds.
func setRetryAfter(h http.Header, a answer) {
	seconds := int64(math.Ceil(a.retryAfter.Seconds()))
	h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	if a.status != http.StatusTooManyRequests {
		return
	}
	now := time.Now()
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	h.Set("X-Rate-Limit-Remaining", "0")
	h.Set("X-Rate-Limit-Reset", strconv.FormatInt(now.Unix()+seconds, 10))
	if a.limit > 0 {
		h.Set("X-Rate-Limit-Limit", strconv.Itoa(a.limit))
	}
}

// discreetLog turns the lines of net/http, which may hold anything, into lines that say
// what kind of thing happened.
type discreetLog struct {
	logger *slog.Logger
	of     string
}

func (l *discreetLog) Write(line []byte) (int, error) {
	kind := "other"
	for _, known := range [...]string{"TLS handshake error", "panic", "body copy", "Accept error", "superfluous", "response.Write on hijacked"} {
		if strings.Contains(string(line), known) {
			kind = known
			break
		}
	}
	l.logger.Warn("net/http reports", slog.String("of", l.of), slog.String("kind", kind))
	return len(line), nil
}
