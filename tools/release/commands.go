// This file makes the modules of commands ones that go install path@version accepts: without replace directives.

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	gomodule "golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	"golang.org/x/mod/zip"
)

// withoutReplacements commits the modules of commands without replace directives, for the tags of commands alone. The
// directives move to go.work, so that a checkout of such a tag is built of the modules in it, as that of any other; and
// go.sum gets the hashes of the modules that are required, for who builds the command by its go.mod. It reports whether
// there was something to commit.
func (r *repository) withoutReplacements() (committed bool, err error) {
	for _, m := range r.modules {
		if !m.isCommand() || len(m.file.Replace) == 0 {
			continue
		}
		if err := r.addSums(m); err != nil {
			return false, err
		}
		if err := r.moveReplacements(m); err != nil {
			return false, err
		}
		committed = true
	}
	if !committed {
		return false, nil
	}
	if err := os.WriteFile(filepath.Join(r.dir, "go.work"), modfile.Format(r.work.Syntax), 0o644); err != nil {
		return false, err
	}
	return true, r.commit("Release the commands of " + r.version + " without replace directives, which go install refuses")
}

// moveReplacements moves m's replace directives to go.work. There they are for one version: go.work may not replace all
// versions of a module that it uses.
func (r *repository) moveReplacements(m *module) error {
	for _, replace := range slices.Clone(m.file.Replace) {
		old := replace.Old // DropReplace clears it
		if err := m.file.DropReplace(old.Path, old.Version); err != nil {
			return err
		}
		if err := r.work.AddReplace(old.Path, r.version, "./"+below(old.Path), ""); err != nil {
			return err
		}
	}
	m.file.Cleanup()
	return r.writeModule(m)
}

// below returns the directory of a module of this repository, "" for the root.
func below(modulePath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(modulePath, rootPath), "/")
}

// addSums writes the hashes of the modules of this repository that m requires to its go.sum, as they are in HEAD.
func (r *repository) addSums(m *module) error {
	path := r.path(m, "go.sum")
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	var sums []string
	for _, q := range m.own() {
		sum, err := r.sums(q.Mod)
		if err != nil {
			return err
		}
		sums = append(sums, sum...)
	}
	lines := slices.Concat(slices.Collect(strings.Lines(string(text))), sums)
	slices.SortStableFunc(lines, func(a, b string) int { return strings.Compare(modulePath(a), modulePath(b)) })
	return os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644)
}

// modulePath returns the module that a line of go.sum is for.
func modulePath(line string) string {
	path, _, _ := strings.Cut(line, " ")
	return path
}

// sums returns go.sum's two lines for a module of this repository as it is in HEAD: of all its files, and of its go.mod.
func (r *repository) sums(m gomodule.Version) (lines []string, err error) {
	archive, err := os.CreateTemp("", "module-*.zip")
	if err != nil {
		return nil, err
	}
	defer os.Remove(archive.Name())
	defer archive.Close()
	root, err := filepath.Abs(r.dir)
	if err != nil {
		return nil, err
	}
	if err := zip.CreateFromVCS(archive, m, root, "HEAD", below(m.Path)); err != nil {
		return nil, err
	}
	all, err := dirhash.HashZip(archive.Name(), dirhash.Hash1)
	if err != nil {
		return nil, err
	}
	gomod, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return os.Open(filepath.Join(root, below(m.Path), "go.mod"))
	})
	return []string{
		fmt.Sprintf("%s %s %s\n", m.Path, m.Version, all),
		fmt.Sprintf("%s %s/go.mod %s\n", m.Path, m.Version, gomod),
	}, err
}
