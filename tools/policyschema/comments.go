// This file reads the comments of the policy's types.

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// comments are by "Type.Field".
type comments map[string]string

// documented are the types whose comments are read.
var documented = []string{"Policy", "Rule", "Pace", "Breaker", "Budget"}

// readComments reads those in policy.go.
func readComments(dir string) (comments, error) {
	path := filepath.Join(dir, "policy.go")
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	types := make(map[string]*ast.TypeSpec)
	whole := make(map[string]string)
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, s := range g.Specs {
			t := s.(*ast.TypeSpec)
			types[t.Name.Name], whole[t.Name.Name] = t, oneLine(g.Doc.Text())
		}
	}
	found := make(comments)
	for _, name := range documented {
		t, ok := types[name]
		if !ok {
			return nil, fmt.Errorf("%s has no type %s", path, name)
		}
		for _, f := range t.Type.(*ast.StructType).Fields.List {
			for _, n := range f.Names {
				text := oneLine(f.Doc.Text())
				if text == "" {
					text = whole[n.Name] // Pace Pace
				}
				found[name+"."+n.Name] = text
			}
		}
	}
	return found, nil
}

// oneLine joins a comment's lines, and keeps its paragraphs.
func oneLine(text string) string {
	paragraphs := strings.Split(strings.TrimSpace(text), "\n\n")
	for i, p := range paragraphs {
		paragraphs[i] = strings.Join(strings.Fields(p), " ")
	}
	return strings.Join(paragraphs, "\n\n")
}
