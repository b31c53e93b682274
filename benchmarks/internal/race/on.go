//go:build race

// Package race tells whether the race detector is on: some peers race, and all
// are slow then.
package race

// Enabled tells whether the race detector is on.
const Enabled = true
