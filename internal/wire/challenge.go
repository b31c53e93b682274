// This file holds WWW-Authenticate, where Okta puts an OAuth error whose answer has
// no body. It is parsed by hand: the standard library does not parse challenges, and
// mime.ParseMediaType, which reads the nearest to them, knows parameters but neither
// lists nor schemes, and refuses the whole for one missing quote.

package wire

import "strings"

const (
	maxChallengeValues = 16
	maxChallengeLen    = 8 << 10
	maxOAuthCode       = 64
)

// ChallengeError returns the error and error_description parameters of the first
// Bearer or DPoP challenge that carries an error, both empty if none does. values
// are the values of the WWW-Authenticate field, one challenge or several in each.
//
// The code has at most 64 bytes, all letters, digits or one of "_.-"; any other error
// is ignored. The description can hold anything. At most 16 values and 8 KiB of each
// are read. Nothing is allocated unless a quoted string holds backslashes.
//
// It is lenient where the meaning is plain: commas between parameters and quotes may
// be missing, and what is malformed is skipped.
func ChallengeError(values []string) (code, description string) {
	// The values of a field form one list, so a challenge can continue in the next.
	var c challenge
	for _, v := range values[:min(len(values), maxChallengeValues)] {
		p := challengeParser{text: v}
		if len(v) > maxChallengeLen {
			p.text, p.cut = v[:maxChallengeLen], true
		}
		for {
			name, value, kind := p.next()
			if kind == kindEnd {
				break
			}
			switch {
			case kind == kindScheme:
				if c.code != "" {
					return c.code, c.description()
				}
				c = challenge{ours: foldEqual(name, "Bearer") || foldEqual(name, "DPoP")}
			case !c.ours:
			case foldEqual(name, "error"):
				if code := unquote(value); c.code == "" && plausibleCode(code) {
					c.code = code
				}
			case foldEqual(name, "error_description"):
				if c.raw == "" {
					c.raw = value
				}
			}
		}
	}
	if c.code == "" {
		return "", ""
	}
	return c.code, c.description()
}

// challenge is one challenge as far as it is parsed.
type challenge struct {
	ours bool   // its scheme carries OAuth errors
	code string // plausible, or empty
	raw  string // the description, with its opening quote
}

func (c *challenge) description() string { return unquote(c.raw) }

func plausibleCode(s string) bool {
	if s == "" || len(s) > maxOAuthCode {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == '.', c == '-':
		default:
			return false
		}
	}
	return true
}

type kind uint8

const (
	kindEnd kind = iota
	kindScheme
	kindParameter
)

// challengeParser splits one value into schemes and parameters. A word before a "="
// is the name of a parameter. Any other word is a scheme where a list member begins,
// and skipped elsewhere: some schemes have a token68 there.
type challengeParser struct {
	text   string
	i      int
	inside bool // a list member
	cut    bool // text is a prefix: a parameter that reaches its end is incomplete
}

// next returns the next scheme, or the next parameter and its value, which keeps its
// opening quote for unquote.
func (p *challengeParser) next() (name, value string, k kind) {
	for p.i < len(p.text) {
		if c := p.text[p.i]; !isWord(c) {
			if c == ',' {
				p.inside = false
			}
			p.i++
			continue
		}
		name = p.word()
		first := !p.inside
		p.inside = true
		p.space()
		if p.i < len(p.text) && p.text[p.i] == '=' {
			p.i++
			p.space()
			value = p.value()
			if p.cut && p.i == len(p.text) {
				break
			}
			return name, value, kindParameter
		}
		if first {
			return name, "", kindScheme
		}
	}
	return "", "", kindEnd
}

// isWord reports whether c is part of a word: anything but a separator.
func isWord(c byte) bool {
	switch c {
	case ' ', '\t', ',', ';', '=', '"':
		return false
	}
	return true
}

func (p *challengeParser) word() string {
	start := p.i
	for p.i < len(p.text) && isWord(p.text[p.i]) {
		p.i++
	}
	return p.text[start:p.i]
}

func (p *challengeParser) space() {
	for p.i < len(p.text) && (p.text[p.i] == ' ' || p.text[p.i] == '\t') {
		p.i++
	}
}

// value returns a word, or a quoted string without its closing quote. An unclosed
// string reaches to the end.
func (p *challengeParser) value() string {
	if p.i == len(p.text) || p.text[p.i] != '"' {
		return p.word()
	}
	start := p.i
	for p.i++; p.i < len(p.text); p.i++ {
		switch p.text[p.i] {
		case '\\':
			p.i++
		case '"':
			p.i++
			return p.text[start : p.i-1]
		}
	}
	p.i = len(p.text) // not one more, after a last backslash
	return p.text[start:]
}

// unquote returns the content of a quoted string, or a word as it is.
func unquote(value string) string {
	content, quoted := strings.CutPrefix(value, `"`)
	if !quoted || strings.IndexByte(content, '\\') < 0 {
		return content
	}
	var out strings.Builder
	out.Grow(len(content))
	for i := 0; i < len(content); i++ {
		if content[i] == '\\' && i+1 < len(content) {
			i++
		}
		out.WriteByte(content[i])
	}
	return out.String()
}

// foldEqual reports whether s is name, which is ASCII, in any case.
func foldEqual(s, name string) bool {
	return len(s) == len(name) && strings.EqualFold(s, name)
}
