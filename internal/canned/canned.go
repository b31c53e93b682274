// Package canned makes the answers by which Okta, and the proxies in front of it, refuse and fail: their status, headers
// and body. The fake Okta of tests and the chaos of running systems have them from here.
package canned

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// ConcurrencyReset is how far ahead Okta has been seen to put the Reset of an answer to too many concurrent requests
// (recorded: 111 to 140 s), though places free up in under a second.
const ConcurrencyReset = 2 * time.Minute

// Error is an error in Okta's form.
type Error struct {
	Code    string         `json:"errorCode"`
	Summary string         `json:"errorSummary"`
	Link    string         `json:"errorLink"` // the code, as Okta has it
	ID      string         `json:"errorId"`
	Causes  []Cause        `json:"errorCauses"` // an empty list, not null
	Links   map[string]any `json:"_links,omitempty"`
}

// Cause is one of an error's causes.
type Cause struct {
	Summary string `json:"errorSummary"`
}

// OAuthError is an error in OAuth's form.
type OAuthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// JSON encodes as Okta does: angle brackets and ampersands as they are. A value that has AppendJSON writes itself. It
// panics on what cannot be encoded.
func JSON(v any) []byte {
	if a, ok := v.(interface{ AppendJSON([]byte) ([]byte, error) }); ok {
		b, err := a.AppendJSON(nil)
		if err != nil {
			panic("canned: " + err.Error())
		}
		return b
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("canned: " + err.Error())
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// EdgePage is what a proxy in front of Okta sends when Okta cannot be reached: a page of HTML.
func EdgePage(status int) (contentType, body string) {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	return "text/html; charset=utf-8", "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title +
		"</h1></center>\r\n<hr><center>edge</center>\r\n</body>\r\n</html>\r\n"
}

// EdgeServer is the Server header of an edge page.
const EdgeServer = "edge"

// Rates are what the three rate-limit headers report.
type Rates struct {
	Limit, Remaining int
	Reset            int64 // in seconds since 1970
}

// Stamp sets the headers.
func (r Rates) Stamp(h http.Header) {
	h.Set("X-Rate-Limit-Limit", strconv.Itoa(r.Limit))
	h.Set("X-Rate-Limit-Remaining", strconv.Itoa(r.Remaining))
	h.Set("X-Rate-Limit-Reset", strconv.FormatInt(r.Reset, 10))
}

// WholeSecond is t in seconds since 1970, rounded up: a window is never over later than its Reset.
func WholeSecond(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return s
}

// Date is t as HTTP's header Date has it.
func Date(t time.Time) string { return t.UTC().Format(http.TimeFormat) }
