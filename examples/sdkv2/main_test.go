package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/okta/okta-sdk-golang/v2/okta"
	"github.com/okta/okta-sdk-golang/v2/okta/query"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/examples/internal/sdktest"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav2"
)

func TestMain(m *testing.M) { os.Exit(sdktest.Main(m)) }

func TestExampleFinishesItsSync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		org := sdktest.NewOkta(t, smallOrg()...)
		var b strings.Builder
		if err := report(t.Context(), &b, connectInMemory(t, org, oktaretry.DefaultPolicy())); err != nil {
			t.Fatal(err)
		}
		sdktest.WantSync(t, b.String(), "SDK v2")
	})
}

func TestExampleRunsOverSockets(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(30))
	var b strings.Builder
	if err := run(t.Context(), &b, org.URL); err != nil {
		t.Fatal(err)
	}
	if want := "SDK v2: 30 users in 2 requests, 0 of them answered 429, "; !strings.HasPrefix(b.String(), want) {
		t.Errorf("printed %q, want %q", b.String(), want)
	}
}

// connect returns a client set up as the example does it.
func connect(t *testing.T, org *oktatest.Server, p oktaretry.Policy, more ...okta.ConfigSetter) *okta.Client {
	t.Helper()
	return connectOver(t, nil, org.URL, []oktaretry.Option{oktaretry.WithPolicy(p)}, more...)
}

// connectInMemory is connect in virtual time, without sockets.
func connectInMemory(t *testing.T, org *oktatest.Okta, p oktaretry.Policy, more ...okta.ConfigSetter) *okta.Client {
	t.Helper()
	return connectOver(t, org.Transport(), sdktest.URL, []oktaretry.Option{oktaretry.WithPolicy(p)}, more...)
}

