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

	"github.com/okta/okta-sdk-golang/v5/okta"

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
	want := `^SDK v5: 250 users in 1\d requests, [1-9] of them answered 429, \d\.\d s, no error\.\n$`
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
func connect(t *testing.T, org *oktatest.Server, p oktaretry.Policy, more ...okta.ConfigSetter) (*okta.APIClient, *oktaretry.Transport) {
	t.Helper()
	return connectFor(t.Context(), t, org, p, more...)
}

// connectFor is connect with a context for the pages after the first.
func connectFor(ctx context.Context, t *testing.T, org *oktatest.Server, p oktaretry.Policy, more ...okta.ConfigSetter) (*okta.APIClient, *oktaretry.Transport) {
	t.Helper()
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(p))
	if err != nil {
		t.Fatal(err)
	}
	client, err := newClient(ctx, transport, append(fakeOrg(org), more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return client, transport
}

func fakeOrg(org *oktatest.Server) []okta.ConfigSetter {
	return []okta.ConfigSetter{
		okta.WithOrgUrl(org.URL), okta.WithToken("a-token"), okta.WithAuthorizationMode("SSWS"), okta.WithCache(false),
	}
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
	if u, resp, err = api.ReplaceUser(ctx, id).User(okta.User{Profile: &changed}).Execute(); err != nil {
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
	cfg, err := okta.NewConfiguration(fakeOrg(plainOrg)...)
	if err != nil {
		t.Fatal(err)
	}
	useWholeURL(cfg)
	plain := okta.NewAPIClient(cfg)
	plain.GetConfig().HTTPClient = http.DefaultClient
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

// TestProxySettingDoesNotDropTheTransport: NewAPIClient replaces the client of
// its configuration when a proxy is configured.
func TestProxySettingDoesNotDropTheTransport(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	org.Script("*", oktatest.EdgePage(http.StatusServiceUnavailable)) // which the SDK alone would not survive
	client, _ := connect(t, org, brisk(), okta.WithProxyHost("127.0.0.1"), okta.WithProxyPort(1))
	if _, _, err := client.UserAPI.GetUser(t.Context(), "me").Execute(); err != nil {
		t.Error(err)
	}
}

// TestSyncsFinishUnderARateLimit has three syncs share a bucket, of which the
// tenth request finds nothing left.
func TestSyncsFinishUnderARateLimit(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(250))
	org.Script("GET /api/v1/users", oktatest.Times(9, oktatest.Pass), oktatest.RateLimited(0))
	ctx, recorder := oktaretry.WithRecorder(t.Context())
	client, _ := connectFor(ctx, t, org, brisk())
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

func TestDPoPHandshakePassesUntouched(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(60), oktatest.WithDPoP(), oktatest.RequireAuth("only tokens of its own"))
	client, transport := connect(t, org, brisk(), withPrivateKey()...)
	if n, err := syncUsers(t.Context(), client); n != 60 || err != nil {
		t.Errorf("%d users and error %v, want 60 and none", n, err)
	}
	var statuses []int
	for _, r := range org.RequestsTo("POST /oauth2/v1/token") {
		statuses = append(statuses, r.Status)
	}
	if want := []int{400, 400, 200}; !slices.Equal(statuses, want) {
		t.Errorf("the token endpoint answered %v, want %v: no proof, no nonce, both", statuses, want)
	}
	proofs := map[string]bool{}
	for _, r := range org.RequestsTo("GET /api/v1/users") {
		if r.Status != http.StatusOK {
			t.Errorf("a page was answered %d", r.Status)
		}
		proofs[r.Header.Get("Dpop")] = true
	}
	if len(proofs) != 3 {
		t.Errorf("%d proofs for 3 pages", len(proofs))
	}
	for _, c := range transport.Snapshot().Circuits {
		if c.Failures > 0 {
			t.Errorf("the handshake counts as %d failures of %s %s", c.Failures, c.Method, c.Template)
		}
	}
}

// TestDPoPRequestIsNotReplayed: Okta takes each proof once, and only the SDK
// can sign another. It gets the 429, of which it makes "too many requests".
func TestDPoPRequestIsNotReplayed(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(3), oktatest.WithDPoP(), oktatest.RequireAuth("only tokens of its own"))
	org.Script("GET /api/v1/users", oktatest.RateLimited(0))
	client, _ := connect(t, org, brisk(), withPrivateKey()...)
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
}

// TestFinal429GivesCodeAndRequestID: SDK v5 makes a text of every transport
// error, so the text must do, and the Recorder.
func TestFinal429GivesCodeAndRequestID(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	org.Script("GET /api/v1/users", oktatest.Always(oktatest.RateLimited(time.Minute)))
	client, _ := connect(t, org, brisk())
	ctx, recorder := oktaretry.WithRecorder(t.Context())
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()

	began := time.Now()
	_, _, err := client.UserAPI.ListUsers(ctx).Execute()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v, want no wait: none fits", took)
	}
	if err == nil {
		t.Fatal("no error")
	}
	var limited *oktaretry.RateLimitError
	if errors.As(err, &limited) {
		t.Log("this SDK keeps the error's chain: the README can say so")
	}
	id := org.Requests()[0].RequestID
	for _, part := range []string{"E0000047", id} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the text %q lacks %s", err, part)
		}
	}
	outcome, ok := recorder.Outcome()
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

