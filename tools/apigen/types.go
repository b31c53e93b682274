// This file turns schemas into types: references followed, allOf flattened, what is alike written once.

package main

import (
	"encoding/json"
	"fmt"
	"slices"
)

// builder makes the table.
type builder struct {
	table  table
	doc    *document
	named  map[string]int // of the present document
	inline map[string]int // types without a name, by their JSON
}

func newBuilder() *builder { return &builder{inline: map[string]int{}} }

// typeOf returns the index of a schema's type.
func (b *builder) typeOf(s *schema) (int, error) {
	if s == nil {
		return b.typeOf(&schema{})
	}
	if only := s.alias(); only != nil {
		return b.typeOf(only)
	}
	if s.Ref == "" {
		t := &typ{}
		if err := b.fill(t, s); err != nil {
			return 0, err
		}
		return b.unnamed(t)
	}
	name := refName(s.Ref)
	if i, ok := b.named[name]; ok {
		return i, nil
	}
	target := b.schema(name)
	if only := target.alias(); only != nil {
		i, err := b.typeOf(only)
		b.named[name] = i
		return i, err
	}
	t := &typ{Name: name}
	i := len(b.table.Types)
	b.table.Types = append(b.table.Types, t)
	b.named[name] = i
	return i, b.fill(t, target)
}

// schema finds a schema. Okta's descriptions refer to some that they lack: those take any value.
func (b *builder) schema(name string) *schema {
	if s := b.doc.Components.Schemas[name]; s != nil {
		return s
	}
	return &schema{}
}

// unnamed adds a type, or finds the one that is alike.
func (b *builder) unnamed(t *typ) (int, error) {
	key, err := json.Marshal(t)
	if err != nil {
		return 0, err
	}
	if i, ok := b.inline[string(key)]; ok {
		return i, nil
	}
	b.inline[string(key)] = len(b.table.Types)
	b.table.Types = append(b.table.Types, t)
	return len(b.table.Types) - 1, nil
}

// alias returns the schema that this one only wraps, nil if it says more.
func (s *schema) alias() *schema {
	if len(s.AllOf) == 1 && len(s.Properties) == 0 && len(s.Required) == 0 && s.Discriminator == nil && s.Enum == nil && s.Default == nil {
		return s.AllOf[0]
	}
	return nil
}

// fill sets all of a type but its name.
func (b *builder) fill(t *typ, s *schema) error {
	flat := &schema{Type: s.Type, Discriminator: s.Discriminator}
	if err := b.flatten(flat, s, nil); err != nil {
		return err
	}
	t.Nullable, t.Format, t.Min = s.Nullable, flat.Format, flat.MinItems
	t.Sample, t.Default = flat.sample()
	if flat.Minimum != nil && *flat.Minimum > 0 {
		t.Min = int(*flat.Minimum)
	}
	for _, v := range flat.Enum {
		if v != nil {
			t.Enum = append(t.Enum, fmt.Sprint(v))
		}
	}
	t.Kind = flat.kind()
	if t.Kind == kindArray {
		i, err := b.typeOf(flat.Items)
		if err != nil {
			return err
		}
		t.Items = &i
	}
	if err := b.fields(t, flat); err != nil {
		return err
	}
	return b.choices(t, flat)
}

func (b *builder) fields(t *typ, flat *schema) error {
	for _, p := range flat.Properties {
		i, err := b.typeOf(p.value)
		if err != nil {
			return fmt.Errorf("%s: %w", p.key, err)
		}
		f := field{Name: p.key, Type: i}
		if slices.Contains(flat.Required, p.key) {
			f.Flags |= required
		}
		if b.any(p.value, func(s *schema) bool { return s.ReadOnly }) {
			f.Flags |= readOnly
		}
		if b.any(p.value, func(s *schema) bool { return s.WriteOnly }) {
			f.Flags |= writeOnly
		}
		t.Fields = append(t.Fields, f)
	}
	if flat.Additional.schema != nil && t.Kind == kindObject {
		i, err := b.typeOf(flat.Additional.schema)
		if err != nil {
			return err
		}
		t.Extra = &i
	}
	return nil
}

