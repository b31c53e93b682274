// This file holds the cases about errors: those that no resend heals, and io.EOF.

package contract

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

var terminalCases = []Case{{
	Name:  "a certificate error is final",
	Why:   "nothing about it changes by itself; the caller waits for minutes to learn of a typing error, or of an attack",
	check: certificateIsFinal,
}, {
	Name:  "a scheme that nobody knows is final",
	Why:   "the request is wrong and stays wrong",
	check: schemeIsFinal,
}, {
	Name:  "an unknown host is final",
	Why:   "a name unknown to the resolver is a typing error in the org's URL",
	check: hostIsFinal,
}, {
	Name:  "an invalid header is final",
	Why:   "the request is wrong and stays wrong",
	check: headerIsFinal,
}, {
	Name:    "the base's io.EOF is not handed out as io.EOF",
	Why:     "Okta's Go SDKs take an error that matches io.EOF for the end of a body and send again at once, for ever: tens of thousands of requests a second",
	Feature: true,
	check:   noEOF,
}}

// final returns nil if req ends in an error after one attempt.
func (l *lab) final(w *wire, req *http.Request) error {
	a, err := l.call(l.stack(w), req)
	p := (*panicError)(nil)
	switch {
	case err == nil:
		return fmt.Errorf("answered with %d", a.StatusCode)
	case errors.As(err, &p):
		return err
	case w.sends.Load() > 1:
		return fmt.Errorf("sent %s", times(int(w.sends.Load())))
	}
	return nil
}

func certificateIsFinal(l *lab) error {
	w, err := l.serveTLS(func(http.ResponseWriter, *http.Request) {})
	if err != nil {
		return err
	}
	req := l.request("GET", nil)
	req.URL.Scheme = "https"
	err = l.final(w, req)
	if base := w.failure(); err == nil && !errors.As(base, new(*tls.CertificateVerificationError)) {
		return fmt.Errorf("net/http did not complain about the certificate: %v", base)
	}
	return err
}

func schemeIsFinal(l *lab) error {
	req := l.request("GET", nil)
	req.URL.Scheme = "gopher"
	return l.final(&wire{Transport: &http.Transport{}}, req)
}

func hostIsFinal(l *lab) error {
	// What net.Dialer returns for a name that does not exist.
	w := &wire{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "okta.example", IsNotFound: true}}
	}}}
	return l.final(w, l.request("GET", nil))
}

func headerIsFinal(l *lab) error {
	req := l.request("GET", nil)
	req.Header.Set("X-Broken", "one\ntwo")
	return l.final(&wire{Transport: &http.Transport{}}, req)
}

func noEOF(l *lab) error {
	var found findings
	for _, method := range []string{"GET", "POST"} {
		for _, eof := range []error{io.EOF, fmt.Errorf("transport connection broken: %w", io.EOF)} {
			_, err := l.call(l.stack(l.base(fail(eof))), l.request(method, nil))
			if errors.Is(err, io.EOF) {
				found.add("%s: the error %q matches io.EOF", method, err)
			}
		}
	}
	return found.err()
}
