//go:build race

// This file is for tests with the race detector on.

package contract_test

const raceEnabled = true
