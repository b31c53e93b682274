// This file holds the problems of a file.

package policyfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Error is one problem of a file.
type Error struct {
	File string // as it was given to Read or Parse
	// Line and Column count from 1; columns count characters. They are those of the
	// member that has the problem, of the one that it contradicts, or of the
	// innermost that is in the file.
	Line, Column int
	Path         string // "serverError.maxAttempts", `pace.bucketRates["GET /api/v1/users"]`; "" for the whole file
	Message      string // `is "soon", want a duration such as "30s"`
}

// Error returns "policy.yaml:3:5: serverError.maxAttempts is 1.5, want a whole number":
// editors jump to such a place.
func (e *Error) Error() string {
	subject := cmp.Or(e.Path, "the file")
	return fmt.Sprintf("%s:%d:%d: %s %s", e.File, e.Line, e.Column, subject, e.Message)
}

// Errors are all problems of a file, in the order of their places. [errors.As] finds
// it, and each [*Error] in it.
type Errors []*Error

// Error returns the problems, one in each line.
func (list Errors) Error() string {
	lines := make([]string, len(list))
	for i, e := range list {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns each problem.
func (list Errors) Unwrap() []error {
	errs := make([]error, len(list))
	for i, e := range list {
		errs[i] = e
	}
	return errs
}

// orNil returns the problems in order, as an error that is nil if there are none.
func (list Errors) orNil() error {
	if len(list) == 0 {
		return nil
	}
	slices.SortStableFunc(list, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return list
}
