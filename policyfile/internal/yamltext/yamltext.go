// This file turns YAML into JSON, and keeps where each line of it comes from.

// Package yamltext reads YAML, or JSON, that a person has written: into JSON whose
// values know their place in the text. What readers of YAML take for different things
// is refused rather than guessed at.
package yamltext

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxDepth bounds the depth to which a text may be nested.
const maxDepth = 32

// Kind is a kind of text: its bounds, and the words for it in problems. Above some size
// the YAML parser's time grows with the square of the number of members.
type Kind struct {
	MaxSize, MaxTokens int
	Plural             string // "policies"
	Empty              string // what an empty text is told: "is empty: {} means the defaults"
}

// Place is where something begins; it counts from 1.
type Place struct{ Line, Column int }

var start = Place{1, 1}

// Problem is a mistake in the text. Path has the names of the members that lead to it,
// and the indexes of the items; it is empty where the whole text is meant.
type Problem struct {
	Place
	Path []string
	Text string
}

// Text is a text in the form of JSON. Each name and each value begins a line of it, so
// that a line's number is enough to know the place in the text.
type Text struct {
	Problems []Problem

	kind   Kind
	named  func(path []string, at Place)
	json   bytes.Buffer
	places []Place // of each line of json
	path   []string
}

// Read reads a text. It calls named, if that is not nil, with the place of each
// member's name.
func Read(text []byte, kind Kind, named func(path []string, at Place)) *Text {
	s := &Text{kind: kind, named: named}
	text, ok := s.decode(text)
	if !ok {
		return s
	}
	body := s.parse(string(text))
	if body == nil {
		return s
	}
	s.value(body)
	return s
}

// JSON returns the text as JSON, without what has a problem; of a text that is no YAML,
// nothing.
func (s *Text) JSON() []byte { return s.json.Bytes() }

// At returns the place in the text of a line of JSON; of another number, its start.
func (s *Text) At(line int) Place {
	if line < 1 || line > len(s.places) {
		return start
	}
	return s.places[line-1]
}

func (s *Text) add(at Place, format string, args ...any) {
	s.Problems = append(s.Problems, Problem{at, slices.Clone(s.path), fmt.Sprintf(format, args...)})
}

// decode returns text without a byte order mark and with line ends of one kind.
func (s *Text) decode(text []byte) ([]byte, bool) {
	switch {
	case len(text) > s.kind.MaxSize:
		s.add(start, "has more than %d bytes", s.kind.MaxSize)
		return nil, false
	case bytes.HasPrefix(text, []byte("\xfe\xff")), bytes.HasPrefix(text, []byte("\xff\xfe")):
		s.add(start, "is UTF-16: save it as UTF-8")
		return nil, false
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	for line, rest := 1, text; len(rest) > 0; line++ {
		content, after, _ := bytes.Cut(rest, []byte("\n"))
		for column := 1; len(content) > 0; column++ {
			r, size := utf8.DecodeRune(content)
			if r == utf8.RuneError && size == 1 || r < ' ' && r != '\t' || r == 0x7f {
				s.add(Place{line, column}, "has a byte %#02x, which is no text in UTF-8", content[0])
				return nil, false
			}
			content = content[size:]
		}
		rest = after
	}
	return text, true
}

// parse returns the value of the one document in text; nil if there are problems.
func (s *Text) parse(text string) ast.Node {
	file, err := s.kind.parse(text)
	if err != nil {
		s.add(placeOf(err), "is no YAML: %s", says(err))
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch doc.Body.(type) {
		case nil, *ast.DirectiveNode, *ast.CommentGroupNode:
			continue
		}
		if body != nil {
			s.add(docPlace(doc), "has a second document here, want one")
			return nil
		}
		body = doc.Body
	}
	if body == nil {
		s.add(start, "%s", s.kind.Empty)
	}
	return body
}

// syntaxError is how the YAML parser reports what is no YAML.
type syntaxError interface {
	error
	GetMessage() string
	GetToken() *token.Token
}

// limitError is a bound that a text exceeds.
type limitError struct {
	Place
	message string
}

func (e *limitError) Error() string { return e.message }

// parse parses text within bounds. A panic of the parser is an error of the text:
// no file may stop a program that keeps its present file when a new one is bad.
func (k Kind) parse(text string) (file *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			file, err = nil, errors.New("the parser fails on it")
		}
	}()
	tokens := lexer.Tokenize(text)
	if err := k.bounded(tokens); err != nil {
		return nil, err
	}
	return parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
}

