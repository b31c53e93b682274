// This file holds the bodies of errors, Okta's and OAuth's.

package wire

// maxCauses bounds the causes of an error that are read. Okta sends one for each
// field that it refused.
const maxCauses = 32

// Error is the content of an error body. Members that are absent, or not of the
// type that Okta documents, are empty.
//
// Summary, Causes and Description can hold user input: logins, names, addresses.
type Error struct {
	Code    string   `json:"errorCode"`
	Summary string   `json:"errorSummary"`
	Link    string   `json:"errorLink"`
	ID      string   `json:"errorId"`
	Causes  []string `json:"-"` // errorCauses[].errorSummary, of the first 32; empty ones are left out

	OAuth       string `json:"error"`
	Description string `json:"error_description"`
}

// ParseError reads an error body, and reports whether it has a code, Okta's or
// OAuth's.
//
// The values are those of json.Unmarshal, also where names differ in case, are
// escaped, or stand twice. A body that is cut off or malformed yields the members
// that are complete before that point. The caller bounds the body's size.
func ParseError(body []byte) (Error, bool) {
	doc := decode[struct {
		Error
		// An array, for encoding/json skips what exceeds it.
		Causes [maxCauses]struct {
			Summary string `json:"errorSummary"`
		} `json:"errorCauses"`
	}](body)
	e := doc.Error
	for _, cause := range doc.Causes {
		if cause.Summary != "" {
			e.Causes = append(e.Causes, cause.Summary)
		}
	}
	return e, e.Code != "" || e.OAuth != ""
}
