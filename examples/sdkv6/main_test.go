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

	"github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/examples/internal/sdktest"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav6"
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
		sdktest.WantSync(t, b.String(), "SDK v6")
	})
}

func TestExampleRunsOverSockets(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(30))
	var b strings.Builder
	if err := run(t.Context(), &b, org.URL); err != nil {
		t.Fatal(err)
	}
	if want := "SDK v6: 30 users in 2 requests, 0 of them answered 429, "; !strings.HasPrefix(b.String(), want) {
		t.Errorf("printed %q, want %q", b.String(), want)
	}
}

// connect returns a client set up as the example does it.
func connect(t *testing.T, org *oktatest.Server, p oktaretry.Policy, more ...okta.ConfigSetter) *okta.APIClient {
	t.Helper()
	return connectOver(t, nil, org.URL, []oktaretry.Option{oktaretry.WithPolicy(p)}, more...)
}

// connectInMemory is connect in virtual time, without sockets.
func connectInMemory(t *testing.T, org *oktatest.Okta, p oktaretry.Policy, more ...okta.ConfigSetter) *okta.APIClient {
	t.Helper()
	return connectOver(t, org.Transport(), sdktest.URL, []oktaretry.Option{oktaretry.WithPolicy(p)}, more...)
}

func connectOver(t *testing.T, base http.RoundTripper, url string, options []oktaretry.Option, more ...okta.ConfigSetter) *okta.APIClient {
	t.Helper()
	transport, err := oktaretry.NewTransport(base, options...)
	if err != nil {
		t.Fatal(err)
	}
	client, err := sdktest.Outside(func() (*okta.APIClient, error) {
		return oktav6.NewClient(t.Context(), transport, append(fakeOrg(url), more...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func fakeOrg(url string) []okta.ConfigSetter {
	return []okta.ConfigSetter{okta.WithOrgUrl(url), okta.WithToken("a-token"), okta.WithAuthorizationMode("SSWS")}
}

func withPrivateKey() []okta.ConfigSetter {
	return []okta.ConfigSetter{
		okta.WithAuthorizationMode("PrivateKey"), okta.WithClientId("0oaclient"),
		okta.WithScopes([]string{"okta.users.read"}), okta.WithPrivateKey(sdktest.PrivateKey()),
	}
}

func profile(lastName string) okta.UserProfile {
	var p okta.UserProfile
	p.SetLogin("new@example.com")
	p.SetEmail("new@example.com")
	p.SetLastName(lastName)
	return p
}

// lifeOfAUser creates, reads, changes, lists and deletes, and writes down what
// the SDK made of the answers.
func lifeOfAUser(ctx context.Context, client *okta.APIClient) (string, error) {
	var got strings.Builder
	note := func(what string, u *okta.User, resp *okta.APIResponse) {
		fmt.Fprintf(&got, "%s: %s", what, resp.Status)
		if u != nil {
			fmt.Fprintf(&got, " %s %s %s", u.GetId(), u.GetStatus(), u.Profile.GetLastName())
		}
		fmt.Fprintln(&got)
	}
	api := client.UserAPI
	u, resp, err := api.CreateUser(ctx).Body(okta.CreateUserRequest{Profile: profile("One")}).Execute()
	if err != nil {
		return "", fmt.Errorf("create: %w", err)
	}
	note("create", u, resp)
	id := u.GetId()
	found, resp, err := api.GetUser(ctx, "new@example.com").Execute()
	if err != nil {
		return "", fmt.Errorf("get: %w", err)
	}
	note("get: "+found.GetId(), nil, resp)
	changed := profile("Two")
	if u, resp, err = api.UpdateUser(ctx, id).User(okta.UpdateUserRequest{Profile: &changed}).Execute(); err != nil {
		return "", fmt.Errorf("update: %w", err)
	}
	note("update", u, resp)
	changed = profile("Three")
	if u, resp, err = api.ReplaceUser(ctx, id).User(okta.UpdateUserRequest{Profile: &changed}).Execute(); err != nil {
		return "", fmt.Errorf("replace: %w", err)
	}
	note("replace", u, resp)

	users, resp, err := api.ListUsers(ctx).Limit(3).Execute()
	if err != nil {
		return "", fmt.Errorf("list: %w", err)
	}
	for page := 1; ; page++ {
		for _, u := range users {
			note(fmt.Sprint("page ", page), &u, resp)
		}
		if !resp.HasNextPage() {
			break
		}
		users = nil
		if resp, err = resp.Next(&users); err != nil {
			return "", fmt.Errorf("page %d: %w", page+1, err)
		}
	}
	for range 2 { // the first deactivates
		if resp, err = api.DeleteUser(ctx, id).Execute(); err != nil {
			return "", fmt.Errorf("delete: %w", err)
		}
		note("delete", nil, resp)
	}
	_, resp, err = api.GetUser(ctx, id).Execute()
	var gone *okta.GenericOpenAPIError
	if !errors.As(err, &gone) {
		return "", fmt.Errorf("get after delete: %v, want an error of Okta's", err)
	}
	model, _ := gone.Model().(okta.Error)
	note("get after delete: "+model.GetErrorCode(), nil, resp)
	return got.String(), nil
}

func TestCallsPassUntouched(t *testing.T) {
	t.Parallel()
	plainOrg, org := oktatest.NewServer(t, oktatest.WithUsers(7)), oktatest.NewServer(t, oktatest.WithUsers(7))
	cfg, err := okta.NewConfiguration(fakeOrg(plainOrg.URL)...)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Host = strings.TrimPrefix(plainOrg.URL, "http://") // the SDK has dropped the port
	plain := okta.NewAPIClient(cfg)
	plain.GetConfig().HTTPClient = http.DefaultClient
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

// TestDPoPRequestIsNotReplayed: Okta takes each proof once, and only the SDK
// can sign another. It gets the 429, of which it makes "too many requests".
func TestDPoPRequestIsNotReplayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		org := sdktest.NewOkta(t, oktatest.WithUsers(3), oktatest.WithDPoP(), oktatest.RequireAuth("only tokens of its own"))
		org.Script("GET /api/v1/users", oktatest.RateLimited(0))
		client := connectInMemory(t, org, sdktest.Brisk(), withPrivateKey()...)
		ctx, recorder := oktaretry.WithRecorder(t.Context())
		if _, _, err := client.UserAPI.ListUsers(ctx).Execute(); err == nil {
			t.Error("no error")
		}
		outcome, _ := recorder.Outcome()
		if outcome.Code != "E0000047" || outcome.Stop != oktaretry.StopNotReplayable || len(outcome.Attempts) != 1 {
			t.Errorf("outcome %+v, want E0000047, not replayable, one attempt", outcome)
		}
		// The caller's own repetition has a new proof, and waits for the window.
		if n, err := syncUsers(t.Context(), client); n != 3 || err != nil {
			t.Errorf("then %d users and error %v, want 3 and none", n, err)
		}
	})
}

// TestSDKSignsAnewInItsOwnRetries is the recipe of docs/okta-sdks.md for DPoP.
func TestSDKSignsAnewInItsOwnRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		org := sdktest.NewOkta(t, oktatest.WithUsers(3), oktatest.WithDPoP(), oktatest.RequireAuth("only tokens of its own"))
		org.Script("GET /api/v1/users", oktatest.RateLimited(0))
		policy := sdktest.Brisk()
		policy.ReturnRateLimited = true
		client := connectInMemory(t, org, policy, withPrivateKey()...)
		client.GetConfig().Okta.Client.RateLimit.MaxRetries = 3
		if n, err := syncUsers(t.Context(), client); n != 3 || err != nil {
			t.Errorf("%d users and error %v, want 3 and none", n, err)
		}
		sent := org.RequestsTo("GET /api/v1/users")
		if len(sent) != 2 || sent[0].Header.Get("Dpop") == sent[1].Header.Get("Dpop") {
			t.Errorf("sent %d times, want twice, each with its own proof", len(sent))
		}
	})
}

