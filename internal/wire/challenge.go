// WWW-Authenticate: where Okta puts an OAuth error whose answer has no body.

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
// The code has at most 64 bytes, all letters, digits or one of "_.-"; an error that
// looks otherwise counts as none. The description is as the server wrote it, of any
// content. At most 16 values and 8 KiB of each are read. Nothing is allocated unless
// a quoted string holds backslashes to be removed.
//
// It is lenient where that cannot be mistaken: commas between parameters and quotes
// may be missing, and what makes no sense is skipped.
func ChallengeError(values []string) (code, description string) {
	// The values of a field are one list, wherever they were split: a challenge may
	// go on in the next value.
	var c challenge
	for _, v := range values[:min(len(values), maxChallengeValues)] {
		p := challengeParser{text: v}
		if len(v) > maxChallengeLen {
			p.text, p.cut = v[:maxChallengeLen], true
		}
		for {
			name, value, kind := p.next()
			if kind == atEnd {
				break
			}
			switch {
			case kind == aScheme:
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

// challenge is what was read of one challenge so far.
type challenge struct {
	ours bool   // of a scheme that carries OAuth errors
	code string // plausible, or empty
	raw  string // the description, still quoted
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
	atEnd kind = iota
	aScheme
	aParameter
)

// challengeParser splits one value into schemes and parameters. A word before a
// "=" is a parameter; another one is a scheme where a list member begins, and
// elsewhere (as the token68 of some schemes) nothing of interest.
type challengeParser struct {
	text   string
	i      int
	inside bool // of a list member
	cut    bool // text goes on, unseen: a value that reaches its end is not whole
}

// next returns a scheme, or a parameter with its value, which keeps its opening
// quote if it has one, so that unquote can tell.
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
			return name, value, aParameter
		}
		if first {
			return name, "", aScheme
		}
	}
	return "", "", atEnd
}

// isWord tells the bytes of tokens, and of much else, from those that end them.
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

// value reads a word, or a quoted string without its closing quote. A string that
// is never closed goes on to the end.
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
	p.i = len(p.text) // behind a last backslash it is one too far
	return p.text[start:]
}

// unquote removes what makes a quoted string of its content.
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

// foldEqual compares with an ASCII name, in any case and in ASCII only.
func foldEqual(s, name string) bool {
	return len(s) == len(name) && strings.EqualFold(s, name)
}
