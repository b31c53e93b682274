// This file runs, with -full, the tests of examples/fake, in other languages, as their
// users do. They belong to another module: go test takes no notice when they change
// (-count=1 helps).

package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

var full = flag.Bool("full", false, "run the tests in other languages, and look at the command as the image has it")

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
	if !*full {
		t.Skip("left out: real processes and real waits; run it with -full")
	}
	t.Parallel()
	for _, s := range suites {
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
			cmd.Dir = "../../examples/fake"
			cmd.Env = append(os.Environ(), "OKTARETRY="+command, "PYTHONDONTWRITEBYTECODE=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v:\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}
