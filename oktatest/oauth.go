// This file holds the authorization server: tokens, DPoP and metadata.

package oktatest

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/oktaretry/oktaretry/internal/canned"
	"github.com/oktaretry/oktaretry/oktatest/internal/token"
)

// oauth holds what the authorization server remembers.
type oauth struct {
	mu     sync.Mutex
	tokens map[string]bool
	nonce  string          // the one that DPoP proofs must carry
	proofs map[string]bool // the jti of proofs already used
}

// oauthMemory is how many proofs are remembered before they are forgotten.
const oauthMemory = 100_000

func (a *oauth) init() {
	a.tokens, a.proofs = map[string]bool{}, map[string]bool{}
	a.nonce = "oktatest-nonce-1"
}

// issued reports whether the fake gave out this access token.
func (a *oauth) issued(token string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tokens[token]
}

// RotateNonce makes the fake demand a new DPoP nonce, as Okta does now and then.
func (o *Okta) RotateNonce() {
	nonce := o.newID("nonce-")
	o.oauth.mu.Lock()
	defer o.oauth.mu.Unlock()
	o.oauth.nonce = nonce
}

func (o *Okta) oauthRoutes(add func(string, func(*call) *reply)) {
	add("POST /oauth2/v1/token", o.token)
	add("POST /oauth2/{server}/v1/token", o.token)
	keys := func(c *call) *reply { return c.json(http.StatusOK, map[string]any{"keys": token.Keys()}) }
	add("GET /oauth2/v1/keys", keys)
	add("GET /oauth2/{server}/v1/keys", keys)
	metadata := func(c *call) *reply {
		issuer := c.base()
		if c.segs[0] == "oauth2" {
			issuer += "/oauth2/" + c.segs[1]
		}
		at := issuer
		if c.segs[0] != "oauth2" {
			at += "/oauth2"
		}
		return c.json(http.StatusOK, map[string]any{
			"issuer":                 issuer,
			"token_endpoint":         at + "/v1/token",
			"authorization_endpoint": at + "/v1/authorize",
			"jwks_uri":               at + "/v1/keys",
			"grant_types_supported":  []string{"client_credentials"},
		})
	}
	for _, doc := range []string{"openid-configuration", "oauth-authorization-server"} {
		add("GET /.well-known/"+doc, metadata)
		add("GET /oauth2/{server}/.well-known/"+doc, metadata)
	}
	add("GET /.well-known/okta-organization", func(c *call) *reply {
		return c.json(http.StatusOK, map[string]any{"id": "00o0000000000000test", "pipeline": "idx"})
	})
}

// token serves the client credentials grant. Its parameters may be in the
// query or in the body. The assertion is not checked, only that there is one.
// With DPoP every answer carries the nonce.
func (o *Okta) token(c *call) *reply {
	if !o.cfg.dpop {
		return o.grant(c, "Bearer")
	}
	o.oauth.mu.Lock()
	nonce := o.oauth.nonce // the answer's, whatever it is rotated to meanwhile
	o.oauth.mu.Unlock()
	r := o.grant(c, "DPoP")
	r.header.Set("Dpop-Nonce", nonce)
	return r
}

func (o *Okta) grant(c *call, kind string) *reply {
	form := c.r.URL.Query()
	if body, err := url.ParseQuery(string(c.body)); err == nil {
		for k, vs := range body {
			form[k] = append(form[k], vs...)
		}
	}
	client, _, basic := c.r.BasicAuth()
	switch grant := form.Get("grant_type"); {
	case grant == "":
		return c.oauthFail(http.StatusBadRequest, "invalid_request", "The grant_type is missing.")
	case grant != "client_credentials":
		return c.oauthFail(http.StatusBadRequest, "unsupported_grant_type", "The grant_type is not supported here.")
	case form.Get("client_assertion") == "" && form.Get("client_secret") == "" && !basic:
		return c.oauthFail(http.StatusUnauthorized, "invalid_client", "No client credentials found.")
	}
	if kind == "DPoP" {
		if refusal := o.oauth.checkProof(c); refusal != nil {
			return refusal
		}
	}
	client = cmp.Or(token.ClientOf(form.Get("client_assertion")), form.Get("client_id"), client, "0oa0000000000000test")
	access := o.accessToken(c, client, strings.Fields(form.Get("scope")))
	o.oauth.mu.Lock()
	defer o.oauth.mu.Unlock()
	o.oauth.tokens[access] = true
	return c.json(http.StatusOK, granted{kind, int(o.cfg.tokenLife.Seconds()), access, form.Get("scope")})
}

