// This file puts a tree into Go values.

package document

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Bind sets v, a pointer, to what n holds, and returns all problems in the order of
// the text. What n leaves out stays as it is in v, and so does what has a problem; of
// members given twice v gets the first. The members of a struct are those of its json
// tags, in exactly that case.
//
// It takes structs, maps from strings, slices, bools, ints, floats, strings, types with
// UnmarshalText, for which wants has what to put there, any, which takes what
// encoding/json would put there, but no null, and *Node, which takes an object as it
// is. Other types panic.
func (n *Node) Bind(v any, path []string, wants map[reflect.Type]string) []Problem {
	b := binder{path: slices.Clone(path), wants: wants}
	b.bind(n, reflect.ValueOf(v).Elem())
	return b.problems
}

type binder struct {
	path     []string
	wants    map[reflect.Type]string
	problems []Problem
}

func (b *binder) add(at Place, format string, args ...any) {
	b.problems = append(b.problems, Problem{at, slices.Clone(b.path), fmt.Sprintf(format, args...)})
}

// within calls do for a member or item.
func (b *binder) within(name string, do func()) {
	b.path = append(b.path, name)
	do()
	b.path = b.path[:len(b.path)-1]
}

func (b *binder) bind(n *Node, v reflect.Value) {
	want, texts := b.wants[v.Type()]
	switch {
	case texts:
		if n.Kind != String || v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Text)) != nil {
			b.refuse(n, want)
		}
	case v.Type() == reflect.TypeFor[*Node]():
		if b.is(n, Object, "an object") {
			v.Set(reflect.ValueOf(n))
		}
	default:
		b.bindKind(n, v)
	}
}

func (b *binder) bindKind(n *Node, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if b.is(n, Object, "an object") {
			b.structure(n, v)
		}
	case reflect.Map:
		if b.is(n, Object, "an object") {
			b.table(n, v)
		}
	case reflect.Slice:
		if b.is(n, Array, "an array") {
			b.list(n, v)
		}
	case reflect.Bool:
		if b.is(n, Bool, "true or false") {
			v.SetBool(n.Raw == "true")
		}
	case reflect.String:
		if b.is(n, String, "a string") {
			v.SetString(n.Text)
		}
	case reflect.Int, reflect.Int64:
		if b.is(n, Number, "a whole number") {
			i, err := strconv.ParseInt(n.Raw, 10, v.Type().Bits())
			b.number(n, err, "a whole number", func() { v.SetInt(i) })
		}
	case reflect.Interface:
		b.anything(n, v)
	case reflect.Float64:
		if b.is(n, Number, "a number") {
			f, err := strconv.ParseFloat(n.Raw, 64)
			b.number(n, err, "a number", func() { v.SetFloat(f) })
		}
	default:
		panic("document: cannot bind " + v.Type().String())
	}
}

// anything sets an any.
func (b *binder) anything(n *Node, v reflect.Value) {
	var holder reflect.Value
	switch n.Kind {
	case Null:
		b.refuse(n, "a value")
		return
	case Bool:
		holder = reflect.ValueOf(new(bool))
	case Number:
		holder = reflect.ValueOf(new(float64))
	case String:
		holder = reflect.ValueOf(new(string))
	case Array:
		holder = reflect.ValueOf(new([]any))
	case Object:
		holder = reflect.ValueOf(new(map[string]any))
	}
	b.bind(n, holder.Elem())
	v.Set(holder.Elem())
}

func (b *binder) number(n *Node, err error, want string, set func()) {
	switch {
	case errors.Is(err, strconv.ErrRange):
		b.refuse(n, "a number nearer to 0")
	case err != nil:
		b.refuse(n, want)
	default:
		set()
	}
}

func (b *binder) is(n *Node, kind Kind, want string) bool {
	if n.Kind != kind {
		b.refuse(n, want)
	}
	return n.Kind == kind
}

func (b *binder) refuse(n *Node, want string) { b.add(n.Place, "is %s, want %s", n.shown(), want) }

// shown is what an error says that n is.
func (n *Node) shown() string {
	switch n.Kind {
	case Array:
		return "an array"
	case Object:
		return "an object"
	case String:
		return strconv.Quote(shortened(n.Text))
	}
	return shortened(n.Raw)
}

func shortened(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// each calls do for each member of an object, within its path. Those given twice are
// reported; again is true from the second on.
func (b *binder) each(n *Node, do func(m Member, again bool)) {
	first := make(map[string]Place, len(n.Members))
	for _, m := range n.Members {
		b.within(m.Name, func() {
			at, again := first[m.Name]
			if again {
				b.add(m.Place, "is given twice: first in line %d, column %d", at.Line, at.Column)
			} else {
				first[m.Name] = m.Place
			}
			do(m, again)
		})
	}
}

func (b *binder) structure(n *Node, v reflect.Value) {
	fields := make(map[string]reflect.Value, v.NumField())
	var names []string
	for field, value := range v.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		fields[name] = value
		names = append(names, name)
	}
	b.each(n, func(m Member, again bool) {
		field, ok := fields[m.Name]
		if !ok {
			b.add(m.Place, "is unknown, want %s", closest(m.Name, names))
			return
		}
		if again {
			field = reflect.New(field.Type()).Elem() // for its problems
		}
		b.bind(m.Value, field)
	})
}

// closest returns the name that differs from this one by its case alone, or else all.
func closest(name string, names []string) string {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return n + " (case counts)"
		}
	}
	return "one of " + strings.Join(names, ", ")
}

func (b *binder) table(n *Node, v reflect.Value) {
	m := reflect.MakeMapWithSize(v.Type(), len(n.Members))
	b.each(n, func(member Member, again bool) {
		value := reflect.New(v.Type().Elem()).Elem()
		if b.bind(member.Value, value); !again {
			m.SetMapIndex(reflect.ValueOf(member.Name), value)
		}
	})
	v.Set(m)
}

func (b *binder) list(n *Node, v reflect.Value) {
	items := reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items))
	for i, item := range n.Items {
		b.within(strconv.Itoa(i), func() { b.bind(item, items.Index(i)) })
	}
	v.Set(items)
}

// Each calls do for each member of an object, which lies at path, and returns the
// problems of those given twice; again is true from the second on.
func (n *Node) Each(path []string, do func(m Member, again bool)) []Problem {
	b := binder{path: slices.Clone(path)}
	b.each(n, do)
	return b.problems
}
