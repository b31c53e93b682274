package oktatest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/oktatest"
)

// A program that takes 404 and 405 for "gone, nothing to do" went green against
// endpoints that the fake lacked.
func TestUnservedEndpointsAnswerLikeNoneOfOktas(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1), oktatest.WithHandler("/api/v1/own/{id}", http.NotFoundHandler()))
	rt := o.Transport()
	for _, call := range []string{
		"POST /api/v1/authn/recovery/unlock", "GET /idp/idx/introspect", "DELETE /api/internal/privileged",
		"GET /api/v1/no/such/path", "GET /api/v1/no/such/path", "HEAD /api/v1/no/such/path",
	} {
		method, path, _ := strings.Cut(call, " ")
		a := do(t, rt, method, org+path, "")
		wantStatus(t, a, 400)
		if method == "HEAD" {
			continue
		}
		wantCode(t, a, 400, "OKTATEST")
		for _, part := range []string{"oktatest", method + " ", "WithHandler", "Script", "AllowUnserved"} {
			if text := fmt.Sprint(a.json(t)["errorSummary"]); !strings.Contains(text, part) {
				t.Errorf("%s: %q does not say %q", call, text, part)
			}
		}
	}
	wantStatus(t, do(t, rt, "GET", org+"/api/v1/own/rules", ""), 404)
	o.Script("GET /api/v1/no/such/path", oktatest.Status(204))
	wantStatus(t, do(t, rt, "GET", org+"/api/v1/no/such/path", ""), 204)
	o.Forget()
	got := fmt.Sprint(o.Unserved())
	if want := "[{DELETE /api/internal/privileged 1} {POST /api/v1/authn/recovery/unlock 1} {GET /api/v1/no/such/path 3} {GET /idp/idx/introspect 1}]"; got != want {
		t.Errorf("unserved: %s, want %s", got, want)
	}
}

// The list names templates, which hold no ids, where Okta documents them.
func TestUnservedNamesTemplates(t *testing.T) {
	o := oktatest.New()
	for range 2 {
		do(t, o.Transport(), "POST", org+"/api/v1/authn/factors/abc/lifecycle/activate", "{}")
	}
	want := []oktatest.Unserved{{Method: "POST", Path: "/api/v1/authn/factors/{factorId}/lifecycle/activate", Count: 2}}
	if got := o.Unserved(); !slices.Equal(got, want) {
		t.Errorf("unserved: %v, want %v", got, want)
	}
}

// What is below no API of Okta's is the gateway's to answer, and no gap of the fake.
func TestForeignPathsGetTheGatewaysPage(t *testing.T) {
	o := oktatest.New()
	for _, path := range []string{"", "/", "/healthz", "/no/api/of/Okta"} {
		a := do(t, o.Transport(), "GET", org+path, "")
		wantStatus(t, a, 404)
		if a.Header.Get("Content-Type") != "text/html" || strings.Contains(a.body, "errorCode") {
			t.Errorf("GET %s: %v %s, want an HTML page", path, a.Header, a.body)
		}
	}
	if got := o.Unserved(); len(got) > 0 {
		t.Errorf("unserved: %v", got)
	}
}

func TestLiteralSegmentsAreNoIDs(t *testing.T) {
	rt := oktatest.New(oktatest.WithUsers(1)).Transport()
	a := do(t, rt, "GET", org+"/api/v1/groups/rules", "")
	if a.StatusCode == 404 {
		t.Errorf("GET /api/v1/groups/rules is taken for the group called rules: %s", a.body)
	}
	wantCode(t, do(t, rt, "GET", org+"/api/v1/groups/rulez", ""), 404, "E0000007")
	wantStatus(t, do(t, rt, "GET", org+"/api/v1/users/me", ""), 200)
}

// failures is a test that records how it fails.
type failures struct {
	testing.TB
	texts    []string
	cleanups []func()
}

func (f *failures) Helper()          {}
func (f *failures) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }
func (f *failures) Errorf(format string, args ...any) {
	f.texts = append(f.texts, fmt.Sprintf(format, args...))
}

func (f *failures) end() string {
	for _, c := range slices.Backward(f.cleanups) {
		c()
	}
	return strings.Join(f.texts, "\n")
}

func TestServersFailTheTestForWhatIsNotServed(t *testing.T) {
	for name, start := range map[string]func(testing.TB, ...oktatest.Option) *oktatest.Server{
		"HTTP": oktatest.NewServer, "HTTPS": oktatest.NewTLSServer,
	} {
		run := func(path string, opts ...oktatest.Option) string {
			f := &failures{TB: t}
			srv := start(f, opts...)
			do(t, srv.Client().Transport, "POST", srv.URL+path, "{}")
			return f.end()
		}
		const unserved = "/api/v1/authn/recovery/unlock"
		if got := run(unserved); !strings.Contains(got, "POST /api/v1/authn/recovery/unlock (1×)") || !strings.Contains(got, "AllowUnserved") {
			t.Errorf("%s: the test ended with %q, want the endpoint", name, got)
		}
		if got := run(unserved, oktatest.AllowUnserved()); got != "" {
			t.Errorf("%s, AllowUnserved: the test ended with %q", name, got)
		}
		if got := run("/oauth2/v1/token") + run("/"); got != "" {
			t.Errorf("%s: the test ended with %q", name, got)
		}
	}
}

// The filter was read first: a bad one, which Okta's own syntax can be to the fake, hid the gap.
func TestUnservedEndpointsAreListedWhateverTheirFilter(t *testing.T) {
	o := oktatest.New()
	wantCode(t, do(t, o.Transport(), "GET", org+"/api/v1/no/such/path?filter=x", ""), 400, "OKTATEST")
	if len(o.Unserved()) != 1 {
		t.Errorf("unserved: %v", o.Unserved())
	}
	wantCode(t, do(t, o.Transport(), "GET", org+"/api/v1/trustedOrigins?filter=x", ""), 400, "E0000031")
}
