// This file reads a policy: from a file, from a text, from the file that an
// environment variable names.

package policyfile

import (
	"os"

	"github.com/oktaretry/oktaretry"
)

// Read reads the policy in the file at path.
func Read(path string) (oktaretry.Policy, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return oktaretry.Policy{}, err
	}
	return Parse(path, text)
}

// Parse reads a policy from text; name stands in errors as the file's name.
func Parse(name string, text []byte) (oktaretry.Policy, error) {
	return oktaretry.ParsePolicy(text)
}
