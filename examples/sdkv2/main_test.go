package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/okta/okta-sdk-golang/v2/okta"
	"github.com/okta/okta-sdk-golang/v2/okta/query"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/examples/internal/sdktest"
	"github.com/oktaretry/oktaretry/oktatest"
)

func TestMain(m *testing.M) { os.Exit(sdktest.Main(m)) }

func TestExampleFinishesItsSync(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := run(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	want := `^SDK v2: 250 users in 1\d requests, [1-9] of them answered 429, \d\.\d s, no error\.\n$`
	if !regexp.MustCompile(want).MatchString(b.String()) {
		t.Errorf("printed %q, want %s", b.String(), want)
	}
}

// brisk is the default policy with short waits where Okta names none.
func brisk() oktaretry.Policy {
	p := oktaretry.DefaultPolicy()
	p.ServerError.InitialWait, p.ServerError.MaxWait = 10*time.Millisecond, 50*time.Millisecond
	p.Network.InitialWait, p.Network.MaxWait = 10*time.Millisecond, 50*time.Millisecond
	return p
}

// connect returns a client set up as the example does it, and its transport.
func connect(t *testing.T, org *oktatest.Server, p oktaretry.Policy, more ...okta.ConfigSetter) (*okta.Client, *oktaretry.Transport) {
	t.Helper()
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(p))
	if err != nil {
		t.Fatal(err)
	}
	client, err := newClient(t.Context(), transport, append(fakeOrg(org), more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return client, transport
}

func fakeOrg(org *oktatest.Server) []okta.ConfigSetter {
	return []okta.ConfigSetter{
		okta.WithOrgUrl(org.URL), okta.WithToken("a-token"), okta.WithAuthorizationMode("SSWS"),
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
	_, plain, err := okta.NewClient(t.Context(), append(fakeOrg(plainOrg), okta.WithHttpClientPtr(http.DefaultClient))...)
	if err != nil {
		t.Fatal(err)
	}
	client, _ := connect(t, org, brisk())

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

// TestSyncsFinishUnderARateLimit has three syncs share a bucket, of which the
// tenth request finds nothing left.
func TestSyncsFinishUnderARateLimit(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(250))
	org.Script("GET /api/v1/users", oktatest.Times(9, oktatest.Pass), oktatest.RateLimited(0))
	ctx, recorder := oktaretry.WithRecorder(t.Context())
	client, _ := connect(t, org, brisk())
	var syncs sync.WaitGroup
	for range 3 {
		syncs.Go(func() {
			if n, err := syncUsers(ctx, client); n != 250 || err != nil {
				t.Errorf("a sync ended with %d users and error %v, want 250 and none", n, err)
			}
		})
	}
	syncs.Wait()
	if got, want := org.Answered(http.StatusOK), 3*10; got != want {
		t.Errorf("%d pages, want %d", got, want)
	}
	var waited time.Duration
	for _, call := range recorder.Outcomes() {
		waited += call.Waited()
	}
	if waited < time.Second {
		t.Errorf("the calls waited for %v in all: the limit was not felt", waited)
	}
}

func TestTokenFlowPassesUntouched(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(60), oktatest.RequireAuth("only tokens of its own"))
	client, _ := connect(t, org, brisk(), withPrivateKey()...)
	if n, err := syncUsers(t.Context(), client); n != 60 || err != nil {
		t.Errorf("%d users and error %v, want 60 and none", n, err)
	}
	if n := org.Count("POST /oauth2/v1/token"); n != 1 {
		t.Errorf("%d tokens, want 1", n)
	}
}

func TestTokenCallOutlivesARateLimit(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(3), oktatest.RequireAuth("only tokens of its own"))
	org.Script("POST /oauth2/v1/token", oktatest.RateLimited(0))
	client, _ := connect(t, org, brisk(), withPrivateKey()...)
	if n, err := syncUsers(t.Context(), client); n != 3 || err != nil {
		t.Errorf("%d users and error %v, want 3 and none", n, err)
	}
	if n := org.Count("POST /oauth2/v1/token"); n != 2 {
		t.Errorf("%d token calls, want 2: the refused one and its repetition", n)
	}
}

// TestFailedTokenCallNamesNoAssertion: both SDKs put the assertion into the
// URL, and net/http puts the URL into the error that the SDK returns. Ours,
// inside of it, must not repeat it.
func TestFailedTokenCallNamesNoAssertion(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t)
	org.Script("POST /oauth2/v1/token", oktatest.Always(oktatest.RateLimited(30*time.Second)))
	p := brisk()
	p.RateLimited.MaxElapsed = time.Second
	client, _ := connect(t, org, p, withPrivateKey()...)
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
	org := oktatest.NewServer(t, oktatest.RequireAuth("only tokens of its own"))
	org.Script("GET /api/v1/users/{id}", oktatest.Code("E0000009"), oktatest.RateLimited(0))
	witness := sdktest.NewWitness()
	transport, err := oktaretry.NewTransport(nil, append(witness.Options(), oktaretry.WithPolicy(brisk()))...)
	if err != nil {
		t.Fatal(err)
	}
	client, err := newClient(t.Context(), transport, append(fakeOrg(org), withPrivateKey()...)...)
	if err != nil {
		t.Fatal(err)
	}
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
}

