// This file reads what names the version, and writes it.

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

const (
	rootPath      = "github.com/oktaretry/oktaretry"
	versionFile   = "doc.go"
	changelogFile = "CHANGELOG.md"
	unreleased    = "unreleased"
)

// unpublished are the modules that nobody requires: they get no tags.
var unpublished = []string{"benchmarks", "examples", "tools"}

var (
	versionLine = regexp.MustCompile(`(?m)^const Version = "(.*)"$`)
	entryLine   = regexp.MustCompile(`(?m)^## \[(.*)\] - (.*)$`)
)

// repository is a checkout of this project.
type repository struct {
	dir       string
	version   string // of oktaretry.Version, with a v
	modules   []*module
	entry     string // the version of the CHANGELOG's newest entry, with a v
	entryDate string
}

// module is one of the modules that go.work joins.
type module struct {
	name string // its directory below the root; "." is the root
	file *modfile.File
}

// open reads a checkout. Its modules are ordered: each comes after those it requires.
func open(dir string) (*repository, error) {
	r := &repository{dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, "go.work"))
	if err != nil {
		return nil, err
	}
	work, err := modfile.ParseWork("go.work", text, nil)
	if err != nil {
		return nil, err
	}
	for _, use := range work.Use {
		m := &module{name: filepath.ToSlash(filepath.Clean(use.Path))}
		if text, err = os.ReadFile(r.path(m, "go.mod")); err != nil {
			return nil, err
		}
		if m.file, err = modfile.Parse(r.path(m, "go.mod"), text, nil); err != nil {
			return nil, err
		}
		r.modules = append(r.modules, m)
	}
	if r.modules, err = inOrder(r.modules); err != nil {
		return nil, err
	}
	return r, errors.Join(r.readVersion(), r.readEntry())
}

func (r *repository) path(m *module, file string) string {
	return filepath.Join(r.dir, filepath.FromSlash(m.name), file)
}

func (r *repository) readVersion() error {
	text, err := os.ReadFile(filepath.Join(r.dir, versionFile))
	if err != nil {
		return err
	}
	found := versionLine.FindSubmatch(text)
	if found == nil {
		return fmt.Errorf("%s has no line %s", versionFile, versionLine)
	}
	r.version = "v" + string(found[1])
	return nil
}

func (r *repository) readEntry() error {
	text, err := os.ReadFile(filepath.Join(r.dir, changelogFile))
	if err != nil {
		return err
	}
	found := entryLine.FindSubmatch(text)
	if found == nil {
		return fmt.Errorf("%s has no entry of the form ## [1.2.3] - 2006-01-02", changelogFile)
	}
	r.entry, r.entryDate = "v"+string(found[1]), string(found[2])
	return nil
}

// inOrder sorts modules so that each comes after those of them that it requires.
func inOrder(modules []*module) (sorted []*module, err error) {
	done := make(map[string]bool)
	waits := func(m *module) bool {
		return slices.ContainsFunc(m.own(), func(v *modfile.Require) bool { return !done[v.Mod.Path] })
	}
	for left := slices.Clone(modules); len(left) > 0; {
		next := slices.IndexFunc(left, func(m *module) bool { return !waits(m) })
		if next < 0 {
			return nil, errors.New("modules require each other in a circle, or one that go.work does not name")
		}
		done[left[next].path()] = true
		sorted = append(sorted, left[next])
		left = slices.Delete(left, next, next+1)
	}
	return sorted, nil
}

func (m *module) path() string { return m.file.Module.Mod.Path }

// isCommand reports whether m is a program, which is run by go run path@version.
func (m *module) isCommand() bool { return strings.HasPrefix(m.name, "cmd/") }

// own returns what m requires of this repository.
func (m *module) own() (requires []*modfile.Require) {
	for _, q := range m.file.Require {
		if q.Mod.Path == rootPath || strings.HasPrefix(q.Mod.Path, rootPath+"/") {
			requires = append(requires, q)
		}
	}
	return requires
}

// tagFor returns the tag of a module, as the go command looks for it.
func (m *module) tagFor(version string) string {
	if m.name == "." {
		return version
	}
	return m.name + "/" + version
}

// setVersion writes version wherever it is named.
func (r *repository) setVersion(version string) error {
	for _, m := range r.modules {
		for _, q := range m.own() {
			if err := m.file.AddRequire(q.Mod.Path, version); err != nil {
				return err
			}
		}
		text, err := m.file.Format()
		if err != nil {
			return err
		}
		if err := os.WriteFile(r.path(m, "go.mod"), text, 0o644); err != nil {
			return err
		}
	}
	r.version = version
	return r.rewrite(versionFile, func(text []byte) []byte {
		return versionLine.ReplaceAll(text, []byte(`const Version = "`+version[1:]+`"`))
	})
}

// rewrite changes a file of the root, and fails if that changes nothing.
func (r *repository) rewrite(file string, change func([]byte) []byte) error {
	path := filepath.Join(r.dir, file)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := change(text)
	if bytes.Equal(text, changed) {
		return fmt.Errorf("nothing to change in %s", file)
	}
	return os.WriteFile(path, changed, 0o644)
}

// released reports whether a version can be released: vX.Y.Z, or a pre-release of it.
func released(version string) bool {
	return semver.IsValid(version) && semver.Canonical(version) == version && semver.Build(version) == ""
}
