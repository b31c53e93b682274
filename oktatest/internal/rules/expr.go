// This file reads the expressions of group rules: the part of Okta's expression language that
// compares attributes of users.

package rules

import (
	"fmt"
	"strconv"
	"strings"
)

// expr is an expression, read. It returns a string, a float64, a bool, a []any or nil.
type expr func(User) any

// parse reads an expression:
//
//	user.department == "Eng" and String.startsWith(user.title, "Dr")
//
// with the operators == != < <= > >= and or not (also && || ! and in capitals), parentheses,
// cond ? a : b, lists in braces, and the functions of this package's table.
func parse(s string) (expr, error) {
	tokens, err := tokenize(s)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	e, err := p.conditional()
	if err == nil && p.peek().kind != end {
		err = fmt.Errorf("unexpected %q", p.peek().text)
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

type kind int

const (
	end kind = iota
	word
	text
	number
	mark
)

type token struct {
	kind kind
	text string
}

// marks are the operators, the longer ones first.
var marks = []string{"==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "(", ")", "{", "}", ",", "?", ":"}

// synonyms are words that stand for operators.
var synonyms = map[string]string{
	"and": "&&", "or": "||", "not": "!", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
}

func tokenize(s string) ([]token, error) {
	var all []token
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		t, n, err := first(s)
		if err != nil {
			return nil, err
		}
		all, s = append(all, t), s[n:]
	}
	return all, nil
}

// first reads the token that s begins with, and its length.
func first(s string) (token, int, error) {
	switch c := s[0]; {
	case c == '"' || c == '\'':
		return quoted(s)
	case isDigit(c) || c == '-' && len(s) > 1 && isDigit(s[1]):
		n := 1 + count(s[1:], func(c byte) bool { return isDigit(c) || c == '.' })
		return token{number, s[:n]}, n, nil
	case isLetter(c):
		n := count(s, func(c byte) bool { return isLetter(c) || isDigit(c) || c == '.' })
		if op := synonyms[strings.ToLower(s[:n])]; op != "" {
			return token{mark, op}, n, nil
		}
		return token{word, s[:n]}, n, nil
	}
	for _, m := range marks {
		if strings.HasPrefix(s, m) {
			return token{mark, m}, len(m), nil
		}
	}
	return token{}, 0, fmt.Errorf("unexpected %q", s[:1])
}

func quoted(s string) (token, int, error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == s[0]:
			return token{text, b.String()}, i + 1, nil
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return token{}, 0, fmt.Errorf("a quote is not closed")
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
func isLetter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '$'
}

func count(s string, is func(byte) bool) int {
	n := 0
	for n < len(s) && is(s[n]) {
		n++
	}
	return n
}

type parser struct {
	tokens []token
	depth  int
}

func (p *parser) peek() token {
	if len(p.tokens) == 0 {
		return token{}
	}
	return p.tokens[0]
}

func (p *parser) next() token {
	t := p.peek()
	if len(p.tokens) > 0 {
		p.tokens = p.tokens[1:]
	}
	return t
}

// take reads a mark, if it comes next.
func (p *parser) take(m string) bool {
	if p.peek() != (token{mark, m}) {
		return false
	}
	p.next()
	return true
}

func (p *parser) expect(m string) error {
	if !p.take(m) {
		return fmt.Errorf("%q is missing before %q", m, p.peek().text)
	}
	return nil
}

func (p *parser) conditional() (expr, error) {
	if p.depth++; p.depth > 100 {
		return nil, fmt.Errorf("nested too deeply")
	}
	defer func() { p.depth-- }()
	cond, err := p.binary(0)
	if err != nil || !p.take("?") {
		return cond, err
	}
	yes, err := p.conditional()
	if err != nil {
		return nil, err
	}
	if err := p.expect(":"); err != nil {
		return nil, err
	}
	no, err := p.conditional()
	return func(u User) any {
		if truth(cond(u)) {
			return yes(u)
		}
		return no(u)
	}, err
}

// levels are the binary operators, those that bind least first.
var levels = [][]string{{"||"}, {"&&"}, {"==", "!="}, {"<", "<=", ">", ">="}}

func (p *parser) binary(level int) (expr, error) {
	if level == len(levels) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	for err == nil {
		op := p.takeAny(levels[level])
		if op == "" {
			break
		}
		var right expr
		if right, err = p.binary(level + 1); err == nil {
			left = operation(op, left, right)
		}
	}
	return left, err
}

func (p *parser) takeAny(ops []string) string {
	for _, op := range ops {
		if p.take(op) {
			return op
		}
	}
	return ""
}

func (p *parser) unary() (expr, error) {
	if p.depth++; p.depth > 100 {
		return nil, fmt.Errorf("nested too deeply")
	}
	defer func() { p.depth-- }()
	switch {
	case p.take("!"):
		e, err := p.unary()
		return func(u User) any { return !truth(e(u)) }, err
	case p.take("("):
		e, err := p.conditional()
		if err != nil {
			return nil, err
		}
		return e, p.expect(")")
	case p.take("{"):
		items, err := p.list("}")
		return func(u User) any { return values(items, u) }, err
	}
	return p.operand()
}

// list reads expressions with commas between them, up to a closing mark.
func (p *parser) list(closing string) ([]expr, error) {
	var all []expr
	for !p.take(closing) {
		if len(all) > 0 {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
		e, err := p.conditional()
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

func constant(v any) expr { return func(User) any { return v } }

func (p *parser) operand() (expr, error) {
	switch t := p.next(); t.kind {
	case text:
		return constant(t.text), nil
	case number:
		f, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", t.text)
		}
		return constant(f), nil
	case word:
		if p.take("(") {
			args, err := p.list(")")
			if err != nil {
				return nil, err
			}
			return call(t.text, args)
		}
		return attribute(t.text)
	case end:
		return nil, fmt.Errorf("the expression ends too early")
	default:
		return nil, fmt.Errorf("unexpected %q", t.text)
	}
}

// attribute is a word that is no function: a constant, or an attribute of the user.
func attribute(name string) (expr, error) {
	switch name {
	case "true":
		return constant(true), nil
	case "false":
		return constant(false), nil
	case "null":
		return constant(nil), nil
	}
	key, ok := strings.CutPrefix(name, "user.")
	if !ok || key == "" {
		return nil, fmt.Errorf("%q is no attribute of a user", name)
	}
	key = strings.TrimPrefix(key, "profile.")
	return func(u User) any { return u.Attributes[key] }, nil
}
