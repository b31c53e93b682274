// This file reads the filter and search expressions of lists.

package oktatest

import (
	"fmt"
	"strings"
)

// filter reports whether an entry with these attributes is meant.
type filter func(attribute func(name string) string) bool

// parseFilter reads the part of Okta's expressions that tests use:
//
//	status eq "ACTIVE" and (profile.login sw "a" or profile.email pr)
//
// with the operators eq, ne, sw, co, gt, ge, lt, le and pr, and with and, or,
// not and parentheses. Values are compared as text: fine for timestamps too.
func parseFilter(s string) (filter, error) {
	tokens, err := filterTokens(s)
	if err != nil {
		return nil, err
	}
	p := &filterParser{tokens: tokens}
	f, err := p.or()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("unexpected %q", p.tokens[0])
	}
	return f, err
}

// filterOf reads expressions that an entry must meet all; nil: none is given.
func filterOf(expressions ...string) (all filter, err error) {
	for _, s := range expressions {
		if s == "" {
			continue
		}
		one, err := parseFilter(s)
		if err != nil {
			return nil, err
		}
		if before := all; before != nil {
			all = func(attribute func(string) string) bool { return before(attribute) && one(attribute) }
		} else {
			all = one
		}
	}
	return all, nil
}

// filterTokens splits an expression into words, parentheses and quoted values;
// a value keeps its opening quote, so that it cannot be taken for a word.
func filterTokens(s string) ([]string, error) {
	var all []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		switch s[0] {
		case '(', ')':
			all, s = append(all, s[:1]), s[1:]
		case '"':
			var value strings.Builder
			i := 1
			for ; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' && i+1 < len(s) {
					i++
				}
				value.WriteByte(s[i])
			}
			if i >= len(s) {
				return nil, fmt.Errorf("a quote is not closed")
			}
			all, s = append(all, `"`+value.String()), s[i+1:]
		default:
			i := strings.IndexAny(s, " ()\"")
			if i < 0 {
				i = len(s)
			}
			all, s = append(all, s[:i]), s[i:]
		}
	}
	return all, nil
}

type filterParser struct {
	tokens []string
	depth  int
}

func (p *filterParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *filterParser) next() string {
	t := p.peek()
	if t != "" {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *filterParser) or() (filter, error) {
	left, err := p.and()
	for err == nil && strings.EqualFold(p.peek(), "or") {
		p.next()
		a := left
		var b filter
		b, err = p.and()
		left = func(at func(string) string) bool { return a(at) || b(at) }
	}
	return left, err
}

func (p *filterParser) and() (filter, error) {
	left, err := p.term()
	for err == nil && strings.EqualFold(p.peek(), "and") {
		p.next()
		a := left
		var b filter
		b, err = p.term()
		left = func(at func(string) string) bool { return a(at) && b(at) }
	}
	return left, err
}

func (p *filterParser) term() (filter, error) {
	if p.depth++; p.depth > 100 {
		return nil, fmt.Errorf("nested too deeply")
	}
	defer func() { p.depth-- }()
	switch t := p.next(); {
	case t == "(":
		f, err := p.or()
		if err == nil && p.next() != ")" {
			err = fmt.Errorf("a parenthesis is not closed")
		}
		return f, err
	case strings.EqualFold(t, "not"):
		f, err := p.term()
		return func(at func(string) string) bool { return !f(at) }, err
	case t == "" || t == ")" || t[0] == '"':
		return nil, fmt.Errorf("an attribute is missing")
	default:
		return p.comparison(t)
	}
}

var comparisons = map[string]func(have, want string) bool{
	"eq": strings.EqualFold,
	"ne": func(have, want string) bool { return !strings.EqualFold(have, want) },
	"sw": func(have, want string) bool { return strings.HasPrefix(strings.ToLower(have), strings.ToLower(want)) },
	"co": func(have, want string) bool { return strings.Contains(strings.ToLower(have), strings.ToLower(want)) },
	"gt": func(have, want string) bool { return have > want },
	"ge": func(have, want string) bool { return have >= want },
	"lt": func(have, want string) bool { return have < want },
	"le": func(have, want string) bool { return have <= want },
}

func (p *filterParser) comparison(name string) (filter, error) {
	op := strings.ToLower(p.next())
	if op == "pr" {
		return func(at func(string) string) bool { return at(name) != "" }, nil
	}
	compare, ok := comparisons[op]
	if !ok {
		return nil, fmt.Errorf("unknown operator %q", op)
	}
	want, quoted := strings.CutPrefix(p.next(), `"`)
	if !quoted {
		return nil, fmt.Errorf("the value of %s must be quoted", name)
	}
	return func(at func(string) string) bool { return compare(at(name), want) }, nil
}
