// Package soak tests a Transport under many goroutines, calls of every outcome
// and more names than are remembered. It holds tests only:
//
//	go test ./internal/soak -run '^TestSoak$' -soak -v
package soak