func connectOver(t *testing.T, base http.RoundTripper, url string, options []oktaretry.Option, more ...okta.ConfigSetter) *okta.Client {
	t.Helper()
	transport, err := oktaretry.NewTransport(base, options...)
	if err != nil {
		t.Fatal(err)
	}
	client, err := sdktest.Outside(func() (*okta.Client, error) {
		return oktav2.NewClient(t.Context(), transport, append(fakeOrg(url), more...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func fakeOrg(url string) []okta.ConfigSetter {
	return []okta.ConfigSetter{
		okta.WithOrgUrl(url), okta.WithToken("a-token"), okta.WithAuthorizationMode("SSWS"),
		okta.WithTestingDisableHttpsCheck(true), okta.WithCache(false),
	}
}

func withPrivateKey() []okta.ConfigSetter {
	return []okta.ConfigSetter{
		okta.WithAuthorizationMode("PrivateKey"), okta.WithClientId("0oaclient"),
		okta.WithScopes([]string{"okta.users.read"}), okta.WithPrivateKey(sdktest.PrivateKey()),
	}
}

// lifeOfAUser creates, reads, changes, lists and deletes, and writes down what
// the SDK made of the answers.
func lifeOfAUser(ctx context.Context, client *okta.Client) (string, error) {
	var got strings.Builder
	note := func(what string, u *okta.User, resp *okta.Response) {
		fmt.Fprintf(&got, "%s: %s", what, resp.Status)
		if u != nil {
			fmt.Fprintf(&got, " %s %s %v", u.Id, u.Status, (*u.Profile)["lastName"])
		}
		fmt.Fprintln(&got)
	}
	profile := &okta.UserProfile{"login": "new@example.com", "email": "new@example.com", "lastName": "One"}
	u, resp, err := client.User.CreateUser(ctx, okta.CreateUserRequest{Profile: profile}, nil)
	if err != nil {
		return "", fmt.Errorf("create: %w", err)
	}
	note("create", u, resp)
	id := u.Id
	if u, resp, err = client.User.GetUser(ctx, "new@example.com"); err != nil {
		return "", fmt.Errorf("get: %w", err)
	}
	note("get", u, resp)
	u, resp, err = client.User.PartialUpdateUser(ctx, id, okta.User{Profile: &okta.UserProfile{"lastName": "Two"}}, nil)
	if err != nil {
		return "", fmt.Errorf("partial update: %w", err)
	}
	note("partial update", u, resp)
	(*profile)["lastName"] = "Three"
	if u, resp, err = client.User.UpdateUser(ctx, id, okta.User{Profile: profile}, nil); err != nil {
		return "", fmt.Errorf("update: %w", err)
	}
	note("update", u, resp)

	users, resp, err := client.User.ListUsers(ctx, query.NewQueryParams(query.WithLimit(3)))
	if err != nil {
		return "", fmt.Errorf("list: %w", err)
	}
	for page := 1; ; page++ {
		for _, u := range users {
			note(fmt.Sprint("page ", page), u, resp)
		}
		if !resp.HasNextPage() {
			break
		}
		users = nil
		if resp, err = resp.Next(ctx, &users); err != nil {
			return "", fmt.Errorf("page %d: %w", page+1, err)
		}
	}
	for range 2 { // the first deactivates
		if resp, err = client.User.DeactivateOrDeleteUser(ctx, id, nil); err != nil {
			return "", fmt.Errorf("delete: %w", err)
		}
		note("delete", nil, resp)
	}
	_, resp, err = client.User.GetUser(ctx, id)
	var gone *okta.Error
	if !errors.As(err, &gone) {
		return "", fmt.Errorf("get after delete: %v, want an error of Okta's", err)
	}
	note("get after delete: "+gone.ErrorCode, nil, resp)
	return got.String(), nil
}

func TestCallsPassUntouched(t *testing.T) {
	t.Parallel()
	plainOrg, org := oktatest.NewServer(t, oktatest.WithUsers(7)), oktatest.NewServer(t, oktatest.WithUsers(7))
	_, plain, err := okta.NewClient(t.Context(), append(fakeOrg(plainOrg.URL), okta.WithHttpClientPtr(http.DefaultClient))...)
	if err != nil {
		t.Fatal(err)
	}
	client := connect(t, org, sdktest.Brisk())

	want, err := lifeOfAUser(t.Context(), plain)
	if err != nil {
		t.Fatalf("without oktaretry: %v", err)
	}
	got, err := lifeOfAUser(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("the SDK got\n%s\nwant, as without oktaretry,\n%s", got, want)
	}
	if got, want := sdktest.Wire(org.Requests()), sdktest.Wire(plainOrg.Requests()); got != want {
		t.Errorf("Okta got\n%s\nwant, as without oktaretry,\n%s", got, want)
	}
}

// TestFailedTokenCallNamesNoAssertion: SDKs v2 and v5 put the assertion into the
// URL, and net/http puts the URL into the error that the SDK returns. Ours,
// inside of it, must not repeat it.
func TestFailedTokenCallNamesNoAssertion(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t)
	org.Script("POST /oauth2/v1/token", oktatest.Always(oktatest.RateLimited(30*time.Second)))
	p := sdktest.Brisk()
	p.RateLimited.MaxElapsed = time.Second
	client := connect(t, org, p, withPrivateKey()...)
	_, _, err := client.User.GetUser(t.Context(), "me")
	var limited *oktaretry.RateLimitError
	if !errors.As(err, &limited) {
		t.Fatalf("error %v, want a *RateLimitError in it", err)
	}
	if text := limited.Error(); strings.Contains(text, "assertion") || strings.Contains(text, "eyJhbGci") {
		t.Errorf("the error names the assertion: %s", text)
	}
}

// TestNothingPersonalIsTold has a witness listen to all that a life brings,
// a token call, a server error, a rate limit and a call given up among it.
func TestNothingPersonalIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		org := sdktest.NewOkta(t, oktatest.RequireAuth("only tokens of its own"))
		org.Script("GET /api/v1/users/{id}", oktatest.Code("E0000009"), oktatest.RateLimited(0))
		witness := sdktest.NewWitness()
		client := connectOver(t, org.Transport(), sdktest.URL, append(witness.Options(), oktaretry.WithPolicy(sdktest.Brisk())), withPrivateKey()...)
		if _, err := lifeOfAUser(t.Context(), client); err != nil {
			t.Fatal(err)
		}
		org.Script("GET /api/v1/users/{id}", oktatest.RateLimited(time.Hour/2).WithSummary("new@example.com calls too often"))
		ctx, recorder := oktaretry.WithRecorder(t.Context())
		if _, _, err := client.User.GetUser(ctx, "new@example.com"); err == nil {
			t.Fatal("no error")
		}
		outcome, _ := recorder.Outcome()
		id := path.Base(org.RequestsTo("DELETE /api/v1/users/{id}")[0].Path)
		secrets := []string{"new@example.com", id, "eyJhbGci", "assertion", "oktatest.", "Bearer"}
		witness.CheckSilence(t, secrets...)
		for _, secret := range secrets {
			if strings.Contains(outcome.Err.Error(), secret) {
				t.Errorf("the error tells %q: %v", secret, outcome.Err)
			}
		}
	})
}

func TestFinal429GivesCodeAndRequestID(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	org.Script("GET /api/v1/users", oktatest.Always(oktatest.RateLimited(time.Minute)))
	client := connect(t, org, sdktest.Brisk())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	began := time.Now()
	_, _, err := client.User.ListUsers(ctx, nil)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %v, want no wait: none fits", took)
	}
	var limited *oktaretry.RateLimitError
	if !errors.As(err, &limited) {
		t.Fatalf("error %v, want a *RateLimitError in it", err)
	}
	id := org.Requests()[0].RequestID
	if limited.Code != "E0000047" || limited.RequestID != id || limited.ClientSide || limited.RetryAfter < time.Minute {
		t.Errorf("%+v, want code E0000047, request id %s and more than a minute to wait", limited, id)
	}
	for _, part := range []string{"E0000047", id} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the text %q lacks %s", err, part)
		}
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v does not match the deadline that it was given up for", err)
	}

	// The bucket is known to be closed: nothing is sent any more.
	_, _, err = client.User.ListUsers(ctx, nil)
	if !errors.As(err, &limited) || !limited.ClientSide {
		t.Errorf("error %v, want a *RateLimitError of the client's side", err)
	}
	if n := org.Arrived(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}
