// This file decides which requests are served, for which org, and what of them Okta gets.

package sidecar

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/sidecar/internal/rewrite"
)

// The headers of a request that speak to the sidecar. None of them, and none of that
// prefix, reaches Okta.
const (
	headerPrefix   = "Oktaretry-"
	headerPriority = headerPrefix + "Priority" // interactive or background
	headerTimeout  = headerPrefix + "Timeout"  // seconds, or 1m30s
	headerAuth     = headerPrefix + "Authorization"
)

// refusal is why a request is not sent to Okta.
type refusal struct {
	reason string // for metrics and logs
	status int
	code   string // of Okta's, as its API would have it
	text   string // a constant
	proxy  bool   // it came to a proxy: 407 rather than 401
}

var (
	refusedMethod  = &refusal{"method", http.StatusMethodNotAllowed, "E0000022", "The sidecar does not serve this method.", false}
	refusedForm    = &refusal{"form", http.StatusBadRequest, "E0000003", "The sidecar does not serve a request target of this form.", false}
	refusedHost    = &refusal{"host", http.StatusMisdirectedRequest, "E0000008", "The request is for a host that this sidecar does not serve.", false}
	refusedPath    = &refusal{"path", http.StatusBadRequest, "E0000003", "The path has dot segments.", false}
	refusedOrigin  = &refusal{"origin", http.StatusForbidden, "E0000006", "The sidecar does not serve the pages of other origins.", false}
	refusedAuth    = &refusal{"auth", http.StatusUnauthorized, "E0000011", "The sidecar demands its own token.", false}
	refusedProxy   = &refusal{"auth", http.StatusProxyAuthRequired, "E0000011", "The sidecar demands its own token.", true}
	refusedHeaders = &refusal{"header", http.StatusBadRequest, "E0000003", "Oktaretry-Priority or Oktaretry-Timeout has a value that makes no sense.", false}
	refusedToken   = &refusal{"token-file", http.StatusServiceUnavailable, "E0000009", "The sidecar cannot read its own token.", false}
)

// admit fills in where a request goes, or returns why it does not.
func (s *Sidecar) admit(c *call, r *http.Request) *refusal {
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		return refusedMethod
	}
	scheme := "http"
	if s.config.TLS != nil || r.TLS != nil {
		scheme = "https"
	}
	absolute := r.URL.Host != "" || r.URL.Scheme != ""
	if absolute && r.URL.Scheme != scheme || r.URL.User != nil || r.URL.Opaque != "" {
		return refusedForm
	}
	if absolute && r.URL.Path == "" {
		r.URL.Path = "/"
	}
	if !strings.HasPrefix(r.URL.Path, "/") {
		return refusedForm
	}
	if c.org = s.orgOf(r); c.org == nil {
		return refusedHost
	}
	if hasDotSegments(r.URL.Path) {
		return refusedPath
	}
	if c.org.credential != nil && fromAnotherOrigin(r) {
		return refusedOrigin
	}
	if refused := s.checkAuth(c, r, absolute); refused != nil {
		return refused
	}
	c.links = rewrite.New(c.org.origin, scheme+"://"+r.Host)
	return s.readHeaders(c, r)
}

// orgOf returns the org that a request's Host selects; nil for a Host that is none of the
// sidecar's.
func (s *Sidecar) orgOf(r *http.Request) *org {
	if !isHost(r.Host) {
		return nil
	}
	host := strings.ToLower(r.Host)
	if o := s.orgs[host]; o != nil {
		return o
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	} else if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil
	}
	if o := s.orgs[name]; o != nil {
		return o
	}
	if s.names[name] || s.names[host] {
		return s.first
	}
	ip := net.ParseIP(name)
	if ip == nil {
		return nil
	}
	// A page of another site has no way to a Host that is an address.
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ip.IsLoopback() || ok && local.IP.Equal(ip) {
		return s.first
	}
	return nil
}

// hasDotSegments reports whether a decoded path would be another once normalised: the
// credential is presented by path.
func hasDotSegments(path string) bool {
	for rest := path; ; {
		i := strings.Index(rest, "/.")
		if i < 0 {
			return false
		}
		rest = rest[i+1:]
		segment, _, _ := strings.Cut(rest, "/")
		if segment == "." || segment == ".." || strings.HasPrefix(segment, ".;") || strings.HasPrefix(segment, "..;") {
			return true
		}
	}
}

// fromAnotherOrigin reports whether a browser sends a request for a page that is not the
// sidecar's own: any page could use a credential that the sidecar adds.
func fromAnotherOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return true
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	_, host, _ := strings.Cut(origin, "://")
	return !strings.EqualFold(host, r.Host)
}

// checkAuth demands the sidecar's own token, where it has one.
func (s *Sidecar) checkAuth(c *call, r *http.Request, absolute bool) *refusal {
	if s.auth == nil {
		return nil
	}
	want := s.auth.get()
	if want == "" {
		return refusedToken
	}
	if matches(r.Header.Get("Proxy-Authorization"), want) || matches(r.Header.Get(headerAuth), want) ||
		c.org.credential != nil && matches(r.Header.Get("Authorization"), want) {
		return nil
	}
	if absolute {
		return refusedProxy
	}
	return refusedAuth
}

// matches compares the token of an Authorization header, in constant time.
func matches(header, want string) bool {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok {
		return false
	}
	switch strings.ToLower(scheme) {
	case "bearer", "ssws":
	case "basic":
		plain, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			return false
		}
		_, token, _ = strings.Cut(string(plain), ":")
	default:
		return false
	}
	a, b := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func (s *Sidecar) readHeaders(c *call, r *http.Request) *refusal {
	switch strings.ToLower(r.Header.Get(headerPriority)) {
	case "", "interactive":
	case "background":
		c.background = true
	default:
		return refusedHeaders
	}
	if text := r.Header.Get(headerTimeout); text != "" {
		if strings.Trim(text, "0123456789.") == "" {
			text += "s"
		}
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return refusedHeaders
		}
		c.timeout = d
	}
	if most := s.config.MaxTimeout; most > 0 && (c.timeout == 0 || c.timeout > most) {
		c.timeout = most
	}
	return nil
}

// rewrite makes the request that goes to Okta.
func (s *Sidecar) rewrite(r *httputil.ProxyRequest) {
	c, out := callOf(r.In.Context()), r.Out
	out.URL.Scheme, out.URL.Host = c.org.url.Scheme, c.org.url.Host
	out.URL.RawQuery = r.In.URL.RawQuery // as it came: nobody but Okta reads it
	out.Host = ""
	for name := range out.Header {
		if strings.HasPrefix(name, headerPrefix) || strings.HasPrefix(name, "X-Forwarded-") {
			delete(out.Header, name)
		}
	}
	for _, name := range [...]string{
		"Accept-Encoding", // the base asks for gzip and unpacks it: links are to be read
		"Connection",      // an upgrade, and
		"Expect",          // a 100 Continue, are between the client and the sidecar
		"Upgrade",
		"X-Real-Ip",
	} {
		delete(out.Header, name)
	}
	if c.org.credential == nil || !takesCredential(out.URL.Path) {
		return
	}
	delete(out.Header, "Authorization")
	delete(out.Header, "Dpop")
	// For the transport, which counts a credential's calls together. The presenter sets
	// what is valid when the request goes out.
	if known := c.org.credential.known(); known != "" {
		out.Header.Set("Authorization", known)
	}
}

// errStopping is the cause by which calls end that outlast the grace.
var errStopping = errors.New("sidecar: stopping")

func stopping(ctx context.Context) bool { return context.Cause(ctx) == errStopping }
