// This file loads the packages of the module: their files by go/parser and their types by go/types, which reads those of
// imported packages from the export data that go list makes.

package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// module is the root module. Its first package is the root.
type module struct {
	path     string
	fset     *token.FileSet
	packages []*pkg
}

// pkg is a package without its tests.
type pkg struct {
	name  string      // its directory in the module
	files []*ast.File // those of other platforms and tags, too
	types *types.Package
	uses  map[*ast.Ident]types.Object // without those of other platforms and tags
}

// listed is what go list prints of a package.
type listed struct {
	ImportPath, Dir, Export string
	DepOnly                 bool
	Module                  struct{ Path string }
	GoFiles, IgnoredGoFiles []string
}

func load(dir string) (*module, error) {
	cmd := exec.Command("go", "list", "-deps", "-export", "-json=ImportPath,Dir,Export,DepOnly,Module,GoFiles,IgnoredGoFiles", ".", "./...")
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.String())
	}
	var ours []listed
	exports := map[string]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var l listed
		if err := dec.Decode(&l); err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		exports[l.ImportPath] = l.Export
		if !l.DepOnly {
			ours = append(ours, l)
		}
	}
	slices.SortFunc(ours, func(a, b listed) int { return strings.Compare(a.ImportPath, b.ImportPath) })
	m := &module{path: ours[0].Module.Path, fset: token.NewFileSet()}
	lookup := func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) }
	imports := importer.ForCompiler(m.fset, "gc", lookup)
	for _, l := range ours {
		p, err := m.check(l, imports)
		if err != nil {
			return nil, err
		}
		m.packages = append(m.packages, p)
	}
	return m, nil
}

// check parses a package and checks its types.
func (m *module) check(l listed, imports types.Importer) (*pkg, error) {
	p := &pkg{name: m.inside(l.ImportPath), uses: map[*ast.Ident]types.Object{}}
	for _, name := range append(l.GoFiles, l.IgnoredGoFiles...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(m.fset, filepath.Join(l.Dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		p.files = append(p.files, f)
	}
	conf := types.Config{Importer: imports}
	var err error
	p.types, err = conf.Check(l.ImportPath, m.fset, p.files[:len(l.GoFiles)], &types.Info{Uses: p.uses})
	return p, err
}

// inside returns the directory of a package of the module, and "" for other packages.
func (m *module) inside(path string) string {
	if path == m.path {
		return root
	}
	name, ours := strings.CutPrefix(path, m.path+"/")
	if !ours {
		return ""
	}
	return name
}

// file returns the name of the file that pos is in.
func (m *module) file(pos token.Pos) string {
	return filepath.Base(m.fset.File(pos).Name())
}
