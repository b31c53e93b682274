// This file runs functions in virtual time.

package main

import (
	"flag"
	"sync"
	"testing"
	"testing/synctest"
)

// jobs are what is to run in virtual time.
var jobs = make(chan func())

// startVirtualTime starts the one test that runs them. Package testing/synctest needs a
// test, and testing.Main is how a program that go test has not built has one. It would end
// the program after its tests, so this one does not end.
var startVirtualTime = sync.OnceFunc(func() {
	testing.Init()
	must(flag.CommandLine.Parse(nil))
	all := func(string, string) (bool, error) { return true, nil }
	go testing.Main(all, []testing.InternalTest{{Name: "virtual time", F: func(t *testing.T) {
		for job := range jobs {
			synctest.Test(t, func(*testing.T) { job() })
		}
	}}}, nil, nil)
})

// inVirtualTime calls f in a bubble of testing/synctest, where ten minutes of waiting
// take no time, and returns when it has returned and all its goroutines have ended.
func inVirtualTime(f func()) {
	startVirtualTime()
	jobs <- f
	jobs <- func() {} // taken once f's bubble has ended
}