func TestFinal429GivesCodeAndRequestID(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	org.Script("GET /api/v1/users", oktatest.Always(oktatest.RateLimited(time.Minute)))
	client, _ := connect(t, org, brisk())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	began := time.Now()
	_, _, err := client.User.ListUsers(ctx, nil)
	if took := time.Since(began); took > 5*time.Second {
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

// TestBrokenConnectionReturns: the SDK sends again at once and without end
// when it sees io.EOF.
func TestBrokenConnectionReturns(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]struct {
		do   func(context.Context, *okta.Client) error
		most int // requests; net/http itself repeats some
	}{
		"Get": {func(ctx context.Context, c *okta.Client) error {
			_, _, err := c.User.GetUser(ctx, "me")
			return err
		}, 2 * 4},
		"Create": {func(ctx context.Context, c *okta.Client) error {
			_, _, err := c.User.CreateUser(ctx, okta.CreateUserRequest{Profile: &okta.UserProfile{}}, nil)
			return err
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			org := oktatest.NewServer(t)
			org.Script("*", oktatest.Always(oktatest.EOF))
			client, _ := connect(t, org, brisk())
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := call.do(ctx, client)
			switch {
			case err == nil:
				t.Error("no error")
			case errors.Is(err, io.EOF):
				t.Errorf("error %v matches io.EOF", err)
			case ctx.Err() != nil:
				t.Errorf("only the deadline ended it: %v", err)
			}
			if n := org.Arrived(); n < 1 || n > call.most {
				t.Errorf("%d requests, want 1 to %d", n, call.most)
			}
		})
	}
}

func TestCreateThatMeetsAnOutageIsSentOnce(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t)
	org.Script("POST /api/v1/users", oktatest.EdgePage(http.StatusServiceUnavailable))
	client, _ := connect(t, org, brisk())
	profile := &okta.UserProfile{"login": "new@example.com", "email": "new@example.com"}
	_, resp, err := client.User.CreateUser(t.Context(), okta.CreateUserRequest{Profile: profile}, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%v, error %v: want Okta's 503", resp, err)
	}
	if n := org.Arrived(); n != 1 {
		t.Errorf("sent %d times, want 1", n)
	}
}

func TestCreateThatMeetsARateLimitMakesOneUser(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t)
	org.Script("POST /api/v1/users", oktatest.RateLimited(0))
	client, _ := connect(t, org, brisk())
	profile := &okta.UserProfile{"login": "new@example.com", "email": "new@example.com"}
	if _, _, err := client.User.CreateUser(t.Context(), okta.CreateUserRequest{Profile: profile}, nil); err != nil {
		t.Error(err)
	}
	sent := org.Requests()
	if len(sent) != 2 || !bytes.Equal(sent[0].Body, sent[1].Body) {
		t.Fatalf("sent %d times, want twice the same", len(sent))
	}
	if got, want := sent[1].Header["X-Okta-Retry-For"], []string{sent[0].RequestID}; !slices.Equal(got, want) {
		t.Errorf("X-Okta-Retry-For %q, want %q", got, want)
	}
	if n := len(org.UserIDs()); n != 1 {
		t.Errorf("%d users, want 1", n)
	}
}

func TestShortOutageIsNotSeen(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(60))
	outage := oktatest.EdgePage(http.StatusServiceUnavailable)
	org.Script("GET /api/v1/users",
		outage, outage, oktatest.Pass,
		oktatest.Code("E0000009"), oktatest.Pass,
		oktatest.Reset, outage, oktatest.Pass)
	client, _ := connect(t, org, brisk())
	if n, err := syncUsers(t.Context(), client); n != 60 || err != nil {
		t.Errorf("%d users and error %v, want 60 and none", n, err)
	}
}

// TestLongOutageIsNotMadeWorse has fifty calls meet an outage that lasts.
func TestLongOutageIsNotMadeWorse(t *testing.T) {
	t.Parallel()
	const calls = 50
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	org.Script("*", oktatest.Always(oktatest.EdgePage(http.StatusServiceUnavailable)))
	p := brisk()
	p.Breaker.OpenFor = 100 * time.Millisecond
	client, _ := connect(t, org, p)

	var all sync.WaitGroup
	for range calls {
		all.Go(func() {
			_, resp, err := client.User.GetUser(t.Context(), "me")
			var open *oktaretry.CircuitOpenError
			if !errors.As(err, &open) && (resp == nil || resp.StatusCode != http.StatusServiceUnavailable) {
				t.Errorf("error %v, want Okta's 503 or an open circuit", err)
			}
		})
	}
	all.Wait()
	// Without budget and circuits it would be four times as many.
	if n := org.Arrived(); n > 2*calls {
		t.Errorf("%d requests for %d calls", n, calls)
	}

	org.ClearScripts()
	deadline := time.Now().Add(10 * time.Second)
	for {
		_, _, err := client.User.GetUser(t.Context(), "me")
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still failing after the outage: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
