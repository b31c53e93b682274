// This file holds values to their types.

package openapi

import (
	"fmt"
	"slices"
)

// Check returns what makes a value, as encoding/json decodes it, none of the type;
// nil if nothing does. Fields that the type does not know are allowed, and null is
// wherever a field is not required.
func (t *Type) Check(v any) error { return t.check(v, "answer") }

func (t *Type) check(v any, at string) error {
	if len(t.Choices) > 0 && t.Kind == Any {
		return t.checkChoices(v, at)
	}
	switch t.Kind {
	case Object:
		return t.checkObject(v, at)
	case Array:
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%s: want an array, got %T", at, v)
		}
		for i, x := range list {
			if err := t.Items.check(x, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case String:
		s, ok := v.(string)
		if !ok || len(t.Enum) > 0 && !slices.Contains(t.Enum, s) {
			return fmt.Errorf("%s: want a string of %q, got %v", at, t.Enum, v)
		}
	case Integer, Number:
		n, ok := v.(float64)
		if !ok || t.Kind == Integer && n != float64(int64(n)) {
			return fmt.Errorf("%s: want a number, got %v", at, v)
		}
	case Boolean:
		if _, ok := v.(bool); !ok {
			return fmt.Errorf("%s: want true or false, got %v", at, v)
		}
	}
	return nil
}

func (t *Type) checkChoices(v any, at string) error {
	m, _ := v.(map[string]any)
	if t.Property != "" && m != nil {
		for _, c := range t.Choices {
			if c.Value == m[t.Property] {
				return c.Type.check(v, at)
			}
		}
	}
	var err error
	for _, c := range t.Choices {
		if err = c.Type.check(v, at); err == nil {
			return nil
		}
	}
	return err
}

func (t *Type) checkObject(v any, at string) error {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: want an object, got %v", at, v)
	}
	for _, f := range t.Fields {
		x, there := m[f.Name]
		switch {
		case x != nil:
			if err := f.Type.check(x, at+"."+f.Name); err != nil {
				return err
			}
		case f.Required && !f.WriteOnly && (!there || !f.Type.Nullable):
			return fmt.Errorf("%s: the required field %s is missing", at, f.Name)
		}
	}
	return nil
}
