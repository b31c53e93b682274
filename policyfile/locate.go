// This file finds the place in the file of what package oktaretry reports of a policy.

package policyfile

import (
	"errors"
	"strings"

	"github.com/oktaretry/oktaretry"
)

// flatten returns the errors that err joins.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// locate returns what ParsePolicy reports of the JSON, with its places in the file.
func (s *source) locate(err error) (list Errors) {
	for _, err := range flatten(err) {
		e, ok := errors.AsType[*oktaretry.PolicyError](err)
		if !ok {
			list = append(list, &Error{s.file, 1, 1, "", err.Error()})
			continue
		}
		at := s.At(e.Line)
		list = append(list, &Error{s.file, at.Line, at.Column, e.Field, e.Problem})
	}
	return list
}

// codes returns what Policy.Warnings reports of codes, with their places in the file.
func (s *source) codes(warnings []error) (list Errors) {
	for _, err := range warnings {
		e, ok := errors.AsType[*oktaretry.PolicyError](err)
		if !ok {
			continue
		}
		code := strings.TrimSuffix(strings.TrimPrefix(e.Field, "Codes["), "]")
		at, ok := s.codePlaces[code]
		if !ok {
			at = s.At(0)
		}
		list = append(list, &Error{s.file, at.Line, at.Column, "codes." + code, e.Problem})
	}
	return list
}
