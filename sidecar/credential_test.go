// This file tests the credential that a sidecar holds.

package sidecar

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/oktaretry/oktaretry/oktatest"
)

func TestTheHeldTokenReplacesAnyOther(t *testing.T) {
	t.Parallel() // it waits for most of its time
	org := oktatest.NewServer(t, oktatest.WithUsers(1), oktatest.RequireAuth("SSWS held", "SSWS newer"))
	path := writeFile(t, "token", "held\n")
	token, err := TokenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{Orgs: []Org{{URL: org.URL, Credential: token}}})
	for _, header := range [][]string{nil, {"Authorization", "SSWS another"}, {"Authorization", "DPoP x", "DPoP", "proof"}} {
		if a := s.do("GET", "/api/v1/users", "", header...); a.status != 200 {
			t.Errorf("with %v: %d %s", header, a.status, a.body)
		}
	}
	for _, r := range org.RequestsTo("GET /api/v1/users") {
		if r.Header.Get("Authorization") != "SSWS held" || r.Header.Get("DPoP") != "" {
			t.Errorf("Okta got %v", r.Header)
		}
	}
	// Where clients log in, their own credential counts.
	s.do("POST", "/oauth2/v1/token", "grant_type=client_credentials", "Authorization", "Basic eDp5", "Content-Type", "application/x-www-form-urlencoded")
	s.do("POST", "/api/v1/authn", "{}")
	for pattern, want := range map[string]string{"POST /oauth2/v1/token": "Basic eDp5", "POST /api/v1/authn": ""} {
		if r := org.RequestsTo(pattern); len(r) != 1 || r[0].Header.Get("Authorization") != want {
			t.Errorf("%s: %v", pattern, r)
		}
	}
	replaceFile(t, path, "newer\n")
	eventually(t, "the newer token is used", func() bool {
		s.do("GET", "/api/v1/users", "")
		r := org.RequestsTo("GET /api/v1/users")
		return r[len(r)-1].Header.Get("Authorization") == "SSWS newer"
	})
	replaceFile(t, path, "\n")
	time.Sleep(checkEvery)
	if a := s.do("GET", "/api/v1/users", ""); a.status != 200 {
		t.Errorf("with an empty file: %d", a.status)
	}
	if log := s.log.String(); strings.Contains(log, "held") || strings.Contains(log, "newer") {
		t.Errorf("the log has the token:\n%s", log)
	}
}

func TestARotatedTokenCostsNoCall(t *testing.T) {
	org := oktatest.NewServer(t, oktatest.WithUsers(1), oktatest.RequireAuth("SSWS newer"))
	path := writeFile(t, "token", "older")
	token, err := TokenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{Orgs: []Org{{URL: org.URL, Credential: token}}})
	replaceFile(t, path, "newer")
	if a := s.do("GET", "/api/v1/users", ""); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestTheClientsTokenForTheSidecarMayStandInForOktas(t *testing.T) {
	org := oktatest.NewServer(t, oktatest.WithUsers(1), oktatest.RequireAuth("SSWS held"))
	token, err := TokenFile(writeFile(t, "token", "held"))
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, Config{Orgs: []Org{{URL: org.URL, Credential: token}}, AuthTokenFile: writeFile(t, "auth", "mine")})
	for authorization, want := range map[string]int{"SSWS mine": 200, "Bearer mine": 200, "SSWS held": 401, "SSWS other": 401} {
		if a := s.do("GET", "/api/v1/users", "", "Authorization", authorization); a.status != want {
			t.Errorf("%s: %d", authorization, a.status)
		}
	}
}

// tokenOrg is an org whose token endpoint answers by a handler, beside the fake's API.
func tokenOrg(t *testing.T, answer http.HandlerFunc) *oktatest.Server {
	return oktatest.NewServer(t, oktatest.WithUsers(1), oktatest.RequireAuth("Bearer good"), oktatest.WithHandler("POST /oauth2/v1/token", answer))
}

