// This file reads a policy: from a file, from a text, and from the file that the
// environment names.

package policyfile

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/document"
	"github.com/oktaretry/oktaretry/policyfile/internal/yamltext"
)

// EnvVar is the environment variable that [FromEnv] reads.
const EnvVar = "OKTARETRY_POLICY"

// FromEnv reads the policy in the file that OKTARETRY_POLICY names. Without that
// variable, or where it is empty, it returns [oktaretry.DefaultPolicy]. Programs ask for
// it: the library by itself reads no environment. The errors are those of [Read].
func FromEnv() (oktaretry.Policy, error) {
	path := os.Getenv(EnvVar)
	if path == "" {
		return oktaretry.DefaultPolicy(), nil
	}
	p, err := Read(path)
	if _, ok := errors.AsType[Errors](err); err != nil && !ok {
		err = fmt.Errorf("%s: %w", EnvVar, err)
	}
	return p, err
}

// Read reads the policy in a file, which is YAML or JSON whatever its name. A policy
// that is returned without an error is one that [oktaretry.Policy.Validate] accepts. A
// file that cannot be read is an [*io/fs.PathError], one that holds no policy [Errors].
// With an error the policy is the zero Policy, which no Transport accepts.
func Read(path string) (oktaretry.Policy, error) {
	p, _, err := ReadWithWarnings(path)
	return p, err
}

// ReadWithWarnings is [Read], and returns the [Warnings] of the file as well.
func ReadWithWarnings(path string) (oktaretry.Policy, Errors, error) {
	text, err := readFile(path)
	if err != nil {
		return oktaretry.Policy{}, nil, fmt.Errorf("policyfile: %w", err)
	}
	return parse(path, text)
}

// Parse is [Read] for a text; in errors, name stands as the file's. It neither changes
// nor keeps text, and is safe for concurrent use.
func Parse(name string, text []byte) (oktaretry.Policy, error) {
	p, _, err := parse(name, text)
	return p, err
}

// Warnings returns what [Parse] accepts in a text and is likely a mistake: what
// [oktaretry.Policy.Warnings] finds, that is codes that the catalogue lacks. It returns
// nil for a text that Parse refuses.
func Warnings(name string, text []byte) Errors {
	_, warnings, _ := parse(name, text)
	return warnings
}

//go:embed policy.schema.json
var schema []byte

// Schema returns the JSON Schema (2020-12) of policy files, by which editors complete
// and explain them. The slice is the caller's.
func Schema() []byte { return bytes.Clone(schema) }

// policies are bounded far above what they need: one that names all of the catalogue's
// codes and all members of their rules has some 6,000 tokens.
var policies = yamltext.Kind{MaxSize: 128 << 10, MaxTokens: 20_000, Plural: "policies", Empty: "is empty: {} means the defaults"}

// source is a file on its way to a policy.
type source struct {
	*yamltext.Text
	file       string
	codePlaces map[string]yamltext.Place // of the names in codes
}

// parse returns a text's policy and its warnings.
func parse(name string, text []byte) (oktaretry.Policy, Errors, error) {
	s := &source{file: name, codePlaces: make(map[string]yamltext.Place)}
	s.Text = yamltext.Read(text, policies, s.named)
	problems := s.found()
	if len(s.JSON()) == 0 {
		return oktaretry.Policy{}, nil, problems.orNil()
	}
	p, err := oktaretry.ParsePolicy(s.JSON())
	if err != nil {
		problems = append(problems, s.locate(err)...)
	}
	if len(problems) > 0 {
		return oktaretry.Policy{}, nil, problems.orNil()
	}
	return p, s.codes(p.Warnings()), nil
}

// named keeps the places of codes.
func (s *source) named(path []string, at yamltext.Place) {
	if len(path) == 2 && path[0] == "codes" {
		s.codePlaces[path[1]] = at
	}
}

// found returns the problems of the YAML.
func (s *source) found() (list Errors) {
	for _, p := range s.Problems {
		list = append(list, &Error{s.file, p.Line, p.Column, document.Path(p.Path), p.Text})
	}
	return list
}

// readFile returns the content of a file, of which only so much as shows that it is
// too long.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(policies.MaxSize)+1))
}
