// This file holds the settings of a Sidecar and refuses those that make no sense.

package sidecar

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/oktaretry/oktaretry"
)

// Org is an Okta org behind a Sidecar.
type Org struct {
	// URL is the org's, https://acme.okta.com: without a path. Plain http is accepted
	// for hosts of this machine only.
	URL string
	// Names are hosts by which clients address this org beside its own,
	// "acme.localhost". The first org of a Config is also the one that all other names
	// of the Sidecar stand for.
	Names []string
	// Credential is what the Sidecar presents to Okta for its clients. nil: the
	// Authorization of each client passes. With one, a client's own Authorization and
	// DPoP proof are dropped for the APIs that take the credential; login and token
	// endpoints do not, and there the client's own still pass.
	Credential Credential
}

// Config sets a Sidecar up. Zero values are the defaults that the fields name.
type Config struct {
	// Orgs are at least one. The Host of a request selects.
	Orgs []Org

	// Names are hosts that clients may use beside localhost, the loopback addresses and
	// the address that a connection came in on. Other Hosts are refused, which defeats
	// DNS rebinding.
	Names []string

	// AuthTokenFile holds a token that clients must present, as
	// "Proxy-Authorization: Bearer …" (or as the password of Basic), as
	// "Oktaretry-Authorization: Bearer …", or, for an org with a Credential, as the
	// Authorization that the Sidecar replaces ("SSWS …" or "Bearer …"). The file is read
	// again when it changes. Default: none is demanded.
	AuthTokenFile string

	// TLS serves HTTPS. With ClientAuth tls.RequireAndVerifyClientCert it is mTLS.
	// Default: plain HTTP.
	TLS *tls.Config

	// Base sends to Okta. Default: a transport that keeps 256 connections to each host
	// for 4 s each, uses HTTP/2 and unpacks gzip.
	Base http.RoundTripper

	// Options go to [oktaretry.NewTransport].
	Options []oktaretry.Option

	// Logger gets the Sidecar's own lines; give the transport its own by Options.
	// Default: none.
	Logger *slog.Logger

	// Meters get the Sidecar's own metrics. Default: none.
	Meters metric.MeterProvider

	// Metrics is served at /metrics by [Sidecar.Admin]. Default: 404.
	Metrics http.Handler

	// Debug makes the handler at /debug/oktaretry for the Sidecar's transport:
	// debug.Handler fits. Default: 404.
	Debug func(...*oktaretry.Transport) http.Handler

	// MaxTimeout bounds a call, whatever its client asks for by Oktaretry-Timeout. 0: no
	// bound beyond the policy's. Default: 0.
	MaxTimeout time.Duration

	// MaxConns is how many connections of clients are served at a time; others wait to
	// be accepted. Default: 1024.
	MaxConns int

	// MaxHeader is how many bytes a request's line and header may have. Default: 64 KiB.
	MaxHeader int

	// HeaderTimeout bounds the arrival of a request's header. Default: 10 s.
	HeaderTimeout time.Duration

	// StallTimeout is how long a client may neither send the body it announced nor read
	// what it is sent. A body may take another second for each KiB. Default: 30 s.
	StallTimeout time.Duration

	// IdleTimeout is how long an idle connection of a client is kept. Default: 2 min.
	IdleTimeout time.Duration

	// Grace is how long calls in flight and in line may go on once Run's context has
	// ended. What has not ended then is answered with 503 or 504. Default: 30 s.
	Grace time.Duration
}

func (c Config) withDefaults() Config {
	if c.MaxConns == 0 {
		c.MaxConns = 1024
	}
	if c.MaxHeader == 0 {
		c.MaxHeader = 64 << 10
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.HeaderTimeout, 10 * time.Second}, {&c.StallTimeout, 30 * time.Second}, {&c.IdleTimeout, 2 * time.Minute}, {&c.Grace, 30 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// validate returns all that is wrong.
func (c Config) validate() error {
	var wrong []error
	add := func(format string, args ...any) {
		wrong = append(wrong, fmt.Errorf("sidecar: "+format, args...))
	}
	if len(c.Orgs) == 0 {
		add("no org")
	}
	for _, n := range c.Names {
		if !isHost(n) {
			add("name %q is not a host", n)
		}
	}
	for _, d := range []struct {
		name string
		time.Duration
	}{
		{"MaxTimeout", c.MaxTimeout}, {"HeaderTimeout", c.HeaderTimeout}, {"StallTimeout", c.StallTimeout},
		{"IdleTimeout", c.IdleTimeout}, {"Grace", c.Grace},
	} {
		if d.Duration < 0 {
			add("%s is %s, want 0 or more", d.name, d.Duration)
		}
	}
	if c.MaxConns < 0 || c.MaxHeader < 0 {
		add("MaxConns is %d and MaxHeader %d, want 0 or more", c.MaxConns, c.MaxHeader)
	}
	taken := map[string]bool{}
	for _, o := range c.Orgs {
		u, err := o.parse()
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		for _, name := range append([]string{u.Host}, o.Names...) {
			name = strings.ToLower(name)
			if !isHost(name) {
				add("name %q of org %s is not a host", name, u.Host)
			}
			if taken[name] {
				add("%s stands for two orgs", name)
			}
			taken[name] = true
		}
	}
	return errors.Join(wrong...)
}

// parse returns the URL of an org, as an origin.
func (o Org) parse() (*url.URL, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return nil, fmt.Errorf("sidecar: org %q is not a URL of the form https://acme.okta.com", o.URL)
	case u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("sidecar: the URL of org %s has more than a scheme and a host", u.Host)
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		return nil, fmt.Errorf("sidecar: org %s must be reached by https", u.Host)
	}
	host := strings.ToLower(u.Host)
	if !isHost(host) {
		return nil, fmt.Errorf("sidecar: %q is not a host", u.Host)
	}
	port := map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	return &url.URL{Scheme: u.Scheme, Host: strings.TrimSuffix(host, port)}, nil
}

// isHost reports whether s is a host, with or without a port, of letters, digits and
// what else names and addresses consist of: text that needs no escape in JSON.
func isHost(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-._:[]", r))
	})
}

// isLoopback reports whether a host without a port is of this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
