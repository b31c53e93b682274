// Package orgfile reads what a fake Okta org of package oktatest holds from YAML and JSON
// files.
//
//	users:
//	  - {login: ann@example.com, firstName: Ann, lastName: Lee, groups: [staff]}
//	  - {login: ben@example.com, status: SUSPENDED, profile: {department: sales}}
//	groups:
//	  - {name: staff, description: all of us}
//	requests: # through the fake's own API
//	  - {path: /api/v1/apps, body: {name: bookmark, label: Wiki, signOnMode: BOOKMARK}, as: wiki}
//	  - {method: PUT, path: "/api/v1/apps/{wiki}/groups/{groups.staff}"}
//	limits: {GET /api/v1/users: 50}
//
// The members are those of [oktatest.Seed]. [Read] and [Parse] report all problems at once,
// each with its line and column, and refuse what package policyfile refuses: members that
// are unknown or given twice, null, numbers such as 010, anchors, aliases, tags. Problems
// of the org itself, such as a login given twice, are reported where the rest has none.
package orgfile

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/oktaretry/oktaretry/internal/document"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/policyfile"
	"github.com/oktaretry/oktaretry/policyfile/internal/yamltext"
)

var seeds = yamltext.Kind{MaxSize: 4 << 20, MaxTokens: 1_000_000, Plural: "seeds", Empty: "is empty: {} means an empty org"}

// Read reads the seed in a file, which is YAML or JSON whatever its name, and of 4 MiB at
// most. A file that cannot be read is an [*io/fs.PathError], one that holds no seed
// [policyfile.Errors].
func Read(path string) (oktatest.Seed, error) {
	f, err := os.Open(path)
	if err != nil {
		return oktatest.Seed{}, fmt.Errorf("orgfile: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(seeds.MaxSize)+1))
	if err != nil {
		return oktatest.Seed{}, fmt.Errorf("orgfile: %w", err)
	}
	return Parse(path, text)
}

// Parse is [Read] for a text; in errors, name stands as the file's. It neither changes
// nor keeps text, and is safe for concurrent use.
func Parse(name string, text []byte) (oktatest.Seed, error) {
	t := yamltext.Read(text, seeds, nil)
	var problems policyfile.Errors
	for _, p := range t.Problems {
		problems = append(problems, &policyfile.Error{File: name, Line: p.Line, Column: p.Column, Path: document.Path(p.Path), Message: p.Text})
	}
	if len(problems) > 0 {
		return oktatest.Seed{}, problems
	}
	s, err := oktatest.ParseSeed(t.JSON())
	if err == nil {
		return s, nil
	}
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() { // as ParseSeed promises
		e, ok := errors.AsType[*oktatest.SeedError](err)
		if !ok {
			return oktatest.Seed{}, err
		}
		at := t.At(e.Line)
		problems = append(problems, &policyfile.Error{File: name, Line: at.Line, Column: at.Column, Path: e.Path, Message: e.Problem})
	}
	return oktatest.Seed{}, problems
}
