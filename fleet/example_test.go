// This file shows two processes that share a rate limit through Redis.

package fleet_test

import (
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/fleet"
	"github.com/oktaretry/oktaretry/oktatest"
)

// Two processes, each with a Transport of its own, share a limit of 5 calls: what the
// first uses up, the second does not send, though Okta has told it nothing yet. Should
// Redis be lost, calls go on by what each process knows.
func Example() {
	server, err := miniredis.Run() // in the place of your Redis or Valkey
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	okta := oktatest.New(oktatest.WithLimit("/api/v1/users", 5))

	for _, process := range []string{"first", "second"} {
		client := redis.NewClient(&redis.Options{
			Addr:                  server.Addr(),
			ContextTimeoutEnabled: true, // a question ends when nobody waits for its answer any more
			MaxRetries:            -1,   // nor is it asked again
		})
		defer client.Close()
		store, err := fleet.New(client)
		if err != nil {
			log.Fatal(err)
		}
		policy := oktaretry.DefaultPolicy()
		policy.Pace.MaxWait = time.Second // rather an error than a minute in line
		transport, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithPolicy(policy),
			oktaretry.WithShared(store,
				oktaretry.SharedSecret([]byte("at least sixteen bytes")), // the same for all processes
				oktaretry.SharedTimeout(time.Minute)))                    // for a busy machine: leave it at 50 ms
		if err != nil {
			log.Fatal(err)
		}

		sent := okta.Arrived()
		for err == nil {
			resp, callErr := transport.Client().Get("https://acme.okta.com/api/v1/users")
			if err = callErr; err == nil {
				resp.Body.Close()
			}
		}
		limited, ok := errors.AsType[*oktaretry.RateLimitError](err)
		fmt.Println("the", process, "sends", okta.Arrived()-sent, "and stops by itself:", ok && limited.ClientSide)
	}
	fmt.Println(okta.Answered(429), "refused by Okta")
	// Output:
	// the first sends 5 and stops by itself: true
	// the second sends 0 and stops by itself: true
	// 0 refused by Okta
}
