// This file serves what is about the sidecar itself, on a listener of its own: no path
// of Okta's can ever be hidden.

package sidecar

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// Admin returns the handler of the admin listener:
//
//	/healthz           200 while the process runs
//	/readyz            200 while it takes calls; 503 once it stops, or without a credential
//	/metrics           Config.Metrics
//	/debug/oktaretry   Config.Debug
//
// The last two are for connections over the loopback interface, and for those that
// present the token of [Config.AuthTokenFile] as "Authorization: Bearer …".
func (s *Sidecar) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readyz)
	if s.config.Metrics != nil {
		mux.Handle("GET /metrics", s.private(s.config.Metrics))
	}
	if s.config.Debug != nil {
		page := s.private(s.config.Debug(s.transport))
		mux.Handle("/debug/oktaretry", page)
		mux.Handle("/debug/oktaretry/", page)
	}
	return mux
}

func (s *Sidecar) readyz(w http.ResponseWriter, r *http.Request) {
	problem := ""
	if s.draining.Load() {
		problem = "stopping\n"
	} else {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		for _, o := range s.orgs {
			if o.credential == nil {
				continue
			}
			if _, err := o.credential.authorization(ctx); err != nil {
				problem = "no credential\n"
			}
		}
	}
	if problem != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, problem)
		return
	}
	io.WriteString(w, "ready\n")
}

// private lets through whom the machine or the token vouches for.
func (s *Sidecar) private(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
		switch {
		case s.orgOf(r) != s.first:
			http.Error(w, "the host is none of the sidecar's", http.StatusMisdirectedRequest)
		case local != nil && local.IP.IsLoopback(), s.auth != nil && matches(r.Header.Get("Authorization"), s.auth.get()):
			next.ServeHTTP(w, r)
		default:
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the sidecar's token is needed", http.StatusUnauthorized)
		}
	})
}
