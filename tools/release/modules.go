// This file knows the modules of this repository: which are released, in which order, and what must be so before they are.

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

const rootPath = "github.com/oktaretry/oktaretry"

var (
	// published are the modules that a release tags, by directory: what a user can get.
	published = []string{".", "cmd/oktaretry", "fleet", "oktav2", "oktav5", "oktav6", "policyfile", "sidecar"}

	// unpublished are the modules that nobody requires: they get no tags.
	unpublished = []string{"benchmarks", "examples", "tools"}
)

// module is one of the modules that go.work joins.
type module struct {
	name string // its directory below the root; "." is the root
	file *modfile.File
}

func (m *module) path() string { return m.file.Module.Mod.Path }

func (m *module) isPublished() bool { return slices.Contains(published, m.name) }

// isCommand reports whether m is a program, which is got by go install path@version.
func (m *module) isCommand() bool { return strings.HasPrefix(m.name, "cmd/") }

// own returns what m requires of this repository.
func (m *module) own() (requires []*modfile.Require) {
	for _, q := range m.file.Require {
		if isOwn(q.Mod.Path) {
			requires = append(requires, q)
		}
	}
	return requires
}

func isOwn(modulePath string) bool {
	return modulePath == rootPath || strings.HasPrefix(modulePath, rootPath+"/")
}

// tagFor returns the tag of a module, as the go command looks for it.
func (m *module) tagFor(version string) string {
	if m.name == "." {
		return version
	}
	return m.name + "/" + version
}

// readModules reads what go.work joins. Each module comes after those that it requires; commands come last.
func readModules(dir string) (*modfile.WorkFile, []*module, error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.work"))
	if err != nil {
		return nil, nil, err
	}
	work, err := modfile.ParseWork("go.work", text, nil)
	if err != nil {
		return nil, nil, err
	}
	var modules []*module
	for _, use := range work.Use {
		m := &module{name: path.Clean(filepath.ToSlash(use.Path))}
		name := path.Join(m.name, "go.mod")
		if text, err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return nil, nil, fmt.Errorf("go.work uses %s: %w", use.Path, err)
		}
		if m.file, err = modfile.Parse(name, text, nil); err != nil {
			return nil, nil, err
		}
		if m.file.Module == nil {
			return nil, nil, fmt.Errorf("%s has no module line", name)
		}
		modules = append(modules, m)
	}
	if modules, err = inOrder(modules); err != nil {
		return nil, nil, err
	}
	libraries, commands := partition(modules)
	return work, slices.Concat(libraries, commands), nil
}

// inOrder sorts modules so that each comes after those of them that it requires.
func inOrder(modules []*module) (sorted []*module, err error) {
	waiting := make(map[string]bool)
	for _, m := range modules {
		waiting[m.path()] = true
	}
	for left := slices.Clone(modules); len(left) > 0; {
		next := slices.IndexFunc(left, func(m *module) bool {
			return !slices.ContainsFunc(m.own(), func(q *modfile.Require) bool { return waiting[q.Mod.Path] })
		})
		if next < 0 {
			return nil, fmt.Errorf("modules require each other in a circle: %s", strings.Join(names(left), ", "))
		}
		delete(waiting, left[next].path())
		sorted = append(sorted, left[next])
		left = slices.Delete(left, next, next+1)
	}
	return sorted, nil
}

func partition(modules []*module) (libraries, commands []*module) {
	for _, m := range modules {
		if m.isCommand() {
			commands = append(commands, m)
		} else {
			libraries = append(libraries, m)
		}
	}
	return libraries, commands
}

func names(modules []*module) (names []string) {
	for _, m := range modules {
		names = append(names, m.name)
	}
	return names
}

// checkModules returns what keeps users from getting each published module, and us from building each one here.
func (r *repository) checkModules() error {
	wrong := []error{r.checkLists()}
	for _, m := range r.modules {
		if want := path.Join(rootPath, m.name); m.path() != want {
			wrong = append(wrong, fmt.Errorf("%s/go.mod: the module is %s, want %s", m.name, m.path(), want))
		}
		for _, q := range m.own() {
			wrong = append(wrong, r.checkRequirement(m, q.Mod.Path))
		}
		for _, p := range m.file.Replace {
			if m.isPublished() && !isOwn(p.Old.Path) {
				wrong = append(wrong, fmt.Errorf("%s/go.mod replaces %s, which users of the module do not: it would be built of other code than was tested", m.name, p.Old.Path))
			}
		}
	}
	return errors.Join(wrong...)
}

// checkLists compares what is released, what is not, go.work and the directories that hold a go.mod.
func (r *repository) checkLists() error {
	var wrong []error
	used := names(r.modules)
	for _, name := range used {
		if slices.Contains(published, name) == slices.Contains(unpublished, name) {
			wrong = append(wrong, fmt.Errorf("module %s must be in one of two lists in tools/release/modules.go: published or unpublished", name))
		}
	}
	for _, name := range slices.Concat(published, unpublished) {
		if !slices.Contains(used, name) {
			wrong = append(wrong, fmt.Errorf("module %s is missing: tools/release/modules.go lists it, go.work does not use it", name))
		}
	}
	found, err := modulesBelow(r.dir)
	for _, name := range found {
		if !slices.Contains(used, name) {
			wrong = append(wrong, fmt.Errorf("%s has a go.mod, but go.work does not use it", name))
		}
	}
	return errors.Join(append(wrong, err)...)
}

// modulesBelow returns the directories with a go.mod, other than those that the go command ignores.
func modulesBelow(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != dir && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")):
			return filepath.SkipDir
		case d.Name() != "go.mod":
			return nil
		}
		name, err := filepath.Rel(dir, filepath.Dir(file))
		names = append(names, filepath.ToSlash(name))
		return err
	})
	return names, err
}

// checkRequirement checks a requirement of m on a module of this repository.
func (r *repository) checkRequirement(m *module, required string) error {
	at := slices.IndexFunc(r.modules, func(o *module) bool { return o.path() == required })
	if at < 0 {
		return fmt.Errorf("%s/go.mod requires %s, which is none of the modules that go.work uses", m.name, required)
	}
	o := r.modules[at]
	if m.isPublished() && (!o.isPublished() || o.isCommand()) {
		return fmt.Errorf("%s/go.mod requires %s, which is no library that is released", m.name, required)
	}
	replaced := slices.ContainsFunc(m.file.Replace, func(p *modfile.Replace) bool {
		return p.Old.Path == required && path.Join(m.name, p.New.Path) == o.name
	})
	if !replaced {
		return fmt.Errorf("%s/go.mod requires %s, but has no replace directive with its directory: it could not be built before the release", m.name, required)
	}
	return nil
}
