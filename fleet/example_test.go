package fleet_test

import (
	"fmt"
	"log"

	"github.com/redis/go-redis/v9"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/fleet"
)

// secretOfTheFleet reads it from where your secrets are.
func secretOfTheFleet() string { return "at least sixteen bytes" }

func Example() {
	client := redis.NewClient(&redis.Options{
		Addr:                  "localhost:6379",
		ContextTimeoutEnabled: true, // a question ends when nobody waits for its answer any more
		MaxRetries:            -1,   // nor is it asked again
	})
	defer client.Close()

	store, err := fleet.New(client)
	if err != nil {
		log.Fatal(err)
	}
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithShared(store,
		oktaretry.SharedSecret([]byte(secretOfTheFleet())), // the same for all processes
	))
	if err != nil {
		log.Fatal(err)
	}
	// Give it to the SDK, or use it as it is. Should Redis be lost, now or later,
	// calls go on by what this process knows.
	fmt.Println(transport.Client() != nil)
	// Output: true
}
