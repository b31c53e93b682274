// This file is how sign-ins see factors and have them proven.

package factor

import (
	"cmp"
	"maps"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
)

// Enrolled is an active factor of a user.
type Enrolled struct {
	ID, Type, Provider string
	Profile            map[string]any // numbers and addresses masked; the caller's own
	Sends              bool           // a push or a passcode, which can be sent again
	Signs              bool           // the Challenge, by a key
	Challenge          string
}

// methods are the values of Okta's amr beside "mfa", by type of factor.
var methods = map[string]string{
	"push": "swk", "sms": "sms", "call": "tel", "question": "kba", "token:software:totp": "otp", "token:hotp": "otp",
	"token": "otp", "token:hardware": "hwk", "u2f": "hwk", "webauthn": "hwk",
}

// Methods are the values of Okta's amr for a factor.
func (e Enrolled) Methods() []string {
	if m := methods[e.Type]; m != "" {
		return []string{"mfa", m}
	}
	return []string{"mfa"}
}

// Kind is a type of factor, and who provides it.
type Kind struct{ Type, Provider string }

// Kinds are those that a user can enroll.
func Kinds() (all []Kind) {
	for _, name := range catalog {
		for _, provider := range kinds[name].by {
			all = append(all, Kind{name, provider})
		}
	}
	return all
}

// Enrolled are the active factors of the user of an id.
func (s *Store) Enrolled(userID string) (all []Enrolled) {
	u, ok := s.find(userID)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.factors(u) {
		if f.status != active {
			continue
		}
		e := Enrolled{ID: f.id, Type: f.kind.name, Provider: f.provider, Profile: masked(f.profile),
			Sends: f.kind.codes || f.kind.name == "push", Signs: f.kind.signed}
		if e.Signs {
			e.Challenge = f.code
		}
		all = append(all, e)
	}
	return all
}

// Attempt is what the proof of a factor has come to: SUCCESS, CHALLENGE if something was sent
// or is asked for, WAITING if Push was sent; or why it is refused.
type Attempt struct {
	Result  string
	Push    string
	Refused *endpoint.Answer
}

// Verify has a user prove a factor by the body of a request, as the users API does.
func (s *Store) Verify(r *endpoint.Request, userID, factorID string) Attempt {
	return s.prove(r, userID, factorID, false)
}

// Resend sends a push or a passcode again.
func (s *Store) Resend(r *endpoint.Request, userID, factorID string) Attempt {
	return s.prove(r, userID, factorID, true)
}

func (s *Store) prove(r *endpoint.Request, userID, factorID string, again bool) Attempt {
	u, ok := s.find(userID)
	if !ok {
		return refuse(endpoint.Missing(userID, "User"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.factor(u, factorID)
	if f == nil {
		return refuse(endpoint.Missing(factorID, "UserFactor"))
	}
	var in struct{ PassCode, Answer, ClientData string }
	switch bad, ok := r.Decode(&in); {
	case !ok:
		return refuse(bad)
	case f.kind.signed && in.ClientData == "":
		return Attempt{Result: "CHALLENGE"}
	case again && f.kind.codes:
		s.challenge(r, u, f)
		return Attempt{Result: "CHALLENGE"}
	case f.kind.name != "push" && !f.kind.codes && !f.kind.signed && cmp.Or(in.PassCode, in.Answer) == "":
		return Attempt{Result: "CHALLENGE"} // nothing typed yet
	}
	return s.attempt(r, u, f, f.id)
}

func refuse(a endpoint.Answer) Attempt { return Attempt{Refused: &a} }

// Poll is what a push has come to, or WAITING. One that has been forgotten is TIMEOUT.
func (s *Store) Poll(r *endpoint.Request, userID, push string) string {
	u, ok := s.find(userID)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.transactions[push]
	if !ok || t == nil {
		return "TIMEOUT"
	}
	result, first := t.poll(r.Now())
	if f := s.factor(u, t.factor); first && f != nil {
		recordResult(r, u, f, result)
	}
	return result
}

// masked is a profile as it is shown to somebody who has not proven a factor yet.
func masked(profile map[string]any) map[string]any {
	shown := maps.Clone(profile)
	if number, ok := shown["phoneNumber"].(string); ok {
		shown["phoneNumber"] = maskNumber(number)
	}
	if address, ok := shown["email"].(string); ok {
		shown["email"] = maskAddress(address)
	}
	return shown
}

// maskNumber turns +1-555-415-1337 into +1 XXX-XXX-1337. Of numbers without a country code
// it shows the last four digits.
func maskNumber(number string) string {
	var digits strings.Builder
	for _, c := range number {
		if c >= '0' && c <= '9' {
			digits.WriteRune(c)
		}
	}
	all := digits.String()
	shown := "XXX-XXX-" + all[max(0, len(all)-4):]
	if strings.HasPrefix(number, "+") && len(all) > 10 {
		shown = "+" + all[:len(all)-10] + " " + shown
	}
	return shown
}

// maskAddress turns evra@rain.com into e...a@rain.com.
func maskAddress(address string) string {
	name, host, ok := strings.Cut(address, "@")
	if !ok || name == "" {
		return address
	}
	return name[:1] + "..." + name[len(name)-1:] + "@" + host
}
