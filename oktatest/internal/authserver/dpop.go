// This file checks DPoP proofs, as far as their nonces and ids go.

package authserver

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
)

// proofMemory is how many proofs are remembered before they are forgotten.
const proofMemory = 100_000

// RotateNonce has the token endpoint demand another nonce from now on.
func (s *Server) RotateNonce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rotated++
	s.nonce = "oktatest-nonce-" + strconv.Itoa(s.rotated+1)
}

// proof is what is read of a DPoP proof.
type proof struct {
	ID    string `json:"jti"`
	Nonce string `json:"nonce"`
}

func parseProof(jwt string) (p proof, ok bool) {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return p, false
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	return p, err == nil && json.Unmarshal(b, &p) == nil
}

// checkProof refuses a token request without a fresh proof over our nonce.
func (s *Server) checkProof(r *endpoint.Request) *endpoint.Answer {
	refused := func(code, description string) *endpoint.Answer {
		a := refuse(r, http.StatusBadRequest, code, description)
		return &a
	}
	header := r.Header.Get("DPoP")
	if header == "" {
		return refused("invalid_dpop_proof", "The DPoP proof JWT header is missing.")
	}
	p, ok := parseProof(header)
	if !ok {
		return refused("invalid_dpop_proof", "The DPoP proof is not a JWT.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Nonce != s.nonce {
		return refused("use_dpop_nonce", "Authorization server requires nonce in DPoP proof.")
	}
	if s.used(p.ID) {
		return refused("invalid_dpop_proof", "The DPoP proof has been used before.")
	}
	return nil
}

// Replayed reports whether a request to a resource has a proof that was used before, or none
// that can be read.
func (s *Server) Replayed(header string) bool {
	if !s.cfg.DPoP || header == "" {
		return false
	}
	p, ok := parseProof(header)
	s.mu.Lock()
	defer s.mu.Unlock()
	return !ok || s.used(p.ID)
}

// used remembers a proof and reports whether it was known. One without a jti never is.
func (s *Server) used(jti string) bool {
	if jti == "" {
		return false
	}
	if s.proofs[jti] {
		return true
	}
	if len(s.proofs) >= proofMemory {
		clear(s.proofs)
	}
	s.proofs[jti] = true
	return false
}
