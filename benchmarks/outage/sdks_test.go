package outage_test

// This file drives Okta's SDK. Older ones do the same in an outage.

import (
	"context"
	"net/http"

	okta6 "github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry/benchmarks/internal/sdks"
)

func sdk6(base http.RoundTripper) client {
	c := sdks.V6(base, org, "token")
	return func(ctx context.Context, endpoint string) (err error) {
		switch endpoint {
		case getUser:
			_, _, err = c.UserAPI.GetUser(ctx, "00a1").Execute()
		case listUsers:
			_, _, err = c.UserAPI.ListUsers(ctx).Limit(1).Execute()
		case getGroup:
			_, _, err = c.GroupAPI.GetGroup(ctx, "00a1").Execute()
		case createUser:
			profile := okta6.NewUserProfile()
			profile.SetLogin("a@example.com")
			_, _, err = c.UserAPI.CreateUser(ctx).Body(*okta6.NewCreateUserRequest(*profile)).Execute()
		case createGroup:
			profile := okta6.NewOktaUserGroupProfile()
			profile.SetName("g")
			g := okta6.NewAddGroupRequest()
			g.SetProfile(*profile)
			_, _, err = c.GroupAPI.AddGroup(ctx).Group(*g).Execute()
		}
		return err
	}
}
