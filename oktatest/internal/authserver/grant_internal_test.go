package authserver

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
)

// revoking is an org in which a user's tokens are revoked while it is asked about the user.
type revoking struct {
	signin.Org
	s *Server
}

func (o *revoking) User(id string) (signin.User, bool) {
	o.s.RevokeUser(id)
	return signin.User{ID: id, Status: "ACTIVE"}, true
}

func TestARefreshBringsNoRevokedTokenBack(t *testing.T) {
	org := &revoking{}
	s := New(Config{Life: time.Hour, Random: func() []byte { return make([]byte, 16) }, Org: org})
	org.s = s
	now := time.Now()
	s.keep(grant{issuer: "https://a.test", client: "x", user: "00u1", scopes: []string{"offline_access"}, expires: now.Add(time.Hour)}, refreshToken, "rt")
	a := s.token(&endpoint.Request{
		Method: http.MethodPost, Header: http.Header{}, Base: "https://a.test",
		Body: []byte("grant_type=refresh_token&client_id=x&refresh_token=rt"),
		Now:  func() time.Time { return now }, NewToken: func() string { return strings.Repeat("t", 42) },
	})
	if _, there := s.tokens.Get("rt"); a.Status != http.StatusBadRequest || there {
		t.Errorf("answered by %d, and the token is there: %t", a.Status, there)
	}
}