// choices sets the types that a value can have. A discriminator names them; without one they have no values.
func (b *builder) choices(t *typ, flat *schema) error {
	add := func(value string, s *schema) error {
		i, err := b.typeOf(s)
		if err == nil {
			t.Choices = append(t.Choices, choice{value, i})
		}
		return err
	}
	if d := flat.Discriminator; d != nil {
		t.Property = d.Property
		for _, m := range d.Mapping {
			if err := add(m.key, &schema{Ref: m.value}); err != nil {
				return err
			}
		}
	}
	if len(t.Choices) > 0 {
		return nil
	}
	for _, s := range slices.Concat(flat.OneOf, flat.AnyOf) {
		value := ""
		if flat.Discriminator != nil && s.Ref != "" {
			value = refName(s.Ref)
		}
		if err := add(value, s); err != nil {
			return err
		}
	}
	return nil
}

// flatten lays a schema and all that it is made of over another.
func (b *builder) flatten(into, s *schema, path []string) error {
	if s.Ref != "" {
		name := refName(s.Ref)
		if slices.Contains(path, name) {
			return fmt.Errorf("schema %q is made of itself", name)
		}
		return b.flatten(into, b.schema(name), append(path, name))
	}
	for _, part := range s.AllOf {
		if err := b.flatten(into, part, path); err != nil {
			return err
		}
	}
	into.lay(s)
	return nil
}

// lay takes over what a schema says itself.
func (s *schema) lay(over *schema) {
	if over.Type != "" {
		s.Type = over.Type
	}
	if over.Format != "" {
		s.Format = over.Format
	}
	if over.Enum != nil {
		s.Enum = over.Enum
	}
	if over.Known != nil {
		s.Known = over.Known
	}
	if over.Default != nil {
		s.Default = over.Default
	}
	if over.Items != nil {
		s.Items = over.Items
	}
	if over.Minimum != nil {
		s.Minimum = over.Minimum
	}
	if over.Additional.schema != nil {
		s.Additional = over.Additional
	}
	s.MinItems = max(s.MinItems, over.MinItems)
	s.Required = append(s.Required, over.Required...)
	s.OneOf = append(s.OneOf, over.OneOf...)
	s.AnyOf = append(s.AnyOf, over.AnyOf...)
	for _, p := range over.Properties {
		i := slices.IndexFunc(s.Properties, func(e entry[*schema]) bool { return e.key == p.key })
		if i < 0 {
			s.Properties = append(s.Properties, p)
		} else {
			s.Properties[i] = p
		}
	}
}

// kind is a type's kind; any where the schema does not say.
func (s *schema) kind() string {
	switch {
	case s.Format == "boolean": // of a string, by mistake
		return kindBoolean
	case s.Type != "":
		return s.Type
	case len(s.Properties) > 0 || s.Additional.schema != nil:
		return kindObject
	case s.Items != nil:
		return kindArray
	case len(s.Enum) > 0 || len(s.Known) > 0:
		return kindString
	}
	return kindAny
}

// sample is a value that Okta names, and whether it is the default.
func (s *schema) sample() (v any, isDefault bool) {
	switch s.Default.(type) {
	case string, bool, int, float64:
		return s.Default, true
	}
	for _, v := range s.Known {
		if text, ok := v.(string); ok && len(s.Enum) == 0 {
			return text, false
		}
	}
	return nil, false
}

// any reports whether something is true of a schema, of what it refers to, or of a part of it.
func (b *builder) any(s *schema, f func(*schema) bool) bool {
	if s == nil {
		return false
	}
	if f(s) {
		return true
	}
	if s.Ref != "" {
		return b.any(b.schema(refName(s.Ref)), f)
	}
	return slices.ContainsFunc(s.AllOf, func(part *schema) bool { return b.any(part, f) })
}
