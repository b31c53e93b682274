// Package unserved finds the requests that a fake Okta cannot answer, and keeps
// count of them.
package unserved

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/oktaretry/oktaretry/internal/route"
)

// Endpoint is what the fake lacks, and how often it was asked for.
type Endpoint struct {
	Method string
	Path   string // the template where Okta documents one, else the path as sent
	Count  int
}

// Limits of a Book: of the endpoints that come after the first maxEndpoints, only
// the total is kept.
const maxEndpoints = 1000

// Book counts requests by endpoint. Its zero value is empty. It is safe for
// concurrent use.
type Book struct {
	mu     sync.Mutex
	counts map[[2]string]int
}

// Add counts one request.
func (b *Book) Add(method, path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.counts == nil {
		b.counts = map[[2]string]int{}
	}
	key := [2]string{method, path}
	if b.counts[key] == 0 && len(b.counts) >= maxEndpoints {
		key = [2]string{"any method", "any other path"}
	}
	b.counts[key]++
}

// List is what was counted, by path and then method. The slice is the caller's.
func (b *Book) List() []Endpoint {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []Endpoint
	for key, n := range b.counts {
		all = append(all, Endpoint{Method: key[0], Path: key[1], Count: n})
	}
	slices.SortFunc(all, func(x, y Endpoint) int {
		return cmp.Or(cmp.Compare(x.Path, y.Path), cmp.Compare(x.Method, y.Method))
	})
	return all
}

// Code is the errorCode of the answer to a request that is not served. Okta has
// no such code, so that no program takes the answer for one of Okta's.
const Code = "OKTATEST"

// Summary is the errorSummary of that answer.
func Summary(method, path string) string {
	return fmt.Sprintf("oktatest does not serve %s %s: add the endpoint with WithHandler or script its answer with Script; "+
		"AllowUnserved keeps the test from failing for it", method, path)
}

// Path is the endpoint of an escaped path: Okta's template for it, or the path
// itself where Okta documents none.
func Path(method, escapedPath string) string {
	if r := route.Match(method, escapedPath); r.Known {
		return r.Template
	}
	return escapedPath
}

// Foreign reports whether a path lies below no part of Okta's API, as "/" and
// "/healthz" do. Okta's gateway answers those, and not its API.
func Foreign(escapedPath string) bool {
	first, _, _ := strings.Cut(strings.TrimLeft(escapedPath, "/"), "/")
	return first == "" || route.Match("GET", "/"+first+"/x").Template == "/*"
}

// Other reports whether Okta documents an escaped path as another endpoint than
// that of the pattern, whose segments match it: "/api/v1/groups/rules" is not the
// group "rules" of "/api/v1/groups/{id}". In Okta's paths a literal beats a
// parameter.
func Other(pattern []string, method, escapedPath string) bool {
	r := route.Match(method, escapedPath)
	if !r.Known {
		return false
	}
	template := strings.Split(strings.Trim(r.Template, "/"), "/")
	if len(template) != len(pattern) {
		return false
	}
	for i, s := range pattern {
		if strings.HasPrefix(s, "{") && !strings.HasPrefix(template[i], "{") {
			return true
		}
	}
	return false
}
