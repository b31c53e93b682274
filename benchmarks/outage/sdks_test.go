package outage_test

// This file drives the two SDKs of Okta's.

import (
	"context"
	"net/http"

	okta2 "github.com/okta/okta-sdk-golang/v2/okta"
	"github.com/okta/okta-sdk-golang/v2/okta/query"
	okta5 "github.com/okta/okta-sdk-golang/v5/okta"

	"github.com/oktaretry/oktaretry/benchmarks/internal/peers"
)

func sdk2(base http.RoundTripper) client {
	c := peers.SDK2(base, org, "token")
	return func(ctx context.Context, endpoint string) (err error) {
		switch endpoint {
		case getUser:
			_, _, err = c.User.GetUser(ctx, "00a1")
		case listUsers:
			_, _, err = c.User.ListUsers(ctx, query.NewQueryParams(query.WithLimit(1)))
		case getGroup:
			_, _, err = c.Group.GetGroup(ctx, "00a1")
		case createUser:
			profile := okta2.UserProfile{"login": "a@example.com", "email": "a@example.com"}
			_, _, err = c.User.CreateUser(ctx, okta2.CreateUserRequest{Profile: &profile}, nil)
		case createGroup:
			_, _, err = c.Group.CreateGroup(ctx, okta2.Group{Profile: &okta2.GroupProfile{Name: "g"}})
		}
		return err
	}
}

func sdk5(base http.RoundTripper) client {
	c := peers.SDK5(base, org, "token")
	return func(ctx context.Context, endpoint string) (err error) {
		switch endpoint {
		case getUser:
			_, _, err = c.UserAPI.GetUser(ctx, "00a1").Execute()
		case listUsers:
			_, _, err = c.UserAPI.ListUsers(ctx).Limit(1).Execute()
		case getGroup:
			_, _, err = c.GroupAPI.GetGroup(ctx, "00a1").Execute()
		case createUser:
			profile := okta5.NewUserProfile()
			profile.SetLogin("a@example.com")
			_, _, err = c.UserAPI.CreateUser(ctx).Body(*okta5.NewCreateUserRequest(*profile)).Execute()
		case createGroup:
			profile := okta5.NewGroupProfile()
			profile.SetName("g")
			g := okta5.NewGroup()
			g.SetProfile(*profile)
			_, _, err = c.GroupAPI.CreateGroup(ctx).Group(*g).Execute()
		}
		return err
	}
}
