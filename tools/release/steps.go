// This file is the steps of a release.

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// check returns all that does not name the version of oktaretry.Version, and all that is wrong about the modules.
func (r *repository) check() error {
	wrong := []error{r.checkModules()}
	if !released(r.version) {
		wrong = append(wrong, fmt.Errorf("%s: Version %q is no version", versionFile, r.version))
	}
	if r.entry != r.version {
		wrong = append(wrong, fmt.Errorf("%s: the newest entry is %s, but Version is %s", changelogFile, r.entry, r.version))
	}
	for _, m := range r.modules {
		for _, q := range m.own() {
			if q.Mod.Version != r.version {
				wrong = append(wrong, fmt.Errorf("%s/go.mod requires %s, but Version is %s", m.name, q.Mod, r.version))
			}
		}
	}
	err := r.eachMention(func(file string, _ []byte, versions []string) error {
		for _, v := range versions {
			if v != r.version {
				wrong = append(wrong, fmt.Errorf("%s names %s, but Version is %s", file, v, r.version))
			}
		}
		return nil
	})
	return errors.Join(append(wrong, err)...)
}

// begin makes everything name a version that is to come.
func (r *repository) begin(version string) error {
	switch {
	case !released(version):
		return fmt.Errorf("%q is no version of the form v1.2.3", version)
	case semver.Major(version) > "v1":
		return fmt.Errorf("%s needs module paths that end in /%s: change them first, and this program", version, semver.Major(version))
	case r.entryDate == unreleased:
		return fmt.Errorf("%s has the entry %s, which is %s: release that first, with -tag", changelogFile, r.entry, unreleased)
	case semver.Compare(version, r.version) <= 0:
		return fmt.Errorf("%s does not come after %s", version, r.version)
	}
	if err := errors.Join(r.check(), r.checkClean(), r.checkNew(r.tags(r.modules, version))); err != nil {
		return err
	}
	heading := fmt.Sprintf("## [%s] - %s\n\n", version[1:], unreleased)
	err := r.rewrite(changelogFile, func(text []byte) []byte {
		at := headingLine.FindIndex(text)[0]
		return slices.Concat(text[:at], []byte(heading), text[at:])
	})
	return errors.Join(err, r.setVersion(version))
}

// tag dates the entry of the version that was begun, commits that, and tags the commit for each library and the one after
// it, which is without their replace directives, for each command. The last commit has them again. It returns the branch
// and the tags. If it fails, all is as it was.
func (r *repository) tag(now time.Time) (branch string, tags []string, err error) {
	branch, err = r.checkReady()
	if err != nil {
		return "", nil, err
	}
	before, err := r.git("rev-parse", "HEAD")
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.undo(before, tags))
		}
	}()
	if err := r.date(now); err != nil {
		return "", nil, err
	}
	libraries, commands := partition(r.modules)
	if err := r.tagAll(libraries, &tags); err != nil {
		return "", tags, err
	}
	changed, err := r.withoutReplacements()
	if err != nil {
		return "", tags, err
	}
	if err := r.tagAll(commands, &tags); err != nil || !changed {
		return branch, tags, err
	}
	return branch, tags, r.restore()
}

// checkReady reports what keeps the version that was begun from being tagged, or on which branch that would be.
func (r *repository) checkReady() (branch string, err error) {
	if err := r.check(); err != nil {
		return "", err
	}
	switch {
	case r.entryDate != unreleased:
		return "", fmt.Errorf("%s says that %s was released on %s: begin the next version with -begin", changelogFile, r.entry, r.entryDate)
	case !r.hasLines():
		return "", fmt.Errorf("%s lists no change below %s: write at least one line that begins with \"- \"", changelogFile, r.entry)
	}
	if branch, err = r.git("branch", "--show-current"); err == nil && branch == "" {
		err = errors.New("no branch is checked out: the commits of a release belong on one")
	}
	return branch, errors.Join(err, r.checkClean(), r.checkNew(r.tags(r.modules, r.version)))
}

func (r *repository) checkClean() error {
	changes, err := r.git("status", "--porcelain")
	if err == nil && changes != "" {
		err = fmt.Errorf("there are changes that are not committed:\n%s", changes)
	}
	return err
}

func (r *repository) checkNew(tags []string) error {
	known, err := r.git(append([]string{"tag", "--list"}, tags...)...)
	if err == nil && known != "" {
		err = fmt.Errorf("there are tags already: %s", strings.Join(strings.Fields(known), ", "))
	}
	return err
}

// tags returns the tags of those of modules that are published.
func (r *repository) tags(modules []*module, version string) (tags []string) {
	for _, m := range modules {
		if m.isPublished() {
			tags = append(tags, m.tagFor(version))
		}
	}
	return tags
}

// date writes the day of the release to the CHANGELOG, and commits that.
func (r *repository) date(now time.Time) error {
	day := now.UTC().Format(time.DateOnly)
	err := r.rewrite(changelogFile, func(text []byte) []byte {
		return bytes.Replace(text, []byte("] - "+unreleased), []byte("] - "+day), 1)
	})
	if err != nil {
		return err
	}
	return r.commit("Release " + r.version)
}

// tagAll tags HEAD for each of modules, and adds what it has tagged to tags.
func (r *repository) tagAll(modules []*module, tags *[]string) error {
	for _, m := range modules {
		if !m.isPublished() {
			continue
		}
		tag := m.tagFor(r.version)
		if _, err := r.git("tag", "-a", "-m", "Release "+r.version+" of "+m.path(), tag); err != nil {
			return err
		}
		*tags = append(*tags, tag)
	}
	return nil
}

// restore commits what was there before withoutReplacements: until the next release, commands are built with the modules
// beside them.
func (r *repository) restore() error {
	if _, err := r.git("revert", "--no-commit", "HEAD"); err != nil {
		return err
	}
	return r.commit("Build commands with the modules beside them again, after " + r.version)
}

// undo goes back to a commit, from which a release began with nothing to commit, and deletes the tags made since.
func (r *repository) undo(before string, tags []string) error {
	_, err := r.git("reset", "-q", "--hard", before)
	if len(tags) > 0 {
		_, errTags := r.git(append([]string{"tag", "-d"}, tags...)...)
		err = errors.Join(err, errTags)
	}
	return err
}

// commit commits all there is: before the release there was nothing to commit.
func (r *repository) commit(message string) error {
	if _, err := r.git("add", "-A"); err != nil {
		return err
	}
	_, err := r.git("commit", "-q", "-m", message)
	return err
}

// git runs git, and returns what it prints without the space around it.
func (r *repository) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w\n%s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
