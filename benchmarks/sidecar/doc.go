// Package sidecar measures what the command proxy costs beside a bare
// httputil.ReverseProxy and beside HAProxy and nginx as plain reverse proxies, on one
// machine and in one run:
//
//	go test ./benchmarks/sidecar -run TestOverhead -full -v
//
// With -update it writes the table into docs/sidecar.md. HAProxy and nginx take part
// where their programs are found by the PATH. The figures are ratios: each proxy is a
// process of its own, and the proxies take turns in short rounds, so that what else the
// machine does meets all of them.
package sidecar
