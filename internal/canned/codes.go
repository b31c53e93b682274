// This file holds Okta's error codes.

package canned

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

// Code is one of Okta's error codes as Okta documents it.
type Code struct {
	Code     string // "E0000047"
	Status   int    // the HTTP status of Okta's present table
	Name     string // "Internal server error"
	Summary  string // of the errorSummary; empty where Okta documents none
	Formerly int    // the status that an older table of Okta's gave, where it differs; else 0
}

//go:embed codes.tsv
var codesTSV string

type table struct {
	list   []Code
	byCode map[string]Code
	byName map[string]Code // in lower case
}

var codes = sync.OnceValue(func() table {
	t := table{byCode: map[string]Code{}, byName: map[string]Code{}}
	lines := strings.Split(strings.TrimSuffix(codesTSV, "\n"), "\n")
	for _, line := range lines[1:] {
		f := strings.Split(line, "\t")
		status, err := strconv.Atoi(f[1])
		if err != nil {
			panic("canned: codes.tsv: " + line)
		}
		formerly, _ := strconv.Atoi(f[2]) // empty for most
		c := Code{Code: f[0], Status: status, Formerly: formerly, Name: f[3], Summary: f[4]}
		t.list = append(t.list, c)
		t.byCode[c.Code] = c
		t.byName[strings.ToLower(c.Name)] = c
	}
	return t
})

// Codes are all of them, in order. The slice is shared and must not be changed.
func Codes() []Code { return codes().list }

// Lookup finds an error code by its code or by its full name, in any case.
func Lookup(codeOrName string) (Code, bool) {
	t := codes()
	if c, ok := t.byCode[codeOrName]; ok {
		return c, true
	}
	c, ok := t.byName[strings.ToLower(codeOrName)]
	return c, ok
}

// Text is the errorSummary: Okta's own words, their placeholders filled in.
func (c Code) Text() string {
	s := c.Summary
	if s == "" {
		s = c.Name
	}
	return strings.ReplaceAll(s, "{0}", "value")
}

// Error is the code as an error under an id.
func (c Code) Error(id string) Error {
	return Error{Code: c.Code, Summary: c.Text(), Link: c.Code, ID: id, Causes: []Cause{}}
}
