// This file is what a test sees of sign-ins.

package oktatest

import (
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
)

// UserPassword is the password of users to whom nobody has given another: those of WithUsers
// and AddUser, and of seeds without credentials. Users that a request creates have the one it
// brings, or none. One that comes as a hash or by an inline hook cannot be checked: whoever
// signs in with it gets the answer of an endpoint that is not served (see Unserved).
const UserPassword = signin.DefaultPassword

// RequireMFA has users prove a factor when they sign in, as a global session policy of the org
// does: those of these logins, or all if there are none. POST /api/v1/authn answers MFA_REQUIRED
// with their active factors, which they prove by POST /api/v1/authn/factors/{id}/verify, and
// MFA_ENROLL if they have none, which is as far as the fake goes. The password grant of a token
// endpoint is refused. Users of WithUsers and AddUser have a push factor (see WithFactorResult
// and Okta.Passcode). Without it a password is enough.
func RequireMFA(logins ...string) Option {
	return func(c *config) {
		c.mfa = c.mfa || len(logins) == 0
		c.mfaOf = append(c.mfaOf, logins...)
	}
}

// PasswordPolicy is an org's password policy. The zero one is Okta's default: ten wrong
// passwords in a row lock a user out, whose sign-ins are refused like those with a wrong
// password, and no password expires.
type PasswordPolicy struct {
	// Attempts is how many wrong passwords in a row lock a user out, until an administrator
	// unlocks it. 0: ten. Negative: none do. Wrong passcodes of a sign-in count as well (that
	// they do is a guess); the one that locks is answered 403 E0000069.
	Attempts int

	// ShowLockout answers the sign-in of a user who is locked out with 200 and the status
	// LOCKED_OUT, instead of 401 E0000004.
	ShowLockout bool

	// MaxAge is how old a password may be: from then on a sign-in answers PASSWORD_EXPIRED, and
	// the user has to change it. 0: there is no bound.
	MaxAge time.Duration

	// Warn is how long before MaxAge a sign-in that asks for it (warnBeforePasswordExpired)
	// answers PASSWORD_WARN.
	Warn time.Duration
}

// WithPasswordPolicy sets the org's password policy.
func WithPasswordPolicy(p PasswordPolicy) Option {
	require(p.MaxAge >= 0 && p.Warn >= 0, "WithPasswordPolicy: MaxAge %v and Warn %v must not be negative", p.MaxAge, p.Warn)
	return func(c *config) { c.password = signin.Policy(p) }
}
