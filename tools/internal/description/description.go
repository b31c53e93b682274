// Package description finds the OpenAPI descriptions that Okta's SDKs ship.
package description

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Management is Okta's description of its management API.
func Management() ([]byte, error) {
	return read("github.com/okta/okta-sdk-golang/v6", "okta", "api", "openapi.yaml")
}

// Governance is Okta's description of Identity Governance.
func Governance() ([]byte, error) {
	return read("github.com/okta/okta-governance-sdk-golang", "governance", "api", "openapi.yaml")
}

// read returns a file of a module, in the version that go.mod of the working directory's module requires. It ignores the
// workspace, in which another module could select a later version.
func read(module string, path ...string) ([]byte, error) {
	dir, err := goCommand("list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return nil, err
	}
	if dir == "" { // required, but not in the module cache yet
		if _, err := goCommand("mod", "download", module); err != nil {
			return nil, err
		}
		if dir, err = goCommand("list", "-m", "-f", "{{.Dir}}", module); err != nil {
			return nil, err
		}
	}
	return os.ReadFile(filepath.Join(append([]string{dir}, path...)...))
}

func goCommand(args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
		}
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return string(bytes.TrimSpace(out)), nil
}
