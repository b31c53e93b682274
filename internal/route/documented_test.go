// This file holds the table to Okta's documented paths and to recorded calls.

package route_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/internal/route"
)

func TestEveryDocumentedPathHasItsOwnTemplate(t *testing.T) {
	rows := readTable(t, "testdata/documented.tsv")
	if len(rows) < 482+103 {
		t.Fatalf("%d documented paths, want those of SDK v6 and of Identity Governance", len(rows))
	}
	for _, row := range rows {
		for _, method := range []string{"GET", "POST"} {
			for _, start := range []string{"", "/"} {
				path := start + fill(row[0], "x7")
				if got := route.Match(method, path); got.Template != row[0] || !got.Known {
					t.Errorf("%s %s: template %q, known %t, want %q", method, path, got.Template, got.Known, row[0])
				}
			}
		}
	}
}

// Whoever regroups a path changes what a running program has learned of its limits, so each regrouping is listed here.
func TestDocumentedPathsStayInTheirBuckets(t *testing.T) {
	regrouped := func(method, path, bucket string) string {
		switch {
		case bucket == "/" && strings.HasPrefix(path, "/api/internal/"):
			return "/api/internal"
		case bucket == "/": // one for all first segments
			return "/" + strings.Split(path, "/")[1]
		case method == "GET" && path == "/api/v1/apps/{appId}": // one with PUT and DELETE
			return "GET /api/v1/apps/{id}"
		case method == "GET" && strings.HasPrefix(path, "/api/v1/domains"): // one with writes
			return "GET /api/v1/domains"
		}
		return bucket
	}
	for _, row := range readTable(t, "testdata/documented.tsv") {
		path, bucket, other := row[0], row[1], row[len(row)-1]
		for _, tt := range []struct{ method, bucket string }{
			{"GET", bucket}, {"POST", other}, {"PUT", other}, {"DELETE", other},
		} {
			want := strings.TrimPrefix(regrouped(tt.method, path, tt.bucket), "-")
			if got := route.Match(tt.method, fill(path, "x7")).Bucket; got != want {
				t.Errorf("%s %s: bucket %q, want %q", tt.method, path, got, want)
			}
		}
	}
}

func TestRecordedCallsFindTheirEndpoints(t *testing.T) {
	// Without the name that is not shown, these could be several endpoints.
	ambiguous := map[string]string{
		"/api/v1/idps/{…}/{…}":      "/api/v1/idps/{idpId}/*",
		"/api/v1/internal/{…}/{…}":  "/api/v1/internal/*",
		"/api/v1/org/email/{…}":     "/api/v1/org/email/*",
		"/api/v1/org/email/{…}/{…}": "/api/v1/org/email/*",
	}
	rows := readTable(t, "testdata/recorded.tsv")
	if len(rows) < 372 {
		t.Fatalf("%d recorded paths", len(rows))
	}
	for _, row := range rows {
		path := row[0]
		for _, method := range strings.Fields(row[1]) {
			got := route.Match(method, fill(path, "x7"))
			if want, ok := ambiguous[path]; ok {
				if got.Template != want || got.Known {
					t.Errorf("%s %s: template %q, want %q", method, path, got.Template, want)
				}
			} else if !got.Known || shape(got.Template) != shape(strings.TrimPrefix(path, "//")) {
				t.Errorf("%s %s: template %q, known %t", method, path, got.Template, got.Known)
			}
			if got.Bucket == "/" {
				t.Errorf("%s %s: no bucket of its own", method, path)
			}
		}
	}
}

var braces = regexp.MustCompile(`\{[^}]*\}`)

// shape returns a template without the names of its parameters.
func shape(template string) string {
	return braces.ReplaceAllString(strings.TrimPrefix(template, "/"), "{}")
}

// readTable returns the columns of each row of a file; empty lines and lines that start with # are none.
func readTable(t *testing.T, file string) [][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows
}
