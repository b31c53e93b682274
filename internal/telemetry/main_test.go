// This file runs the tests of the package.

package telemetry_test

import (
	"os"
	"testing"

	"github.com/oktaretry/oktaretry/internal/rig/gotest"
)

func TestMain(m *testing.M) { os.Exit(gotest.Main(m)) }
