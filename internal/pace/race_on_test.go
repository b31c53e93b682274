//go:build race

// This file is for runs with the race detector.

package pace_test

const raceEnabled = true
