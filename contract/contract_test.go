// This file holds this library to its own contract.

package contract_test

import (
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
