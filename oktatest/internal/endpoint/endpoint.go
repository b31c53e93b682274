// Package endpoint is the door through which a mechanism serves endpoints of the fake org: a
// request as the mechanism needs it, and an answer that the fake turns into Okta's form.
package endpoint

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/syslog"
)

// Route is an endpoint. Pattern is in the language of oktatest's scripts: "GET /api/v1/users/{id}".
type Route struct {
	Pattern string
	Serve   func(*Request) Answer
}

// Request is a request for a Route.
type Request struct {
	Method string
	Header http.Header
	Vars   []string // what the pattern's {…} stand for
	Query  url.Values
	Body   []byte
	Base   string // scheme and host
	URI    string // path and query, as sent

	Now      func() time.Time           // the fake's clock
	NewID    func(prefix string) string // an id that is not used yet
	NewToken func() string              // a secret of 42 characters that is not used yet
	Wait     func(time.Duration)        // until the time is over or the caller has gone
	Record   func(syslog.Event)         // to the system log, as caused by this request
}

// Cookie is the value of a cookie; empty if there is none.
func (r *Request) Cookie(name string) string {
	c, err := (&http.Request{Header: r.Header}).Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// Answer is what is answered: Body as JSON, or an error of Okta's.
type Answer struct {
	Status int
	Header http.Header
	Body   any // nil: none
	Error  *Error

	Unserved bool // the endpoint is served, but not what the request asks of it
}

// Error is an error in Okta's form. Without Status and Summary it has those of its code.
type Error struct {
	Code    string
	Status  int
	Summary string
	Causes  []string
}

// OK answers 200 with a body.
func OK(body any) Answer { return Answer{Status: http.StatusOK, Body: body} }

// Fail answers with one of Okta's codes.
func Fail(code string, causes ...string) Answer {
	return Answer{Error: &Error{Code: code, Causes: causes}}
}

// Invalid answers that a field of the body is not acceptable: E0000001.
func Invalid(field string, causes ...string) Answer {
	return Answer{Error: &Error{Code: "E0000001", Summary: "Api validation failed: " + field, Causes: causes}}
}

// Missing answers that there is no such resource: E0000007.
func Missing(id, kind string) Answer {
	return Answer{Error: &Error{Code: "E0000007", Summary: "Not found: Resource not found: " + id + " (" + kind + ")"}}
}

// Decode reads the body. An empty one leaves v as it is.
func (r *Request) Decode(v any) (bad Answer, ok bool) {
	if len(strings.TrimSpace(string(r.Body))) > 0 && json.Unmarshal(r.Body, v) != nil {
		return Fail("E0000003"), false
	}
	return Answer{}, true
}

// Timestamp is a time as Okta writes it, in whole seconds.
func Timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05") + ".000Z" }

// Link is an entry of Okta's _links.
func Link(href string, methods ...string) map[string]any {
	l := map[string]any{"href": href}
	if len(methods) > 0 {
		l["hints"] = map[string]any{"allow": methods}
	}
	return l
}

// Page answers with the part of a list that limit and after ask for, and with the Link headers.
// id is an entry's cursor; after names the last entry before the page, which may be gone: ids
// must rise along the list.
func Page[T any](r *Request, list []T, limit, maxLimit int, id func(T) string, render func(T) any) Answer {
	if s := r.Query.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return Fail("E0000029", "limit: must be a positive number")
		}
		limit = min(n, maxLimit)
	}
	if after := r.Query.Get("after"); after != "" {
		i := slices.IndexFunc(list, func(x T) bool { return id(x) > after })
		if i < 0 {
			i = len(list)
		}
		list = list[i:]
	}
	more := len(list) > limit
	if more {
		list = list[:limit]
	}
	body := make([]any, 0, len(list))
	for _, x := range list {
		body = append(body, render(x))
	}
	a := OK(body)
	a.Header = http.Header{"Link": {"<" + r.Base + r.URI + `>; rel="self"`}}
	if more {
		path, _, _ := strings.Cut(r.URI, "?")
		next := url.Values{}
		for k, vs := range r.Query {
			next[k] = vs
		}
		next.Set("after", id(list[limit-1]))
		next.Set("limit", strconv.Itoa(limit))
		a.Header.Add("Link", "<"+r.Base+path+"?"+next.Encode()+`>; rel="next"`)
	}
	return a
}
