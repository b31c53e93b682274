// This file holds the authorize endpoint: a session becomes a code.

package authserver

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
)

// code is an authorization code.
type code struct {
	grant
	redirect  string
	challenge string // of PKCE, by S256
	expires   time.Time
}

// authorize serves /authorize for a user who has signed in: by a session token, or by the cookie
// of a session. It answers with a redirect that has a code; what Okta's sign-in page or an error
// page would answer is not served, nor are the implicit and hybrid flows.
func (s *Server) authorize(r *endpoint.Request) endpoint.Answer {
	form := formOf(r)
	back, err := url.Parse(form.Get("redirect_uri"))
	mode, method := form.Get("response_mode"), form.Get("code_challenge_method")
	if err != nil || back.Host == "" || form.Get("client_id") == "" || form.Get("response_type") != "code" ||
		mode != "" && mode != "query" || form.Get("code_challenge") != "" && method != "S256" {
		return endpoint.Answer{Unserved: true}
	}
	proof, ok := s.proof(r, form)
	switch {
	case ok:
	case form.Get("prompt") == "none":
		return redirect(back, form, "error", "login_required", "error_description", "The client specified not to prompt, but the user is not logged in.")
	default:
		return endpoint.Answer{Unserved: true}
	}
	c := &code{
		grant: grant{
			issuer: issuer(r), client: form.Get("client_id"), user: proof.User.ID, login: proof.User.Login,
			scopes: strings.Fields(form.Get("scope")), methods: proof.Methods, signedIn: proof.At, nonce: form.Get("nonce"),
		},
		redirect: form.Get("redirect_uri"), challenge: form.Get("code_challenge"), expires: r.Now().Add(codeLife),
	}
	value := r.NewToken()
	s.mu.Lock()
	s.codes.Put(value, c)
	s.mu.Unlock()
	return redirect(back, form, "code", value)
}

// proof is who has signed in.
func (s *Server) proof(r *endpoint.Request, form url.Values) (signin.Proof, bool) {
	if value := form.Get("sessionToken"); value != "" {
		return s.cfg.SignIns.Redeem(r.Now(), value)
	}
	return s.cfg.SignIns.Cookie(r)
}

// redirect sends the user back to the client, with these parameters and the client's state.
func redirect(back *url.URL, form url.Values, params ...string) endpoint.Answer {
	q := back.Query()
	if form.Has("state") {
		q.Set("state", form.Get("state"))
	}
	for i := 0; i < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	to := *back
	to.RawQuery = q.Encode()
	return endpoint.Answer{Status: http.StatusFound, Header: http.Header{"Location": {to.String()}}}
}
