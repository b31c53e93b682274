// Package contract holds this library and its peers to the RoundTripper
// contract, the suite of [github.com/oktaretry/oktaretry/contract], and writes
// what comes of it into docs/contract.md and RESULTS.md:
//
//	go test ./benchmarks/contract -run TestPeers -update
//
// Without -update the same test fails when what is written there is no longer
// what is measured.
package contract
