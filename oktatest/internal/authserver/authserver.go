// Package authserver is the authorization servers of a fake org: tokens, codes, DPoP and
// metadata, by https://developer.okta.com/docs/reference/api/oidc/. There is one of each name
// that is asked for, and clients of any name.
package authserver

import (
	"cmp"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry/internal/canned"
	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
	"github.com/oktaretry/oktaretry/oktatest/internal/token"
)

// Lifetimes. A refresh token's begins anew with each use, as by Okta's default policy.
const (
	codeLife    = 5 * time.Minute
	refreshLife = 7 * 24 * time.Hour
)

// Config is what a Server is made of.
type Config struct {
	DPoP    bool          // demanded of the token endpoint
	Life    time.Duration // of access tokens
	Random  func() []byte // 16 bytes
	Org     signin.Org
	SignIns *signin.Store
}

// Server remembers what the authorization servers have given out. It is safe for concurrent use.
type Server struct {
	cfg Config

	mu      sync.Mutex
	tokens  signin.Memory[*grant] // access, id and refresh tokens
	codes   signin.Memory[*code]
	nonce   string          // the one that DPoP proofs must carry
	proofs  map[string]bool // the jti of proofs already used
	rotated int
}

// New returns a server.
func New(cfg Config) *Server {
	return &Server{cfg: cfg, proofs: map[string]bool{}, nonce: "oktatest-nonce-1"}
}

// Issued reports whether an access token was given out and is still good.
func (s *Server) Issued(now time.Time, access string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.active(now, access)
	return g != nil && g.kind == accessToken
}

// RevokeUser revokes all tokens of the user of an id.
func (s *Server) RevokeUser(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens.DeleteFunc(func(g *grant) bool { return g.user == user })
}

// Routes are the endpoints of the org's own authorization server, and of those that it can
// have beside it.
func (s *Server) Routes() []endpoint.Route {
	var all []endpoint.Route
	for _, base := range []string{"/oauth2/v1/", "/oauth2/{server}/v1/"} {
		all = append(all,
			endpoint.Route{Pattern: "POST " + base + "token", Serve: s.token},
			endpoint.Route{Pattern: "GET " + base + "authorize", Serve: s.authorize},
			endpoint.Route{Pattern: "POST " + base + "authorize", Serve: s.authorize},
			endpoint.Route{Pattern: "POST " + base + "introspect", Serve: s.introspect},
			endpoint.Route{Pattern: "POST " + base + "revoke", Serve: s.revoke},
			endpoint.Route{Pattern: "GET " + base + "userinfo", Serve: s.userinfo},
			endpoint.Route{Pattern: "POST " + base + "userinfo", Serve: s.userinfo},
			endpoint.Route{Pattern: "GET " + base + "keys", Serve: keys})
	}
	for _, doc := range []string{"openid-configuration", "oauth-authorization-server"} {
		all = append(all,
			endpoint.Route{Pattern: "GET /.well-known/" + doc, Serve: metadata},
			endpoint.Route{Pattern: "GET /oauth2/{server}/.well-known/" + doc, Serve: metadata})
	}
	return append(all, endpoint.Route{Pattern: "GET /.well-known/okta-organization", Serve: organization})
}

func keys(*endpoint.Request) endpoint.Answer {
	return endpoint.OK(map[string]any{"keys": token.Keys()})
}

func organization(*endpoint.Request) endpoint.Answer {
	return endpoint.OK(map[string]any{"id": "00o0000000000000test", "pipeline": "idx"})
}

// grants are those that the token endpoint knows.
var grants = []string{"authorization_code", "refresh_token", "password", "client_credentials"}

// metadata lists what is served, and no more.
func metadata(r *endpoint.Request) endpoint.Answer {
	at := issuer(r)
	if len(r.Vars) == 0 {
		at += "/oauth2"
	}
	methods := []string{"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"}
	return endpoint.OK(map[string]any{
		"issuer":                                issuer(r),
		"authorization_endpoint":                at + "/v1/authorize",
		"token_endpoint":                        at + "/v1/token",
		"userinfo_endpoint":                     at + "/v1/userinfo",
		"introspection_endpoint":                at + "/v1/introspect",
		"revocation_endpoint":                   at + "/v1/revoke",
		"jwks_uri":                              at + "/v1/keys",
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query"},
		"grant_types_supported":                 grants,
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"code_challenge_methods_supported":      []string{"S256"},

		"token_endpoint_auth_methods_supported":         methods,
		"introspection_endpoint_auth_methods_supported": methods,
		"revocation_endpoint_auth_methods_supported":    methods,
	})
}

// issuer is the authorization server's name: that of the org where the path names no other.
func issuer(r *endpoint.Request) string {
	if len(r.Vars) == 0 {
		return r.Base
	}
	return r.Base + "/oauth2/" + r.Vars[0]
}

// formOf are a request's parameters. They may be in the query or in the body.
func formOf(r *endpoint.Request) url.Values {
	form := url.Values{}
	for k, vs := range r.Query {
		form[k] = append(form[k], vs...)
	}
	if body, err := url.ParseQuery(string(r.Body)); err == nil {
		for k, vs := range body {
			form[k] = append(form[k], vs...)
		}
	}
	return form
}

// clientOf is the client that calls, and whether it shows credentials. They are not checked,
// only that there are any.
func clientOf(r *endpoint.Request, form url.Values) (id string, credentials bool) {
	user, _, basic := (&http.Request{Header: r.Header}).BasicAuth()
	assertion := form.Get("client_assertion")
	id = cmp.Or(token.ClientOf(assertion), form.Get("client_id"), user)
	return id, assertion != "" || form.Get("client_secret") != "" || basic
}

// refuse answers with an error in OAuth's form.
func refuse(r *endpoint.Request, status int, code, description string) endpoint.Answer {
	a := endpoint.Answer{Status: status, Body: canned.OAuthError{Error: code, Description: description}, Header: http.Header{}}
	if status == http.StatusUnauthorized {
		a.Header.Set("WWW-Authenticate", "Basic realm="+strconv.Quote(r.Base))
	}
	return a
}

// nameless refuses a call without a client.
func nameless(r *endpoint.Request) endpoint.Answer {
	return refuse(r, http.StatusUnauthorized, "invalid_client", "No client credentials found.")
}

func invalidGrant(r *endpoint.Request, description string) endpoint.Answer {
	return refuse(r, http.StatusBadRequest, "invalid_grant", description)
}

// bearer is the access token that a call shows.
func bearer(r *endpoint.Request) string {
	scheme, access, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if scheme != "Bearer" && scheme != "DPoP" {
		return ""
	}
	return access
}
