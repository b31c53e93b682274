// This file holds how the tests of a package are run that make much garbage.

package rig

import (
	"flag"
	"runtime/debug"
	"testing"
)

// Main runs the tests of a package that make much garbage and keep little, for its
// TestMain. The collector runs a quarter as often as by default. For benchmarks, of
// whose figures it is a part, it runs as ever.
func Main(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		debug.SetGCPercent(400)
	}
	m.Run()
}
