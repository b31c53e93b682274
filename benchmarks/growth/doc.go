// Package growth measures how the cost of a call grows with the work: with the
// goroutines that call, the endpoints and buckets that are known, the calls that
// wait in one bucket.
//
//	go test ./benchmarks/growth -run TestGrowth -update -v
//
// writes the table of docs/cost.md and the plot growth.svg. Without
// -update the same test holds each to its bound, in some seconds.
package growth
