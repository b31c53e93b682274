// This file reads an OpenAPI description: the parts of it that decide what an answer looks like.

package main

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is an OpenAPI description.
type document struct {
	Paths      ordered[map[string]yaml.Node] `yaml:"paths"`
	Components struct {
		Schemas       named[*schema]   `yaml:"schemas"`
		Parameters    named[parameter] `yaml:"parameters"`
		Responses     named[response]  `yaml:"responses"`
		RequestBodies named[content]   `yaml:"requestBodies"`
	} `yaml:"components"`
}

type operation struct {
	Parameters  []parameter       `yaml:"parameters"`
	RequestBody *content          `yaml:"requestBody"`
	Responses   ordered[response] `yaml:"responses"`
}

type parameter struct {
	Ref  string `yaml:"$ref"`
	In   string `yaml:"in"`
	Name string `yaml:"name"`

	Schema *schema `yaml:"schema"`
}

type response struct {
	Ref     string         `yaml:"$ref"`
	Content ordered[media] `yaml:"content"`
}

type content struct {
	Ref      string         `yaml:"$ref"`
	Required bool           `yaml:"required"`
	Content  ordered[media] `yaml:"content"`
}

type media struct {
	Schema *schema `yaml:"schema"`
}

// schema is a type of an OpenAPI description.
type schema struct {
	Ref           string           `yaml:"$ref"`
	Type          string           `yaml:"type"`
	Format        string           `yaml:"format"`
	Enum          []any            `yaml:"enum"`
	Known         []any            `yaml:"x-okta-known-values"`
	Default       any              `yaml:"default"`
	Nullable      bool             `yaml:"nullable"`
	ReadOnly      bool             `yaml:"readOnly"`
	WriteOnly     bool             `yaml:"writeOnly"`
	Required      []string         `yaml:"required"`
	Properties    ordered[*schema] `yaml:"properties"`
	Items         *schema          `yaml:"items"`
	MinItems      int              `yaml:"minItems"`
	Minimum       *float64         `yaml:"minimum"`
	Maximum       *float64         `yaml:"maximum"`
	AllOf         []*schema        `yaml:"allOf"`
	OneOf         []*schema        `yaml:"oneOf"`
	AnyOf         []*schema        `yaml:"anyOf"`
	Additional    additional       `yaml:"additionalProperties"`
	Discriminator *discriminator   `yaml:"discriminator"`
}

type discriminator struct {
	Property string          `yaml:"propertyName"`
	Mapping  ordered[string] `yaml:"mapping"`
}

// additional is additionalProperties: a schema, or whether there are any.
type additional struct{ schema *schema }

func (a *additional) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		if n.Value == "true" {
			a.schema = &schema{}
		}
		return nil
	}
	return n.Decode(&a.schema)
}

// ordered is a mapping that keeps its order.
type ordered[T any] []entry[T]

type entry[T any] struct {
	key   string
	value T
}

func (o *ordered[T]) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: want a mapping", n.Line)
	}
	for i := 0; i < len(n.Content); i += 2 {
		e := entry[T]{key: n.Content[i].Value}
		if err := n.Content[i+1].Decode(&e.value); err != nil {
			return err
		}
		*o = append(*o, e)
	}
	return nil
}

// named is a mapping in which the last of several entries of one name counts, as in most readers of YAML: the description
// of Identity Governance has some twice.
type named[T any] map[string]T

func (n *named[T]) UnmarshalYAML(node *yaml.Node) error {
	var entries ordered[T]
	if err := node.Decode(&entries); err != nil {
		return err
	}
	*n = named[T]{}
	for _, e := range entries {
		(*n)[e.key] = e.value
	}
	return nil
}

func parse(text []byte) (*document, error) {
	var doc document
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("OpenAPI description: %w", err)
	}
	if len(doc.Paths) == 0 {
		return nil, errors.New("OpenAPI description: no paths")
	}
	return &doc, nil
}

// refName is the last part of a reference, "#/components/schemas/User".
func refName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }
