// This file holds how the tests of this package are run.

package soak_test

import (
	"os"
	"testing"

	"github.com/oktaretry/oktaretry/internal/rig/gotest"
)

func TestMain(m *testing.M) { os.Exit(gotest.Main(m)) }
