// Package measure measures a fleet: real processes, real sockets, a real
// redis-server and a fake Okta with real windows.
//
//	go test ./fleet/measure -v -brief       # 4 processes, windows of 200 calls per 4 s
//	go test ./fleet/measure -v -full -timeout 40m -update
//
// The second takes some 25 minutes and writes RESULTS.md.
package measure
