// Package cost measures what a call costs above its base, beside the peers: time,
// allocations and bytes, in one run for all of them.
//
//	go test ./benchmarks/cost -run TestCost -update -v
//
// writes the tables of docs/cost.md and the plot cost.svg, in two minutes. Without -update the same test holds this library to its
// targets, in some seconds: they are ratios to a peer within the run, and
// allocations, for absolute times say more of a machine than of a library.
//
//	go test ./benchmarks/cost -run TestGrowth -update -v
//
// measures how that grows with the work: with the goroutines that call, the endpoints
// and buckets that are known, the calls that wait in one bucket. It writes the last table
// of docs/cost.md and the plot growth.svg. With -timed instead the same test holds each
// line to its bound, in some seconds.
package cost
