// Package docfile writes what was measured into documents, between markers.
package docfile

import (
	"fmt"
	"strings"
)

// Between returns text with what stands between its markers <!-- name --> and
// <!-- /name --> replaced by body.
func Between(text, name, body string) (string, error) {
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	head, rest, found := strings.Cut(text, begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("the document has no %s and %s", strings.TrimSpace(begin), end)
	}
	return head + begin + body + end + tail, nil
}
