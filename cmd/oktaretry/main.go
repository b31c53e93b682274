// Command oktaretry operates the library of that name: it explains what happens
// after each of Okta's errors, checks policy files, and serves a fake Okta.
//
//	go run github.com/oktaretry/oktaretry/cmd/oktaretry@latest help
//
// # Exit codes
//
//	0  it went well
//	1  it went well, and what was asked about is not so: a policy is refused, two differ, a code is unknown
//	2  it could not be done: wrong use, a file that cannot be read, a port in use
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
