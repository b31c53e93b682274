// Package sidecar is a reverse proxy in front of Okta for programs in any language:
// [net/http/httputil.ReverseProxy] over [oktaretry.Transport]. Rate limits, outages and
// waiting factors are survived there, and what comes back points back at it: pages by
// Link, redirects by Location, and the members "href" of JSON bodies.
//
//	s, err := sidecar.New(sidecar.Config{
//		Orgs: []sidecar.Org{{URL: "https://acme.okta.com"}},
//	})
//	…
//	l, err := net.Listen("tcp", "127.0.0.1:8080")
//	…
//	err = s.Run(ctx, l, nil) // until ctx ends, and the calls in flight have ended
//
// The command oktaretry proxy is this package with flags; docs/sidecar.md describes
// both, with what is refused, what the sidecar answers by itself, and how it is run.
//
// # Security
//
// A sidecar may hold a credential for everybody who reaches it. So [New] refuses to
// serve beyond the machine without [Config.AuthTokenFile] or [Config.TLS] that demands
// client certificates ([Sidecar.Run] checks the listener); requests whose Host is none of
// the sidecar's names are refused, and what two parsers could read differently is refused
// on the wire. No log line, metric or answer of its own holds a path, a query, a body, a
// header or a token.
package sidecar
