package main

// This file releases this project as it is, to a repository on disk, and gets each of its modules from there.

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var play = flag.Bool("play", false, "release this checkout to a repository on disk, and get each module from there: takes the go command and git")

// compiling has flags for what users run: Okta's SDKs, each a single package of a quarter of a million lines, compile
// unoptimised in a third of the time, and by paths that are trimmed the cache has them the next time.
var compiling = []string{"-trimpath", "-gcflags=github.com/okta/...=-N -l"}

// programs has a program for each library that is released.
const programs = "testdata/programs"

func TestEveryReleasedModuleHasAProgram(t *testing.T) {
	for _, name := range published {
		if m := (&module{name: name}); !m.isCommand() {
			if _, err := os.Stat(program(m)); err != nil {
				t.Error(err)
			}
		}
	}
}

func program(m *module) string {
	name := m.name
	if name == "." {
		name = "oktaretry"
	}
	return filepath.Join(programs, strings.ReplaceAll(name, "/", "_")+".go.txt")
}

// TestReleasedModulesCanBeHad is what maintainers of this project do, and then the first users of the release.
func TestReleasedModulesCanBeHad(t *testing.T) {
	if !*play {
		t.Skip("releases this checkout and builds programs: run it with -play")
	}
	dir := project(t, nil)
	copyCheckout(t, dir)
	origin := filepath.Join(t.TempDir(), "oktaretry.git")
	gitIn(t, dir, "init", "-q", "--bare", "-b", "main", origin)
	gitIn(t, dir, "remote", "add", "origin", origin)
	push := regexp.MustCompile("(?m)^git (push .*)$").FindStringSubmatch(taggedOutput(t, dir))
	if push == nil {
		t.Fatal("the command that pushes is not printed")
	}
	gitIn(t, dir, strings.Fields(push[1])...)

	r, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	env := cleanEnvironment(t, origin)
	for _, m := range r.modules {
		if m.isPublished() {
			t.Run(m.path(), func(t *testing.T) {
				if m.isCommand() {
					getCommand(t, env, m, r.version)
				} else {
					getLibrary(t, env, m, r.version)
				}
			})
		}
	}
	for _, m := range r.modules {
		if m.name == "." || m.isCommand() { // all libraries are tagged at one commit
			tag := m.tagFor(r.version)
			t.Run("checkout of "+tag, func(t *testing.T) { buildCheckout(t, env, origin, tag) })
		}
	}
}

// taggedOutput tags the version that was begun, and returns what that prints.
func taggedOutput(t *testing.T, dir string) string {
	var printed strings.Builder
	if err := run(&printed, dir, false, "", true); err != nil {
		t.Fatal(err)
	}
	return printed.String()
}

// getLibrary gets a module in each way in which a user can: by version, as the README says, and by an import alone.
func getLibrary(t *testing.T, env []string, m *module, version string) {
	text, err := os.ReadFile(program(m))
	if err != nil {
		t.Fatal(err)
	}
	for _, steps := range [][][]string{
		{{"get", m.path() + "@" + version}, {"get", "."}, {"mod", "tidy"}, slices.Concat([]string{"run"}, compiling, []string{"."})},
		{{"get", rootPath, m.path()}, {"get", "."}, {"list", "-deps", "."}},
		{{"list", "-mod=mod", "-deps", "."}, {"mod", "verify"}},
	} {
		user := t.TempDir()
		writeFile(t, filepath.Join(user, "main.go"), string(text))
		inUser(t, user, env, "mod", "init", "example.com/user")
		for _, args := range steps {
			inUser(t, user, env, args...)
		}
		got := inUser(t, user, env, "list", "-m", "-f", "{{.Path}} {{.Version}}{{with .Replace}} replaced{{end}}", "all")
		for line := range strings.Lines(got) {
			if path, had, _ := strings.Cut(strings.TrimSpace(line), " "); isOwn(path) && had != version {
				t.Errorf("a user of %s gets %s %s", m.path(), path, had)
			}
		}
		if t.Failed() {
			return
		}
	}
}

// getCommand installs a command, and runs it without.
func getCommand(t *testing.T, env []string, m *module, version string) {
	bin := t.TempDir()
	env = append(env, "GOBIN="+bin)
	for _, at := range []string{"@" + version, "@latest"} {
		inUser(t, bin, env, slices.Concat([]string{"install"}, compiling, []string{m.path() + at})...)
		printed, err := exec.Command(filepath.Join(bin, filepath.Base(m.name)), "version").CombinedOutput()
		if err != nil || !strings.Contains(string(printed), version[1:]) {
			t.Errorf("what go install has built prints %s (error %v), want version %s", printed, err, version)
		}
		inUser(t, bin, env, slices.Concat([]string{"run"}, compiling, []string{m.path() + at, "version"})...)
	}
}

// buildCheckout checks a tag out and resolves all that each module in it is built of, with go.work and by its go.mod alone.
func buildCheckout(t *testing.T, env []string, origin, tag string) {
	dir := filepath.Join(t.TempDir(), "oktaretry")
	gitIn(t, filepath.Dir(dir), "clone", "-q", "--branch", tag, origin, dir)
	r, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	inUser(t, dir, append(slices.Clone(env), "GOWORK="), "list", "-deps", "-test", "work")
	for _, m := range r.modules {
		inUser(t, filepath.Join(dir, filepath.FromSlash(m.name)), env, "list", "-deps", "-test", "./...")
	}
	if got := gitIn(t, dir, "status", "--porcelain"); got != "" {
		t.Errorf("building it has changed\n%s", got)
	}
}

// inUser runs the go command as the user of a release does, and returns what it prints.
func inUser(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, env
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	t.Logf("go %s", strings.Join(args, " "))
	return string(out)
}

// copyCheckout makes this checkout's files, changed ones as well, the only ones of the repository in dir.
func copyCheckout(t *testing.T, dir string) {
	gitIn(t, dir, "rm", "-rqf", ".")
	known := gitIn(t, "../..", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for _, name := range strings.Split(strings.TrimSuffix(known, "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), string(text))
	}
	gitIn(t, dir, "add", "-A")
	gitIn(t, dir, "commit", "-q", "-m", "This checkout")
}

// cleanEnvironment has an empty module cache, gets this project from a repository on disk, and the modules of others out of the cache
// of whoever runs the test before it asks a proxy.
func cleanEnvironment(t *testing.T, origin string) []string {
	cache := strings.TrimSpace(goEnv(t, "GOMODCACHE"))
	proxies := strings.TrimSpace(goEnv(t, "GOPROXY"))
	return append(os.Environ(),
		"GOWORK=off", "GOFLAGS=-modcacherw", "GOMODCACHE="+t.TempDir(), "GOPRIVATE="+rootPath, "GONOSUMDB=*", "GOVCS=*:git",
		"GOPROXY=file://"+filepath.ToSlash(cache)+"/cache/download,"+proxies,
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=url."+origin+".insteadOf", "GIT_CONFIG_VALUE_0=https://"+rootPath,
		"GIT_CONFIG_KEY_1=protocol.file.allow", "GIT_CONFIG_VALUE_1=always",
	)
}

func goEnv(t *testing.T, name string) string {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
