// This file reads the lists under paths: Okta's endpoints that its description leaves out.

package main

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed paths/*.txt
var pathLists embed.FS

// listedPaths returns the path templates of all lists. A list holds one template a line; lines that are empty or start
// with # hold none.
func listedPaths(lists fs.FS) ([]string, error) {
	files, err := fs.Glob(lists, "paths/*.txt")
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, file := range files {
		list, err := fs.ReadFile(lists, file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(list)) {
			line = strings.TrimSpace(line)
			switch {
			case line == "" || strings.HasPrefix(line, "#"):
			case strings.HasPrefix(line, "/"):
				paths = append(paths, line)
			default:
				return nil, fmt.Errorf("%s: %q is no path", file, line)
			}
		}
	}
	return paths, nil
}
