package main

// This file releases this project as it is, to a repository on disk, and gets each of its modules from there.

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var play = flag.Bool("play", false, "release this checkout to a repository on disk, and get each module from there: takes the go command and git")

// unoptimised compiles Okta's SDKs, each a single package of a quarter of a million lines, in a third of the time.
const unoptimised = "-gcflags=github.com/okta/...=-N -l"

// programs has a program for each module that is released.
const programs = "testdata/programs"

func TestEveryReleasedModuleHasAProgram(t *testing.T) {
	r, err := open("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range r.modules {
		if slices.Contains(unpublished, m.name) || m.isCommand() {
			continue
		}
		if _, err := os.Stat(program(m)); err != nil {
			t.Error(err)
		}
	}
}

func program(m *module) string {
	name := strings.ReplaceAll(m.name, "/", "_")
	if m.name == "." {
		name = "oktaretry"
	}
	return filepath.Join(programs, name+".go.txt")
}

// TestReleasedModulesCanBeHad is what the first user of a release does: go get a module, or go run a command.
func TestReleasedModulesCanBeHad(t *testing.T) {
	if !*play {
		t.Skip("releases this checkout and builds programs: run it with -play")
	}
	dir := project(t, nil)
	copyCheckout(t, dir)
	r, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.tag(time.Now()); err != nil {
		t.Fatal(err)
	}
	env := cleanEnvironment(t, dir)
	for _, m := range r.modules {
		if slices.Contains(unpublished, m.name) {
			continue
		}
		t.Run(m.path(), func(t *testing.T) {
			user := t.TempDir()
			if m.isCommand() {
				inUser(t, user, env, "run", m.path()+"@"+r.version, "version")
				return
			}
			text, err := os.ReadFile(program(m))
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(user, "main.go"), string(text))
			for _, args := range [][]string{
				{"mod", "init", "example.com/user"}, {"get", m.path() + "@" + r.version}, {"get", "."}, {"run", unoptimised, "."},
			} {
				inUser(t, user, env, args...)
			}
		})
	}
}

// inUser runs the go command as the user of a release does.
func inUser(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
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

// cleanEnvironment has an empty module cache, gets this project from dir, and the modules of others out of the cache
// of whoever runs the test before it asks a proxy.
func cleanEnvironment(t *testing.T, dir string) []string {
	cache := strings.TrimSpace(goEnv(t, "GOMODCACHE"))
	proxies := strings.TrimSpace(goEnv(t, "GOPROXY"))
	return append(os.Environ(),
		"GOWORK=off", "GOFLAGS=-modcacherw", "GOMODCACHE="+t.TempDir(), "GOPRIVATE="+rootPath, "GONOSUMDB=*", "GOVCS=*:git",
		"GOPROXY=file://"+filepath.ToSlash(cache)+"/cache/download,"+proxies,
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=url."+dir+".insteadOf", "GIT_CONFIG_VALUE_0=https://"+rootPath,
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
