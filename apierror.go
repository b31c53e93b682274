// This file holds the content of Okta's error bodies.

package oktaretry

import (
	"strings"

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

// newAPIError copies the views that wire found in body, or returns nil when
// neither member holds something that looks like an error code: any text could
// stand there, and the code goes into telemetry.
func newAPIError(p wire.Error, body []byte) *APIError {
	code := p.Code
	if !isOktaCode(code) {
		if code = p.OAuth; !isOAuthCode(code) {
			return nil
		}
	}
	// Most errors have one cause, or none.
	memory := new(struct {
		APIError
		cause [1]string
	})
	size := len(code) + len(p.ID) + len(p.Link) + len(p.Summary) + len(p.Description)
	for summary := range wire.Causes(p.Causes) {
		size += len(summary)
	}
	t := texts{plain: wire.Plain(body)}
	t.all.Grow(size) // no more: who keeps one text keeps all of it
	e := &memory.APIError
	e.Code, e.ID, e.Link, e.Summary, e.Description = t.add(code), t.add(p.ID), t.add(p.Link), t.add(p.Summary), t.add(p.Description)
	causes := memory.cause[:0]
	for summary := range wire.Causes(p.Causes) {
		causes = append(causes, t.add(summary))
	}
	if len(causes) > 0 {
		e.Causes = causes
	}
	return e
}

// texts makes strings in one piece of memory.
type texts struct {
	all   strings.Builder
	plain bool // what they are made of stands for itself
}

func (t *texts) add(raw []byte) string {
	start := t.all.Len()
	if t.plain {
		t.all.Write(raw)
	} else {
		t.all.WriteString(wire.Unescape(raw))
	}
	return t.all.String()[start:]
}
