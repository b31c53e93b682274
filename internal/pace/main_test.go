// This file holds how the tests of this package are run.

package pace_test

import (
	"testing"

	"github.com/oktaretry/oktaretry/internal/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }
