// This file holds passwords, and keeps them out of what the fake reports.

package signin

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"regexp"
	"strings"
	"unicode"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
)

// DefaultPassword is that of users to whom nobody has given another.
const DefaultPassword = "Oktatest-1234"

// Default is DefaultPassword as a user has it.
var Default = NewPassword(DefaultPassword)

// Password is a user's password, as a hash. The zero Password is none: nothing matches it.
type Password struct {
	kind kind
	sum  [sha256.Size]byte
}

type kind byte

const (
	none kind = iota
	known
	elsewhere // a hash that was imported, or an inline hook
)

// NewPassword returns a password of that value.
func NewPassword(value string) Password { return Password{known, sha256.Sum256([]byte(value))} }

// PasswordOf reads the password of credentials in the form of Okta's API. One that is given as
// a hash or by an inline hook is a password that cannot be checked.
func PasswordOf(credential map[string]any) Password {
	value, ok := credential["value"].(string)
	switch {
	case ok:
		return NewPassword(value)
	case len(credential) > 0:
		return Password{kind: elsewhere}
	}
	return Password{}
}

// is reports whether this is the password.
func (p Password) is(value string) bool {
	sum := sha256.Sum256([]byte(value))
	return p.kind == known && subtle.ConstantTimeCompare(sum[:], p.sum[:]) == 1
}

// complexity is the part of Okta's default password policy that sign-ins show.
var complexity = object{"minLength": 8, "minLowerCase": 1, "minUpperCase": 1, "minNumber": 1, "minSymbol": 0}

// complex reports whether a new password has what that policy demands.
func complex(value, login string) bool {
	has := func(f func(rune) bool) bool { return strings.IndexFunc(value, f) >= 0 }
	name, _, _ := strings.Cut(strings.ToLower(login), "@")
	return len(value) >= 8 && has(unicode.IsLower) && has(unicode.IsUpper) && has(unicode.IsDigit) &&
		!strings.Contains(strings.ToLower(value), name)
}

// changePassword serves POST /authn/credentials/change_password.
func (s *Store) changePassword(r *endpoint.Request) endpoint.Answer {
	var in struct{ OldPassword, NewPassword string }
	t, u, bad := s.of(r, &in, expired, warn)
	switch {
	case bad != nil:
		return *bad
	case !u.Password.is(in.OldPassword):
		return endpoint.Fail("E0000014", "oldPassword: The credentials provided were incorrect.")
	case !complex(in.NewPassword, u.Login):
		return endpoint.Answer{Error: &endpoint.Error{
			Code: "E0000014", Summary: "The password does meet the complexity requirements of the current password policy.", // not, but so it is documented
			Causes: []string{"Passwords must have at least 8 characters, a lowercase letter, an uppercase letter, a number, no parts of your username"},
		}}
	}
	s.org.SetPassword(u.ID, NewPassword(in.NewPassword))
	u, _ = s.org.User(u.ID)
	t.warned = true
	return s.advance(r, t, u)
}

var (
	passwordMember = regexp.MustCompile(`(?i)("(?:password|oldPassword|newPassword)"\s*:\s*(?:\{\s*"value"\s*:\s*)?)"(?:[^"\\]|\\.)*"?`)
	passwordField  = regexp.MustCompile(`(?i)((?:^|&)password=)[^&]*`)
)

// Redact returns the body of a request with *** in the place of passwords: the members password,
// oldPassword and newPassword of JSON, the value of the first, and the field password of a form.
// Without any it is the body itself.
func Redact(body []byte) []byte {
	if !bytes.Contains(body, []byte("assword")) && !bytes.Contains(body, []byte("ASSWORD")) {
		return body
	}
	return passwordField.ReplaceAll(passwordMember.ReplaceAll(body, []byte(`$1"***"`)), []byte("$1***"))
}

// RedactQuery is Redact for the query of a request.
func RedactQuery(query string) string {
	if !strings.Contains(strings.ToLower(query), "password") {
		return query
	}
	return passwordField.ReplaceAllString(query, "$1***")
}
