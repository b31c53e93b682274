// This file reads what names the version, and writes it.

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

const (
	versionFile   = "doc.go"
	changelogFile = "CHANGELOG.md"
	unreleased    = "unreleased"
)

// mentioning are the files and directories in which a version of this project, as in an image's tag, is the current one.
var mentioning = []string{"README.md", "docs", "deploy"}

var (
	versionLine = regexp.MustCompile(`(?m)^const Version = "(.*)"$`)
	headingLine = regexp.MustCompile(`(?m)^## .*$`)
	entryLine   = regexp.MustCompile(`^## \[(.*)\] - (.*)$`)
	mention     = regexp.MustCompile(`\b(oktaretry(?:/[a-z0-9]+)*[:@])(v\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]*[0-9A-Za-z])?)`)
)

// repository is a checkout of this project.
type repository struct {
	dir       string
	version   string // of oktaretry.Version, with a v
	work      *modfile.WorkFile
	modules   []*module
	entry     string // the version of the CHANGELOG's newest entry, with a v
	entryDate string
	entryText string
}

// open reads a checkout. Its modules are ordered: each comes after those it requires.
func open(dir string) (*repository, error) {
	r := &repository{dir: dir}
	var err error
	if r.work, r.modules, err = readModules(dir); err != nil {
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

// readEntry reads the CHANGELOG's first heading and what stands below it.
func (r *repository) readEntry() error {
	text, err := os.ReadFile(filepath.Join(r.dir, changelogFile))
	if err != nil {
		return err
	}
	headings := headingLine.FindAllIndex(text, 2)
	if headings == nil {
		return fmt.Errorf("%s has no entry of the form ## [1.2.3] - %s", changelogFile, unreleased)
	}
	at, end := headings[0], len(text)
	if len(headings) > 1 {
		end = headings[1][0]
	}
	heading := text[at[0]:at[1]]
	found := entryLine.FindSubmatch(heading)
	if found == nil || !isDate(string(found[2])) {
		return fmt.Errorf("%s: the newest entry is %q, want the form ## [1.2.3] - %s, or a date as in %s",
			changelogFile, heading, unreleased, time.DateOnly)
	}
	r.entry, r.entryDate, r.entryText = "v"+string(found[1]), string(found[2]), string(text[at[1]:end])
	return nil
}

func isDate(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil || s == unreleased
}

// hasLines reports whether the CHANGELOG's newest entry lists a change.
func (r *repository) hasLines() bool {
	return slices.ContainsFunc(strings.Split(r.entryText, "\n"), func(line string) bool { return strings.HasPrefix(line, "- ") })
}

// setVersion writes version wherever it is named.
func (r *repository) setVersion(version string) error {
	for _, m := range r.modules {
		for _, q := range m.own() {
			if err := m.file.AddRequire(q.Mod.Path, version); err != nil {
				return err
			}
		}
		if err := r.writeModule(m); err != nil {
			return err
		}
	}
	err := r.rewrite(versionFile, func(text []byte) []byte {
		return versionLine.ReplaceAll(text, []byte(`const Version = "`+version[1:]+`"`))
	})
	if err != nil {
		return err
	}
	r.version = version
	return r.eachMention(func(file string, text []byte, _ []string) error {
		return os.WriteFile(filepath.Join(r.dir, file), mention.ReplaceAll(text, []byte("${1}"+version)), 0o644)
	})
}

func (r *repository) writeModule(m *module) error {
	text, err := m.file.Format()
	if err != nil {
		return err
	}
	return os.WriteFile(r.path(m, "go.mod"), text, 0o644)
}

// eachMention calls f with each file that mentions versions of this project, and with them.
func (r *repository) eachMention(f func(file string, text []byte, versions []string) error) error {
	for _, from := range mentioning {
		err := fs.WalkDir(os.DirFS(r.dir), from, func(file string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) || d != nil && d.IsDir() {
				return nil
			}
			text, err := os.ReadFile(filepath.Join(r.dir, file))
			if err != nil {
				return err
			}
			var versions []string
			for _, found := range mention.FindAllSubmatch(text, -1) {
				versions = append(versions, string(found[2]))
			}
			if versions == nil {
				return nil
			}
			return f(file, text, versions)
		})
		if err != nil {
			return err
		}
	}
	return nil
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
