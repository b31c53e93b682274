// This file reads text into a tree of values, each with its place.

// Package document reads JSON that a person has written: into a tree whose values
// know their line and column, and from there into Go values, with every problem
// reported at its place. encoding/json stops at the first problem, names no place, and
// lets pass what a person did not mean: a member given twice, null, another case.
//
// Module policyfile uses it, too, and may be older than this module where a program upgrades only this one: what is
// exported here stays compatible.
package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind is the kind of a value.
type Kind uint8

const (
	Null Kind = iota
	Bool
	Number
	String
	Array
	Object
)

// Place is where something begins. Lines and columns count from 1, columns in
// characters.
type Place struct{ Line, Column int }

// Node is a value.
type Node struct {
	Place
	Kind    Kind
	Raw     string   // as written; "" for arrays and objects
	Text    string   // what a string says
	Members []Member // of an object, in the order of the text
	Items   []*Node  // of an array
}

// Member is a member of an object. Its place is that of its name.
type Member struct {
	Place
	Name  string
	Value *Node
}

// Problem is a mistake in the text. Path has the names of the members that lead to it,
// and the indexes of the array items; it is empty where the whole text is meant.
type Problem struct {
	Place
	Path []string
	Text string // a predicate: `is 30, want a duration such as "30s"`
}

// Read returns the value that text consists of, or what keeps it from being JSON.
func Read(text []byte) (*Node, *Problem) {
	d := json.NewDecoder(bytes.NewReader(text))
	var whole json.RawMessage
	if err := d.Decode(&whole); err != nil {
		return nil, unreadable(text, err)
	}
	end := int(d.InputOffset())
	rest := end + gap(text[end:], white)
	r := newReader(text)
	if rest < len(text) {
		return nil, &Problem{Place: r.place(rest), Text: "goes on after the JSON value"}
	}
	root, err := r.value()
	if err != nil { // the syntax is well, so it is the depth
		return nil, &Problem{r.at, r.path[:1], err.Error()}
	}
	return root, nil
}

// unreadable returns the problem of text in which decoding met err.
func unreadable(text []byte, err error) *Problem {
	offset, says := len(bytes.TrimRight(text, white)), "unexpected end of the text"
	if offset == 0 {
		return &Problem{Place: Place{1, 1}, Text: "is empty"}
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset, says = startOfRune(text, int(syntax.Offset)-1), syntax.Error()
	}
	r := newReader(text)
	r.value() // as far as it goes
	path := r.path
	if offset == r.end { // 30s: the number is read, and the s is one too many
		path = r.last
	}
	return &Problem{newReader(text).place(offset), path, "is no JSON: " + says}
}

// startOfRune returns where the character begins that has a byte at offset.
func startOfRune(text []byte, offset int) int {
	for offset > 0 && !utf8.RuneStart(text[offset]) {
		offset--
	}
	return max(offset, 0)
}

// reader walks through the tokens of a text.
type reader struct {
	text   []byte
	tokens *json.Decoder
	path   []string // of the value being read
	known  int      // offset of at
	at     Place
	last   []string // path of the last value without members or items
	end    int      // its end
}

func newReader(text []byte) *reader {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return &reader{text: text, tokens: d, at: Place{1, 1}}
}

const (
	white     = " \t\r\n"
	separator = white + ",:"
)

// gap returns how many bytes of text are of the set.
func gap(text []byte, set string) int { return len(text) - len(bytes.TrimLeft(text, set)) }

// place returns the place of an offset, which is never less than in the call before.
func (r *reader) place(offset int) Place {
	passed := r.text[r.known:offset]
	if i := bytes.LastIndexByte(passed, '\n'); i >= 0 {
		r.at.Line += bytes.Count(passed, []byte("\n"))
		r.at.Column, passed = 1, passed[i+1:]
	}
	r.at.Column += utf8.RuneCount(passed)
	r.known = offset
	return r.at
}

// next returns the next token, its place and how it is written.
func (r *reader) next() (json.Token, Place, string, error) {
	start := int(r.tokens.InputOffset())
	start += gap(r.text[start:], separator)
	token, err := r.tokens.Token()
	if err != nil {
		return nil, Place{}, "", err
	}
	return token, r.place(start), string(r.text[start:r.tokens.InputOffset()]), nil
}

// maxDepth bounds the depth to which arrays and objects may be nested.
const maxDepth = 100

var errDepth = fmt.Errorf("is nested deeper than %d levels", maxDepth)

// value reads a value. After an error r.path is that of the value it is in.
func (r *reader) value() (*Node, error) {
	if len(r.path) > maxDepth {
		return nil, errDepth
	}
	token, place, raw, err := r.next()
	if err != nil {
		return nil, err
	}
	n := &Node{Place: place, Raw: raw}
	switch token := token.(type) {
	case json.Delim:
		n.Raw = ""
		return n, r.inside(n, token)
	case string:
		n.Kind, n.Text = String, token
	case json.Number:
		n.Kind = Number
	case bool:
		n.Kind = Bool
	}
	r.last, r.end = slices.Clone(r.path), int(r.tokens.InputOffset())
	return n, nil
}

// inside reads what an array or object holds, and its end.
func (r *reader) inside(n *Node, opening json.Delim) error {
	n.Kind = Array
	if opening == '{' {
		n.Kind = Object
	}
	for r.tokens.More() {
		name := strconv.Itoa(len(n.Items))
		var place Place
		if n.Kind == Object {
			token, at, _, err := r.next()
			if err != nil {
				return err
			}
			name, _ = token.(string)
			place = at
		}
		r.path = append(r.path, name)
		v, err := r.value()
		if err != nil {
			return err
		}
		r.path = r.path[:len(r.path)-1]
		if n.Kind == Object {
			n.Members = append(n.Members, Member{place, name, v})
		} else {
			n.Items = append(n.Items, v)
		}
	}
	_, _, _, err := r.next()
	return err
}

// Find returns the place of what a path leads to: the value, but of an array or object
// the name. If there is no such thing, whole is false, and the place is that of the
// last on the path that there is. Of members given twice it takes the first.
func (n *Node) Find(path []string) (at Place, whole bool) {
	at = n.Place
	for _, name := range path {
		m, ok := n.member(name)
		if !ok {
			return at, false
		}
		n, at = m.Value, m.Value.Place
		if n.Kind >= Array {
			at = m.Place
		}
	}
	return at, true
}

// member returns a member of an object or an item of an array.
func (n *Node) member(name string) (Member, bool) {
	for _, m := range n.Members {
		if m.Name == name {
			return m, true
		}
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(n.Items) {
		return Member{n.Items[i].Place, name, n.Items[i]}, true
	}
	return Member{}, false
}

// Path writes a path: codes.E0000047.maxElapsed, pace.bucketRates["GET /api/v1/logs"].
func Path(names []string) string {
	var b strings.Builder
	for i, name := range names {
		switch {
		case !plain(name):
			b.WriteString("[" + strconv.Quote(name) + "]")
		case i > 0:
			b.WriteString("." + name)
		default:
			b.WriteString(name)
		}
	}
	return b.String()
}

func plain(name string) bool {
	return name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}
