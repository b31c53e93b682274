// This file holds this library to its own contract.

package contract_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/contract"
)

func ours(base http.RoundTripper) http.RoundTripper {
	tr, err := oktaretry.NewTransport(base)
	if err != nil {
		panic(err)
	}
	return tr
}

func TestThisLibraryKeepsTheContract(t *testing.T) {
	contract.Run(t, ours)
	for _, c := range contract.Cases() {
		if !c.Feature {
			continue // Run has checked it
		}
		if err := c.Check(t, ours); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
}

func TestExampleOfAStackKeepsTheContract(t *testing.T) { testStack(t) }

func myStack(base http.RoundTripper) http.RoundTripper { return base }

// docs/contract.md shows this test. A test of internal/docs compares the two.
func TestMyStack(t *testing.T) {
	contract.Run(t, func(base http.RoundTripper) http.RoundTripper { return myStack(base) })
}

// What the suite asks of the waits between attempts.
func ExampleCases() {
	for _, c := range contract.Cases() {
		if c.List == "Waiting" {
			fmt.Println(c.Name)
		}
	}
	// Output:
	// Retry-After is kept: never early, and not much late
	// a wait ends at once when the context is cancelled
	// the error of a cancelled wait matches context.Canceled
	// a wait that cannot fit before the deadline is not begun
	// a closed Request.Cancel ends the call, in flight and in a wait
	// a redirect of a poll does not post the challenge again
}
