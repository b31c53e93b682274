// This file makes replies in Okta's JSON, and finds who makes them.

package oktatest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry/internal/canned"
	"github.com/oktaretry/oktaretry/oktatest/internal/unserved"
)

// route is one endpoint of the fake's API.
type route struct {
	pattern
	own   bool // added by WithHandler: its {…} stand for whatever the caller means
	reply func(*call) *reply
}

// api lists the endpoints, in the order in which they are tried.
func (o *Okta) api() []route {
	var all []route
	add := func(p string, f func(*call) *reply) { all = append(all, route{pattern: mustPattern(p), reply: f}) }
	o.mechanismRoutes(add) // first: /groups/rules is not the group called "rules"
	o.userRoutes(add)
	o.groupRoutes(add)
	return all
}

// serve answers by the API, limits apart.
func (o *Okta) serve(c *call) *reply {
	if refusal := o.authorize(c); refusal != nil {
		return refusal
	}
	for _, rt := range o.routes {
		if !rt.Match(c.r.Method, c.segs) || !rt.own && unserved.Other(rt.Segs, c.r.Method, c.r.URL.EscapedPath()) {
			continue
		}
		c.vars = c.vars[:0]
		for i, s := range rt.Segs {
			if isVariable(s) {
				c.vars = append(c.vars, c.segs[i])
			}
		}
		return rt.reply(c)
	}
	if rep := o.generic(c); rep != nil {
		return rep
	}
	return o.unservedReply(c)
}

// unservedReply answers what the fake lacks so that no program can take it for an
// answer of Okta's: with 400 and a text that names the endpoint.
func (o *Okta) unservedReply(c *call) *reply {
	if unserved.Foreign(c.r.URL.EscapedPath()) {
		return gatewayPage()
	}
	method, path := readAs(c.r.Method), unserved.Path(c.r.Method, c.r.URL.EscapedPath())
	o.unserved.Add(method, path)
	e := oktaError{Code: unserved.Code, Summary: unserved.Summary(method, path), Causes: causes(nil)}
	return c.errorReply(http.StatusBadRequest, e)
}

// gatewayPage is what Okta's gateway answers to a path that is none of its API's.
func gatewayPage() *reply {
	return &reply{
		status: http.StatusNotFound,
		header: http.Header{"Content-Type": {"text/html"}},
		body:   []byte("<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n<center><h1>404 Not Found</h1></center>\r\n</body>\r\n</html>\r\n"),
	}
}

// api reports whether a request is for the management API.
func (c *call) api() bool { return len(c.segs) > 1 && c.segs[0] == "api" && c.segs[1] == "v1" }

// public reports whether a request is one that a user can make, who has no token of the org's.
func (c *call) public() bool {
	switch {
	case !c.api() || len(c.segs) < 3:
		return false
	case c.segs[2] == "authn":
		return true
	case c.segs[2] != "sessions":
		return false
	}
	return len(c.segs) > 3 && c.segs[3] == "me" || len(c.segs) == 3 && c.r.Method == http.MethodPost
}

// anonymous reports whether a request lacks a credential that is required.
func (o *Okta) anonymous(c *call) bool {
	if !o.cfg.auth || !c.api() {
		return false
	}
	credential := c.r.Header.Get("Authorization")
	if credential == "" && c.public() {
		return false
	}
	scheme, token, _ := strings.Cut(credential, " ")
	known := slices.Contains([]string{"SSWS", "Bearer", "DPoP"}, scheme) && token != ""
	if known && len(o.cfg.credentials) > 0 {
		known = slices.Contains(o.cfg.credentials, credential) || o.servers.Issued(o.now(), token)
	}
	return !known
}