// granted is the answer that brings a token.
type granted struct {
	Type      string `json:"token_type"`
	ExpiresIn int    `json:"expires_in"`
	Token     string `json:"access_token"`
	Scope     string `json:"scope"`
}

// accessToken makes a token of Okta's form: a JWT, signed by the key that the keys
// endpoints list.
func (o *Okta) accessToken(c *call, client string, scopes []string) string {
	now := o.now()
	claims := token.Claims{
		Version: 1, ID: "AT." + base64.RawURLEncoding.EncodeToString(o.random()),
		Issuer: c.base(), Audience: c.base(), Subject: client, Client: client, Scopes: scopes,
		IssuedAt: now.Unix(), ExpiresAt: now.Add(o.cfg.tokenLife).Unix(),
	}
	if len(c.vars) > 0 { // an authorization server of the org's own
		claims.Issuer, claims.Audience = c.base()+"/oauth2/"+c.vars[0], "api://"+c.vars[0]
	}
	if o.cfg.dpop {
		claims.Confirms = token.Thumbprint(c.r.Header.Get("DPoP"))
	}
	return token.Sign(claims)
}

// proof is what is read of a DPoP proof.
type proof struct {
	ID    string `json:"jti"`
	Nonce string `json:"nonce"`
}

func parseProof(jwt string) (p proof, ok bool) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return p, false
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	return p, err == nil && json.Unmarshal(claims, &p) == nil
}

// checkProof refuses a token request without a fresh proof over our nonce.
func (a *oauth) checkProof(c *call) *reply {
	header := c.r.Header.Get("DPoP")
	if header == "" {
		return c.oauthFail(http.StatusBadRequest, "invalid_dpop_proof", "The DPoP proof JWT header is missing.")
	}
	p, ok := parseProof(header)
	if !ok {
		return c.oauthFail(http.StatusBadRequest, "invalid_dpop_proof", "The DPoP proof is not a JWT.")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.Nonce != a.nonce {
		return c.oauthFail(http.StatusBadRequest, "use_dpop_nonce", "Authorization server requires nonce in DPoP proof.")
	}
	if a.used(p.ID) {
		return c.oauthFail(http.StatusBadRequest, "invalid_dpop_proof", "The DPoP proof has been used before.")
	}
	return nil
}

// replayed refuses a request to a resource whose proof was used before: empty
// body, the error in WWW-Authenticate.
func (a *oauth) replayed(c *call) *reply {
	header := c.r.Header.Get("DPoP")
	if !c.o.cfg.dpop || header == "" {
		return nil
	}
	p, ok := parseProof(header)
	a.mu.Lock()
	defer a.mu.Unlock()
	if ok && !a.used(p.ID) {
		return nil
	}
	return &reply{status: http.StatusBadRequest, header: http.Header{"Www-Authenticate": {
		`DPoP error="invalid_dpop_proof", error_description="The DPoP proof is not valid or has been used before."`,
	}}}
}

// used remembers a proof and reports whether it was known. One without a jti never is.
func (a *oauth) used(jti string) bool {
	if jti == "" {
		return false
	}
	if a.proofs[jti] {
		return true
	}
	if len(a.proofs) >= oauthMemory {
		clear(a.proofs)
	}
	a.proofs[jti] = true
	return false
}

// oauthFail replies with an error in OAuth's form.
func (c *call) oauthFail(status int, code, description string) *reply {
	r := c.json(status, canned.OAuthError{Error: code, Description: description})
	if status == http.StatusUnauthorized {
		r.header.Set("WWW-Authenticate", "Basic realm="+strconv.Quote(c.base()))
	}
	return r
}
