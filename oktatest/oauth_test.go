package oktatest_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

const grant = "grant_type=client_credentials&scope=okta.users.read&client_assertion=ey.x.y"

func TestTokensFromQueryAndBody(t *testing.T) {
	o := oktatest.New(oktatest.RequireAuth("SSWS x"), oktatest.WithTokenLifetime(time.Minute))
	for _, path := range []string{"/oauth2/v1/token", "/oauth2/default/v1/token"} {
		for _, a := range []answer{
			do(t, o.Transport(), "POST", org+path+"?"+grant, ""),
			do(t, o.Transport(), "POST", org+path, grant, "Content-Type", "application/x-www-form-urlencoded"),
		} {
			wantStatus(t, a, 200)
			tok := a.json(t)
			if tok["token_type"] != "Bearer" || tok["expires_in"] != 60.0 || tok["scope"] != "okta.users.read" {
				t.Error(tok)
			}
			wantStatus(t, do(t, o.Transport(), "GET", org+"/api/v1/users", "", "Authorization", "Bearer "+tok["access_token"].(string)), 200)
		}
	}
	for query, want := range map[string]string{
		"":                              "400 invalid_request",
		"grant_type=password":           "400 unsupported_grant_type",
		"grant_type=client_credentials": "401 invalid_client",
	} {
		a := do(t, o.Transport(), "POST", org+"/oauth2/v1/token?"+query, "")
		if got := fmt.Sprint(a.StatusCode, " ", a.json(t)["error"]); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
}

func proof(jti, nonce string) string {
	claims := fmt.Sprintf(`{"jti":%q,"nonce":%q}`, jti, nonce)
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
}

func TestDPoPHandshake(t *testing.T) {
	everywhere(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string) {
		token := func(header ...string) answer {
			return do(t, rt, "POST", base+"/oauth2/v1/token?"+grant, "", header...)
		}
		refused := func(a answer, code string) {
			t.Helper()
			wantStatus(t, a, 400)
			if a.json(t)["error"] != code {
				t.Fatalf("%s, want %s", a.body, code)
			}
		}
		refused(token(), "invalid_dpop_proof")
		refused(token("DPoP", "garbage"), "invalid_dpop_proof")
		a := token("DPoP", proof("1", ""))
		refused(a, "use_dpop_nonce")
		nonce := a.Header.Get("Dpop-Nonce")
		a = token("DPoP", proof("2", nonce))
		wantStatus(t, a, 200)
		if a.json(t)["token_type"] != "DPoP" {
			t.Error(a.body)
		}
		refused(token("DPoP", proof("2", nonce)), "invalid_dpop_proof")

		// A proof can be used for one request only.
		get := func(jti string) answer {
			return do(t, rt, "GET", base+"/api/v1/users", "", "DPoP", proof(jti, nonce), "Authorization", "DPoP "+a.json(t)["access_token"].(string))
		}
		wantStatus(t, get("3"), 200)
		again := get("3")
		if again.StatusCode != 400 || again.body != "" || !strings.Contains(again.Header.Get("WWW-Authenticate"), `DPoP error="invalid_dpop_proof"`) {
			t.Error(again.Status, again.Header, again.body)
		}

		o.RotateNonce()
		a2 := token("DPoP", proof("4", nonce))
		refused(a2, "use_dpop_nonce")
		if a2.Header.Get("Dpop-Nonce") == nonce {
			t.Error("the nonce has not changed")
		}
	}, oktatest.WithDPoP(), oktatest.RequireAuth("SSWS x"))
}

func TestMetadataIsUnlimited(t *testing.T) {
	o := oktatest.New(oktatest.WithConcurrencyLimit(1), oktatest.WithUsers(1))
	for path, issuer := range map[string]any{
		"/.well-known/openid-configuration":                      org,
		"/oauth2/default/.well-known/oauth-authorization-server": org + "/oauth2/default",
		"/oauth2/v1/keys":         nil,
		"/oauth2/default/v1/keys": nil,
	} {
		a := do(t, o.Transport(), "GET", org+path, "")
		wantStatus(t, a, 200)
		if a.Header.Get("X-Rate-Limit-Limit") != "" || a.Header.Get("X-Okta-Request-Id") == "" || a.json(t)["issuer"] != issuer {
			t.Error(path, a.Header, a.body)
		}
	}
}
