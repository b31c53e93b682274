// This file holds the checks.

package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// inspect checks the module in a directory, and the length of the files of all modules below it.
func inspect(dir string) (*report, error) {
	m, err := load(dir)
	if err != nil {
		return nil, err
	}
	tests, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	r := &report{}
	r.bound("root: files", len(m.packages[0].files), maxRootFiles)
	r.bound("root: test files", len(tests), maxRootTests)
	m.checkCall(r, m.packages[0])
	for _, p := range m.packages {
		m.checkKnots(r, p)
		m.checkFiles(r, p)
	}
	return r, checkLines(r, dir)
}

func (m *module) checkCall(r *report, p *pkg) {
	call, _ := p.types.Scope().Lookup(mainType).(*types.TypeName)
	if call == nil || call.IsAlias() {
		r.violate("root: no type %s: name its successor in mainType", mainType)
		return
	}
	if s, ok := call.Type().Underlying().(*types.Struct); ok {
		r.bound("call: fields", s.NumFields(), maxCallFields)
	}
	named := call.Type().(*types.Named)
	files := map[string]bool{m.file(call.Pos()): true}
	for method := range named.Methods() {
		files[m.file(method.Pos())] = true
	}
	r.bound("call: methods", named.NumMethods(), maxCallMethods)
	r.bound("call: files", len(files), maxCallFiles, slices.Sorted(maps.Keys(files))...)
}

func (m *module) checkKnots(r *report, p *pkg) {
	what, most := p.name, max(maxKnot, largerKnots[p.name])
	if p.name == root {
		what, most = "root", maxRootKnot
	}
	for _, knot := range knots(m.uses(p)) {
		r.bound(what+": knot", len(knot), most, knot...)
	}
}

// uses returns for each file those that declare a package-level object, method or field it mentions.
func (m *module) uses(p *pkg) map[string]map[string]bool {
	uses := map[string]map[string]bool{}
	for _, f := range p.files {
		uses[m.file(f.Pos())] = map[string]bool{}
	}
	for id, obj := range p.uses {
		if obj.Pkg() == p.types {
			uses[m.file(id.Pos())][m.file(obj.Pos())] = true
		}
	}
	return uses
}

// knots returns the sets of files that reach each other, and completes reach, what a file uses, by what that uses in turn.
func knots(reach map[string]map[string]bool) [][]string {
	names := slices.Sorted(maps.Keys(reach))
	for _, via := range names {
		for _, from := range names {
			if reach[from][via] {
				maps.Copy(reach[from], reach[via])
			}
		}
	}
	var knots [][]string
	for len(names) > 0 {
		first, knot := names[0], names[:1:1]
		names = slices.DeleteFunc(slices.Clone(names[1:]), func(other string) bool {
			mutual := reach[first][other] && reach[other][first]
			if mutual {
				knot = append(knot, other)
			}
			return mutual
		})
		if len(knot) > 1 {
			knots = append(knots, knot)
		}
	}
	return knots
}

// checkFiles checks each file's comment and imports.
func (m *module) checkFiles(r *report, p *pkg) {
	if layer(p.name) < 0 {
		r.violate("%s is in no layer: give it a place in the table", p.name)
	}
	for _, f := range p.files {
		name := path.Join(p.name, m.file(f.Pos()))
		if !introduced(f) {
			r.violate(`%s has no file comment: begin it with "// This file ..." and an empty line, or with the package comment`, name)
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue // go list has refused it
			}
			if why := m.refusal(p.name, imported); why != "" {
				r.violate("%s imports %s: %s", name, imported, why)
			}
		}
	}
}

// introduced reports whether a comment before the package clause is the file's own or the package's, or marks the file as generated.
func introduced(f *ast.File) bool {
	for _, c := range f.Comments {
		want := "This file "
		if c == f.Doc {
			want = "Package "
		}
		if c.Pos() < f.Package && strings.HasPrefix(c.Text(), want) {
			return true
		}
	}
	return ast.IsGenerated(f)
}

// layer returns the index of a package's layer, or -1.
func layer(name string) int {
	return slices.IndexFunc(layers[:], func(names []string) bool { return slices.Contains(names, name) })
}

// refusal returns why a package may not have an import, or "".
func (m *module) refusal(importer, imported string) string {
	for _, rule := range restricted {
		if imported == rule.prefix || strings.HasPrefix(imported, rule.prefix+"/") {
			if slices.Contains(rule.who, importer) {
				return ""
			}
			return "only for " + strings.Join(rule.who, ", ")
		}
	}
	name := m.inside(imported)
	if name == "" {
		return ""
	}
	switch from, to := layer(importer), layer(name); {
	case to < 0:
		return "it is in no layer: give it a place in the table"
	case slices.Contains(alone, importer):
		return importer + " imports none of the module"
	case from == 0:
		return ""
	case to == 0:
		return "only for tests"
	case to <= from:
		return "not in a lower layer"
	}
	return ""
}

// checkLines bounds the length of files, except for tests, generated ones and the long table.
func checkLines(r *report, dir string) error {
	return filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != dir && (strings.HasPrefix(name, ".") || name == "testdata"):
			return fs.SkipDir
		case d.IsDir(), !strings.HasSuffix(name, ".go"), strings.HasSuffix(name, "_test.go"), name == longTable:
			return nil
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		lines := bytes.Count(text, []byte("\n"))
		if lines <= maxLines {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, text, parser.PackageClauseOnly|parser.ParseComments)
		if err == nil && !ast.IsGenerated(f) {
			file, err = filepath.Rel(dir, file)
			r.violate("%s: %d lines, at most %d", filepath.ToSlash(file), lines, maxLines)
		}
		return err
	})
}