// TestFailedTokenCallNamesNoAssertion: SDK v6 sends it in the body, and the SDKs
// before put it into the URL, which net/http puts into the error.
func TestFailedTokenCallNamesNoAssertion(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t)
	org.Script("POST /oauth2/v1/token", oktatest.Always(oktatest.RateLimited(30*time.Second)))
	p := sdktest.Brisk()
	p.RateLimited.MaxElapsed = time.Second
	client := connect(t, org, p, withPrivateKey()...)
	_, _, err := client.UserAPI.GetUser(t.Context(), "me").Execute()
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
		if _, _, err := client.UserAPI.GetUser(ctx, "new@example.com").Execute(); err == nil {
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

// TestFinal429GivesCodeAndRequestID: SDK v6 makes a text of every transport
// error, so the text must do, and the Recorder.
func TestFinal429GivesCodeAndRequestID(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	org.Script("GET /api/v1/users", oktatest.Always(oktatest.RateLimited(time.Minute)))
	client := connect(t, org, sdktest.Brisk())
	ctx, recorder := oktaretry.WithRecorder(t.Context())
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()

	began := time.Now()
	_, _, err := client.UserAPI.ListUsers(ctx).Execute()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %v, want no wait: none fits", took)
	}
	if err == nil {
		t.Fatal("no error")
	}
	var limited *oktaretry.RateLimitError
	if errors.As(err, &limited) {
		t.Log("this SDK keeps the error's chain: oktav6.Outcome is needed no longer")
	}
	id := org.Requests()[0].RequestID
	for _, part := range []string{"E0000047", id} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the text %q lacks %s", err, part)
		}
	}
	outcome, ok := oktav6.Outcome(recorder, err)
	if !ok || outcome.Code != "E0000047" || outcome.RequestID != id || outcome.Stop != oktaretry.StopDeadline {
		t.Errorf("outcome %+v, want code E0000047, request id %s, stopped by the deadline", outcome, id)
	}
	if !errors.As(outcome.Err, &limited) || limited.RetryAfter < time.Minute || limited.ClientSide {
		t.Errorf("outcome's error %v, want Okta's *RateLimitError with more than a minute to wait", outcome.Err)
	}

	// The bucket is known to be closed: nothing is sent any more.
	if _, _, err = client.UserAPI.ListUsers(ctx).Execute(); err == nil {
		t.Error("no error while the bucket is closed")
	}
	outcome, _ = recorder.Outcome()
	if !errors.As(outcome.Err, &limited) || !limited.ClientSide {
		t.Errorf("outcome's error %v, want a *RateLimitError of the client's side", outcome.Err)
	}
	if n := org.Arrived(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// TestFinal429OnALaterPage: APIResponse.Next keeps the error's chain.
func TestFinal429OnALaterPage(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(60))
	org.Script("GET /api/v1/users", oktatest.Pass, oktatest.RateLimited(time.Minute))
	ctx, recorder := oktaretry.WithRecorder(t.Context())
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client := connect(t, org, sdktest.Brisk())

	n, err := syncUsers(ctx, client)
	var limited *oktaretry.RateLimitError
	if n != 25 || !errors.As(err, &limited) || limited.Code != "E0000047" || limited.Stop != oktaretry.StopDeadline {
		t.Errorf("%d users and error %v, want 25 and a *RateLimitError that names the deadline", n, err)
	}
	if got := len(recorder.Outcomes()); got != 2 {
		t.Errorf("%d calls recorded, want 2", got)
	}
}

// TestErrorWithoutABodyIsNotTheLastPage: APIResponse.Next alone makes no error of it,
// and a sync that believes it takes the missing users for deleted ones.
func TestErrorWithoutABodyIsNotTheLastPage(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(60))
	org.Script("GET /api/v1/users", oktatest.Pass, oktatest.Challenge("Bearer", "invalid_token", http.StatusUnauthorized))
	client := connect(t, org, sdktest.Brisk())
	if n, err := syncUsers(t.Context(), client); n != 25 || err == nil {
		t.Errorf("%d users and error %v, want 25 and an error", n, err)
	}
}
