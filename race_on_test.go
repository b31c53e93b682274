//go:build race

package oktaretry_test

const raceEnabled = true
