package oktatest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

// server is an authorization server as a client calls it.
type server struct {
	t    *testing.T
	rt   http.RoundTripper
	base string // "https://acme.okta.test/oauth2/default/v1"
}

// post posts a form of client 0oaApp, with more parameters ("token", "x").
func (s server) post(endpoint string, params ...string) answer {
	s.t.Helper()
	form := url.Values{"client_id": {"0oaApp"}, "client_secret": {"s"}}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	return do(s.t, s.rt, "POST", s.base+"/"+endpoint, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// password signs ann in.
func (s server) password(scope string) map[string]any {
	s.t.Helper()
	a := s.post("token", "grant_type", "password", "username", ann, "password", oktatest.UserPassword, "scope", scope)
	wantStatus(s.t, a, 200)
	return a.json(s.t)
}

func wantOAuthError(t *testing.T, a answer, status int, code, description string) {
	t.Helper()
	wantStatus(t, a, status)
	if v := a.json(t); v["error"] != code || v["error_description"] != description {
		t.Errorf("%s, want %s: %s", a.body, code, description)
	}
}

func TestThePasswordGrantSignsAUserIn(t *testing.T) {
	for _, base := range []string{org + "/oauth2/v1", org + "/oauth2/default/v1"} {
		o := oktatest.New(oktatest.WithUsers(1))
		s := server{t, o.Transport(), base}
		v := s.password("openid profile email offline_access")
		if v["token_type"] != "Bearer" || v["expires_in"] != 3600.0 || v["scope"] != "openid profile email offline_access" || v["refresh_token"] == "" {
			t.Error(v)
		}
		keys := do(t, s.rt, "GET", base+"/keys", "")
		access := verified(t, v["access_token"].(string), keys).claims
		if access["sub"] != ann || access["uid"] != o.UserIDs()[0] || access["cid"] != "0oaApp" || access["auth_time"] == nil {
			t.Error(access)
		}
		id := verified(t, v["id_token"].(string), keys).claims
		if id["sub"] != o.UserIDs()[0] || id["aud"] != "0oaApp" || id["preferred_username"] != ann || id["email"] != ann || fmt.Sprint(id["amr"]) != "[pwd]" || id["iss"] != access["iss"] {
			t.Error(id)
		}
		if v := s.password("email"); v["refresh_token"] != nil || v["id_token"] != nil {
			t.Errorf("unasked for: %v", v)
		}
	}
}

func TestThePasswordGrantRefusesAsDocumented(t *testing.T) {
	const wrong = "The credentials provided were invalid."
	for name, c := range map[string]struct {
		opts            []oktatest.Option
		status          string
		password        string
		code, described string
	}{
		"wrong password": {nil, "ACTIVE", "wrong", "invalid_grant", wrong},
		"locked out":     {nil, "LOCKED_OUT", oktatest.UserPassword, "invalid_grant", wrong},
		"suspended":      {nil, "SUSPENDED", oktatest.UserPassword, "invalid_grant", wrong},
		"MFA":            {[]oktatest.Option{oktatest.RequireMFA()}, "ACTIVE", oktatest.UserPassword, "invalid_grant", "Resource owner password credentials authentication denied by sign on policy."},
		"no password":    {nil, "ACTIVE", "", "invalid_request", "The token request must specify a username and a password."},
	} {
		t.Run(name, func(t *testing.T) {
			o := oktatest.New(c.opts...)
			if _, err := o.AddUser(c.status, map[string]any{"login": ann, "email": ann}); err != nil {
				t.Fatal(err)
			}
			s := server{t, o.Transport(), org + "/oauth2/default/v1"}
			wantOAuthError(t, s.post("token", "grant_type", "password", "username", ann, "password", c.password), 400, c.code, c.described)
		})
	}
}

func TestRefreshTokensLastAWeekFromTheirLastUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1))
		s := server{t, o.Transport(), org + "/oauth2/default/v1"}
		v := s.password("openid offline_access groups")
		token := v["refresh_token"].(string)
		refresh := func(params ...string) answer {
			return s.post("token", append([]string{"grant_type", "refresh_token", "refresh_token", token}, params...)...)
		}
		for range 3 {
			time.Sleep(6 * 24 * time.Hour)
			a := refresh()
			wantStatus(t, a, 200)
			if again := a.json(t); again["refresh_token"] != token || again["access_token"] == v["access_token"] || again["id_token"] == nil {
				t.Error(a.body)
			}
		}
		a := refresh("scope", "offline_access groups")
		wantStatus(t, a, 200)
		if a.json(t)["scope"] != "offline_access groups" {
			t.Error(a.body)
		}
		wantStatus(t, refresh("scope", "admin"), 400)
		const invalid = "The refresh token is invalid or expired."
		wantOAuthError(t, refresh("client_id", "0oaOther"), 400, "invalid_grant", invalid)
		wantOAuthError(t, server{t, s.rt, org + "/oauth2/v1"}.post("token", "grant_type", "refresh_token", "refresh_token", token), 400, "invalid_grant", invalid)
		time.Sleep(8 * 24 * time.Hour)
		wantOAuthError(t, refresh(), 400, "invalid_grant", invalid)

		token = s.password("offline_access")["refresh_token"].(string)
		wantStatus(t, do(t, s.rt, "POST", org+"/api/v1/users/"+ann+"/lifecycle/suspend", ""), 200)
		wantOAuthError(t, refresh(), 400, "invalid_grant", invalid)
	})
}

