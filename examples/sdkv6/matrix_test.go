package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"testing"

	"github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/examples/internal/sdktest"
	"github.com/oktaretry/oktaretry/oktav6"
)

var update = flag.Bool("update", false, "write SDKS.md")

func TestDocumentIsTheMatrix(t *testing.T) { sdktest.CheckDocument(t, *update) }

func TestSituationsHaveNamesOfTheirOwn(t *testing.T) { sdktest.CheckNames(t) }

// TestMatrix meets each situation of ../SDKS.md.
func TestMatrix(t *testing.T) {
	sdktest.Run(t, sdktest.SDK{Name: "v6", Connect: connectMatrix, OwnError: func(err error) string {
		if e := (*okta.GenericOpenAPIError)(nil); errors.As(err, &e) {
			return "*okta.GenericOpenAPIError"
		}
		return ""
	}})
}

func connectMatrix(ctx context.Context, url string, transport *oktaretry.Transport, privateKey bool) (sdktest.Client, error) {
	org := fakeOrg(url)
	if privateKey {
		org = append(org, withPrivateKey()...)
	}
	client, err := oktav6.NewClient(ctx, transport, org...)
	return matrixClient{client}, err
}

// matrixClient is the SDK as the matrix calls it.
type matrixClient struct{ *okta.APIClient }

func answer(got string, resp *okta.APIResponse, err error) sdktest.Answer {
	a := sdktest.Answer{Got: got, Err: err}
	if resp != nil && resp.Response != nil {
		a.Status = resp.StatusCode
	}
	return a
}

func (c matrixClient) ListUsers(ctx context.Context) sdktest.Answer {
	n, err := syncUsers(ctx, c.APIClient)
	return answer(fmt.Sprintf("%d users", n), nil, err)
}

func (c matrixClient) GetUser(ctx context.Context, id string) sdktest.Answer {
	u, resp, err := c.UserAPI.GetUser(ctx, id).Execute()
	if u == nil {
		return answer("", resp, err)
	}
	return answer(u.Profile.GetLogin(), resp, err)
}

func (c matrixClient) CreateUser(ctx context.Context, login string) sdktest.Answer {
	var p okta.UserProfile
	p.SetLogin(login)
	p.SetEmail(login)
	u, resp, err := c.UserAPI.CreateUser(ctx).Body(okta.CreateUserRequest{Profile: p}).Execute()
	if u == nil {
		return answer("", resp, err)
	}
	return answer(u.Profile.GetLogin(), resp, err)
}

func (c matrixClient) UpdateUser(ctx context.Context, id, lastName string) sdktest.Answer {
	var p okta.UserProfile
	p.SetLastName(lastName)
	return answerLastName(c.UserAPI.UpdateUser(ctx, id).User(okta.UpdateUserRequest{Profile: &p}).Execute())
}

func (c matrixClient) ReplaceUser(ctx context.Context, id, lastName string) sdktest.Answer {
	p := profile(lastName)
	return answerLastName(c.UserAPI.ReplaceUser(ctx, id).User(okta.UpdateUserRequest{Profile: &p}).Execute())
}

func answerLastName(u *okta.User, resp *okta.APIResponse, err error) sdktest.Answer {
	if u == nil {
		return answer("", resp, err)
	}
	return answer(u.Profile.GetLastName(), resp, err)
}

func (c matrixClient) DeleteUser(ctx context.Context, id string) sdktest.Answer {
	resp, err := c.UserAPI.DeleteUser(ctx, id).Execute()
	return answer("no error", resp, err)
}

func (c matrixClient) VerifyFactor(ctx context.Context, user, factor string) sdktest.Answer {
	v, resp, err := c.UserFactorAPI.VerifyFactor(ctx, user, factor).Execute()
	if v == nil {
		return answer("", resp, err)
	}
	return answer(v.GetFactorResult(), resp, err)
}

func (c matrixClient) FactorResult(ctx context.Context, user, factor, transaction string) sdktest.Answer {
	v, resp, err := c.UserFactorAPI.GetFactorTransactionStatus(ctx, user, factor, transaction).Execute()
	if v == nil {
		return answer("", resp, err)
	}
	push, ok := v.GetActualInstance().(*okta.UserFactorPushTransaction)
	if !ok {
		return answer(fmt.Sprintf("a %T", v.GetActualInstance()), resp, err)
	}
	return answer(push.GetFactorResult(), resp, err)
}
