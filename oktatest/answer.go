// This file holds the answers that a script can give.

package oktatest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/internal/canned"
)

// Answer is a scripted HTTP answer. Its With… methods return a changed copy,
// so an Answer can be shared and built upon.
type Answer struct {
	status  int
	header  http.Header
	without []string
	rates   ratesOf
	reset   time.Duration // for ratesExhausted
	edge    bool          // not made by Okta
	err     error         // why the answer makes no sense

	// Okta's error form:
	code    string
	summary string
	causes  []string
	poll    string

	// or any other body:
	contentType string
	body        string
}

// ratesOf selects the rate-limit headers of an answer.
type ratesOf int

const (
	ratesOfBucket      ratesOf = iota // as the bucket stands, a place taken
	ratesExhausted                    // Remaining 0, Reset after a given time
	ratesWindowOver                   // Remaining 0, Reset at the window's end
	ratesOfConcurrency                // 0/0
	ratesOfNone                       // no headers, no place taken: nobody is known to count
)

// unknownLimit is the limit that a scripted 429 reports where the fake has
// none (WithoutLimits).
const unknownLimit = 600

// Code answers with one of Okta's errors, named by its code ("E0000009") or by
// its full name ("Internal server error"), in Okta's JSON form and with the
// status of Okta's present table. A code that Okta does not have needs
// WithStatus.
//
// Code("E0000047") reports the bucket's window as used up, whatever it holds;
// RateLimited sets when it ends. Code("E0000011"), an invalid token, carries no
// rate-limit headers and takes no place.
func Code(codeOrName string) Answer {
	a := Answer{code: codeOrName}
	if c, ok := LookupCode(codeOrName); ok {
		a.code, a.status, a.summary = c.Code, c.Status, c.summary()
	} else {
		a.err = fmt.Errorf("Code(%q): Okta has no such code; give it a status with WithStatus", codeOrName)
	}
	switch a.code {
	case "E0000047":
		a.rates = ratesWindowOver
	case "E0000011":
		a.rates = ratesOfNone
	}
	return a
}

// RateLimited answers 429 E0000047 with Remaining 0 and a Reset that lies d
// ahead of the answer's Date, rounded up to a whole second. The bucket itself
// is not touched.
func RateLimited(d time.Duration) Answer {
	a := Code("E0000047")
	a.rates, a.reset = ratesExhausted, d
	return a
}

// ConcurrencyLimited answers 429 E0000047 as Okta does when too many requests
// are in flight: Limit 0, Remaining 0 and a Reset two minutes ahead.
func ConcurrencyLimited() Answer {
	a := Code("E0000047")
	a.rates = ratesOfConcurrency
	return a
}

// OAuthError answers in OAuth's form, {"error": …, "error_description": …}.
func OAuthError(code string, status int) Answer {
	return Answer{status: status}.WithBody("application/json", encode(canned.OAuthError{Error: code, Description: "A scripted " + code + "."}))
}

// Challenge answers with an empty body and the error in WWW-Authenticate, as
// Okta refuses access tokens (scheme "Bearer") and DPoP proofs ("DPoP").
func Challenge(scheme, oauthError string, status int) Answer {
	return Answer{status: status}.WithHeader("WWW-Authenticate", fmt.Sprintf(
		`%s authorization_uri="https://oktatest.invalid/oauth2/v1/authorize", realm="https://oktatest.invalid", scope="okta.users.read", error=%q, error_description="A scripted %s.", resource="/api/v1"`,
		scheme, oauthError, oauthError))
}

// Status answers with that status and an empty body. It comes from Okta: with
// a request id and rate-limit headers.
func Status(status int) Answer { return Answer{status: status} }

// EdgePage answers as a proxy in front of Okta does when Okta cannot be
// reached: an HTML page, no request id, no rate-limit headers, and no place
// taken in the bucket.
func EdgePage(status int) Answer {
	contentType, page := canned.EdgePage(status)
	return Answer{status: status, edge: true}.WithBody(contentType, page)
}

// WithStatus overrides the status.
func (a Answer) WithStatus(status int) Answer {
	a.status, a.err = status, nil
	return a
}

