// This file is the steps of a release.

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// check returns all that does not name the version of oktaretry.Version.
func (r *repository) check() error {
	var wrong []error
	if !released(r.version) {
		wrong = append(wrong, fmt.Errorf("%s: Version %q is no version", versionFile, r.version))
	}
	if r.entry != r.version {
		wrong = append(wrong, fmt.Errorf("%s: the newest entry is %s, but Version is %s", changelogFile, r.entry, r.version))
	}
	for _, m := range r.modules {
		for _, q := range m.own() {
			if q.Mod.Version != r.version {
				wrong = append(wrong, fmt.Errorf("%s requires %s, but Version is %s", r.path(m, "go.mod"), q.Mod, r.version))
			}
		}
	}
	return errors.Join(wrong...)
}

// begin makes everything name a version that is to come.
func (r *repository) begin(version string) error {
	switch {
	case !released(version):
		return fmt.Errorf("%q is no version of the form v1.2.3", version)
	case semver.Compare(version, r.version) <= 0:
		return fmt.Errorf("%s does not come after %s", version, r.version)
	case r.entryDate == unreleased:
		return fmt.Errorf("%s has the entry %s, which is %s", changelogFile, r.entry, unreleased)
	}
	heading := fmt.Sprintf("## [%s] - %s\n\n", version[1:], unreleased)
	err := r.rewrite(changelogFile, func(text []byte) []byte {
		at := entryLine.FindIndex(text)[0]
		return slices.Concat(text[:at], []byte(heading), text[at:])
	})
	return errors.Join(err, r.setVersion(version))
}

// tag dates the entry of the version that was begun, commits that and tags the commit for each module. It returns the
// tags, each after those of the modules that its module requires. What is tagged has no replace directives in the modules
// of commands; the commit after it has them again.
func (r *repository) tag(now time.Time) (tags []string, err error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	if r.entryDate != unreleased {
		return nil, fmt.Errorf("%s says that %s was released on %s", changelogFile, r.entry, r.entryDate)
	}
	if changes, err := r.git("status", "--porcelain"); err != nil || changes != "" {
		return nil, errors.Join(fmt.Errorf("there are changes that are not committed:\n%s", changes), err)
	}
	for _, m := range r.modules {
		if !slices.Contains(unpublished, m.name) {
			tags = append(tags, m.tagFor(r.version))
		}
	}
	if known, err := r.git(append([]string{"tag", "--list"}, tags...)...); err != nil || known != "" {
		return nil, errors.Join(fmt.Errorf("there are tags already: %s", strings.Fields(known)), err)
	}
	err = r.rewrite(changelogFile, func(text []byte) []byte {
		found := entryLine.FindSubmatchIndex(text)
		return slices.Concat(text[:found[4]], []byte(now.UTC().Format(time.DateOnly)), text[found[5]:])
	})
	if err != nil {
		return nil, err
	}
	replaced, err := r.dropReplacements()
	if err != nil {
		return nil, err
	}
	if _, err := r.git("commit", "-q", "-a", "-m", "Release "+r.version); err != nil {
		return nil, err
	}
	for _, tag := range tags {
		if _, err := r.git("tag", "-a", "-m", tag, tag); err != nil {
			return nil, err
		}
	}
	return tags, r.restore(replaced)
}

// dropReplacements takes the replace directives out of the modules of commands: go run path@version refuses a module that
// has any. It returns what their go.mod files had before, by path.
func (r *repository) dropReplacements() (before map[string][]byte, err error) {
	before = make(map[string][]byte)
	for _, m := range r.modules {
		if !m.isCommand() {
			continue
		}
		path := r.path(m, "go.mod")
		if before[path], err = os.ReadFile(path); err != nil {
			return nil, err
		}
		for _, replace := range slices.Clone(m.file.Replace) {
			if err := m.file.DropReplace(replace.Old.Path, replace.Old.Version); err != nil {
				return nil, err
			}
		}
		m.file.Cleanup()
		text, err := m.file.Format()
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return nil, err
		}
	}
	return before, nil
}

// restore commits what dropReplacements found: until the next release, commands are built with the modules beside them.
func (r *repository) restore(before map[string][]byte) error {
	for path, text := range before {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	if changes, err := r.git("status", "--porcelain"); err != nil || changes == "" {
		return err
	}
	_, err := r.git("commit", "-q", "-a", "-m", "Build commands with the modules beside them again, after "+r.version)
	return err
}

func (r *repository) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}
