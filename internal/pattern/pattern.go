// Package pattern matches requests: the little language in which endpoints are named, "GET /api/v1/users/{id}".
package pattern

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Pattern is "METHOD /path":
//
//	GET /api/v1/users          that method, exactly that path
//	/api/v1/users/{id}         any method; {…} stands for one segment
//	GET /api/v1/groups/*       everything below, at least one segment further
//	* or the empty string      every request
//
// HEAD counts as GET.
type Pattern struct {
	Method string   // empty: any
	Segs   []string // nil with Below: every path
	Below  bool     // a trailing *: anything further
}

// Parse reads a pattern.
func Parse(s string) (Pattern, error) {
	var p Pattern
	path := strings.TrimSpace(s)
	if method, rest, ok := strings.Cut(path, " "); ok {
		path = strings.TrimSpace(rest)
		if method != "*" {
			p.Method = method
		}
		if method != strings.ToUpper(method) {
			return p, fmt.Errorf("pattern %q: the method must be in capitals", s)
		}
	}
	if path == "*" || path == "" {
		p.Below = true
		return p, nil
	}
	if !strings.HasPrefix(path, "/") {
		return p, fmt.Errorf("pattern %q: the path must begin with a slash", s)
	}
	if strings.ContainsAny(path, "?# ") {
		return p, fmt.Errorf("pattern %q: only a method and a path can be matched", s)
	}
	p.Segs = Segments(path)
	if n := len(p.Segs); n > 0 && p.Segs[n-1] == "*" {
		p.Segs, p.Below = p.Segs[:n-1], true
	}
	return p, nil
}

// Match reports whether a request of that method and those segments is meant.
func (p Pattern) Match(method string, segs []string) bool {
	if p.Method != "" && p.Method != ReadAs(method) {
		return false
	}
	if p.Below && p.Segs == nil {
		return true
	}
	if len(segs) < len(p.Segs) || p.Below == (len(segs) == len(p.Segs)) {
		return false
	}
	for i, want := range p.Segs {
		if want != segs[i] && !IsVariable(want) {
			return false
		}
	}
	return true
}

// Literals counts the segments that are spelled out.
func (p Pattern) Literals() int {
	n := 0
	for _, s := range p.Segs {
		if !IsVariable(s) {
			n++
		}
	}
	return n
}

// IsVariable reports whether a segment of a pattern stands for any one.
func IsVariable(seg string) bool {
	return strings.HasPrefix(seg, "{") && strings.HasSuffix(seg, "}")
}

// ReadAs is the method whose rules a request follows.
func ReadAs(method string) string {
	if method == http.MethodHead || method == "" {
		return http.MethodGet
	}
	return method
}

// Segments splits an escaped path and decodes each part, so that a login with
// an escaped slash stays one segment.
func Segments(escapedPath string) []string {
	parts := strings.Split(strings.Trim(escapedPath, "/"), "/")
	for i, s := range parts {
		if strings.Contains(s, "%") {
			if d, err := url.PathUnescape(s); err == nil {
				parts[i] = d
			}
		}
	}
	return parts
}
