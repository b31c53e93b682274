// Package gotest runs the tests of a package.
package gotest

import (
	"flag"
	"os"
	"runtime/debug"
	"testing"
)

// Main runs the tests of a package and returns their exit status. It is for TestMain.
//
// Garbage is collected at five times the live heap, not at twice: the live heap of
// most tests is so small that a sixth of their time went into collections. Benchmarks
// have the default, as users have, and so does who sets GOGC.
func Main(m *testing.M) int {
	flag.Parse()
	if os.Getenv("GOGC") == "" && flag.Lookup("test.bench").Value.String() == "" {
		debug.SetGCPercent(400)
	}
	return m.Run()
}
