// This file lists what was asked of the fake and is not served.

package oktatest

import (
	"fmt"
	"strings"
	"testing"
)

// Unserved is an endpoint that the fake lacks, and how often it was asked for.
type Unserved struct {
	Method string // HEAD counts as GET
	Path   string // Okta's template ("/api/v1/users/{id}"), or the path as sent where Okta documents none
	Count  int
}

// Unserved lists the endpoints that the fake was asked for and does not serve, by
// path and method. Each such request was answered 400 with the errorCode
// "OKTATEST", a code that Okta does not have, and an errorSummary that names the
// endpoint: never with a 404 or a 405, which programs take for "gone, nothing to
// do". Forget does not empty the list.
//
// Not listed are requests that a script or a limit answered, and paths below no
// part of Okta's API ("/", "/healthz"): those get the 404 page of Okta's gateway,
// without an error code.
func (o *Okta) Unserved() []Unserved {
	var all []Unserved
	for _, e := range o.unserved.List() {
		all = append(all, Unserved(e))
	}
	return all
}

// AllowUnserved lets a test pass although it asked NewServer's or NewTLSServer's
// fake for endpoints that are not served. They are answered and listed all the
// same (see Unserved).
func AllowUnserved() Option {
	return func(c *config) { c.allowUnserved = true }
}

// reportUnserved fails the test that asked for what is not served.
func (o *Okta) reportUnserved(t testing.TB) {
	t.Helper()
	var b strings.Builder
	for _, u := range o.Unserved() {
		fmt.Fprintf(&b, "\n\t%s %s (%d×)", u.Method, u.Path, u.Count)
	}
	if b.Len() > 0 {
		t.Errorf("oktatest: the test asked for endpoints that the fake does not serve; add them with WithHandler, "+
			"script their answers, or let them pass with AllowUnserved:%s", b.String())
	}
}
