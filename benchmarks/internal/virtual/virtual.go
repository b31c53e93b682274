// Package virtual runs tests that live in virtual time.
package virtual

import (
	"flag"
	"runtime"
	"testing"

	"github.com/oktaretry/oktaretry/internal/rig/gotest"
)

// Main runs the tests of a package, as [gotest.Main] does, on one processor: goroutines
// in virtual time mostly wait for each other, and handing them from one processor to
// another costs more than the second one gains. Benchmarks run as ever.
func Main(m *testing.M) int {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		runtime.GOMAXPROCS(1)
	}
	return gotest.Main(m)
}
