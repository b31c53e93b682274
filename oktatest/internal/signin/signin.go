// Package signin signs the users of a fake org in: Okta's Authentication API, with its
// transactions, and the sessions that come of them. What follows is Okta's documentation,
// https://developer.okta.com/docs/reference/api/authn/ and …/api/sessions/, unless a comment
// calls it a guess.
package signin

import (
	"cmp"
	"strings"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/factor"
	"github.com/oktaretry/oktaretry/oktatest/internal/syslog"
)

// Lifetimes. That of a session token is documented, that of a session Okta's default. A state
// token's moves with each request; how long it is, is a guess.
const (
	stateLife   = 5 * time.Minute
	tokenLife   = 5 * time.Minute
	sessionLife = 2 * time.Hour
)

// DefaultAttempts is how many wrong passwords in a row lock a user out where a Policy names no
// number, as in Okta's default password policy.
const DefaultAttempts = 10

// Policy is an org's password policy.
type Policy struct {
	Attempts    int           // wrong passwords in a row that lock a user out; 0: DefaultAttempts; negative: none do
	ShowLockout bool          // answer the sign-in of a user who is locked out with that status
	MaxAge      time.Duration // of a password, before it is expired; 0: for ever
	Warn        time.Duration // before MaxAge
}

// User is a user as sign-ins see it.
type User struct {
	ID, Login, Status string
	Profile           map[string]any
	Password          Password
	PasswordChanged   time.Time
	Entity            syslog.Entity
}

// Org is the org whose users sign in. Its methods must be safe for concurrent use.
type Org interface {
	// Named returns the user who signs in by a name: a login, or what stands in one before
	// the @ if no other user's login begins alike.
	Named(name string) (User, bool)
	// User returns the user of an id.
	User(id string) (User, bool)
	// SetStatus changes the status of the user of an id.
	SetStatus(id, status string)
	// SetPassword changes the password of the user of an id, who is ACTIVE with it.
	SetPassword(id string, p Password)
	// SignedIn notes when the user of an id has signed in last.
	SignedIn(id string, at time.Time)
}

// Store keeps the transactions, session tokens and sessions of an org. It is safe for concurrent
// use.
type Store struct {
	org     Org
	factors *factor.Store
	policy  Policy

	mu           sync.Mutex
	everyone     bool            // a factor is asked of all users
	asked        map[string]bool // of the users of these names, in lower case
	wrong        map[string]int  // wrong passwords and passcodes in a row, by user
	transactions Memory[*transaction]
	tokens       Memory[proven]
	sessions     Memory[*session]
}

// New returns a store for an org's users and their factors.
func New(org Org, factors *factor.Store, policy Policy) *Store {
	policy.Attempts = cmp.Or(policy.Attempts, DefaultAttempts)
	return &Store{org: org, factors: factors, policy: policy, asked: map[string]bool{}, wrong: map[string]int{}}
}

// RequireMFA has the users of these logins prove a factor when they sign in; all users if there
// are none.
func (s *Store) RequireMFA(logins ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.everyone = s.everyone || len(logins) == 0
	for _, login := range logins {
		s.asked[strings.ToLower(login)] = true
	}
}

// Routes are the endpoints of sign-ins and sessions.
func (s *Store) Routes() []endpoint.Route {
	const (
		authn    = "POST /api/v1/authn"
		sessions = " /api/v1/sessions"
	)
	all := []endpoint.Route{
		{Pattern: authn, Serve: s.authn},
		{Pattern: authn + "/factors/{factor}/verify", Serve: s.verify},
		{Pattern: authn + "/factors/{factor}/verify/resend", Serve: s.resend},
		{Pattern: authn + "/credentials/change_password", Serve: s.changePassword},
		{Pattern: authn + "/previous", Serve: s.previous},
		{Pattern: authn + "/skip", Serve: s.skip},
		{Pattern: authn + "/cancel", Serve: s.cancel},
		{Pattern: "POST" + sessions, Serve: s.create},
		{Pattern: "GET" + sessions + "/{id}", Serve: s.ofSession(s.get)},
		{Pattern: "DELETE" + sessions + "/{id}", Serve: s.ofSession(s.end)},
		{Pattern: "POST" + sessions + "/{id}/lifecycle/refresh", Serve: s.ofSession(s.refresh)},
		{Pattern: "GET" + sessions + "/me", Serve: s.ofCookie(s.get)},
		{Pattern: "DELETE" + sessions + "/me", Serve: s.ofCookie(s.end)},
		{Pattern: "POST" + sessions + "/me/lifecycle/refresh", Serve: s.ofCookie(s.refresh)},
	}
	for i, rt := range all {
		all[i].Serve = func(r *endpoint.Request) endpoint.Answer {
			s.mu.Lock()
			defer s.mu.Unlock()
			return rt.Serve(r)
		}
	}
	return all
}

// UserOf returns the id of the user whose transaction a state token is; empty if there is none.
func (s *Store) UserOf(stateToken string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.transactions.Get(stateToken); ok {
		return t.user
	}
	return ""
}
