// This file matches requests: the little pattern language of scripts, counts
// and buckets.

package oktatest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// pattern is "METHOD /path", as Script, Count, Handle and Bucket take it:
//
//	GET /api/v1/users          that method, exactly that path
//	/api/v1/users/{id}         any method; {…} stands for one segment
//	GET /api/v1/groups/*       everything below, at least one segment further
//	* or the empty string      every request
//
// HEAD counts as GET.
type pattern struct {
	method string   // empty: any
	segs   []string // nil with below: every path
	below  bool     // a trailing *: anything further
}

func parsePattern(s string) (pattern, error) {
	var p pattern
	path := strings.TrimSpace(s)
	if method, rest, ok := strings.Cut(path, " "); ok {
		path = strings.TrimSpace(rest)
		if method != "*" {
			p.method = method
		}
		if method != strings.ToUpper(method) {
			return p, fmt.Errorf("pattern %q: the method must be in capitals", s)
		}
	}
	if path == "*" || path == "" {
		p.below = true
		return p, nil
	}
	if !strings.HasPrefix(path, "/") {
		return p, fmt.Errorf("pattern %q: the path must begin with a slash", s)
	}
	if strings.ContainsAny(path, "?# ") {
		return p, fmt.Errorf("pattern %q: only a method and a path can be matched", s)
	}
	p.segs = segments(path)
	if n := len(p.segs); n > 0 && p.segs[n-1] == "*" {
		p.segs, p.below = p.segs[:n-1], true
	}
	return p, nil
}

func mustPattern(s string) pattern {
	p, err := parsePattern(s)
	if err != nil {
		panic("oktatest: " + err.Error())
	}
	return p
}

// match reports whether a request of that method and those segments is meant.
func (p pattern) match(method string, segs []string) bool {
	if p.method != "" && p.method != readAs(method) {
		return false
	}
	if p.below && p.segs == nil {
		return true
	}
	if len(segs) < len(p.segs) || p.below == (len(segs) == len(p.segs)) {
		return false
	}
	for i, want := range p.segs {
		if want != segs[i] && !isVariable(want) {
			return false
		}
	}
	return true
}

// literals counts the segments that are spelled out.
func (p pattern) literals() int {
	n := 0
	for _, s := range p.segs {
		if !isVariable(s) {
			n++
		}
	}
	return n
}

func isVariable(seg string) bool {
	return strings.HasPrefix(seg, "{") && strings.HasSuffix(seg, "}")
}

// readAs is the method whose rules a request follows.
func readAs(method string) string {
	if method == http.MethodHead || method == "" {
		return http.MethodGet
	}
	return method
}

// segments splits an escaped path and decodes each part, so that a login with
// an escaped slash stays one segment.
func segments(escapedPath string) []string {
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
