// This file reads the paths that Okta's OpenAPI description lists.

package main

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// parsePaths returns the path templates of an OpenAPI description, those without an operation included: a path that
// Okta lists and does not yet describe is a real endpoint.
func parsePaths(description []byte) ([]string, error) {
	var doc struct {
		Paths map[string]yaml.Node `yaml:"paths"`
	}
	if err := yaml.Unmarshal(description, &doc); err != nil {
		return nil, fmt.Errorf("OpenAPI description: %w", err)
	}
	if len(doc.Paths) == 0 {
		return nil, errors.New("OpenAPI description: no paths")
	}
	paths := make([]string, 0, len(doc.Paths))
	for p := range doc.Paths {
		paths = append(paths, p)
	}
	return paths, nil
}
