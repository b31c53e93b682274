// This file holds Okta's error codes, for scripts to answer with.

package oktatest

import "github.com/oktaretry/oktaretry/internal/canned"

// ErrorCode is one of Okta's error codes as Okta documents it.
type ErrorCode struct {
	Code    string // "E0000047"
	Status  int    // the HTTP status of Okta's present table
	Name    string // "Internal server error"
	Summary string // of the errorSummary; empty where Okta documents none

	// Formerly is the status that an older table of Okta's gave, where it
	// differs (E0000091, E0000150, E0000151); else 0.
	Formerly int
}

// Codes returns every error code that Okta documents or has documented, in
// order. The slice is the caller's.
func Codes() (all []ErrorCode) {
	for _, c := range canned.Codes() {
		all = append(all, ErrorCode(c))
	}
	return all
}

// LookupCode finds an error code by its code ("E0000009") or by its full name
// ("Internal server error", in any case).
func LookupCode(codeOrName string) (ErrorCode, bool) {
	c, ok := canned.Lookup(codeOrName)
	return ErrorCode(c), ok
}

// summary is the errorSummary of the code: Okta's own words, its
// placeholders filled in.
func (c ErrorCode) summary() string { return canned.Code(c).Text() }
