// This file presents to Okta the credential that the sidecar holds for its clients.

package sidecar

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// Credential is what a Sidecar presents to Okta: [TokenFile] or [PrivateKey]. It is of
// one Org of one Sidecar.
type Credential interface {
	// known returns the Authorization at hand, which may be out of date; "" for none.
	known() string
	// authorization returns a valid Authorization, or why there is none.
	authorization(ctx context.Context) (string, error)
	// rejected is told that Okta refused an Authorization.
	rejected(authorization string)
	// attach names the client by which tokens are fetched, the org and the log.
	attach(client *http.Client, origin string, logger *slog.Logger)
}

// TokenFile returns the credential of an API token in a file, presented as "SSWS". The
// file is read again when it changes; one that cannot be read leaves the token as it was.
func TokenFile(path string) (Credential, error) {
	f, err := newSecretFile(path, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return apiToken{f}, nil
}

type apiToken struct{ file *secretFile }

func (t apiToken) known() string                                        { return "SSWS " + t.file.get() }
func (t apiToken) authorization(context.Context) (string, error)        { return t.known(), nil }
func (t apiToken) rejected(string)                                      { t.file.check() }
func (t apiToken) attach(_ *http.Client, _ string, logger *slog.Logger) { t.file.logger = logger }

// takesCredential reports whether the API at a path takes the sidecar's credential.
// Login and token endpoints have credentials of their own, and a user's session must not
// be begun by an API token.
func takesCredential(path string) bool {
	path = "/" + strings.TrimLeft(path, "/")
	for _, p := range withoutCredential {
		if under(path, p) {
			return false
		}
	}
	for _, p := range withCredential {
		if under(path, p) {
			return true
		}
	}
	return false
}

var (
	withoutCredential = []string{"/api/v1/authn"}
	withCredential    = []string{
		"/api", "/oauth2/v1/clients", "/governance", "/privileged-access", "/workload-principals", "/device-access",
		"/webauthn-registration", "/okta-personal-settings", "/integrations", "/attack-protection", "/security",
	}
)

// under reports whether path is p or below it.
func under(path, p string) bool {
	rest, ok := strings.CutPrefix(path, p)
	return ok && (rest == "" || rest[0] == '/')
}

// presenter is the transport below oktaretry's: each attempt, also one that waited for
// minutes, presents what is valid when it goes out.
type presenter struct {
	base        http.RoundTripper
	credentials map[string]Credential // by host
}

func (p *presenter) RoundTrip(req *http.Request) (*http.Response, error) {
	c := p.credentials[req.URL.Host]
	if c == nil || !takesCredential(req.URL.Path) {
		return p.base.RoundTrip(req)
	}
	authorization, err := c.authorization(req.Context())
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	out := *req
	out.Header = req.Header.Clone()
	out.Header.Set("Authorization", authorization)
	resp, err := p.base.RoundTrip(&out)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		c.rejected(authorization)
	}
	return resp, err
}

// CloseIdleConnections reaches the base.
func (p *presenter) CloseIdleConnections() {
	if c, ok := p.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// renewer is the transport above oktaretry's: a call that Okta refused for an outdated
// credential is sent once more with the new one, if it has no body.
type renewer struct {
	next http.RoundTripper
	orgs map[string]*org
}

func (r *renewer) RoundTrip(req *http.Request) (*http.Response, error) {
	o := r.orgs[req.URL.Host]
	if o == nil || o.credential == nil || req.Body != nil || !takesCredential(req.URL.Path) {
		return r.next.RoundTrip(req)
	}
	before := o.credential.known()
	resp, err := r.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	now, err := o.credential.authorization(req.Context())
	if err != nil || now == before {
		return resp, nil
	}
	io.CopyN(io.Discard, resp.Body, 64<<10)
	resp.Body.Close()
	again := req.Clone(req.Context())
	again.Header.Set("Authorization", now)
	return r.next.RoundTrip(again)
}
