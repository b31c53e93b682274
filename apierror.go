// This file holds the content of Okta's error bodies.

package oktaretry

import (
	"fmt"
	"slices"

	"github.com/oktaretry/oktaretry/internal/wire"
)

// APIError is the content of an error body. Summary, Description and Causes
// quote what users typed (logins, names): treat them as personal data. This
// library puts none of them into an error text, span, metric or log.
type APIError struct {
	Code        string   // errorCode, or OAuth's error
	ID          string   // errorId: identifies this one error for Okta Support
	Link        string   // errorLink
	Summary     string   // errorSummary
	Causes      []string // errorCauses[].errorSummary
	Description string   // OAuth's error_description
}

// Error returns the code and the error's ID, never the summary.
func (e *APIError) Error() string {
	text := "okta: " + shownCode(e.Code)
	if id := shownID(e.ID); id != "" {
		text += " (error id " + id + ")"
	}
	return text
}

func (e *APIError) discreet() {}

func (e *APIError) clone() *APIError {
	if e == nil {
		return nil
	}
	own := *e
	own.Causes = slices.Clone(e.Causes)
	return &own
}

// Format prints the text of Error by every verb: %#v, and %d of a mistaken format,
// would print the fields.
func (e APIError) Format(s fmt.State, verb rune) {
	fmt.Fprintf(s, fmt.FormatString(s, verb), e.Error())
}

// newAPIError returns the content of p, or nil when neither member holds something
// that looks like an error code: any text could stand there, and the code goes into
// telemetry.
func newAPIError(p wire.Error) *APIError {
	code := p.Code
	if !isOktaCode(code) {
		if code = p.OAuth; !isOAuthCode(code) {
			return nil
		}
	}
	return &APIError{Code: code, ID: p.ID, Link: p.Link, Summary: p.Summary, Causes: p.Causes, Description: p.Description}
}
