// This file has the patterns of scripts, counts and buckets.

package oktatest

import language "github.com/oktaretry/oktaretry/internal/pattern"

type pattern = language.Pattern

func parsePattern(s string) (pattern, error) { return language.Parse(s) }

func mustPattern(s string) pattern {
	p, err := parsePattern(s)
	if err != nil {
		panic("oktatest: " + err.Error())
	}
	return p
}

func isVariable(seg string) bool { return language.IsVariable(seg) }

func readAs(method string) string { return language.ReadAs(method) }

func segments(escapedPath string) []string { return language.Segments(escapedPath) }
