// This file runs the tests.

package replay_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain runs parallel tests sixteen at a time, unless -parallel says otherwise: most
// of them wait.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
