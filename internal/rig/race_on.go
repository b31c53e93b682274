// This file knows that the race detector is on.

//go:build race

package rig

// Race reports whether the race detector is on: it allocates, and takes its
// time.
const Race = true
