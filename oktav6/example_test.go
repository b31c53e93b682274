package oktav6_test

import (
	"context"
	"fmt"
	"log"

	"github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav6"
)

// A program that reads all users, whose call for a token Okta refuses at first. The
// SDK itself would end with "Empty access token".
func Example() {
	org := oktatest.StartServer(oktatest.WithUsers(450), oktatest.RequireAuth("only tokens of its own"))
	defer org.Close()
	org.Script("POST /oauth2/v1/token", oktatest.RateLimited(0))

	ctx := context.Background()
	transport, err := oktaretry.NewTransport(nil)
	if err != nil {
		log.Fatal(err)
	}
	client, err := oktav6.NewClient(ctx, transport, okta.WithOrgUrl(org.URL), okta.WithAuthorizationMode("PrivateKey"),
		okta.WithClientId("0oaclient"), okta.WithScopes([]string{"okta.users.read"}), okta.WithPrivateKey(privateKey()))
	if err != nil {
		log.Fatal(err)
	}
	n := 0
	for users, err := range oktav6.Pages(ctx, client.UserAPI.ListUsers(ctx).Limit(200)) {
		if err != nil {
			log.Fatal(err)
		}
		n += len(users)
	}
	fmt.Println(n, "users after", org.Count("POST /oauth2/v1/token"), "token calls")
	// Output: 450 users after 2 token calls
}
