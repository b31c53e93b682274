// This file holds what can be done with a token: look into it, revoke it, read who it is.

package authserver

import (
	"net/http"
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
)

// introspect serves POST /introspect. A token of another authorization server is not active.
func (s *Server) introspect(r *endpoint.Request) endpoint.Answer {
	form := formOf(r)
	if refusal := admit(r); refusal != nil {
		return *refusal
	}
	s.mu.Lock()
	g := s.active(r.Now(), form.Get("token"))
	s.mu.Unlock()
	if g == nil || g.issuer != issuer(r) || g.user != "" && s.gone(g.user) {
		return endpoint.OK(map[string]any{"active": false})
	}
	body := map[string]any{
		"active": true, "token_type": "Bearer", "scope": strings.Join(g.scopes, " "), "client_id": g.client,
		"exp": g.expires.Unix(), "sub": g.client,
	}
	if s.cfg.DPoP && g.kind == accessToken {
		body["token_type"] = "DPoP"
	}
	if g.user != "" {
		body["username"], body["sub"] = g.login, g.login
	}
	if g.kind != refreshToken {
		body["iat"], body["aud"], body["iss"], body["jti"] = g.issued.Unix(), g.audience, g.issuer, g.id
	}
	switch {
	case g.kind == accessToken && g.user != "":
		body["uid"] = g.user
	case g.kind == idToken:
		body["sub"] = g.user
	}
	return endpoint.OK(body)
}

// gone reports whether a user's tokens are good for nothing. That they are not while a user is
// suspended is a guess.
func (s *Server) gone(user string) bool {
	u, ok := s.cfg.Org.User(user)
	return !ok || u.Status == "SUSPENDED" || u.Status == "DEPROVISIONED"
}

// revoke serves POST /revoke. It tells nothing of the token; a client revokes only its own.
func (s *Server) revoke(r *endpoint.Request) endpoint.Answer {
	form := formOf(r)
	if refusal := admit(r); refusal != nil {
		return *refusal
	}
	client, _ := clientOf(r, form)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g, ok := s.tokens.Get(form.Get("token")); ok && g.client == client && g.issuer == issuer(r) {
		s.tokens.Delete(form.Get("token"))
	}
	return endpoint.Answer{Status: http.StatusOK}
}

// admit refuses a call without a client or a token.
func admit(r *endpoint.Request) *endpoint.Answer {
	form := formOf(r)
	client, credentials := clientOf(r, form)
	var refusal endpoint.Answer
	switch {
	case client == "" && !credentials:
		refusal = nameless(r)
	case form.Get("token") == "":
		refusal = refuse(r, http.StatusBadRequest, "invalid_request", "The request is missing the required parameter 'token'.")
	default:
		return nil
	}
	return &refusal
}

// userinfo serves /userinfo, by an access token.
func (s *Server) userinfo(r *endpoint.Request) endpoint.Answer {
	s.mu.Lock()
	g := s.active(r.Now(), bearer(r))
	s.mu.Unlock()
	if g == nil || g.kind != accessToken || g.issuer != issuer(r) || g.user == "" {
		return challenged(http.StatusUnauthorized, "invalid_token", "The access token is invalid")
	}
	u, ok := s.cfg.Org.User(g.user)
	switch {
	case !ok || s.gone(g.user):
		return challenged(http.StatusUnauthorized, "invalid_token", "The access token is invalid")
	case !slices.Contains(g.scopes, "openid"):
		return challenged(http.StatusForbidden, "insufficient_scope",
			"The access token must provide access to at least one of these scopes - profile, email, address or phone")
	}
	claims := claimsOf(u, g.scopes)
	claims["sub"] = u.ID
	return endpoint.OK(claims)
}

// challenged answers with an error in WWW-Authenticate and no body.
func challenged(status int, code, description string) endpoint.Answer {
	return endpoint.Answer{Status: status, Header: http.Header{
		"Www-Authenticate": {`Bearer error="` + code + `", error_description="` + description + `"`}}}
}
