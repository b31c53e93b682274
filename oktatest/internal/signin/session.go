// This file holds session tokens and sessions.

package signin

import (
	"net/http"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/syslog"
)

// proven is what a session token stands for.
type proven struct {
	user             string
	methods          []string // Okta's amr
	password, factor time.Time
	expires          time.Time
}

// session is a user who is signed in.
type session struct {
	id string
	proven
	created time.Time
}

// Proof is who has signed in, and how.
type Proof struct {
	User    User
	Methods []string
	At      time.Time
}

// Redeem takes a session token, which is good for once.
func (s *Store) Redeem(now time.Time, token string) (Proof, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, u, ok := s.redeem(now, token)
	return Proof{u, p.methods, p.password}, ok
}

// Cookie returns who has the session that a request's cookie names.
func (s *Store) Cookie(r *endpoint.Request) (Proof, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, u, ok := s.session(r.Now(), r.Cookie("sid"))
	if !ok {
		return Proof{}, false
	}
	return Proof{u, x.methods, x.password}, true
}

// EndAll ends the sessions of the user of an id.
func (s *Store) EndAll(user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions.DeleteFunc(func(x *session) bool { return x.user == user })
}

func (s *Store) redeem(now time.Time, token string) (proven, User, bool) {
	p, ok := s.tokens.Get(token)
	s.tokens.Delete(token)
	if !ok || now.After(p.expires) {
		return proven{}, User{}, false
	}
	u, ok := s.org.User(p.user)
	return p, u, ok && active(u)
}

// active reports whether a user can have a session.
func active(u User) bool {
	return u.Status != "SUSPENDED" && u.Status != "DEPROVISIONED"
}

// session finds a session that is not over.
func (s *Store) session(now time.Time, id string) (*session, User, bool) {
	x, ok := s.sessions.Get(id)
	if !ok || now.After(x.expires) {
		return nil, User{}, false
	}
	u, ok := s.org.User(x.user)
	return x, u, ok && active(u)
}

// create serves POST /sessions.
func (s *Store) create(r *endpoint.Request) endpoint.Answer {
	var in struct{ SessionToken string }
	if bad, ok := r.Decode(&in); !ok {
		return bad
	}
	if in.SessionToken == "" { // that this is the code is a guess
		return endpoint.Invalid("sessionToken", "sessionToken: The field cannot be left blank")
	}
	p, u, ok := s.redeem(r.Now(), in.SessionToken)
	if !ok {
		return endpoint.Fail("E0000004")
	}
	p.expires = r.Now().Add(sessionLife)
	x := &session{id: "102" + r.NewToken()[:22], proven: p, created: r.Now()}
	s.sessions.Put(x.id, x)
	return s.get(r, x, u)
}

// ofSession calls f with the session that the path names.
func (s *Store) ofSession(f func(*endpoint.Request, *session, User) endpoint.Answer) func(*endpoint.Request) endpoint.Answer {
	return func(r *endpoint.Request) endpoint.Answer {
		x, u, ok := s.session(r.Now(), r.Vars[0])
		if !ok {
			return endpoint.Missing(r.Vars[0], "Session")
		}
		return f(r, x, u)
	}
}

// ofCookie calls f with the session that the cookie sid names.
func (s *Store) ofCookie(f func(*endpoint.Request, *session, User) endpoint.Answer) func(*endpoint.Request) endpoint.Answer {
	return func(r *endpoint.Request) endpoint.Answer {
		x, u, ok := s.session(r.Now(), r.Cookie("sid"))
		if !ok {
			return endpoint.Missing("me", "Session")
		}
		return f(r, x, u)
	}
}

// get answers with a session. Its links are the caller's own where the request is.
func (s *Store) get(r *endpoint.Request, x *session, u User) endpoint.Answer {
	at, user := r.Base+"/api/v1/sessions/"+x.id, r.Base+"/api/v1/users/"+u.ID
	if own(r) {
		at, user = r.Base+"/api/v1/sessions/me", r.Base+"/api/v1/users/me"
	}
	userLink := endpoint.Link(user, http.MethodGet)
	userLink["name"] = u.Entity.DisplayName
	var factorAt any
	if !x.factor.IsZero() {
		factorAt = endpoint.Timestamp(x.factor)
	}
	return endpoint.OK(object{
		"id": x.id, "login": u.Login, "userId": u.ID, "status": "ACTIVE",
		"createdAt": endpoint.Timestamp(x.created), "expiresAt": endpoint.Timestamp(x.expires),
		"lastPasswordVerification": endpoint.Timestamp(x.password), "lastFactorVerification": factorAt,
		"amr": x.methods, "idp": object{"id": "00ooktatestidp000000", "type": "OKTA"},
		"mfaActive": len(s.factors.Enrolled(u.ID)) > 0,
		"_links": object{
			"self":    endpoint.Link(at, http.MethodGet, http.MethodDelete),
			"refresh": endpoint.Link(at+"/lifecycle/refresh", http.MethodPost),
			"user":    userLink,
		},
	})
}

// end ends a session: the user's own, or one that an administrator ends.
func (s *Store) end(r *endpoint.Request, x *session, u User) endpoint.Answer {
	s.sessions.Delete(x.id)
	e := syslog.Event{Type: ended, Targets: []syslog.Entity{u.Entity}}
	if own(r) {
		e.Actor = u.Entity
	}
	r.Record(e)
	return endpoint.Answer{Status: http.StatusNoContent}
}

// own reports whether a request is for the caller's own session.
func own(r *endpoint.Request) bool { return strings.Contains(r.URI, "/sessions/me") }

// refresh has a session last as long again as a new one.
func (s *Store) refresh(r *endpoint.Request, x *session, u User) endpoint.Answer {
	x.expires = r.Now().Add(sessionLife)
	return s.get(r, x, u)
}
