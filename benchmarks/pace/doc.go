// Package pace measures how this library and its peers use a rate limit that
// they share: how long a job takes, how often Okta refuses, how often another
// app of the org is refused because of it. It runs in virtual time, against the
// fake of oktatest.
//
//	go test ./benchmarks/pace -run TestScenarios -update
//
// writes RESULTS.md, the plots pace.svg and docs/img/429s.svg, and the table of docs/pace.md. With
// -full instead, or without a flag in small, the same test holds this library to its
// targets only: goroutines are scheduled differently in every run, so no two tables are
// equal.
package pace
