// Package virtual runs tests that live in virtual time.
package virtual

import (
	"flag"
	"runtime"
	"runtime/debug"
	"testing"
)

// Main runs the tests of a package, for its TestMain. Goroutines in virtual time
// mostly wait for each other, and handing them from one processor to another costs
// more than the second one gains; and of a small heap, most collections find little.
// So there is one processor, and collections are rarer. Benchmarks run as ever.
func Main(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.bench").Value.String() == "" {
		runtime.GOMAXPROCS(1)
		debug.SetGCPercent(400)
	}
	m.Run()
}
