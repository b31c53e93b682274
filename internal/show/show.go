// Package show renders values whose fields must not all be seen: each type lists what
// may be shown once, as attributes, and gets its text, JSON and log forms from here.
//
// This file holds the forms.
package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Attrs is what may be shown of a value, in the order in which it is. Empty strings,
// false, zero durations and times, and empty lists are left out by the functions that
// add to it.
type Attrs []Attr

// Attr is a name, and a string, int, bool, float64, time.Time or list.
type Attr struct {
	Name  string
	Value any
}

func (a *Attrs) add(name string, value any) { *a = append(*a, Attr{name, value}) }

// Text adds a word, unless it is empty.
func (a *Attrs) Text(name, text string) {
	if text != "" {
		a.add(name, text)
	}
}

// Int adds a number.
func (a *Attrs) Int(name string, n int) { a.add(name, n) }

// IntIf adds a number, unless known is false.
func (a *Attrs) IntIf(name string, n int, known bool) {
	if known {
		a.Int(name, n)
	}
}

// True adds a mark that is set.
func (a *Attrs) True(name string, set bool) {
	if set {
		a.add(name, true)
	}
}

// Seconds adds a duration in seconds, also if it is zero.
func (a *Attrs) Seconds(name string, d time.Duration) {
	a.add(name, d.Seconds())
}

// SecondsIf adds a duration in seconds, unless it is zero.
func (a *Attrs) SecondsIf(name string, d time.Duration) {
	if d != 0 {
		a.Seconds(name, d)
	}
}

// Time adds a time, unless it is zero.
func (a *Attrs) Time(name string, t time.Time) {
	if !t.IsZero() {
		a.add(name, t)
	}
}

// List adds a list of values that have a JSON form and a text of their own, unless it
// is empty.
func List[T any](a *Attrs, name string, list []T) {
	if len(list) > 0 {
		a.add(name, list)
	}
}

// JSON is the value's JSON form: an object.
func (a Attrs) JSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, attr := range a {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(attr.Value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", attr.Name, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Line is the value's text: name=value, separated by spaces.
func (a Attrs) Line() string {
	var parts []string
	for _, attr := range a {
		text := fmt.Sprint(attr.Value)
		switch v := attr.Value.(type) {
		case time.Time:
			text = v.UTC().Format(time.RFC3339)
		case float64:
			text = fmt.Sprintf("%.6g", v)
		case string:
			if quoted := strconv.Quote(v); strings.ContainsAny(v, " =") || len(quoted) > len(v)+2 {
				text = quoted
			}
		}
		parts = append(parts, attr.Name+"="+text)
	}
	return strings.Join(parts, " ")
}

// Format prints text by every verb: any but %s and %v would print the fields.
func Format(s fmt.State, verb rune, text string) {
	fmt.Fprintf(s, fmt.FormatString(s, verb), text)
}

// Seconds is a duration as a person reads it: 41.2s, 0.12s, 10m3s.
func Seconds(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
