// This file holds the token endpoint: the grants, and what they bring.

package authserver

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
	"github.com/oktaretry/oktaretry/oktatest/internal/token"
)

// Kinds of tokens.
const (
	accessToken = iota
	idToken
	refreshToken
)

// grant is what a token stands for.
type grant struct {
	kind           int
	issuer, client string
	user, login    string // empty: the client itself
	scopes         []string
	id, audience   string
	issued         time.Time
	expires        time.Time
	methods        []string // how the user has signed in, and when
	signedIn       time.Time
	nonce          string
}

// active finds a token that is neither expired nor revoked. The server is locked.
func (s *Server) active(now time.Time, value string) *grant {
	g, ok := s.tokens.Get(value)
	if !ok || !now.Before(g.expires) {
		return nil
	}
	return g
}

// answer is the answer that brings tokens.
type answer struct {
	Type      string `json:"token_type"`
	ExpiresIn int    `json:"expires_in"`
	Access    string `json:"access_token"`
	Scope     string `json:"scope"`
	Refresh   string `json:"refresh_token,omitempty"`
	ID        string `json:"id_token,omitempty"`
}

// token serves POST /token. With DPoP every answer carries the nonce.
func (s *Server) token(r *endpoint.Request) endpoint.Answer {
	if !s.cfg.DPoP {
		return s.grant(r)
	}
	s.mu.Lock()
	nonce := s.nonce // the answer's, whatever it is rotated to meanwhile
	s.mu.Unlock()
	a := s.grant(r)
	if a.Header == nil {
		a.Header = http.Header{}
	}
	a.Header.Set("Dpop-Nonce", nonce)
	return a
}

func (s *Server) grant(r *endpoint.Request) endpoint.Answer {
	form := formOf(r)
	kind := form.Get("grant_type")
	client, credentials := clientOf(r, form)
	switch {
	case kind == "":
		return refuse(r, http.StatusBadRequest, "invalid_request", "The grant_type is missing.")
	case !slices.Contains(grants, kind):
		return refuse(r, http.StatusBadRequest, "unsupported_grant_type", "The grant_type is not supported here.")
	case !credentials && (client == "" || kind == "client_credentials"):
		return nameless(r)
	}
	if s.cfg.DPoP {
		if refusal := s.checkProof(r); refusal != nil {
			return *refusal
		}
	}
	g := grant{issuer: issuer(r), client: cmp.Or(client, "0oa0000000000000test"), scopes: strings.Fields(form.Get("scope"))}
	switch kind {
	case "password":
		return s.byPassword(r, form, g)
	case "authorization_code":
		return s.byCode(r, form, g)
	case "refresh_token":
		return s.byRefresh(r, form, g)
	}
	return s.issue(r, g, "")
}

// byPassword signs a user in. That a password that is expired is refused like a wrong one is a
// guess.
func (s *Server) byPassword(r *endpoint.Request, form url.Values, g grant) endpoint.Answer {
	if form.Get("username") == "" || form.Get("password") == "" {
		return refuse(r, http.StatusBadRequest, "invalid_request", "The token request must specify a username and a password.")
	}
	u, refused := s.cfg.SignIns.Password(r, form.Get("username"), form.Get("password"))
	switch refused {
	case signin.Accepted:
	case signin.NeedsMore:
		return invalidGrant(r, "Resource owner password credentials authentication denied by sign on policy.")
	case signin.Unknowable:
		return endpoint.Answer{Unserved: true}
	default:
		return invalidGrant(r, "The credentials provided were invalid.")
	}
	g.user, g.login, g.methods, g.signedIn = u.ID, u.Login, []string{"pwd"}, r.Now()
	return s.issue(r, g, "")
}

// byCode takes a code of the authorize endpoint, which is good for once.
func (s *Server) byCode(r *endpoint.Request, form url.Values, g grant) endpoint.Answer {
	s.mu.Lock()
	c, ok := s.codes.Get(form.Get("code"))
	s.codes.Delete(form.Get("code"))
	s.mu.Unlock()
	verifier := sha256.Sum256([]byte(form.Get("code_verifier")))
	switch {
	case !ok || r.Now().After(c.expires) || c.issuer != g.issuer || c.client != g.client:
		return invalidGrant(r, "The authorization code is invalid or has expired.")
	case c.redirect != form.Get("redirect_uri"):
		return invalidGrant(r, "The 'redirect_uri' does not match the redirection URI used in the authorization request.")
	case c.challenge != "" && c.challenge != base64.RawURLEncoding.EncodeToString(verifier[:]):
		return invalidGrant(r, "PKCE verification failed.")
	}
	return s.issue(r, c.grant, "")
}

