// This file finds the place in the file of what oktaretry reports of a policy.

package policyfile

import (
	"errors"
	"regexp"
	"strings"

	"github.com/oktaretry/oktaretry"
)

// word is a name that needs no quotes in a path.
var word = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// pathText writes a path as people do.
func pathText(path []string) string {
	var b strings.Builder
	for i, name := range path {
		switch {
		case !word.MatchString(name):
			b.WriteString("[" + quote(name) + "]")
		case i > 0:
			b.WriteString("." + name)
		default:
			b.WriteString(name)
		}
	}
	return b.String()
}

// flatten returns the errors that err joins.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// locate returns errors of package oktaretry with their places.
func (s *source) locate(errs []error) (list Errors) {
	for _, err := range errs {
		e, ok := errors.AsType[*oktaretry.PolicyError](err)
		if !ok {
			list = append(list, &Error{s.file, 1, 1, "", err.Error()})
			continue
		}
		list = append(list, &Error{s.file, 1, 1, e.Field, e.Problem})
	}
	return list
}
