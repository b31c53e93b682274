// This file joins the sign-ins of users, and the authorization servers, to the fake.

package oktatest

import (
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/authserver"
	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
)

// newSignIns makes what signs users in and what gives out tokens.
func (o *Okta) newSignIns(cfg config) (*signin.Store, *authserver.Server) {
	users := signInOrg{o}
	store := signin.New(users, o.factors, cfg.password)
	if cfg.mfa {
		store.RequireMFA()
	}
	if len(cfg.mfaOf) > 0 {
		store.RequireMFA(cfg.mfaOf...)
	}
	return store, authserver.New(authserver.Config{DPoP: cfg.dpop, Life: cfg.tokenLife, Random: o.random, Org: users, SignIns: store})
}

// RotateNonce makes the fake demand a new DPoP nonce, as Okta does now and then.
func (o *Okta) RotateNonce() { o.servers.RotateNonce() }

// endSessions serves DELETE /users/{id}/sessions?oauthTokens=.
func (o *Okta) endSessions(c *call) *reply {
	o.directory.mu.Lock()
	u := o.directory.user(c.vars[0])
	o.directory.mu.Unlock()
	if u == nil {
		return c.missing(c.vars[0], "User")
	}
	o.signIns.EndAll(u.id)
	if c.flag("oauthTokens", false) {
		o.servers.RevokeUser(u.id)
	}
	return c.noContent()
}

// signInOrg is the org as sign-ins see it.
type signInOrg struct{ o *Okta }

func (s signInOrg) Named(name string) (signin.User, bool) {
	d := &s.o.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	name = strings.ToLower(name)
	if u := d.usersByID[d.idsByLogin[name]]; u != nil {
		return s.user(u), true
	}
	if strings.Contains(name, "@") {
		return signin.User{}, false
	}
	alike := keepOnly(d.users, func(u *user) bool { return strings.HasPrefix(strings.ToLower(u.login()), name+"@") })
	if len(alike) != 1 {
		return signin.User{}, false
	}
	return s.user(alike[0]), true
}

func (s signInOrg) User(id string) (signin.User, bool) {
	s.o.directory.mu.Lock()
	defer s.o.directory.mu.Unlock()
	u := s.o.directory.usersByID[id]
	if u == nil {
		return signin.User{}, false
	}
	return s.user(u), true
}

func (s signInOrg) user(u *user) signin.User {
	return signin.User{
		ID: u.id, Login: u.login(), Status: u.status, Profile: u.profile,
		Password: u.secret, PasswordChanged: u.passwordSince, Entity: u.entity(),
	}
}

func (s signInOrg) SetStatus(id, status string) {
	s.change(id, func(u *user) { u.status, u.statusChanged, u.lastUpdated = status, s.o.stamp(), s.o.stamp() })
}

func (s signInOrg) SetPassword(id string, p signin.Password) {
	s.change(id, func(u *user) {
		u.setPassword(s.o.stamp(), p)
		u.status, u.lastUpdated = "ACTIVE", s.o.stamp()
	})
}

func (s signInOrg) SignedIn(id string, at time.Time) {
	s.change(id, func(u *user) { u.lastLogin = at })
}

// change changes the user of an id.
func (s signInOrg) change(id string, f func(*user)) {
	s.o.directory.mu.Lock()
	defer s.o.directory.mu.Unlock()
	u := s.o.directory.usersByID[id]
	if u == nil {
		return
	}
	changed := *u
	f(&changed)
	s.o.directory.replaceUser(&changed)
}