func TestASessionBecomesACodeAndTheCodeATokenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1))
		s := server{t, o.Transport(), org + "/oauth2/default/v1"}
		const verifier = "a-verifier-of-at-least-forty-three-characters"
		sum := sha256.Sum256([]byte(verifier))
		ask := url.Values{"client_id": {"0oaApp"}, "redirect_uri": {"https://app.test/back?x=1"}, "response_type": {"code"}, "scope": {"openid"},
			"state": {"s1"}, "nonce": {"n1"}, "prompt": {"none"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"}}
		authorize := func(session ...string) url.Values {
			t.Helper()
			q := url.Values{}
			for k, vs := range ask {
				q[k] = vs
			}
			var header []string
			if session[0] == "sessionToken" {
				q.Set(session[0], session[1])
			} else {
				header = session
			}
			a := do(t, s.rt, "GET", s.base+"/authorize?"+q.Encode(), "", header...)
			wantStatus(t, a, 302)
			to, err := url.Parse(a.Header.Get("Location"))
			if err != nil || to.Host != "app.test" || to.Query().Get("x") != "1" || to.Query().Get("state") != "s1" {
				t.Fatalf("%v, %v", to, err)
			}
			return to.Query()
		}
		redeem := func(code string, params ...string) answer {
			return s.post("token", append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", "https://app.test/back?x=1", "code_verifier", verifier}, params...)...)
		}
		token := sessionToken(t, s.rt)
		code := authorize("sessionToken", token).Get("code")
		a := redeem(code)
		wantStatus(t, a, 200)
		if id := verified(t, a.json(t)["id_token"].(string), do(t, s.rt, "GET", s.base+"/keys", "")).claims; id["nonce"] != "n1" || id["sub"] != o.UserIDs()[0] {
			t.Error(id)
		}
		const invalid = "The authorization code is invalid or has expired."
		wantOAuthError(t, redeem(code), 400, "invalid_grant", invalid)
		if q := authorize("sessionToken", token); q.Get("error") != "login_required" || q.Has("code") { // used
			t.Error(q)
		}

		sid := do(t, s.rt, "POST", org+"/api/v1/sessions", `{"sessionToken":"`+sessionToken(t, s.rt)+`"}`).json(t)["id"].(string)
		for name, c := range map[string]struct{ param, value, described string }{
			"redirect": {"redirect_uri", "https://app.test/other", "The 'redirect_uri' does not match the redirection URI used in the authorization request."},
			"verifier": {"code_verifier", "another", "PKCE verification failed."},
			"client":   {"client_id", "0oaOther", invalid},
		} {
			t.Log(name)
			wantOAuthError(t, redeem(authorize("Cookie", "sid="+sid).Get("code"), c.param, c.value), 400, "invalid_grant", c.described)
		}
		code = authorize("Cookie", "sid="+sid).Get("code")
		time.Sleep(5*time.Minute + time.Second)
		wantOAuthError(t, redeem(code), 400, "invalid_grant", invalid)
		ask.Del("prompt") // which is the sign-in page's then
		wantCode(t, do(t, s.rt, "GET", s.base+"/authorize?"+ask.Encode(), ""), 400, "OKTATEST")
	})
}

func TestIntrospectionAndRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1))
		s := server{t, o.Transport(), org + "/oauth2/default/v1"}
		v := s.password("openid offline_access")
		look := func(token any) map[string]any {
			t.Helper()
			a := s.post("introspect", "token", fmt.Sprint(token))
			wantStatus(t, a, 200)
			return a.json(t)
		}
		wantMembers(t, look(v["access_token"]), "active aud client_id exp iat iss jti scope sub token_type uid username")
		wantMembers(t, look(v["refresh_token"]), "active client_id exp scope sub token_type username")
		if x := look(v["access_token"]); x["username"] != ann || x["uid"] != o.UserIDs()[0] || x["iss"] != org+"/oauth2/default" || x["active"] != true || x["client_id"] != "0oaApp" {
			t.Error(x)
		}
		if x := look(v["id_token"]); x["aud"] != "0oaApp" || x["sub"] != o.UserIDs()[0] {
			t.Error(x)
		}
		own := s.post("token", "grant_type", "client_credentials", "scope", "x").json(t)["access_token"]
		if x := look(own); x["sub"] != "0oaApp" || x["username"] != nil {
			t.Error(x)
		}
		inactive := func(token any) {
			t.Helper()
			wantMembers(t, look(token), "active")
			if x := look(token); x["active"] != false {
				t.Error(x)
			}
		}
		inactive("garbage")
		if x := (server{t, s.rt, org + "/oauth2/v1"}).post("introspect", "token", v["access_token"].(string)).json(t); x["active"] != false {
			t.Error("active at another authorization server")
		}
		revoke := func(params ...string) {
			t.Helper()
			a := s.post("revoke", params...)
			if wantStatus(t, a, 200); a.body != "" {
				t.Error(a.body)
			}
		}
		revoke("token", "garbage")
		revoke("token", v["access_token"].(string), "client_id", "0oaOther")
		if x := look(v["access_token"]); x["active"] != true {
			t.Error("another client has revoked the token")
		}
		revoke("token", v["access_token"].(string))
		inactive(v["access_token"])
		time.Sleep(time.Hour)
		inactive(own)
		inactive(v["id_token"])
		if x := look(v["refresh_token"]); x["active"] != true {
			t.Error(x)
		}
		wantStatus(t, do(t, s.rt, "DELETE", org+"/api/v1/users/"+ann+"/sessions?oauthTokens=true", ""), 204)
		inactive(v["refresh_token"])

		for _, endpoint := range []string{"introspect", "revoke"} {
			a := do(t, s.rt, "POST", s.base+"/"+endpoint, "token=x")
			wantOAuthError(t, a, 401, "invalid_client", "No client credentials found.")
			wantStatus(t, s.post(endpoint), 400)
		}
	})
}

func TestUserinfoIsForUsersTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1))
		s := server{t, o.Transport(), org + "/oauth2/default/v1"}
		get := func(token any) answer {
			return do(t, s.rt, "GET", s.base+"/userinfo", "", "Authorization", fmt.Sprint("Bearer ", token))
		}
		v := s.password("openid profile email")
		a := get(v["access_token"])
		wantStatus(t, a, 200)
		wantMembers(t, a.json(t), "email email_verified family_name given_name name preferred_username sub")
		for name, c := range map[string]struct {
			token  any
			status int
			code   string
		}{
			"garbage":  {"x", 401, "invalid_token"},
			"ID token": {v["id_token"], 401, "invalid_token"},
			"a client": {s.post("token", "grant_type", "client_credentials", "scope", "openid").json(t)["access_token"], 401, "invalid_token"},
			"no scope": {s.password("email")["access_token"], 403, "insufficient_scope"},
		} {
			a := get(c.token)
			if a.StatusCode != c.status || a.body != "" || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), `Bearer error="`+c.code+`", error_description="The access token `) {
				t.Errorf("%s: %d %s %v", name, a.StatusCode, a.body, a.Header)
			}
		}
		time.Sleep(time.Hour)
		wantStatus(t, get(v["access_token"]), 401)
	})
}

// A token that is over opens the API no longer.
func TestTokensThatAreOverOpenNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.RequireAuth("SSWS x"))
		s := server{t, o.Transport(), org + "/oauth2/v1"}
		list := func(token any) answer {
			return do(t, s.rt, "GET", org+"/api/v1/users", "", "Authorization", fmt.Sprint("Bearer ", token))
		}
		a := s.post("token", "grant_type", "client_credentials", "scope", "okta.users.read").json(t)["access_token"]
		b := s.post("token", "grant_type", "client_credentials", "scope", "okta.users.read").json(t)["access_token"]
		wantStatus(t, list(a), 200)
		s.post("revoke", "token", fmt.Sprint(a))
		wantCode(t, list(a), 401, "E0000011")
		wantStatus(t, list(b), 200)
		time.Sleep(time.Hour)
		wantCode(t, list(b), 401, "E0000011")
	})
}

// Metadata that names what is not there sends a program into a wall.
func TestMetadataNamesWhatIsServed(t *testing.T) {
	o := oktatest.New()
	for _, base := range []string{org, org + "/oauth2/default"} {
		for _, doc := range []string{"openid-configuration", "oauth-authorization-server"} {
			n := 0
			for name, v := range do(t, o.Transport(), "GET", base+"/.well-known/"+doc, "").json(t) {
				at, _ := v.(string)
				if name == "issuer" || !strings.HasPrefix(at, org) {
					continue
				}
				n++
				method := "POST"
				if name == "jwks_uri" {
					method = "GET"
				}
				form := url.Values{"client_id": {"x"}, "redirect_uri": {"https://app.test"}, "response_type": {"code"}, "prompt": {"none"}}
				if a := do(t, o.Transport(), method, at, form.Encode()); strings.Contains(a.body, "OKTATEST") || a.StatusCode == 404 {
					t.Errorf("%s %s: %d %s", doc, name, a.StatusCode, a.body)
				}
			}
			if n != 6 {
				t.Errorf("%d endpoints in %s, want 6", n, doc)
			}
		}
	}
	if got := o.Unserved(); len(got) > 0 {
		t.Error(got)
	}
}