// authorize refuses a request whose DPoP proof has been used before: with an empty body, the
// error in WWW-Authenticate.
func (o *Okta) authorize(c *call) *reply {
	if !c.api() {
		return nil
	}
	if !o.servers.Replayed(c.r.Header.Get("DPoP")) {
		return nil
	}
	return &reply{status: http.StatusBadRequest, header: http.Header{"Www-Authenticate": {
		`DPoP error="invalid_dpop_proof", error_description="The DPoP proof is not valid or has been used before."`,
	}}}
}

// record runs a handler of the user's and keeps its answer.
func (c *call) record(h http.Handler) *reply {
	w := &recorder{header: http.Header{}}
	h.ServeHTTP(w, c.r)
	w.WriteHeader(http.StatusOK) // if the handler has not
	return &reply{status: w.status, header: w.sent, body: w.body.Bytes()}
}

// recorder is a ResponseWriter into memory.
type recorder struct {
	header http.Header
	status int
	sent   http.Header // the header as it stood when the status was written
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}

func (w *recorder) Flush() { w.WriteHeader(http.StatusOK) }

// oktaError is an error in Okta's form. Link and ID are filled in.
type oktaError = canned.Error

func causes(summaries []string) []canned.Cause {
	all := []canned.Cause{}
	for _, s := range summaries {
		all = append(all, canned.Cause{Summary: s})
	}
	return all
}

// fail replies with one of Okta's codes, its documented status and summary.
func (c *call) fail(code string, causedBy ...string) *reply {
	e, _ := LookupCode(code)
	return c.errorReply(e.Status, oktaError{Code: code, Summary: e.summary(), Causes: causes(causedBy)})
}

// invalid replies that a field of the body is not acceptable.
func (c *call) invalid(field, why string) *reply {
	e := oktaError{Code: "E0000001", Summary: "Api validation failed: " + field,
		Causes: causes([]string{field + ": " + why})}
	return c.errorReply(http.StatusBadRequest, e)
}

// missing replies that there is no such resource.
func (c *call) missing(id, kind string) *reply {
	e := oktaError{Code: "E0000007", Causes: causes(nil),
		Summary: "Not found: Resource not found: " + id + " (" + kind + ")"}
	return c.errorReply(http.StatusNotFound, e)
}

// readOnly replies that an object cannot be changed. (That Okta refuses so is a guess: no
// recording shows it.)
func (c *call) readOnly(what string) *reply {
	e, _ := LookupCode("E0000111")
	return c.errorReply(e.Status, oktaError{Code: e.Code, Causes: causes(nil),
		Summary: "Cannot modify the " + what + " object because it is read-only."})
}

func (c *call) errorReply(status int, e oktaError) *reply {
	e.Link, e.ID = e.Code, c.o.errorID()
	return c.json(status, e)
}

// oauthFail replies with an error in OAuth's form.
func (c *call) oauthFail(status int, code, description string) *reply {
	return c.json(status, canned.OAuthError{Error: code, Description: description})
}

func (c *call) json(status int, v any) *reply {
	return &reply{
		status: status,
		header: http.Header{"Content-Type": {"application/json"}},
		body:   canned.JSON(v),
	}
}

func (c *call) noContent() *reply {
	return &reply{status: http.StatusNoContent, header: http.Header{}}
}

// flag is a boolean of the query, in any case ("False", as Python writes it).
func (c *call) flag(name string, otherwise bool) bool {
	switch strings.ToLower(c.r.URL.Query().Get(name)) {
	case "true":
		return true
	case "false":
		return false
	}
	return otherwise
}

// decode reads the request's body, or replies that it cannot be read.
func (c *call) decode(v any) *reply {
	if err := json.Unmarshal(c.body, v); err != nil {
		return c.fail("E0000003")
	}
	return nil
}

func encode(v any) string { return string(canned.JSON(v)) }

// links is Okta's _links.
type links map[string]any

func link(href string, methods ...string) map[string]any {
	l := map[string]any{"href": href}
	if len(methods) > 0 {
		l["hints"] = map[string]any{"allow": methods}
	}
	return l
}
