package main

// This file releases a small repository.

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var files = map[string]string{
	"go.work":          "go 1.26.0\n\nuse (\n\t./adapter\n\t.\n\t./cmd/tool\n\t./store\n\t./tools\n)\n",
	"go.mod":           "module " + rootPath + "\n\ngo 1.26.0\n",
	"doc.go":           "package oktaretry\n\nconst Version = \"0.1.0\"\n",
	"CHANGELOG.md":     "# Changelog\n\n## [0.1.0] - unreleased\n\n- All.\n",
	"store/go.mod":     "module " + rootPath + "/store\n\ngo 1.26.0\n\nrequire " + rootPath + " v0.1.0\n",
	"adapter/go.mod":   "module " + rootPath + "/adapter\n\ngo 1.26.0\n\nrequire (\n\t" + rootPath + " v0.1.0\n\t" + rootPath + "/store v0.1.0\n)\n",
	"cmd/tool/go.mod":  "module " + rootPath + "/cmd/tool\n\ngo 1.26.0\n\nrequire " + rootPath + " v0.1.0\n\nreplace " + rootPath + " => ../../\n",
	"tools/go.mod":     "module " + rootPath + "/tools\n\ngo 1.26.0\n",
	"store/store.go":   "package store\n",
	"adapter/empty.go": "package adapter\n",
}

// project makes a repository of files, some of them changed.
func project(t *testing.T, changed map[string]string) (dir string) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed: releases are not tested")
	}
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		t.Setenv("GIT_"+who+"_NAME", "Test")
		t.Setenv("GIT_"+who+"_EMAIL", "test@example.com")
	}
	dir = t.TempDir()
	for name, text := range files {
		if c, ok := changed[name]; ok {
			text = c
		}
		writeFile(t, filepath.Join(dir, name), text)
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-q", "-m", "All"}} {
		gitIn(t, dir, args...)
	}
	return dir
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func gitIn(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestModulesAreTaggedAfterThoseThatTheyRequire(t *testing.T) {
	dir := project(t, nil)
	r, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	tags, err := r.tag(time.Date(2026, 11, 28, 1, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(tags, " "), "v0.1.0 cmd/tool/v0.1.0 store/v0.1.0 adapter/v0.1.0"; got != want {
		t.Errorf("tagged %s, want %s", got, want)
	}
	if got := gitIn(t, dir, "show", "adapter/v0.1.0^{commit}:CHANGELOG.md"); !strings.Contains(got, "## [0.1.0] - 2026-11-28\n") {
		t.Errorf("what is tagged has the CHANGELOG\n%s", got)
	}
	if got := gitIn(t, dir, "status", "--porcelain"); got != "" {
		t.Errorf("changes are left:\n%s", got)
	}
}

// go run path@version refuses a module with a replace directive.
func TestATaggedCommandHasNoReplacements(t *testing.T) {
	dir := project(t, nil)
	before := gitIn(t, dir, "show", "HEAD:cmd/tool/go.mod")
	r, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := tagged(r); err != nil {
		t.Fatal(err)
	}
	if got := gitIn(t, dir, "show", "cmd/tool/v0.1.0^{commit}:cmd/tool/go.mod"); strings.Contains(got, "replace") || !strings.Contains(got, "require "+rootPath+" v0.1.0") {
		t.Errorf("what is tagged has\n%s", got)
	}
	if got := gitIn(t, dir, "show", "HEAD:cmd/tool/go.mod"); got != before {
		t.Errorf("after the release it is\n%s\nwant\n%s", got, before)
	}
}

func TestAVersionIsBegunEverywhere(t *testing.T) {
	dir := project(t, map[string]string{"CHANGELOG.md": "# Changelog\n\n## [0.1.0] - 2026-11-28\n\n- All.\n"})
	if err := run(dir, false, "v0.2.0-rc.1", false); err != nil {
		t.Fatal(err)
	}
	if err := run(dir, true, "", false); err != nil {
		t.Error(err)
	}
	changed := gitIn(t, dir, "diff", "-U0")
	for _, line := range []string{
		`+const Version = "0.2.0-rc.1"`, "+## [0.2.0-rc.1] - unreleased",
		"+require " + rootPath + " v0.2.0-rc.1", "+\t" + rootPath + "/store v0.2.0-rc.1",
	} {
		if !strings.Contains(changed, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, changed)
		}
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	released := "# Changelog\n\n## [0.1.0] - 2026-11-28\n"
	for name, c := range map[string]struct {
		changed map[string]string
		do      func(*repository) error
		want    string
	}{
		"a version that is none":     {map[string]string{"CHANGELOG.md": released}, func(r *repository) error { return r.begin("0.2.0") }, "no version"},
		"a version with a build":     {map[string]string{"CHANGELOG.md": released}, func(r *repository) error { return r.begin("v0.2.0+x") }, "no version"},
		"an older version":           {map[string]string{"CHANGELOG.md": released}, func(r *repository) error { return r.begin("v0.0.9") }, "does not come after"},
		"a version beside one begun": {nil, func(r *repository) error { return r.begin("v0.2.0") }, "0.1.0, which is unreleased"},
		"a module that is behind": {
			map[string]string{"store/go.mod": "module " + rootPath + "/store\n\nrequire " + rootPath + " v0.0.0\n"},
			(*repository).check, "oktaretry@v0.0.0, but Version is v0.1.0",
		},
		"a CHANGELOG that is behind": {map[string]string{"CHANGELOG.md": "## [0.0.9] - 2026-11-01\n"}, (*repository).check, "entry is v0.0.9"},
		"no version":                 {map[string]string{"doc.go": "package oktaretry\n\nconst Version = \"new\"\n"}, (*repository).check, `"vnew"`},
		"what was tagged":            {map[string]string{"CHANGELOG.md": released}, tagged, "released on 2026-11-28"},
		"a change not committed": {nil, func(r *repository) error {
			writeFile(t, filepath.Join(r.dir, "new"), "")
			return tagged(r)
		}, "?? new"},
		"a tag that exists": {nil, func(r *repository) error {
			gitIn(t, r.dir, "tag", "store/v0.1.0")
			return tagged(r)
		}, "[store/v0.1.0]"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := open(project(t, c.changed))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.do(r); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one that says %s", err, c.want)
			}
		})
	}
}

func tagged(r *repository) error {
	_, err := r.tag(time.Now())
	return err
}

func TestACircleOfModulesIsAnError(t *testing.T) {
	dir := project(t, map[string]string{"go.mod": "module " + rootPath + "\n\nrequire " + rootPath + "/store v0.1.0\n"})
	if _, err := open(dir); err == nil || !strings.Contains(err.Error(), "circle") {
		t.Errorf("error %v", err)
	}
}

func TestThisProjectNamesOneVersion(t *testing.T) {
	if err := run("../..", true, "", false); err != nil {
		t.Error(err)
	}
}
