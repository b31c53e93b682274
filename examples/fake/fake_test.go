// This file runs the tests in other languages, as their users do.

package fake

import (
	"embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/oktaretry/oktaretry/examples/internal/program"
	_ "github.com/oktaretry/oktaretry/oktatest/control" // what the command serves: go test notices its changes
)

// What is run is embedded, so that go test notices its changes.
//
//go:embed org.yaml test_sync.py sync.test.mjs
var _ embed.FS

var full = flag.Bool("full", false, "run the tests in all languages, instead of the first one's alone")

// suites are the tests in other languages.
var suites = []struct {
	language string
	check    []string // a command that succeeds where the language is there
	run      []string
}{
	{"Python", []string{"python3", "-c", "import unittest"}, []string{"python3", "-m", "unittest", "-v", "test_sync.py"}},
	{"Node", []string{"node", "--eval", "fetch; if (parseInt(process.versions.node) < 20) process.exit(1)"}, []string{"node", "--test", "sync.test.mjs"}},
}

func TestOtherLanguagesTestTheirProgramsAgainstTheFake(t *testing.T) {
	if testing.Short() {
		t.Skip("left out in short mode: real processes and real waits")
	}
	path, err := program.Path()
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range suites {
		if i > 0 && !*full {
			t.Logf("%s is left out: run it with -full", s.language)
			continue
		}
		t.Run(s.language, func(t *testing.T) {
			t.Parallel()
			if out, err := exec.Command(s.check[0], s.check[1:]...).CombinedOutput(); err != nil {
				missing := fmt.Sprintf("left out: %q fails: %v %s (Debian: python3, nodejs 20 or later)", s.check, err, out)
				if os.Getenv("CI") != "" {
					t.Fatal(missing)
				}
				t.Skip(missing)
			}
			cmd := exec.CommandContext(t.Context(), s.run[0], s.run[1:]...)
			cmd.Env = append(os.Environ(), "OKTARETRY="+path, "PYTHONDONTWRITEBYTECODE=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v:\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
