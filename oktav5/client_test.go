package oktav5_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/okta/okta-sdk-golang/v5/okta"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav5"
)

// The SDK reads OKTA_* and, by HOME or without, ~/.okta/okta.yaml.
func TestMain(m *testing.M) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "OKTA_") {
			os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

func newTransport(t *testing.T, change ...func(*oktaretry.Policy)) *oktaretry.Transport {
	t.Helper()
	policy := oktaretry.DefaultPolicy()
	for _, r := range []*oktaretry.Rule{&policy.ServerError, &policy.Network} {
		r.InitialWait, r.MaxWait = 10*time.Millisecond, 50*time.Millisecond
	}
	for _, f := range change {
		f(&policy)
	}
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(policy))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func newClient(ctx context.Context, t *testing.T, org *oktatest.Server, more ...okta.ConfigSetter) *okta.APIClient {
	t.Helper()
	settings := append([]okta.ConfigSetter{okta.WithOrgUrl(org.URL), okta.WithToken("a-token")}, more...)
	client, err := oktav5.NewClient(ctx, newTransport(t), settings...)
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
func count(ctx context.Context, client *okta.APIClient) (n int, err error) {
	for users, err := range oktav5.Pages(ctx, client.UserAPI.ListUsers(ctx).Limit(5)) {
		if err != nil {
			return n, err
		}
		n += len(users)
	}
	return n, nil
}

// TestTransportIsUnderEveryCall: API and token calls, from an OrgUrl with a port
// and a slash at its end, and also where a proxy is configured, for which
// NewAPIClient replaces the HTTP client.
func TestTransportIsUnderEveryCall(t *testing.T) {
	t.Parallel()
	for name, more := range map[string][]okta.ConfigSetter{
		"SSWS":                  nil,
		"private key":           withPrivateKey(),
		"a proxy is configured": append(withPrivateKey(), okta.WithProxyHost("127.0.0.1"), okta.WithProxyPort(1)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			org := oktatest.NewServer(t, oktatest.WithUsers(12))
			passed := &counter{next: newTransport(t)}
			client, err := oktav5.NewClient(t.Context(), passed, append([]okta.ConfigSetter{
				okta.WithOrgUrl(org.URL + "/"), okta.WithToken("a-token"),
			}, more...)...)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := count(t.Context(), client); n != 12 || err != nil {
				t.Fatalf("%d users and error %v, want 12 and none", n, err)
			}
			want := 3
			if more != nil {
				want++ // the token call
				if n := org.Count("POST /oauth2/v1/token"); n != 1 {
					t.Errorf("%d token calls, want 1", n)
				}
			}
			if n := passed.count(); n != want || org.Arrived() != want {
				t.Errorf("%d requests passed the transport and %d arrived, want %d", n, org.Arrived(), want)
			}
			for _, r := range org.Requests() {
				if strings.HasPrefix(r.Path, "//") {
					t.Errorf("%s: two slashes", r.Path)
				}
			}
		})
	}
}

// counter counts the requests that pass it.
type counter struct {
	next http.RoundTripper
	mu   sync.Mutex
	n    int
}

func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	return c.next.RoundTrip(req)
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func TestEverySettingThatWorksAgainstTheTransportIsRefused(t *testing.T) {
	t.Parallel()
	good := []okta.ConfigSetter{okta.WithOrgUrl("https://example.okta.com"), okta.WithToken("a-token")}
	bad := map[string]okta.ConfigSetter{
		"WithRateLimitMaxRetries(2)": okta.WithRateLimitMaxRetries(2),
		"WithRequestTimeout(30)":     okta.WithRequestTimeout(30),
		"WithCache(true)":            okta.WithCache(true),
		"WithHttpClientPtr":          okta.WithHttpClientPtr(new(http.Client)),
		"OrgUrl":                     okta.WithOrgUrl("example.okta.com"),
	}
	transport := newTransport(t)
	all := good
	for name, setting := range bad {
		all = append(all, setting)
		client, err := oktav5.NewClient(t.Context(), transport, append(good[:2:2], setting)...)
		if client != nil || err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one that names the setting, and no other", name, err)
		}
	}
	_, err := oktav5.NewClient(t.Context(), transport, all...)
	for name := range bad {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("all together: error %v, want %s in it", err, name)
		}
	}
	if _, err := oktav5.NewClient(t.Context(), transport); err == nil {
		t.Error("no error without an OrgUrl")
	}
	if _, err := oktav5.NewClient(t.Context(), nil, good...); err == nil {
		t.Error("no error without a transport")
	}
	if _, err := oktav5.NewClient(t.Context(), (*oktaretry.Transport)(nil), good...); err == nil {
		t.Error("no error with a nil *Transport")
	}
}

// TestEnvironmentSwitchesNothingOn: who sets it does not know what the program uses.
func TestEnvironmentSwitchesNothingOn(t *testing.T) {
	for name, value := range map[string]string{
		"OKTA_CLIENT_RATE_LIMIT_MAX_RETRIES": "5",
		"OKTA_CLIENT_REQUEST_TIMEOUT":        "1", "OKTA_CLIENT_CACHE_ENABLED": "true",
		"OKTA_CLIENT_PROXY_HOST": "127.0.0.1", "OKTA_CLIENT_PROXY_PORT": "1",
	} {
		t.Setenv(name, value)
	}
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	client := newClient(t.Context(), t, org)
	set := client.GetConfig().Okta.Client
	if set.RateLimit.MaxRetries != 0 || set.RequestTimeout != 0 || set.Cache.Enabled {
		t.Errorf("switched on: %+v", set)
	}
	if n, err := count(t.Context(), client); n != 1 || err != nil {
		t.Errorf("%d users and error %v, want 1 and none", n, err)
	}
}

// TestTokenCallsHaveTheClientsValuesAndNoDeadline: the context of NewClient may have
// ended long before a token call.
func TestTokenCallsHaveTheClientsValuesAndNoDeadline(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(1), oktatest.RequireAuth("only tokens of its own"))
	ctx, recorder := oktaretry.WithRecorder(t.Context())
	ctx, cancel := context.WithCancel(ctx)
	client := newClient(ctx, t, org, withPrivateKey()...)
	cancel()
	if n, err := count(t.Context(), client); n != 1 || err != nil {
		t.Fatalf("%d users and error %v, want 1 and none", n, err)
	}
	outcomes := recorder.Outcomes()
	if len(outcomes) != 1 || outcomes[0].Template != "/oauth2/v1/token" {
		t.Errorf("recorded %+v, want the token call only", outcomes)
	}
}

func TestDPoPSignsEachPage(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(12), oktatest.WithDPoP(), oktatest.RequireAuth("only tokens of its own"))
	client := newClient(t.Context(), t, org, withPrivateKey()...)
	if n, err := count(t.Context(), client); n != 12 || err != nil {
		t.Fatalf("%d users and error %v, want 12 and none", n, err)
	}
	proofs := map[string]bool{}
	for _, r := range org.RequestsTo("GET /api/v1/users") {
		proofs[r.Header.Get("Dpop")] = true
	}
	if len(proofs) != 3 || proofs[""] {
		t.Errorf("%d proofs, want one for each of 3 pages", len(proofs))
	}
}
