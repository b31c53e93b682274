// This file holds the first step of a sign-in: a name and a password.

package signin

import (
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/syslog"
)

type object = map[string]any

// Events of sign-ins.
const (
	started = "user.session.start"
	ended   = "user.session.end"
	locked  = "user.account.lock"
)

// Refusal is why a sign-in is refused.
type Refusal int

// Refusals of a name and a password.
const (
	Accepted   Refusal = iota
	Wrong              // an unknown name, a wrong password, or a user who may not sign in
	LockedOut          // a user who is, or is from now on
	Unknowable         // a password that cannot be checked
	NeedsMore          // a factor, or a new password: what Password cannot give
)

// authn serves POST /authn: the beginning of a transaction, or how one stands.
func (s *Store) authn(r *endpoint.Request) endpoint.Answer {
	var in struct {
		Username, Password, StateToken, Token string
		RelayState                            *string
		Options                               struct{ WarnBeforePasswordExpired bool }
	}
	bad, ok := r.Decode(&in)
	switch {
	case !ok:
		return bad
	case in.StateToken != "" && in.Username == "":
		return s.state(r)
	case in.StateToken != "" || in.Token != "": // a step up into an app, a token of an activation
		return endpoint.Answer{Unserved: true}
	case in.Username == "" || in.Password == "":
		return endpoint.Invalid("authRequest", "The 'username' and 'password' attributes are required in this context.")
	}
	u, refused := s.check(r, in.Username, in.Password)
	switch {
	case refused == Unknowable:
		return endpoint.Answer{Unserved: true}
	case refused == LockedOut && s.policy.ShowLockout:
		return endpoint.OK(object{"status": "LOCKED_OUT", "_embedded": object{}, "_links": object{
			"next": named("unlock", r.Base+"/api/v1/authn/recovery/unlock"),
		}})
	case refused != Accepted:
		return endpoint.Fail("E0000004")
	}
	t := &transaction{
		token: r.NewToken(), user: u.ID, relay: in.RelayState, begun: r.Now(),
		warned: !in.Options.WarnBeforePasswordExpired,
	}
	s.transactions.Put(t.token, t)
	return s.advance(r, t, u)
}

// Password signs a user in by name and password alone, as a token endpoint does.
func (s *Store) Password(r *endpoint.Request, name, password string) (User, Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, refused := s.check(r, name, password)
	switch {
	case refused != Accepted:
		return User{}, refused
	case s.mfa(u) || s.expired(r.Now(), u):
		record(r, u, syslog.Event{Type: started, Outcome: syslog.Failure("INVALID_CREDENTIALS")})
		return User{}, NeedsMore
	}
	s.succeed(r, u)
	return u, Accepted
}

// check compares a name and a password, and counts those that are wrong. In the log an unknown
// user is one of that name; which reason it gives for users who may not sign in is a guess.
func (s *Store) check(r *endpoint.Request, name, password string) (User, Refusal) {
	u, ok := s.org.Named(name)
	if !ok {
		u.Entity = syslog.Entity{ID: "unknown", Type: syslog.User, AlternateID: name, DisplayName: "unknown"}
	}
	switch {
	case !ok || u.Status != "ACTIVE" && u.Status != "PASSWORD_EXPIRED" && u.Status != "LOCKED_OUT":
		s.fail(r, u, "VERIFICATION_ERROR")
		return u, Wrong
	case u.Status == "LOCKED_OUT":
		s.fail(r, u, "LOCKED_OUT")
		return u, LockedOut
	case u.Password.kind == elsewhere:
		return u, Unknowable
	case !u.Password.is(password):
		s.fail(r, u, "INVALID_CREDENTIALS")
		if s.miss(r, u) {
			return u, LockedOut
		}
		return u, Wrong
	}
	return u, Accepted
}

func (s *Store) fail(r *endpoint.Request, u User, reason string) {
	record(r, u, syslog.Event{Type: started, Legacy: "core.user_auth.login_failed", Outcome: syslog.Failure(reason)})
}

// miss counts a wrong password or passcode, and reports whether it locks the user out. That
// passcodes count for the password policy is a guess.
func (s *Store) miss(r *endpoint.Request, u User) bool {
	s.wrong[u.ID]++
	if s.policy.Attempts < 0 || s.wrong[u.ID] < s.policy.Attempts {
		return false
	}
	delete(s.wrong, u.ID)
	s.org.SetStatus(u.ID, "LOCKED_OUT")
	record(r, u, syslog.Event{Type: locked, Severity: "DEBUG", Legacy: "core.user_auth.account_locked", Outcome: syslog.Failure("LOCKED_OUT")})
	return true
}

// succeed notes that a user has signed in.
func (s *Store) succeed(r *endpoint.Request, u User) {
	delete(s.wrong, u.ID)
	s.org.SignedIn(u.ID, r.Now().Truncate(time.Second))
	record(r, u, syslog.Event{Type: started, Legacy: "core.user_auth.login_success", Targets: []syslog.Entity{u.Entity}})
}

// mfa reports whether a user has to prove a factor.
func (s *Store) mfa(u User) bool { return s.everyone || s.asked[strings.ToLower(u.Login)] }

// expired reports whether a user has to choose a new password.
func (s *Store) expired(now time.Time, u User) bool {
	return u.Status == "PASSWORD_EXPIRED" || s.policy.MaxAge > 0 && !now.Before(u.PasswordChanged.Add(s.policy.MaxAge))
}

// warnDays are the days until a user's password expires, if that is to be warned of.
func (s *Store) warnDays(now time.Time, u User) (days int, soon bool) {
	left := u.PasswordChanged.Add(s.policy.MaxAge).Sub(now)
	return int(left / (24 * time.Hour)), s.policy.MaxAge > 0 && left <= s.policy.Warn
}

// record records an event of which the user is the actor.
func record(r *endpoint.Request, u User, e syslog.Event) {
	e.Actor = u.Entity
	r.Record(e)
}
