package chaos_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/chaos"
	"github.com/oktaretry/oktaretry/oktatest"
)

// Chaos stands below the library, where it would be Okta's network. Somebody switches
// it on for an afternoon, and off by the same switch.
func Example() {
	okta := oktatest.New(oktatest.WithUsers(1)) // in staging: Okta itself, over a nil base
	var on atomic.Bool                          // behind an admin page, a signal, a flag service

	faulty, err := chaos.NewTransport(okta.Transport(), chaos.Config{
		On: on.Load,
		Faults: []chaos.Fault{
			chaos.Latency(20 * time.Millisecond).Rate(0.5),
			chaos.Code("E0000009").On("GET /api/v1/users/*").Rate(0.5),
		},
		Seed: 5,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	transport, err := oktaretry.NewTransport(faulty)
	if err != nil {
		fmt.Println(err)
		return
	}

	on.Store(true)
	resp, err := transport.Client().Get("https://acme.okta.com/api/v1/users/user00000@example.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	fmt.Println(resp.StatusCode == http.StatusOK, faulty.Injected()["E0000009"], "injected")
	// Output: true 1 injected
}
