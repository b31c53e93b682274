//go:build !race

// This file is for tests with the race detector off.

package contract_test

const raceEnabled = false
