// This file reads the table as tools/apigen writes it.

package openapi

import "strings"

type table struct {
	Types []struct {
		Name     string   `json:"n"`
		Kind     string   `json:"k"`
		Format   string   `json:"f"`
		Enum     []string `json:"e"`
		Sample   any      `json:"s"`
		Default  bool     `json:"h"`
		Fields   []field  `json:"p"`
		Items    *int     `json:"i"`
		Extra    *int     `json:"x"`
		Min      int      `json:"l"`
		Property string   `json:"d"`
		Choices  []choice `json:"o"`
		Nullable bool     `json:"z"`
	} `json:"types"`
	Operations []struct {
		Method   string `json:"m"`
		Path     string `json:"p"`
		Status   int    `json:"s"`
		Request  int    `json:"q"`
		Response int    `json:"r"`
		Media    string `json:"c"`
		Needs    bool   `json:"b"`
		Paged    bool   `json:"a"`
		Limit    int    `json:"l"`
		MaxLimit int    `json:"x"`
	} `json:"operations"`
}

type field struct {
	Name  string `json:"n"`
	Type  int    `json:"t"`
	Flags int    `json:"g"`
}

type choice struct {
	Value string `json:"v"`
	Type  int    `json:"t"`
}

// What stands for a type's index where there is none, and a field's flags.
const (
	opaque = -2

	required  = 1
	readOnly  = 2
	writeOnly = 4
)

func (t *table) api() *API {
	types := t.types()
	at := func(i int) *Type {
		if i < 0 {
			return nil
		}
		return types[i]
	}
	a := &API{}
	byTemplate := map[string]*Path{}
	for _, o := range t.Operations {
		op := &Operation{
			Method: o.Method, Path: o.Path, Status: o.Status,
			Request: at(o.Request), Opaque: o.Request == opaque, NeedsBody: o.Needs,
			Response: at(o.Response), Media: o.Media,
			Paged: o.Paged, Limit: o.Limit, MaxLimit: o.MaxLimit,
		}
		a.Operations = append(a.Operations, op)
		p := byTemplate[o.Path]
		if p == nil {
			p = &Path{Template: o.Path, Segments: strings.Split(strings.Trim(o.Path, "/"), "/"), Operations: map[string]*Operation{}}
			byTemplate[o.Path] = p
			a.Paths = append(a.Paths, p)
			a.root.add(p)
		}
		p.Operations[o.Method] = op
	}
	return a
}

func (t *table) types() []*Type {
	types := make([]*Type, len(t.Types))
	for i := range types {
		types[i] = &Type{}
	}
	at := func(i *int) *Type {
		if i == nil {
			return nil
		}
		return types[*i]
	}
	for i, from := range t.Types {
		to := types[i]
		*to = Type{
			Name: from.Name, Kind: from.Kind, Format: from.Format, Enum: from.Enum, Sample: from.Sample, Default: from.Default,
			Items: at(from.Items), Extra: at(from.Extra), Min: from.Min, Property: from.Property, Nullable: from.Nullable,
		}
		for _, f := range from.Fields {
			to.Fields = append(to.Fields, Field{Name: f.Name, Type: types[f.Type],
				Required: f.Flags&required != 0, ReadOnly: f.Flags&readOnly != 0, WriteOnly: f.Flags&writeOnly != 0})
		}
		for _, c := range from.Choices {
			to.Choices = append(to.Choices, Choice{Value: c.Value, Type: types[c.Type]})
		}
	}
	return types
}
