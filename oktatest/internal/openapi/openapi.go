// Package openapi holds the operations of Okta's API, with the types of their
// requests and answers, as Okta's own OpenAPI descriptions have them.
//
// tools/apigen writes the table. It is read when it is first asked for, and never
// changes.
package openapi

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"io"
	"strings"
	"sync"
)

//go:generate go -C ../../../tools run ./apigen -o ../oktatest/internal/openapi/api.json.gz

//go:embed api.json.gz
var packed []byte

// API is all of Okta's API. It is safe for concurrent use.
type API struct {
	Operations []*Operation
	Paths      []*Path // in the order of the description
	root       node
}

// Path is a path template with its operations by method.
type Path struct {
	Template   string
	Segments   []string
	Operations map[string]*Operation
}

// Operation is one operation of the API.
type Operation struct {
	Method, Path    string
	Status          int   // of a success
	Request         *Type // nil: none, or Opaque
	Opaque          bool  // takes a body that is no JSON
	NeedsBody       bool
	Response        *Type  // nil: none
	Media           string // of an answer that is no JSON; else empty
	Paged           bool   // takes after or limit
	Limit, MaxLimit int    // entries of a page; 0: not said
}

// The kinds of a Type.
const (
	Any     = "any"
	Object  = "object"
	Array   = "array"
	String  = "string"
	Integer = "integer"
	Number  = "number"
	Boolean = "boolean"
)

// Type is the type of a JSON value.
type Type struct {
	Name     string // as Okta's description calls it; empty for most
	Kind     string
	Format   string   // of a string: "date-time", "uri", "email" and others
	Enum     []string // the values allowed; empty: any
	Sample   any      // a value that Okta names, if it does
	Default  bool     // the Sample is the default
	Fields   []Field  // of an object
	Items    *Type    // of an array
	Extra    *Type    // of an object's further fields; nil: none described
	Min      int      // an array's least length, a number's least value
	Property string   // the field whose value selects one of the Choices
	Choices  []Choice
	Nullable bool
}

// Field is a field of an object.
type Field struct {
	Name                          string
	Type                          *Type
	Required, ReadOnly, WriteOnly bool
}

// Choice is one of several types that a value can have.
type Choice struct {
	Value string // of the field that selects it; empty without such a field
	Type  *Type
}

// Load returns the API.
var Load = sync.OnceValue(read)

func read() *API {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic("openapi: " + err.Error()) // the file is part of the program
	}
	text, err := io.ReadAll(z)
	if err != nil {
		panic("openapi: " + err.Error())
	}
	var t table
	if err := json.Unmarshal(text, &t); err != nil {
		panic("openapi: " + err.Error())
	}
	return t.api()
}

// Field returns a field by its name, nil if there is none.
func (t *Type) Field(name string) *Field {
	for i := range t.Fields {
		if t.Fields[i].Name == name {
			return &t.Fields[i]
		}
	}
	return nil
}

// node is what is known of a path once some of its segments are read.
type node struct {
	path     *Path
	literals map[string]*node
	variable *node
}

func (n *node) add(p *Path) {
	for _, s := range p.Segments {
		if IsVariable(s) {
			if n.variable == nil {
				n.variable = &node{}
			}
			n = n.variable
			continue
		}
		if n.literals == nil {
			n.literals = map[string]*node{}
		}
		if n.literals[s] == nil {
			n.literals[s] = &node{}
		}
		n = n.literals[s]
	}
	n.path = p
}

func (n *node) find(segments []string) *Path {
	if len(segments) == 0 {
		return n.path
	}
	if next := n.literals[segments[0]]; next != nil {
		if p := next.find(segments[1:]); p != nil {
			return p
		}
	}
	if n.variable != nil && segments[0] != "" {
		return n.variable.find(segments[1:])
	}
	return nil
}

// IsVariable reports whether a segment of a template stands for any one.
func IsVariable(segment string) bool { return strings.HasPrefix(segment, "{") }

// Find returns the path that the segments belong to, nil if Okta describes none.
// A literal beats a variable, as long as the rest fits.
func (a *API) Find(segments []string) *Path { return a.root.find(segments) }

// At returns the path of a template, with whatever names of its variables; nil if
// there is none.
func (a *API) At(template string) *Path {
	return a.root.exact(strings.Split(strings.Trim(template, "/"), "/"))
}

func (n *node) exact(segments []string) *Path {
	for _, s := range segments {
		if IsVariable(s) {
			n = n.variable
		} else {
			n = n.literals[s]
		}
		if n == nil {
			return nil
		}
	}
	return n.path
}