// TestFinal429OnALaterPage: APIResponse.Next keeps the error's chain, and takes
// its context from the configuration.
func TestFinal429OnALaterPage(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(60))
	org.Script("GET /api/v1/users", oktatest.Pass, oktatest.RateLimited(time.Minute))
	ctx, recorder := oktaretry.WithRecorder(t.Context())
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client, _ := connectFor(ctx, t, org, brisk())

	n, err := syncUsers(ctx, client)
	var limited *oktaretry.RateLimitError
	if n != 25 || !errors.As(err, &limited) || limited.Code != "E0000047" || limited.Stop != oktaretry.StopDeadline {
		t.Errorf("%d users and error %v, want 25 and a *RateLimitError that names the deadline", n, err)
	}
	if got := len(recorder.Outcomes()); got != 2 {
		t.Errorf("%d calls recorded, want 2", got)
	}
}

// TestErrorWithoutABodyIsNotTheLastPage: APIResponse.Next makes no error of it,
// and a sync that believes it takes the missing users for deleted ones.
func TestErrorWithoutABodyIsNotTheLastPage(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(60))
	org.Script("GET /api/v1/users", oktatest.Pass, oktatest.Challenge("Bearer", "invalid_token", http.StatusUnauthorized))
	client, _ := connect(t, org, brisk())
	if n, err := syncUsers(t.Context(), client); n != 25 || err == nil {
		t.Errorf("%d users and error %v, want 25 and an error", n, err)
	}
}

// TestBrokenConnectionReturns: the SDK sends again at once and without end
// when it sees io.EOF.
func TestBrokenConnectionReturns(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]struct {
		do   func(context.Context, *okta.APIClient) error
		most int // requests; net/http itself repeats some
	}{
		"Get": {func(ctx context.Context, c *okta.APIClient) error {
			_, _, err := c.UserAPI.GetUser(ctx, "me").Execute()
			return err
		}, 2 * 4},
		"Create": {func(ctx context.Context, c *okta.APIClient) error {
			_, _, err := c.UserAPI.CreateUser(ctx).Body(okta.CreateUserRequest{Profile: profile("One")}).Execute()
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
	_, resp, err := client.UserAPI.CreateUser(t.Context()).Body(okta.CreateUserRequest{Profile: profile("One")}).Execute()
	if err == nil || resp == nil || resp.Response == nil || resp.StatusCode != http.StatusServiceUnavailable {
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
	if _, _, err := client.UserAPI.CreateUser(t.Context()).Body(okta.CreateUserRequest{Profile: profile("One")}).Execute(); err != nil {
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
			ctx, recorder := oktaretry.WithRecorder(t.Context())
			_, _, err := client.UserAPI.GetUser(ctx, "me").Execute()
			outcome, _ := recorder.Outcome()
			var open *oktaretry.CircuitOpenError
			if err == nil || !errors.As(outcome.Err, &open) && outcome.Status != http.StatusServiceUnavailable {
				t.Errorf("error %v, outcome %+v, want Okta's 503 or an open circuit", err, outcome)
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
		_, _, err := client.UserAPI.GetUser(t.Context(), "me").Execute()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still failing after the outage: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
