// This file finds Okta's OpenAPI description of its management API and reads the paths that it lists.

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

const sdkModule = "github.com/okta/okta-sdk-golang/v6"

// readDescription returns the description that the SDK ships, in the version that go.mod of the working directory's
// module requires. It ignores the workspace, in which another module could select a later version.
func readDescription() ([]byte, error) {
	dir, err := goCommand("list", "-m", "-f", "{{.Dir}}", sdkModule)
	if err != nil {
		return nil, err
	}
	if dir == "" { // required, but not in the module cache yet
		if _, err := goCommand("mod", "download", sdkModule); err != nil {
			return nil, err
		}
		if dir, err = goCommand("list", "-m", "-f", "{{.Dir}}", sdkModule); err != nil {
			return nil, err
		}
	}
	return os.ReadFile(filepath.Join(dir, "okta", "api", "openapi.yaml"))
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

// parsePaths returns the path templates of an OpenAPI description, those without an operation included: a path that
// Okta lists and does not yet describe is a real endpoint.
func parsePaths(description []byte) ([]string, error) {
	var doc struct {
		Paths map[string]yaml.Node `yaml:"paths"`
	}
	if err := yaml.Unmarshal(description, &doc); err != nil {
		return nil, fmt.Errorf("OpenAPI description: %w", err)
	}
	if len(doc.Paths) == 0 {
		return nil, errors.New("OpenAPI description: no paths")
	}
	paths := make([]string, 0, len(doc.Paths))
	for p := range doc.Paths {
		paths = append(paths, p)
	}
	return paths, nil
}
