package oktatest_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
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
		"grant_type=password":           "401 invalid_client",
		"grant_type=implicit":           "400 unsupported_grant_type",
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
		// 76 of 76 answers carry the nonce.
		with := func(a answer) answer {
			t.Helper()
			if a.Header.Get("Dpop-Nonce") == "" {
				t.Errorf("%s without a nonce: %s", a.Status, a.body)
			}
			return a
		}
		refused(with(token()), "invalid_dpop_proof")
		refused(with(token("DPoP", "garbage")), "invalid_dpop_proof")
		a := token("DPoP", proof("1", ""))
		refused(a, "use_dpop_nonce")
		nonce := a.Header.Get("Dpop-Nonce")
		a = with(token("DPoP", proof("2", nonce)))
		wantStatus(t, a, 200)
		if a.json(t)["token_type"] != "DPoP" {
			t.Error(a.body)
		}
		refused(with(token("DPoP", proof("2", nonce))), "invalid_dpop_proof")

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

// jwt is an access token, its signature verified by the key that the org lists for it.
type jwt struct {
	header map[string]any
	claims map[string]any
}

func verified(t *testing.T, token string, keys answer) jwt {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no JWT", token)
	}
	part := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var j jwt
	if json.Unmarshal(part(parts[0]), &j.header) != nil || json.Unmarshal(part(parts[1]), &j.claims) != nil {
		t.Fatal(token)
	}
	for _, k := range keys.json(t)["keys"].([]any) {
		k := k.(map[string]any)
		if k["kid"] != j.header["kid"] || k["kty"] != "RSA" || k["alg"] != j.header["alg"] {
			continue
		}
		public := &rsa.PublicKey{
			N: new(big.Int).SetBytes(part(k["n"].(string))),
			E: int(new(big.Int).SetBytes(part(k["e"].(string))).Int64()),
		}
		digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
		if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], part(parts[2])); err != nil {
			t.Fatal(err)
		}
		return j
	}
	t.Fatalf("no key for %v in %s", j.header, keys.body)
	return j
}

func TestAccessTokensAreSignedJWTsWithTheScopeAskedFor(t *testing.T) {
	o := oktatest.New(oktatest.WithTokenLifetime(time.Minute))
	rt := o.Transport()
	assertion := "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"0oaApp","sub":"0oaApp","aud":["x"]}`)) + ".c2ln"
	for _, c := range []struct{ server, query, issuer, client, scopes string }{
		{"/oauth2/v1", "scope=okta.users.read+okta.groups.manage&client_assertion=" + assertion, org, "0oaApp", "[okta.users.read okta.groups.manage]"},
		{"/oauth2/default/v1", "scope=custom&client_id=0oaOther&client_secret=s", org + "/oauth2/default", "0oaOther", "[custom]"},
	} {
		a := do(t, rt, "POST", org+c.server+"/token?grant_type=client_credentials&"+c.query, "")
		wantStatus(t, a, 200)
		j := verified(t, a.json(t)["access_token"].(string), do(t, rt, "GET", org+c.server+"/keys", ""))
		if j.header["alg"] != "RS256" || j.claims["iss"] != c.issuer || j.claims["cid"] != c.client || j.claims["sub"] != c.client ||
			fmt.Sprint(j.claims["scp"]) != c.scopes || j.claims["exp"].(float64)-j.claims["iat"].(float64) != 60 || j.claims["ver"] != 1.0 {
			t.Errorf("%s: %v %v", c.server, j.header, j.claims)
		}
	}
}

func TestDPoPTokensNameTheirKey(t *testing.T) {
	o := oktatest.New(oktatest.WithDPoP())
	rt := o.Transport()
	nonce := do(t, rt, "POST", org+"/oauth2/v1/token?"+grant, "", "DPoP", proof("1", "")).Header.Get("Dpop-Nonce")
	// The key of RFC 7638, section 3.1.
	header := `{"typ":"dpop+jwt","alg":"RS256","jwk":{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","use":"sig"}}`
	p := strings.Split(proof("2", nonce), ".")
	p[0] = base64.RawURLEncoding.EncodeToString([]byte(header))
	a := do(t, rt, "POST", org+"/oauth2/v1/token?"+grant, "", "DPoP", strings.Join(p, "."))
	wantStatus(t, a, 200)
	j := verified(t, a.json(t)["access_token"].(string), do(t, rt, "GET", org+"/oauth2/v1/keys", ""))
	if cnf, _ := j.claims["cnf"].(map[string]any); cnf["jkt"] != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Error(j.claims)
	}
}
