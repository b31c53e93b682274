// This file shows the suite on a stack of transports. It holds nothing else, so that
// godoc shows all of it.

package contract_test

import (
	"net/http"
	"testing"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/contract"
)

// userAgent is a layer of a program's own.
type userAgent struct{ base http.RoundTripper }

func (u userAgent) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context()) // the caller's request stays as it is
	req.Header.Set("User-Agent", "directory-sync/1.4")
	return u.base.RoundTrip(req)
}

// CloseIdleConnections is what the suite's first run asked for.
func (u userAgent) CloseIdleConnections() {
	if c, ok := u.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// testStack is a test: in your own package it is TestStack, and go test runs it. Each
// case is a subtest, such as TestStack/Waiting/….
func testStack(t *testing.T) {
	contract.Run(t, func(base http.RoundTripper) http.RoundTripper {
		transport, err := oktaretry.NewTransport(userAgent{base})
		if err != nil {
			t.Fatal(err)
		}
		return transport
	})
}

// A layer of one's own, below this library's, is held to the contract with it.
func Example() {
	var t *testing.T // from go test
	testStack(t)
}
