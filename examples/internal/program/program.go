// This file finds the command oktaretry for tests that run it.

// Package program builds the command oktaretry for tests of examples.
package program

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// printPath is set in the environment of what go run starts in place of the command: the
// test's own program, which prints the path that it is given and ends.
const printPath = "OKTARETRY_TEST_PRINT_PATH"

func init() {
	if os.Getenv(printPath) != "" && len(os.Args) == 2 {
		fmt.Println(os.Args[1])
		os.Exit(0)
	}
}

// Path returns the path of the command, which it builds at its first call. The file is in
// the build cache, where go run keeps what it has linked: while nothing changes, the
// command is linked once and not at each run of a test.
//
// It is safe for concurrent use.
var Path = sync.OnceValues(func() (path string, err error) {
	for range 2 { // the first time it is linked, go run names a copy that it removes
		if path, err = built(); err != nil {
			return "", err
		}
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("go run has not kept the command")
})

// built has go run build the command, and returns the path that it would run.
func built() (path string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	var errs bytes.Buffer
	cmd := exec.Command("go", "run", "-exec", `"`+self+`"`, "github.com/oktaretry/oktaretry/cmd/oktaretry")
	cmd.Env, cmd.Stderr = append(os.Environ(), printPath+"=1"), &errs
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, errs.String())
	}
	return strings.TrimSpace(string(out)), nil
}
