// This file shows where the handler is mounted.

package debug_test

import (
	"log"
	"net/http"
	_ "net/http/pprof" // its own pages, under /debug/pprof/

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/debug"
)

// The page stands beside pprof, on an address that only operators reach.
func Example() {
	transport, err := oktaretry.NewTransport(nil)
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/debug/oktaretry", debug.Handler(transport))
	go http.ListenAndServe("localhost:6060", nil)
}
