// Command platforms type-checks packages for other platforms, with their tests.
//
//	platforms windows/amd64,darwin/arm64,linux/386 [package ...]
//
// It reads all that packages import from source, as a compiler's front end does,
// without the bodies of their functions, and generates no code: that is a fraction of
// what go vet takes, which compiles the SDKs for each platform. Without packages it
// checks all of the workspace.
package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/tools/go/packages"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: platforms GOOS/GOARCH,... [package ...]")
		os.Exit(2)
	}
	patterns := os.Args[2:]
	if len(patterns) == 0 {
		patterns = []string{"work"}
	}
	debug.SetGCPercent(400) // nearly all of what is read is kept: a third of the time
	failed := false
	for platform := range strings.SplitSeq(os.Args[1], ",") {
		began := time.Now()
		n, wrong, err := check(platform, patterns)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", platform, err)
		}
		failed = failed || err != nil || wrong > 0
		fmt.Printf("%s: %d packages, test variants included, %d errors (%.0f s)\n", platform, n, wrong, time.Since(began).Seconds())
	}
	if failed {
		os.Exit(1)
	}
}

// check type-checks packages for a platform, GOOS/GOARCH, and prints the errors.
func check(platform string, patterns []string) (checked, wrong int, err error) {
	goos, goarch, both := strings.Cut(platform, "/")
	if !both {
		return 0, 0, fmt.Errorf("a platform is GOOS/GOARCH")
	}
	pkgs, err := packages.Load(&packages.Config{
		Mode:      packages.LoadAllSyntax,
		Tests:     true,
		ParseFile: parse,
		Env:       append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0"),
	}, patterns...)
	if err != nil {
		return 0, 0, err
	}
	if len(pkgs) == 0 {
		return 0, 0, fmt.Errorf("no packages match %s", strings.Join(patterns, " "))
	}
	for _, p := range pkgs {
		for _, e := range p.Errors {
			fmt.Fprintln(os.Stderr, e)
			wrong++
		}
	}
	return len(pkgs), wrong, nil
}

// parse parses a file, without the bodies of functions where it is of another module:
// what is checked needs their declarations only. Errors that come of that are of
// packages that were not named, and not counted.
func parse(fset *token.FileSet, name string, text []byte) (*ast.File, error) {
	file, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
	if file == nil || !imported(name) {
		return file, err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			f.Body = nil
		}
	}
	return file, err
}

// imported reports whether a file is of Go itself or of the module cache.
func imported(name string) bool {
	return strings.HasPrefix(name, build.Default.GOROOT+string(os.PathSeparator)) || strings.Contains(filepath.ToSlash(name), "/pkg/mod/")
}