// WithHeader sets a header of the answer, in place of what it would carry.
func (a Answer) WithHeader(key, value string) Answer {
	a.header = a.header.Clone()
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(key, value)
	return a
}

// AddHeader sends a header once more: beside what WithHeader or AddHeader have
// set, or beside what the answer would carry.
func (a Answer) AddHeader(key, value string) Answer {
	key = http.CanonicalHeaderKey(key)
	a.header = a.header.Clone()
	if a.header == nil {
		a.header = http.Header{}
	}
	if a.header[key] == nil {
		a.header[key] = []string{inherit}
	}
	a.header[key] = append(a.header[key], value)
	return a
}

// inherit stands for the value that the answer would carry.
const inherit = "\x00"

// WithoutHeader leaves a header out, also Date and the rate-limit headers.
func (a Answer) WithoutHeader(key string) Answer {
	a.without = append(slices.Clone(a.without), http.CanonicalHeaderKey(key))
	return a
}

// WithSummary changes the errorSummary of a Code.
func (a Answer) WithSummary(s string) Answer {
	a.summary = s
	return a
}

// WithCauses sets the errorCauses of a Code.
func (a Answer) WithCauses(causes ...string) Answer {
	a.causes = slices.Clone(causes)
	return a
}

// WithPoll adds a _links.poll to a Code. A path is completed with the
// request's own scheme and host; a whole URL is sent as it is.
func (a Answer) WithPoll(pathOrURL string) Answer {
	a.poll = pathOrURL
	return a
}

// WithBody replaces the body. An empty contentType sends no Content-Type.
func (a Answer) WithBody(contentType, body string) Answer {
	a.code, a.contentType, a.body = "", contentType, body
	return a
}

func (a Answer) check() error {
	if a.err != nil {
		return a.err
	}
	if a.status < 200 || a.status > 999 {
		return fmt.Errorf("an answer needs a final status, not %d", a.status)
	}
	return nil
}

func (a Answer) reply(c *call) *reply {
	r := &reply{status: a.status, header: http.Header{}, body: []byte(a.body), foreign: a.edge}
	if a.contentType != "" {
		r.header.Set("Content-Type", a.contentType)
	}
	if a.code != "" {
		e := oktaError{Code: a.code, Summary: a.summary, Causes: causes(a.causes)}
		if a.poll != "" {
			e.Links = links{"poll": link(c.absolute(a.poll), http.MethodGet)}
		}
		r = c.errorReply(a.status, e)
	}
	now := c.o.now()
	if a.edge {
		r.header.Set("Date", httpDate(now))
		r.header.Set("Server", canned.EdgeServer)
	} else {
		c.stamp(r.header, now)
		a.stampRates(c, r.header, now)
		if a.status == http.StatusTooManyRequests {
			c.logRefusal(r.header)
		}
	}
	for k, vs := range a.header {
		if len(vs) > 1 && vs[0] == inherit {
			vs = append(slices.Clone(r.header[k]), vs[1:]...)
		}
		r.header[k] = slices.Clone(vs)
	}
	for _, k := range a.without {
		r.header[k] = nil // for Date: net/http adds none then
	}
	return r
}

func (a Answer) stampRates(c *call, h http.Header, now time.Time) {
	if a.rates == ratesOfNone {
		return
	}
	if a.rates == ratesOfBucket {
		if v := c.o.limits.admit(c.places, now, true); v.reported {
			v.rate.Stamp(h)
		}
		return
	}
	r, reported := c.o.limits.look(c.places, now) // what is refused takes no place
	r.Remaining = 0
	switch {
	case a.rates == ratesOfConcurrency:
		r = concurrencyRate(now)
	case !reported:
		r.Limit = unknownLimit
		r.Reset = canned.WholeSecond(now.Add(time.Minute))
	}
	if a.rates == ratesExhausted {
		r.Reset = canned.WholeSecond(now.Add(a.reset))
	}
	r.Stamp(h)
}

// absolute completes a path with the request's own scheme and host.
func (c *call) absolute(pathOrURL string) string {
	if strings.HasPrefix(pathOrURL, "/") {
		return c.base() + pathOrURL
	}
	return pathOrURL
}
