//go:build !race

// This file is for runs without the race detector.

package pace_test

const raceEnabled = false