// bounded returns an error for a text with too many tokens, or too deep in flow style
// or in items within items.
func (k Kind) bounded(tokens token.Tokens) error {
	flow, items, line := 0, 0, 0
	for i, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			if t.Position.Line != line {
				items, line = 0, t.Position.Line
			}
			items++
		}
		switch at := (Place{t.Position.Line, t.Position.Column}); {
		case i >= k.MaxTokens:
			return &limitError{at, fmt.Sprintf("more than %d tokens", k.MaxTokens)}
		case flow > maxDepth || items > maxDepth || t.Position.IndentNum > 8*maxDepth:
			return &limitError{at, fmt.Sprintf("nested deeper than %d levels", maxDepth)}
		}
	}
	return nil
}

func placeOf(err error) Place {
	if e, ok := errors.AsType[*limitError](err); ok {
		return e.Place
	}
	if e, ok := errors.AsType[syntaxError](err); ok && e.GetToken() != nil {
		return tokenPlace(e.GetToken())
	}
	return start
}

func says(err error) string {
	if e, ok := errors.AsType[syntaxError](err); ok {
		return e.GetMessage()
	}
	return err.Error()
}

func docPlace(doc *ast.DocumentNode) Place {
	if doc.Start != nil {
		return tokenPlace(doc.Start)
	}
	return nodePlace(doc.Body)
}

// nodePlace returns where a node begins: a mapping in block style at its first name.
func nodePlace(n ast.Node) Place {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return nodePlace(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return nodePlace(n.Key)
	}
	return tokenPlace(n.GetToken())
}

func tokenPlace(t *token.Token) Place {
	if t == nil || t.Position == nil {
		return start
	}
	return Place{max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

// line writes a line of JSON.
func (s *Text) line(at Place, text string) {
	s.json.WriteString(text)
	s.json.WriteByte('\n')
	s.places = append(s.places, at)
}

// value writes a value. It reports false, having added a problem, for what has none in
// JSON; what it wrote is then to be taken back.
func (s *Text) value(n ast.Node) bool {
	at := nodePlace(n)
	switch n := n.(type) {
	case *ast.MappingNode:
		s.mapping(at, n.Values)
	case *ast.MappingValueNode:
		s.mapping(at, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		s.sequence(at, n.Values)
	case *ast.AnchorNode:
		s.add(at, "has an anchor, which %s do without", s.kind.Plural)
		return s.value(n.Value)
	case *ast.TagNode:
		s.add(at, "has a tag, which %s do without", s.kind.Plural)
		return s.value(n.Value)
	case *ast.AliasNode:
		s.add(at, "is an alias: write the value itself")
		return false
	case ast.ScalarNode:
		text, problem := scalar(n)
		if problem != "" {
			s.add(at, "%s", problem)
			return false
		}
		s.line(at, text)
	default:
		s.add(at, "is no value of JSON")
		return false
	}
	return true
}

// within calls do for a member or item, and takes back what it wrote if that reports
// false.
func (s *Text) within(name string, do func() bool) (kept bool) {
	bytes, lines := s.json.Len(), len(s.places)
	s.path = append(s.path, name)
	if kept = do(); !kept {
		s.json.Truncate(bytes)
		s.places = s.places[:lines]
	}
	s.path = s.path[:len(s.path)-1]
	return kept
}

func (s *Text) mapping(at Place, values []*ast.MappingValueNode) {
	s.line(at, "{")
	comma := ""
	known := make(map[string]Place, len(values))
	for _, v := range values {
		name, ok := s.name(v.Key)
		if !ok || len(s.path) == 0 && name == "$schema" {
			continue // JSON files name their schema so
		}
		kept := s.within(name, func() bool {
			at := nodePlace(v.Key)
			if first, doubled := known[name]; doubled {
				s.add(at, "is given twice, first in line %d", first.Line)
				return false
			}
			known[name] = at
			if s.named != nil {
				s.named(s.path, at)
			}
			s.line(at, comma+quote(name)+":")
			return s.value(v.Value)
		})
		if kept {
			comma = ","
		}
	}
	s.line(at, "}")
}

// name returns the name of a member.
func (s *Text) name(key ast.MapKeyNode) (string, bool) {
	switch key := key.(type) {
	case *ast.MergeKeyNode:
		s.add(nodePlace(key), "has a merge key: write the members themselves")
		return "", false
	case *ast.StringNode:
		return key.Value, true
	case ast.ScalarNode:
		return key.GetToken().Value, true
	}
	s.add(nodePlace(key), "has a name that is no word")
	return "", false
}

func (s *Text) sequence(at Place, items []ast.Node) {
	s.line(at, "[")
	written := 0
	for i, item := range items {
		kept := s.within(fmt.Sprint(i), func() bool {
			if written > 0 {
				s.line(nodePlace(item), ",")
			}
			return s.value(item)
		})
		if kept {
			written++
		}
	}
	s.line(at, "]")
}

// quote returns s as JSON.
func quote(s string) string {
	text, _ := json.Marshal(s) // a string can always be written
	return string(text)
}