func TestAPrivateKeyGetsTokensOnceForAll(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(ecKey)
	jwk, _ := json.Marshal(jose.JSONWebKey{Key: rsaKey, KeyID: "kid1"})
	for name, tt := range map[string]struct {
		text   []byte
		public any
	}{
		"PKCS 1": {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)}), rsaKey.Public()},
		"PKCS 8": {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), ecKey.Public()},
		"JWK":    {jwk, rsaKey.Public()},
	} {
		t.Run(name, func(t *testing.T) {
			var org *oktatest.Server
			org = tokenOrg(t, func(w http.ResponseWriter, r *http.Request) {
				r.ParseForm()
				assertion, err := jwt.ParseSigned(r.PostForm.Get("client_assertion"), []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
				if err != nil {
					t.Error(err)
					return
				}
				var claims jwt.Claims
				if err := assertion.Claims(tt.public, &claims); err != nil {
					t.Error(err)
				}
				if err := claims.Validate(jwt.Expected{Issuer: "0oa1", Subject: "0oa1", AnyAudience: jwt.Audience{org.URL + "/oauth2/v1/token"}}); err != nil || claims.ID == "" {
					t.Errorf("%+v: %v", claims, err)
				}
				if r.PostForm.Get("scope") != "okta.users.read okta.groups.read" || r.PostForm.Get("grant_type") != "client_credentials" || r.Header.Get("Authorization") != "" {
					t.Errorf("%v %v", r.PostForm, r.Header)
				}
				w.Header().Set("Content-Type", "application/json")
				w.Write([]byte(`{"token_type":"Bearer","expires_in":3600,"access_token":"good","scope":"okta.users.read"}`))
			})
			key, err := PrivateKey(PrivateKeyConfig{ClientID: "0oa1", KeyFile: writeFile(t, "key", string(tt.text)), Scopes: []string{"okta.users.read", "okta.groups.read"}})
			if err != nil {
				t.Fatal(err)
			}
			s := start(t, Config{Orgs: []Org{{URL: org.URL, Credential: key}}})
			done := make(chan int)
			for range 8 {
				go func() { done <- s.do("GET", "/api/v1/users", "").status }()
			}
			for range 8 {
				if status := <-done; status != 200 {
					t.Errorf("status %d", status)
				}
			}
			if n := org.Count("POST /oauth2/v1/token"); n != 1 {
				t.Errorf("%d tokens were fetched for 8 calls", n)
			}
		})
	}
}

func TestATokenIsRenewedBeforeItEnds(t *testing.T) {
	t.Parallel() // it waits for most of its time
	org := tokenOrg(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"token_type":"Bearer","expires_in":11,"access_token":"good"}`)) // good for a second
	})
	s := start(t, Config{Orgs: []Org{{URL: org.URL, Credential: ecCredential(t)}}})
	eventually(t, "a second token is fetched", func() bool {
		if a := s.do("GET", "/api/v1/users", ""); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		time.Sleep(50 * time.Millisecond)
		return org.Count("POST /oauth2/v1/token") >= 2
	})
}

func ecCredential(t *testing.T) Credential {
	t.Helper()
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalECPrivateKey(ecKey)
	text := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	key, err := PrivateKey(PrivateKeyConfig{ClientID: "0oa1", KeyFile: writeFile(t, "key", string(text)), Scopes: []string{"okta.users.read"}})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestATokenThatCannotBeHadIsSaidToTheOperator(t *testing.T) {
	org := tokenOrg(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(401)
		w.Write([]byte(`{"error":"invalid_client","error_description":"no client private-client-name"}`))
	})
	s := start(t, Config{Orgs: []Org{{URL: org.URL, Credential: ecCredential(t)}}})
	a := s.do("GET", "/api/v1/users", "")
	if a.status != 502 || a.header.Get("Oktaretry-Error") != "credential" || strings.Contains(a.body, "invalid_client") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if log := s.log.String(); !strings.Contains(log, "refused with 401 invalid_client") || strings.Contains(log, "private-client-name") {
		t.Errorf("the log:\n%s", log)
	}
	if ready := s.do("GET", s.admin+"/readyz", ""); ready.status != 503 {
		t.Errorf("readyz: %d", ready.status)
	}
}

func TestBadKeysAreRefusedWithoutAWordOfThem(t *testing.T) {
	for name, text := range map[string]string{
		"text":            "topsecret",
		"a public key":    `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`,
		"a symmetric one": `{"kty":"oct","k":"dG9wc2VjcmV0"}`,
		"broken PEM":      "-----BEGIN PRIVATE KEY-----\ndG9wc2VjcmV0\n-----END PRIVATE KEY-----\n",
	} {
		_, err := PrivateKey(PrivateKeyConfig{ClientID: "0oa1", KeyFile: writeFile(t, "key", text), Scopes: []string{"x"}})
		if err == nil || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTheCredentialGoesToItsAPIsOnly(t *testing.T) {
	for path, want := range map[string]bool{
		"/api/v1/users": true, "//api/v1/users": true, "/api/v1/authn": false, "/api/v1/authn/factors/x/verify": false, "/api/v1/authnfoo": true,
		"/oauth2/v1/token": false, "/oauth2/default/v1/token": false, "/oauth2/v1/clients": true, "/oauth2/v1/clients/x/roles": true,
		"/governance/api/v1/campaigns": true, "/login/login.htm": false, "/idp/idx/identify": false, "/.well-known/okta-organization": false, "/": false, "/apix": false,
	} {
		if got := takesCredential(path); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
}
