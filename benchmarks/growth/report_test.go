package growth_test

import "testing"

func write(t *testing.T, all []measuredAxis) {}
