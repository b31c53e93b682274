package main

// This file releases a small repository.

import (
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// files are a repository with this project's modules, of which sidecar requires fleet as well.
var files = func() map[string]string {
	text := map[string]string{
		"go.work":                       "go 1.26.0\n\nuse (\n",
		"doc.go":                        "package oktaretry\n\nconst Version = \"0.1.0\"\n",
		"CHANGELOG.md":                  "# Changelog\n\n## [0.1.0] - unreleased\n\n- All.\n",
		"LICENSE":                       "None.\n",
		"README.md":                     "`go get github.com/oktaretry/oktaretry@v0.1.0`\n",
		"deploy/kubernetes.yaml":        "image: registry.example.com/oktaretry:v0.1.0\nother: registry.example.com/sync:v1.0.0\n",
		"fleet/internal/fleet.go":       "package fleet\n",
		"cmd/oktaretry/testdata/go.mod": "module example.com/other\n",
	}
	for _, name := range slices.Backward(slices.Concat(published, unpublished)) {
		text["go.work"] += "\t./" + name + "\n"
		text[path.Join(name, "go.mod")] = gomod(name, "")
	}
	text["go.work"] += ")\n"
	text["sidecar/go.mod"] = gomod("sidecar", "require "+rootPath+"/fleet v0.1.0\n\nreplace "+rootPath+"/fleet => ../fleet\n")
	return text
}()

// gomod is the go.mod of a module that requires the root, and more.
func gomod(name, more string) string {
	text := "module " + path.Join(rootPath, name) + "\n\ngo 1.26.0\n"
	if name != "." {
		up := strings.Repeat("../", 1+strings.Count(name, "/"))
		text += "\nrequire " + rootPath + " v0.1.0\n\nreplace " + rootPath + " => " + up + "\n"
	}
	return text + "\n" + more
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
	dir = checkout(t, changed)
	for _, args := range [][]string{{"init", "-q", "-b", "main", "--template="}, {"add", "."}, {"commit", "-q", "-m", "All"}} {
		gitIn(t, dir, args...)
	}
	return dir
}

// checkout makes a directory of files, some of them changed and some new.
func checkout(t *testing.T, changed map[string]string) (dir string) {
	dir = t.TempDir()
	all := maps.Clone(files)
	maps.Copy(all, changed)
	for name, text := range all {
		writeFile(t, filepath.Join(dir, name), text)
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
	branch, tags, err := r.tag(time.Date(2026, 11, 28, 1, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	want := "v0.1.0 policyfile/v0.1.0 oktav6/v0.1.0 oktav5/v0.1.0 oktav2/v0.1.0 fleet/v0.1.0 sidecar/v0.1.0 cmd/oktaretry/v0.1.0"
	if got := strings.Join(tags, " "); got != want || branch != "main" {
		t.Errorf("tagged %s on %s, want %s on main", got, branch, want)
	}
	if got := gitIn(t, dir, "show", "sidecar/v0.1.0^{commit}:CHANGELOG.md"); !strings.Contains(got, "## [0.1.0] - 2026-11-28\n") {
		t.Errorf("what is tagged has the CHANGELOG\n%s", got)
	}
	if got := gitIn(t, dir, "status", "--porcelain"); got != "" {
		t.Errorf("changes are left:\n%s", got)
	}
}

// go install path@version refuses a module with a replace directive. All other tags have them still: they are built with
// the modules beside them, by go.mod alone, too.
func TestOnlyTaggedCommandsHaveNoReplacements(t *testing.T) {
	dir := project(t, nil)
	before := strings.TrimSpace(gitIn(t, dir, "rev-parse", "HEAD"))
	if err := tagIn(dir); err != nil {
		t.Fatal(err)
	}
	const gomod = "cmd/oktaretry/go.mod"
	if got := gitIn(t, dir, "show", "cmd/oktaretry/v0.1.0^{commit}:"+gomod); strings.Contains(got, "replace") || !strings.Contains(got, "require "+rootPath+" v0.1.0") {
		t.Errorf("what is tagged has\n%s", got)
	}
	if got := gitIn(t, dir, "show", "cmd/oktaretry/v0.1.0^{commit}:go.work"); !strings.Contains(got, "replace "+rootPath+" v0.1.0 => ./\n") {
		t.Errorf("what is tagged has the go.work\n%s", got)
	}
	sums := gitIn(t, dir, "show", "cmd/oktaretry/v0.1.0^{commit}:cmd/oktaretry/go.sum")
	if !regexp.MustCompile(`^` + rootPath + ` v0\.1\.0 h1:\S+\n` + rootPath + ` v0\.1\.0/go\.mod h1:\S+\n$`).MatchString(sums) {
		t.Errorf("what is tagged has the go.sum\n%s", sums)
	}
	for _, rev := range []string{"v0.1.0^{commit}", "fleet/v0.1.0^{commit}", "HEAD"} {
		if got := gitIn(t, dir, "diff", "--stat", before, rev, "--", ".", ":!CHANGELOG.md"); got != "" {
			t.Errorf("%s differs from what was before the release:\n%s", rev, got)
		}
	}
}

// A hook that fails is what no check can foresee.
func TestAReleaseThatFailsLeavesAllAsItWas(t *testing.T) {
	dir := project(t, nil)
	before := gitIn(t, dir, "rev-parse", "HEAD")
	hook := filepath.Join(dir, ".git", "hooks", "commit-msg")
	writeFile(t, hook, "#!/bin/sh\nif grep -q 'without replace' \"$1\"; then echo no commits today >&2; exit 1; fi\n")
	if err := os.Chmod(hook, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := tagIn(dir); err == nil || !strings.Contains(err.Error(), "no commits today") {
		t.Errorf("error %v, want what the hook says", err)
	}
	if got := gitIn(t, dir, "tag") + gitIn(t, dir, "status", "--porcelain"); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
	if got := gitIn(t, dir, "rev-parse", "HEAD"); got != before {
		t.Errorf("HEAD is %s, was %s", got, before)
	}
}

func TestAVersionIsBegunEverywhere(t *testing.T) {
	dir := project(t, map[string]string{"CHANGELOG.md": datedEntry})
	if err := run(io.Discard, dir, false, "v0.2.0-rc.1", false); err != nil {
		t.Fatal(err)
	}
	if err := run(io.Discard, dir, true, "", false); err != nil {
		t.Error(err)
	}
	changed := gitIn(t, dir, "diff", "-U0")
	for _, line := range []string{
		`+const Version = "0.2.0-rc.1"`, "+## [0.2.0-rc.1] - unreleased",
		"+require " + rootPath + " v0.2.0-rc.1", "+require " + rootPath + "/fleet v0.2.0-rc.1",
		"+`go get " + rootPath + "@v0.2.0-rc.1`", "+image: registry.example.com/oktaretry:v0.2.0-rc.1",
	} {
		if !strings.Contains(changed, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, changed)
		}
	}
}

const datedEntry = "# Changelog\n\n## [0.1.0] - 2026-11-28\n\n- All.\n"

func TestWhatCannotBeReleasedIsAnError(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"a module that is behind": {
			"fleet/go.mod", strings.Replace(gomod("fleet", ""), "v0.1.0", "v0.0.0", 1),
			"fleet/go.mod requires github.com/oktaretry/oktaretry@v0.0.0, but Version is v0.1.0",
		},
		"a CHANGELOG that is behind": {"CHANGELOG.md", "## [0.0.9] - 2026-11-01\n", "the newest entry is v0.0.9, but Version is v0.1.0"},
		"a CHANGELOG of other form": {
			"CHANGELOG.md", "## [Unreleased]\n\n- All.\n\n" + datedEntry,
			`the newest entry is "## [Unreleased]", want the form ## [1.2.3] - unreleased`,
		},
		"a CHANGELOG with no date":    {"CHANGELOG.md", "## [0.1.0] - soon\n\n- All.\n", "or a date as in 2006-01-02"},
		"a CHANGELOG without entries": {"CHANGELOG.md", "# Changelog\n", "CHANGELOG.md has no entry"},
		"an image that is behind": {
			"deploy/kubernetes.yaml", "image: example.com/oktaretry:v0.0.9\n",
			"deploy/kubernetes.yaml names v0.0.9, but Version is v0.1.0",
		},
		"no version": {"doc.go", "package oktaretry\n\nconst Version = \"new\"\n", `Version "vnew" is no version`},

		"a module that go.work does not use": {"new/go.mod", gomod("new", ""), "new has a go.mod, but go.work does not use it"},
		"a module that is missing": {
			"go.work", strings.Replace(files["go.work"], "\t./oktav5\n", "", 1),
			"module oktav5 is missing: tools/release/modules.go lists it, go.work does not use it",
		},
		"a module without a go.mod": {"go.work", files["go.work"] + "\nuse ./new\n", "go.work uses ./new: open "},
		"a module of another path": {
			"fleet/go.mod", gomod("flet", ""),
			"fleet/go.mod: the module is github.com/oktaretry/oktaretry/flet, want github.com/oktaretry/oktaretry/fleet",
		},
		"a module that requires an unknown one": {
			"oktav6/go.mod", gomod("oktav6", "require "+rootPath+"/old v0.1.0\n"),
			"oktav6/go.mod requires github.com/oktaretry/oktaretry/old, which is none of the modules that go.work uses",
		},
		"a module that requires one without tags": {
			"oktav6/go.mod", gomod("oktav6", "require "+rootPath+"/tools v0.1.0\n"),
			"oktav6/go.mod requires github.com/oktaretry/oktaretry/tools, which is no library that is released",
		},
		"a module that cannot be built before the release": {
			"oktav6/go.mod", gomod("oktav6", "require "+rootPath+"/fleet v0.1.0\n"),
			"oktav6/go.mod requires github.com/oktaretry/oktaretry/fleet, but has no replace directive with its directory",
		},
		"a module that is built with a fork": {
			"oktav6/go.mod", gomod("oktav6", "replace example.com/x => example.com/y v1.0.0\n"),
			"oktav6/go.mod replaces example.com/x, which users of the module do not",
		},
		"a circle of modules": {
			"go.mod", gomod(".", "require "+rootPath+"/fleet v0.1.0\n"),
			"modules require each other in a circle: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, checkIn(checkout(t, map[string]string{c.file: c.text})), c.want)
		})
	}
}

func TestAModuleInNoListIsAnError(t *testing.T) {
	dir := checkout(t, map[string]string{"new/go.mod": gomod("new", ""), "go.work": files["go.work"] + "\nuse ./new\n"})
	wantError(t, checkIn(dir), "module new must be in one of two lists in tools/release/modules.go: published or unpublished")
}

func TestAVersionThatDoesNotFitIsNotBegun(t *testing.T) {
	dir := project(t, nil)
	wantError(t, beginIn(dir, "v0.2.0"), "0.1.0, which is unreleased: release that first, with -tag")
	wantError(t, run(io.Discard, dir, false, "v0.2.0", true), "give one of -check, -begin and -tag")

	writeFile(t, filepath.Join(dir, "CHANGELOG.md"), datedEntry)
	wantError(t, beginIn(dir, "0.2.0"), `"0.2.0" is no version of the form v1.2.3`)
	wantError(t, beginIn(dir, "v0.2.0+x"), "no version")
	wantError(t, beginIn(dir, "v0.0.9"), "v0.0.9 does not come after v0.1.0")
	wantError(t, beginIn(dir, "v2.0.0"), "v2.0.0 needs module paths that end in /v2")
	wantError(t, beginIn(dir, "v0.2.0"), "not committed:\nM CHANGELOG.md")
	gitIn(t, dir, "commit", "-qam", "Date")
	gitIn(t, dir, "tag", "fleet/v0.2.0")
	wantError(t, beginIn(dir, "v0.2.0"), "there are tags already: fleet/v0.2.0")
}

func TestWhatIsNotReadyIsNotTagged(t *testing.T) {
	dir := project(t, map[string]string{"CHANGELOG.md": datedEntry})
	wantError(t, tagIn(dir), "0.1.0 was released on 2026-11-28: begin the next version with -begin")

	writeFile(t, filepath.Join(dir, "CHANGELOG.md"), "## [0.1.0] - unreleased\n\n### Added\n\n## [0.0.9] - 2026-11-01\n\n- All.\n")
	wantError(t, tagIn(dir), "CHANGELOG.md lists no change below v0.1.0")
	writeFile(t, filepath.Join(dir, "CHANGELOG.md"), files["CHANGELOG.md"])
	wantError(t, tagIn(dir), "not committed:\nM CHANGELOG.md")
	gitIn(t, dir, "commit", "-qam", "Begin")
	writeFile(t, filepath.Join(dir, "new"), "")
	wantError(t, tagIn(dir), "not committed:\n?? new")
	gitIn(t, dir, "clean", "-q", "-f")
	gitIn(t, dir, "tag", "fleet/v0.1.0")
	wantError(t, tagIn(dir), "there are tags already: fleet/v0.1.0")
	gitIn(t, dir, "tag", "-d", "fleet/v0.1.0")
	gitIn(t, dir, "checkout", "-q", "--detach")
	wantError(t, tagIn(dir), "no branch is checked out")
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one that says %s", err, want)
	}
}

func checkIn(dir string) error { return run(io.Discard, dir, true, "", false) }

func tagIn(dir string) error { return run(io.Discard, dir, false, "", true) }

func beginIn(dir, version string) error { return run(io.Discard, dir, false, version, false) }

func TestThisProjectNamesOneVersion(t *testing.T) {
	if err := run(io.Discard, "../..", true, "", false); err != nil {
		t.Error(err)
	}
}
