// This file has the tests' own program be the command, where a test starts it as one.

package main

import (
	"flag"
	"os"
	"testing"

	"github.com/fatih/color"
)

// asCommand is set in the environment of what the tests start.
const asCommand = "OKTARETRY_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Setenv(asCommand, "1")
	color.NoColor = true           // go test may have a terminal
	startVirtualTime = func() {}   // a test is running already
	flag.Set("test.parallel", "8") // for some wait; unless -parallel is given
	os.Exit(m.Run())
}
