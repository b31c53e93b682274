package oktav2_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/okta/okta-sdk-golang/v2/okta"
	"github.com/okta/okta-sdk-golang/v2/okta/query"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav2"
)

const users = "GET /api/v1/users"

// The SDK reads OKTA_* and, by HOME or without, ~/.okta/okta.yaml.
func TestMain(m *testing.M) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "OKTA_") {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

func newTransport(t *testing.T) *oktaretry.Transport {
	t.Helper()
	policy := oktaretry.DefaultPolicy()
	for _, r := range []*oktaretry.Rule{&policy.ServerError, &policy.Network} {
		r.InitialWait, r.MaxWait = 10*time.Millisecond, 50*time.Millisecond
	}
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(policy))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// fakeOrg are the settings for an org without TLS.
func fakeOrg(url string, more ...okta.ConfigSetter) []okta.ConfigSetter {
	return append([]okta.ConfigSetter{
		okta.WithOrgUrl(url), okta.WithToken("a-token"), okta.WithTestingDisableHttpsCheck(true),
	}, more...)
}

func newClient(ctx context.Context, t *testing.T, org *oktatest.Server, more ...okta.ConfigSetter) *okta.Client {
	t.Helper()
	client, err := oktav2.NewClient(ctx, newTransport(t), fakeOrg(org.URL, more...)...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

var privateKey = sync.OnceValue(func() string {
	key, err := rsa.GenerateKey(rand.Reader, 1024) // of no use to a thief, and quick to make
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
})

func withPrivateKey() []okta.ConfigSetter {
	return []okta.ConfigSetter{
		okta.WithAuthorizationMode("PrivateKey"), okta.WithClientId("0oaclient"),
		okta.WithScopes([]string{"okta.users.read"}), okta.WithPrivateKey(privateKey()),
	}
}

// count counts the users of all pages.
func count(ctx context.Context, client *okta.Client) (n int, err error) {
	pages := oktav2.Pages(ctx, func(ctx context.Context) ([]*okta.User, *okta.Response, error) {
		return client.User.ListUsers(ctx, query.NewQueryParams(query.WithLimit(25)))
	})
	for users, err := range pages {
		if err != nil {
			return n, err
		}
		n += len(users)
	}
	return n, nil
}

// TestTransportIsUnderEveryCall: API and token calls, each of them sent through it.
func TestTransportIsUnderEveryCall(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(60), oktatest.RequireAuth("only tokens of its own"))
	ctx, tokens := oktaretry.WithRecorder(t.Context())
	ctx, cancel := context.WithCancel(ctx)
	client, err := oktav2.NewClient(ctx, newTransport(t), fakeOrg(org.URL+"/",
		append(withPrivateKey(), okta.WithProxyHost("127.0.0.1"), okta.WithProxyPort(1))...)...)
	if err != nil {
		t.Fatal(err)
	}
	cancel() // NewClient's context may have ended long before a token call
	ctx, recorder := oktaretry.WithRecorder(t.Context())
	if n, err := count(ctx, client); n != 60 || err != nil {
		t.Fatalf("%d users and error %v, want 60 and none", n, err)
	}
	if a, b := len(recorder.Outcomes()), len(tokens.Outcomes()); a != 3 || b != 1 || org.Arrived() != 4 {
		t.Errorf("%d API calls and %d token calls passed, %d arrived; want 3, 1 and 4", a, b, org.Arrived())
	}
	for _, r := range org.Requests() {
		if strings.HasPrefix(r.Path, "//") {
			t.Errorf("%s: two slashes", r.Path)
		}
	}
}

func TestEverySettingThatWorksAgainstTheTransportIsRefused(t *testing.T) {
	t.Parallel()
	bad := map[string]okta.ConfigSetter{
		"WithRateLimitMaxRetries(2)": okta.WithRateLimitMaxRetries(2),
		"WithRequestTimeout(30)":     okta.WithRequestTimeout(30),
		"WithCache(true)":            okta.WithCache(true),
		"WithHttpClientPtr":          okta.WithHttpClientPtr(new(http.Client)),
	}
	transport := newTransport(t)
	all := fakeOrg("https://example.okta.com")
	for name, setting := range bad {
		all = append(all, setting)
		client, err := oktav2.NewClient(t.Context(), transport, fakeOrg("https://example.okta.com", setting)...)
		if client != nil || err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one that names the setting, and no other", name, err)
		}
	}
	_, err := oktav2.NewClient(t.Context(), transport, all...)
	for name := range bad {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("all together: error %v, want %s in it", err, name)
		}
	}
	if _, err := oktav2.NewClient(t.Context(), transport); err == nil {
		t.Error("no error without an OrgUrl")
	}
	if _, err := oktav2.NewClient(t.Context(), (*oktaretry.Transport)(nil), fakeOrg("https://example.okta.com")...); err == nil {
		t.Error("no error without a transport")
	}
}

// TestEnvironmentSwitchesNothingOn: who sets it does not know what the program uses.
func TestEnvironmentSwitchesNothingOn(t *testing.T) {
	t.Setenv("OKTA_CLIENT_RATE_LIMIT_MAX_RETRIES", "5")
	t.Setenv("OKTA_CLIENT_REQUEST_TIMEOUT", "1")
	t.Setenv("OKTA_CLIENT_CACHE_ENABLED", "true")
	set := newClient(t.Context(), t, oktatest.NewServer(t)).GetConfig().Okta.Client
	if set.RateLimit.MaxRetries != 0 || set.RequestTimeout != 0 || set.Cache.Enabled {
		t.Errorf("switched on: %+v", set)
	}
}

func TestErrorOnALaterPageIsNoEnd(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]oktatest.Step{
		"401 without a body": oktatest.Status(http.StatusUnauthorized),
		"403 with a code":    oktatest.Code("E0000006"),
		"200 without a body": oktatest.Status(http.StatusOK),
		"half a body":        oktatest.EOFMidBody,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			org := oktatest.NewServer(t, oktatest.WithUsers(60))
			org.Script(users, oktatest.Pass, answer)
			if n, err := count(t.Context(), newClient(t.Context(), t, org)); n != 25 || err == nil {
				t.Errorf("%d users and error %v, want 25 and an error", n, err)
			}
		})
	}
}

func TestErrorsOfTheTransportKeepTheirType(t *testing.T) {
	t.Parallel()
	for want, steps := range map[int][]oktatest.Step{
		0:  {oktatest.RateLimited(time.Hour / 2)},
		25: {oktatest.Pass, oktatest.RateLimited(time.Hour / 2)},
	} {
		org := oktatest.NewServer(t, oktatest.WithUsers(60))
		org.Script(users, steps...)
		n, err := count(t.Context(), newClient(t.Context(), t, org))
		var limited *oktaretry.RateLimitError
		if n != want || !errors.As(err, &limited) {
			t.Errorf("%d users and error %v, want %d and a *RateLimitError", n, err, want)
		}
	}
}

func TestPagesStopsWithItsLoop(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(60))
	client := newClient(t.Context(), t, org)
	for range oktav2.Pages(t.Context(), func(ctx context.Context) ([]*okta.User, *okta.Response, error) {
		return client.User.ListUsers(ctx, query.NewQueryParams(query.WithLimit(25)))
	}) {
		break // a sequence that goes on yielding panics here
	}
	if n := org.Arrived(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}
