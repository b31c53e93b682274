// This file holds Okta's error codes, for scripts to answer with.

package oktatest

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

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

//go:embed codes.tsv
var codesTSV string

type codeTable struct {
	list   []ErrorCode
	byCode map[string]ErrorCode
	byName map[string]ErrorCode // in lower case
}

var codes = sync.OnceValue(func() codeTable {
	t := codeTable{byCode: map[string]ErrorCode{}, byName: map[string]ErrorCode{}}
	lines := strings.Split(strings.TrimSuffix(codesTSV, "\n"), "\n")
	for _, line := range lines[1:] {
		f := strings.Split(line, "\t")
		status, err := strconv.Atoi(f[1])
		if err != nil {
			panic("oktatest: codes.tsv: " + line)
		}
		formerly, _ := strconv.Atoi(f[2]) // empty for most
		c := ErrorCode{Code: f[0], Status: status, Formerly: formerly, Name: f[3], Summary: f[4]}
		t.list = append(t.list, c)
		t.byCode[c.Code] = c
		t.byName[strings.ToLower(c.Name)] = c
	}
	return t
})

// Codes returns every error code that Okta documents or has documented, in
// order. The slice is the caller's.
func Codes() []ErrorCode {
	return append([]ErrorCode(nil), codes().list...)
}

// LookupCode finds an error code by its code ("E0000009") or by its full name
// ("Internal server error", in any case).
func LookupCode(codeOrName string) (ErrorCode, bool) {
	t := codes()
	if c, ok := t.byCode[codeOrName]; ok {
		return c, true
	}
	c, ok := t.byName[strings.ToLower(codeOrName)]
	return c, ok
}

// summary is the errorSummary of the code: Okta's own words, its
// placeholders filled in.
func (c ErrorCode) summary() string {
	s := c.Summary
	if s == "" {
		s = c.Name
	}
	return strings.ReplaceAll(s, "{0}", "value")
}