// byRefresh takes a refresh token, and gives the same back: its life begins anew.
func (s *Server) byRefresh(r *endpoint.Request, form url.Values, g grant) endpoint.Answer {
	value := form.Get("refresh_token")
	s.mu.Lock()
	old := s.active(r.Now(), value)
	s.mu.Unlock()
	if old == nil || old.kind != refreshToken || old.issuer != g.issuer || old.client != g.client {
		return invalidGrant(r, "The refresh token is invalid or expired.")
	}
	if u, ok := s.cfg.Org.User(old.user); !ok || u.Status == "SUSPENDED" || u.Status == "DEPROVISIONED" {
		return invalidGrant(r, "The refresh token is invalid or expired.")
	}
	for _, scope := range g.scopes {
		if !slices.Contains(old.scopes, scope) {
			return refuse(r, http.StatusBadRequest, "invalid_scope", "One or more scopes are not allowed: they must be among those of the refresh token.")
		}
	}
	next := *old
	if len(g.scopes) > 0 {
		next.scopes = g.scopes
	}
	return s.issue(r, next, value)
}

// issue gives out an access token; an ID token with the scope openid and a refresh token with
// offline_access, both for users only. refresh is one that is given back.
func (s *Server) issue(r *endpoint.Request, g grant, refresh string) endpoint.Answer {
	now := r.Now()
	g.issued, g.expires = now, now.Add(s.cfg.Life)
	a := answer{Type: "Bearer", ExpiresIn: int(s.cfg.Life.Seconds()), Scope: strings.Join(g.scopes, " ")}
	if s.cfg.DPoP {
		a.Type = "DPoP"
	}
	a.Access = s.keep(g, accessToken, s.accessToken(r, &g))
	if g.user != "" && slices.Contains(g.scopes, "openid") {
		a.ID = s.keep(g, idToken, s.idToken(&g, a.Access))
	}
	if g.user != "" && slices.Contains(g.scopes, "offline_access") {
		g.expires = now.Add(refreshLife)
		a.Refresh = s.keep(g, refreshToken, cmp.Or(refresh, r.NewToken()))
	}
	return endpoint.OK(a)
}

// keep remembers a token.
func (s *Server) keep(g grant, kind int, value string) string {
	g.kind = kind
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens.Put(value, &g)
	return value
}

// accessToken makes a token of Okta's form: a JWT, signed by the key that the keys endpoints
// list.
func (s *Server) accessToken(r *endpoint.Request, g *grant) string {
	g.id, g.audience = "AT."+s.random(), r.Base
	claims := token.Claims{
		Version: 1, ID: g.id, Issuer: g.issuer, Audience: g.audience, Subject: g.client, Client: g.client, Scopes: g.scopes,
		IssuedAt: g.issued.Unix(), ExpiresAt: g.expires.Unix(),
	}
	if len(r.Vars) > 0 { // an authorization server of the org's own
		g.audience = "api://" + r.Vars[0]
		claims.Audience = g.audience
	}
	if g.user != "" {
		claims.Subject, claims.User, claims.SignedIn = g.login, g.user, g.signedIn.Unix()
	}
	if s.cfg.DPoP {
		claims.Confirms = token.Thumbprint(r.Header.Get("DPoP"))
	}
	return token.Sign(claims)
}

// idToken makes the ID token that comes with an access token.
func (s *Server) idToken(g *grant, access string) string {
	g.id, g.audience = "ID."+s.random(), g.client
	sum := sha256.Sum256([]byte(access))
	claims := token.IDClaims{
		Version: 1, ID: g.id, Issuer: g.issuer, Audience: g.audience, Subject: g.user,
		IssuedAt: g.issued.Unix(), ExpiresAt: g.expires.Unix(), SignedIn: g.signedIn.Unix(),
		Methods: g.methods, Provider: "00ooktatestidp000000", Nonce: g.nonce,
		AccessHash: base64.RawURLEncoding.EncodeToString(sum[:16]),
	}
	if u, ok := s.cfg.Org.User(g.user); ok {
		claims.Profile = claimsOf(u, g.scopes)
	}
	return token.SignID(claims)
}

func (s *Server) random() string { return base64.RawURLEncoding.EncodeToString(s.cfg.Random()) }

// claimsOf are what an ID token and the userinfo endpoint tell of a user, by scope.
func claimsOf(u signin.User, scopes []string) map[string]any {
	claims := map[string]any{}
	add := func(claim string, v any) {
		if v != nil && v != "" {
			claims[claim] = v
		}
	}
	if slices.Contains(scopes, "profile") {
		add("name", u.Entity.DisplayName)
		add("preferred_username", u.Login)
		add("given_name", u.Profile["firstName"])
		add("family_name", u.Profile["lastName"])
		add("nickname", u.Profile["nickName"])
		add("locale", u.Profile["locale"])
		add("zoneinfo", u.Profile["timezone"])
	}
	if slices.Contains(scopes, "email") {
		add("email", u.Profile["email"])
		add("email_verified", true)
	}
	return claims
}
