package pace_test

// This file holds how the tests of this package are run.

import (
	"os"
	"testing"

	"github.com/oktaretry/oktaretry/benchmarks/internal/virtual"
)

func TestMain(m *testing.M) { os.Exit(virtual.Main(m)) }
