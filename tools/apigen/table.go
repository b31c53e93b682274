// This file holds the table as it is written; package openapi of oktatest reads it.

package main

// table is all of it. Types refer to each other, and operations to types, by index.
type table struct {
	Types      []*typ      `json:"types"`
	Operations []*operated `json:"operations"`
}

// operated is one operation.
type operated struct {
	Method   string `json:"m"`
	Path     string `json:"p"`
	Status   int    `json:"s"`
	Request  int    `json:"q"`           // a type; noType if it takes no body, opaque if one that is no JSON
	Response int    `json:"r"`           // a type; noType if the answer has no body
	Media    string `json:"c,omitempty"` // of an answer that is no JSON
	Needs    bool   `json:"b,omitempty"` // a body
	Paged    bool   `json:"a,omitempty"` // takes after or limit
	Limit    int    `json:"l,omitempty"` // entries of a page, where the description says
	MaxLimit int    `json:"x,omitempty"`
}

const (
	noType = -1
	opaque = -2
)

// typ is the type of a JSON value.
type typ struct {
	Name     string   `json:"n,omitempty"` // of the description's own types
	Kind     string   `json:"k"`
	Format   string   `json:"f,omitempty"`
	Enum     []string `json:"e,omitempty"`
	Sample   any      `json:"s,omitempty"` // the default, or the first of the values that Okta knows
	Default  bool     `json:"h,omitempty"` // the sample is the default
	Fields   []field  `json:"p,omitempty"`
	Items    *int     `json:"i,omitempty"` // of an array
	Extra    *int     `json:"x,omitempty"` // of an object's further fields
	Min      int      `json:"l,omitempty"` // an array's least length, a number's least value
	Property string   `json:"d,omitempty"` // the field whose value selects one of the Choices
	Choices  []choice `json:"o,omitempty"`
	Nullable bool     `json:"z,omitempty"`
}

type field struct {
	Name  string `json:"n"`
	Type  int    `json:"t"`
	Flags int    `json:"g,omitempty"`
}

// Flags of a field.
const (
	required = 1 << iota
	readOnly
	writeOnly
)

// choice is one of several types that a value can have.
type choice struct {
	Value string `json:"v,omitempty"`
	Type  int    `json:"t"`
}

// Kinds of a type.
const (
	kindAny     = "any"
	kindObject  = "object"
	kindArray   = "array"
	kindString  = "string"
	kindInteger = "integer"
	kindNumber  = "number"
	kindBoolean = "boolean"
)
