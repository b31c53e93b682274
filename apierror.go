// This file holds the content of Okta's error bodies.

package oktaretry

import "github.com/oktaretry/oktaretry/internal/wire"

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

// newAPIError copies the views that wire returns, or returns nil when neither
// member holds something that looks like an error code: any text could stand
// there, and the code goes into telemetry.
func newAPIError(p wire.Error) *APIError {
	code := p.Code
	if !isOktaCode(code) {
		if code = p.OAuth; !isOAuthCode(code) {
			return nil
		}
	}
	// All texts are copied together, and most errors have one cause.
	memory := new(struct {
		APIError
		cause [1]string
	})
	e := &memory.APIError
	e.Causes = memory.cause[:0]
	var few [maxTexts]text
	list := append(few[:0], text{&e.Code, code}, text{&e.ID, p.ID}, text{&e.Link, p.Link},
		text{&e.Summary, p.Summary}, text{&e.Description, p.Description})
	for summary := range wire.Causes(p.Causes) {
		e.Causes = append(e.Causes, "")
		list = append(list, text{nil, summary})
	}
	for i := range e.Causes {
		list[len(list)-len(e.Causes)+i].to = &e.Causes[i]
	}
	copyTexts(list)
	if len(e.Causes) == 0 {
		e.Causes = nil
	}
	return e
}

// text is a string of a body and where it goes.
type text struct {
	to  *string
	raw []byte
}

// maxTexts is how many an error has, but for unusual ones.
const maxTexts = 8

// copyTexts copies them into one piece of memory.
func copyTexts(list []text) {
	var short [512]byte
	var few [maxTexts]int
	all, ends := short[:0], few[:0]
	for _, t := range list {
		all = wire.AppendUnescaped(all, t.raw)
		ends = append(ends, len(all))
	}
	copied, start := string(all), 0
	for i, t := range list {
		*t.to = copied[start:ends[i]]
		start = ends[i]
	}
}
