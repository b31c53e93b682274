// This file turns YAML's scalars into JSON's.

package yamltext

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

var (
	jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
	// coreNumber is what else YAML 1.2 takes for a decimal number, without leading zeros.
	coreNumber = regexp.MustCompile(`^([-+]?)(0|[1-9][0-9]*)?(?:\.([0-9]*))?([eE][-+]?[0-9]+)?$`)
)

// scalar returns a scalar as JSON, or what keeps it from being one.
func scalar(n ast.ScalarNode) (text, problem string) {
	t := n.GetToken()
	switch n := n.(type) {
	case *ast.LiteralNode:
		return quote(n.Value.Value), ""
	case *ast.NullNode:
		return "", "has no value: give it one or leave it out"
	case *ast.BoolNode:
		return strings.ToLower(t.Value), ""
	case *ast.InfinityNode, *ast.NanNode:
		return "", fmt.Sprintf("is %s, which is no number in JSON", t.Value)
	case *ast.StringNode:
		if t.Type != token.StringType {
			return quote(n.Value), ""
		}
		if number, ok := decimal(n.Value); ok {
			return number, ""
		}
		return quote(n.Value), ""
	case *ast.IntegerNode, *ast.FloatNode:
		if number, ok := decimal(t.Value); ok {
			return number, ""
		}
		return "", fmt.Sprintf("is %s, which not all readers of YAML take for the same: write it in decimal digits", t.Value)
	}
	return "", "is no value of JSON"
}

// decimal returns a number as JSON writes it.
func decimal(s string) (string, bool) {
	if jsonNumber.MatchString(s) {
		return s, true
	}
	m := coreNumber.FindStringSubmatch(s)
	if m == nil || m[2] == "" && m[3] == "" {
		return "", false
	}
	sign, whole, fraction, exponent := strings.TrimPrefix(m[1], "+"), m[2], m[3], m[4]
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction + exponent, true
}
