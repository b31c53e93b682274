package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/okta/okta-sdk-golang/v2/okta"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/examples/internal/sdktest"
	"github.com/oktaretry/oktaretry/oktav2"
)

// TestMatrix meets each situation of ../SDKS.md.
func TestMatrix(t *testing.T) {
	sdktest.Run(t, sdktest.SDK{Name: "v2", Connect: connectMatrix, OwnError: func(err error) string {
		if e := (*okta.Error)(nil); errors.As(err, &e) {
			return "*okta.Error"
		}
		return ""
	}})
}

func connectMatrix(ctx context.Context, url string, transport *oktaretry.Transport, privateKey bool) (sdktest.Client, error) {
	org := fakeOrg(url)
	if privateKey {
		org = append(org, withPrivateKey()...)
	}
	client, err := oktav2.NewClient(ctx, transport, org...)
	return matrixClient{client}, err
}

// matrixClient is the SDK as the matrix calls it.
type matrixClient struct{ *okta.Client }

func answer(got string, resp *okta.Response, err error) sdktest.Answer {
	a := sdktest.Answer{Got: got, Err: err}
	if resp != nil && resp.Response != nil {
		a.Status = resp.StatusCode
	}
	return a
}

func answerUser(field string, u *okta.User, resp *okta.Response, err error) sdktest.Answer {
	if u == nil {
		return answer("", resp, err)
	}
	return answer(fmt.Sprint((*u.Profile)[field]), resp, err)
}

func (c matrixClient) ListUsers(ctx context.Context) sdktest.Answer {
	n, err := syncUsers(ctx, c.Client)
	return answer(fmt.Sprintf("%d users", n), nil, err)
}

func (c matrixClient) GetUser(ctx context.Context, id string) sdktest.Answer {
	u, resp, err := c.User.GetUser(ctx, id)
	return answerUser("login", u, resp, err)
}

func (c matrixClient) CreateUser(ctx context.Context, login string) sdktest.Answer {
	profile := &okta.UserProfile{"login": login, "email": login}
	u, resp, err := c.User.CreateUser(ctx, okta.CreateUserRequest{Profile: profile}, nil)
	return answerUser("login", u, resp, err)
}

func (c matrixClient) UpdateUser(ctx context.Context, id, lastName string) sdktest.Answer {
	u, resp, err := c.User.PartialUpdateUser(ctx, id, okta.User{Profile: &okta.UserProfile{"lastName": lastName}}, nil)
	return answerUser("lastName", u, resp, err)
}

func (c matrixClient) ReplaceUser(ctx context.Context, id, lastName string) sdktest.Answer {
	profile := &okta.UserProfile{"login": "new@example.com", "email": "new@example.com", "lastName": lastName}
	u, resp, err := c.User.UpdateUser(ctx, id, okta.User{Profile: profile}, nil)
	return answerUser("lastName", u, resp, err)
}

func (c matrixClient) DeleteUser(ctx context.Context, id string) sdktest.Answer {
	resp, err := c.User.DeactivateOrDeleteUser(ctx, id, nil)
	return answer("no error", resp, err)
}

func (c matrixClient) VerifyFactor(ctx context.Context, user, factor string) sdktest.Answer {
	return answerFactor(c.UserFactor.VerifyFactor(ctx, user, factor, okta.VerifyFactorRequest{}, nil, nil))
}

func (c matrixClient) FactorResult(ctx context.Context, user, factor, transaction string) sdktest.Answer {
	return answerFactor(c.UserFactor.GetFactorTransactionStatus(ctx, user, factor, transaction))
}

func answerFactor(v *okta.VerifyUserFactorResponse, resp *okta.Response, err error) sdktest.Answer {
	if v == nil {
		return answer("", resp, err)
	}
	return answer(v.FactorResult, resp, err)
}
