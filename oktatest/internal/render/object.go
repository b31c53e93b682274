// This file writes JSON objects in the order in which Okta does.

package render

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Object is a JSON object whose members come in the order in which Okta writes a
// profile's: that of a Java HashMap (the order of 31 attributes is explained by it).
type Object map[string]any

func (o Object) MarshalJSON() ([]byte, error) { return o.append(nil) }

// append writes the object.
func (o Object) append(b []byte) ([]byte, error) {
	b = append(b, '{')
	for i, key := range hashOrder(o) {
		b = appendName(b, i, key)
		switch value := o[key].(type) {
		case nil:
			b = append(b, "null"...)
		case string:
			b = appendString(b, value)
		default:
			var err error
			if b, err = appendJSON(b, value); err != nil {
				return nil, err
			}
		}
	}
	return append(b, '}'), nil
}

// appendName begins the i-th member of an object.
func appendName(b []byte, i int, name string) []byte {
	if i > 0 {
		b = append(b, ',')
	}
	return append(appendString(b, name), ':')
}

// appendString is appendJSON of a string, and cheap where nothing in it needs an escape.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			b, _ = appendJSON(b, s) // which encodes any string
			return b
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}

// appendJSON appends a value, with angle brackets and ampersands as they are.
func appendJSON(b []byte, value any) ([]byte, error) {
	buffer := bytes.NewBuffer(b)
	e := json.NewEncoder(buffer) // ends with a line feed, which is no part of the value
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// hashOrder is the order in which a Java HashMap of these keys lists them. Of those in
// one slot, login and email come last.
func hashOrder(o map[string]any) []string {
	slots := uint32(16)
	for len(o)*4 > int(slots)*3 {
		slots *= 2
	}
	keys := make([]string, 0, len(o))
	for key := range o {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if x, y := hash(a)&(slots-1), hash(b)&(slots-1); x != y {
			return int(x) - int(y)
		}
		if x, y := late(a), late(b); x != y {
			return x - y
		}
		return strings.Compare(a, b)
	})
	return keys
}

// hash is how a Java HashMap spreads a string's hash code.
func hash(s string) uint32 {
	var h uint32
	for _, c := range s {
		h = 31*h + uint32(c)
	}
	return h ^ h>>16
}

func late(key string) int {
	if key == "login" || key == "email" {
		return 1
	}
	return 0
}

// Time is a time as Okta writes it, in whole seconds; the zero one is null.
type Time time.Time

func (t Time) MarshalJSON() ([]byte, error) { return appendTime(nil, time.Time(t)), nil }

// appendTime writes a time.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	return t.UTC().Truncate(time.Second).AppendFormat(b, `"`+stamp+`"`)
}

const stamp = "2006-01-02T15:04:05.000Z"

// Stamp is a time as Okta writes it; empty for the zero one.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Second).Format(stamp)
}
