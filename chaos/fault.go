// This file holds Fault: what can go wrong, and for which requests.

package chaos

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/oktaretry/oktaretry/internal/canned"
	"github.com/oktaretry/oktaretry/internal/pattern"
)

type kind int

const (
	kindNone kind = iota
	kindCode
	kindOAuth
	kindEdge
	kindRateLimited
	kindConcurrency
	kindReset
	kindBrokenBody
	kindLatency
)

// Fault is something that goes wrong. It is made by Code, OAuthError, EdgePage, RateLimited, ConcurrencyLimited, Reset,
// BrokenBody or Latency, and is a value: its methods return changed copies. Its rate is 0, so that it injects nothing,
// until Rate sets one; it means every request, until On narrows it.
type Fault struct {
	kind     kind
	code     string
	status   int
	duration time.Duration
	requests []string
	rate     float64
	sent     bool // after reads are sent
	writes   bool // after writes are sent
}

// Code answers with one of Okta's errors, by its code ("E0000009") or its full name, with the status of Okta's table and
// Okta's JSON form. It carries the rate-limit headers of the last answer that the same bucket gave, if that still holds.
// Code("E0000047") is RateLimited(time.Minute).
func Code(codeOrName string) Fault {
	c, known := canned.Lookup(codeOrName)
	switch {
	case !known:
		return Fault{kind: kindCode, code: codeOrName}
	case c.Code == rateLimited:
		return RateLimited(time.Minute)
	}
	return Fault{kind: kindCode, code: c.Code, status: c.Status}
}

// rateLimited is the code of Okta's rate limits.
const rateLimited = "E0000047"

// OAuthError answers in OAuth's form, as the token endpoint does.
func OAuthError(code string, status int) Fault {
	return Fault{kind: kindOAuth, code: code, status: status}
}

// EdgePage answers as a proxy in front of Okta does: a page of HTML, no code, no request id.
func EdgePage(status int) Fault { return Fault{kind: kindEdge, status: status} }

// RateLimited answers 429 E0000047 with Remaining 0, a Reset that lies d ahead, and the Limit that the bucket reported
// last (600, if it has not). A client that paces itself then holds all calls of that bucket so long.
func RateLimited(d time.Duration) Fault {
	return Fault{kind: kindRateLimited, code: rateLimited, status: http.StatusTooManyRequests, duration: d}
}

// ConcurrencyLimited answers 429 E0000047 as of too many calls in flight: Limit 0, Remaining 0, and a Reset two minutes
// ahead that means nothing.
func ConcurrencyLimited() Fault {
	return Fault{kind: kindConcurrency, code: rateLimited, status: http.StatusTooManyRequests}
}

// Reset is a connection that is reset before the request is written: an *Error that matches syscall.ECONNRESET. With
// AfterSend it is reset after that, before any of the answer.
func Reset() Fault { return Fault{kind: kindReset} }

// BrokenBody sends the request and resets the connection in the middle of the answer's body: reading it returns an *Error
// that matches syscall.ECONNRESET. Without EvenWrites a request that may change something gets Reset instead. An answer
// without a body stays whole.
func BrokenBody() Fault { return Fault{kind: kindBrokenBody, sent: true} }

// Latency waits for d before the request is sent, or until its context ends; what comes after it in Config.Faults may
// strike as well.
func Latency(d time.Duration) Fault { return Fault{kind: kindLatency, duration: d} }

// Rate makes the fault strike that share of the requests that it means: 0 none, 1 all.
func (f Fault) Rate(share float64) Fault {
	f.rate = share
	return f
}

// On narrows the fault to requests that match one of the patterns: a method and a path, "GET /api/v1/users/{id}", where
// {…} stands for one segment; without a method any; a path that ends in /* means everything below it; "*" everything.
// HEAD counts as GET.
func (f Fault) On(patterns ...string) Fault {
	f.requests = slices.Clone(patterns)
	return f
}

// WithStatus overrides the status of an answer.
func (f Fault) WithStatus(status int) Fault {
	f.status = status
	return f
}

// AfterSend lets requests that change nothing be sent first: Okta has answered, and the fault takes the answer's place.
func (f Fault) AfterSend() Fault {
	f.sent = true
	return f
}

// EvenWrites makes AfterSend and BrokenBody mean requests that may change something as well. Okta has then done what they
// asked for, and their caller sees a failure.
func (f Fault) EvenWrites() Fault {
	f.writes = true
	return f
}

// Name is the fault's name in the header, the trace and the count: its code, or "edge-503", "rate-limited",
// "concurrency", "reset", "broken-body", "latency".
func (f Fault) Name() string {
	switch f.kind {
	case kindEdge:
		return fmt.Sprintf("edge-%d", f.status)
	case kindRateLimited:
		return "rate-limited"
	case kindConcurrency:
		return "concurrency"
	case kindReset:
		return "reset"
	case kindBrokenBody:
		return "broken-body"
	case kindLatency:
		return "latency"
	}
	return f.code
}

// ready checks the fault.
func (f Fault) ready() (fault, error) {
	r := fault{Fault: f}
	for _, s := range f.requests {
		p, err := pattern.Parse(s)
		if err != nil {
			return r, err
		}
		r.patterns = append(r.patterns, p)
	}
	return r, f.check()
}

func (f Fault) check() error {
	_, known := canned.Lookup(f.code)
	answers := f.kind >= kindCode && f.kind <= kindConcurrency
	switch {
	case f.kind == kindNone:
		return errors.New("a Fault that no function of this package has made")
	case f.kind == kindCode && !known && f.status == 0:
		return fmt.Errorf("Code(%q): Okta has no such code; give it a status with WithStatus", f.code)
	case f.kind == kindOAuth && f.code == "":
		return errors.New("OAuthError: no code")
	case answers && (f.status < 400 || f.status > 599):
		return fmt.Errorf("%s: status %d, want 400 to 599", f.Name(), f.status)
	case !(f.rate >= 0 && f.rate <= 1): // NaN is neither
		return fmt.Errorf("%s: Rate(%v), want 0 to 1", f.Name(), f.rate)
	case f.duration < 0:
		return fmt.Errorf("%s: %s is negative", f.Name(), f.duration)
	case f.kind == kindLatency && (f.sent || f.writes):
		return errors.New("latency: it lies before the request is sent")
	case f.writes && !f.sent:
		return fmt.Errorf("%s: EvenWrites without AfterSend", f.Name())
	}
	return nil
}

func (f *fault) matches(method string, segments []string) bool {
	return len(f.patterns) == 0 || slices.ContainsFunc(f.patterns, func(p pattern.Pattern) bool { return p.Match(method, segments) })
}

// afterSend reports whether the fault lets a request be sent first.
func (f *fault) afterSend(method string) bool { return f.sent && (f.writes || changesNothing(method)) }

func changesNothing(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}
