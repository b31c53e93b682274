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

func (o Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, key := range hashOrder(o) {
		if err := member(&b, i, key, o[key]); err != nil {
			return nil, err
		}
	}
	return object(&b), nil
}

// member writes the i-th member of an object.
func member(b *bytes.Buffer, i int, key string, value any) error {
	if i > 0 {
		b.WriteByte(',')
	}
	e := json.NewEncoder(b) // ends with a line feed, which is no part of the value
	e.SetEscapeHTML(false)
	if err := e.Encode(key); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1)
	b.WriteByte(':')
	if err := e.Encode(value); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1)
	return nil
}

// object is what is written, in braces.
func object(b *bytes.Buffer) []byte {
	return append(append([]byte{'{'}, b.Bytes()...), '}')
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

func (t Time) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + Stamp(time.Time(t)) + `"`), nil
}

// Stamp is a time as Okta writes it; empty for the zero one.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Second).Format("2006-01-02T15:04:05.000Z")
}
