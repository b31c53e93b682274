// This file holds transactions: the states of a sign-in, and what leads from one to another.

package signin

import (
	"net/http"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/factor"
)

// States of a transaction.
const (
	required  = "MFA_REQUIRED"
	challenge = "MFA_CHALLENGE"
	enroll    = "MFA_ENROLL"
	expired   = "PASSWORD_EXPIRED"
	warn      = "PASSWORD_WARN"
)

// transaction is a sign-in that is not over. Its sign-in is over once it is forgotten.
type transaction struct {
	token, user string // the state token, the user's id
	relay       *string
	begun       time.Time
	expires     time.Time
	status      string
	warned      bool // of the end of the password, or not to be

	factor string // of the challenge
	result string // what the challenge has come to, if it is a push
	push   string // that waits for its answer
	sent   time.Time
	proven *factor.Enrolled // the factor that has been proven
}

// of finds the transaction that the body's state token names, reads the rest of the body into
// in, and refuses states other than those given; with none given all will do. That the 401 of a
// bad token has the rate-limit headers of its bucket, as a wrong password's has, is a guess.
func (s *Store) of(r *endpoint.Request, in any, states ...string) (*transaction, User, *endpoint.Answer) {
	var body struct{ StateToken string }
	for _, v := range []any{&body, in} {
		if v == nil {
			continue
		}
		if bad, ok := r.Decode(v); !ok {
			return nil, User{}, &bad
		}
	}
	t, ok := s.transactions.Get(body.StateToken)
	if !ok || r.Now().After(t.expires) {
		bad := endpoint.Fail("E0000011")
		return nil, User{}, &bad
	}
	u, ok := s.org.User(t.user)
	if !ok || u.Status == "SUSPENDED" || u.Status == "DEPROVISIONED" { // that they lose the transaction is a guess
		s.transactions.Delete(t.token)
		bad := endpoint.Fail("E0000011")
		return nil, User{}, &bad
	}
	for _, state := range states {
		if t.status == state {
			states = nil
			break
		}
	}
	if states != nil {
		bad := endpoint.Fail("E0000079", "This operation is not allowed in the current authentication state.")
		return nil, User{}, &bad
	}
	return t, u, nil
}

// state serves POST /authn with a state token: how the transaction stands. It is no poll.
func (s *Store) state(r *endpoint.Request) endpoint.Answer {
	t, u, bad := s.of(r, nil)
	if bad != nil {
		return *bad
	}
	return s.show(r, t, u)
}

// advance moves a transaction to the next state that has something to ask of the user, or to
// its end.
func (s *Store) advance(r *endpoint.Request, t *transaction, u User) endpoint.Answer {
	t.factor, t.result, t.push = "", "", ""
	enrolled := s.factors.Enrolled(u.ID)
	days, soon := s.warnDays(r.Now(), u)
	switch mfa := s.mfa(u) && t.proven == nil; {
	case mfa && len(enrolled) > 0:
		t.status = required
	case s.expired(r.Now(), u):
		t.status = expired
		if u.Status != expired {
			s.org.SetStatus(u.ID, expired)
		}
	case mfa:
		t.status = enroll
	case soon && !t.warned && days >= 0:
		t.status = warn
	default:
		return s.finish(r, t, u)
	}
	return s.show(r, t, u)
}

// finish ends a transaction with a session token.
func (s *Store) finish(r *endpoint.Request, t *transaction, u User) endpoint.Answer {
	s.transactions.Delete(t.token)
	p := proven{user: u.ID, methods: []string{"pwd"}, password: t.begun, expires: r.Now().Add(tokenLife)}
	if t.proven != nil {
		p.methods, p.factor = append(p.methods, t.proven.Methods()...), r.Now()
	}
	token := r.NewToken()
	s.tokens.Put(token, p)
	s.succeed(r, u)
	return t.answer(object{
		"status": "SUCCESS", "sessionToken": token, "expiresAt": endpoint.Timestamp(p.expires),
		"_embedded": object{"user": shown(u)},
	})
}

// answer is a transaction's answer, with what the client gave to remember.
func (t *transaction) answer(body object) endpoint.Answer {
	if t.relay != nil {
		body["relayState"] = *t.relay
	}
	return endpoint.OK(body)
}

// show answers with a transaction that is not over, whose life it renews.
func (s *Store) show(r *endpoint.Request, t *transaction, u User) endpoint.Answer {
	t.expires = r.Now().Add(stateLife)
	links := object{"cancel": endpoint.Link(authnOf(r)+"/cancel", http.MethodPost)}
	embedded := object{"user": shown(u)}
	body := object{"stateToken": t.token, "expiresAt": endpoint.Timestamp(t.expires), "status": t.status, "_embedded": embedded, "_links": links}
	switch t.status {
	case required:
		embedded["factors"] = s.choices(r, u)
	case enroll:
		embedded["factors"] = enrollable(r)
	case challenge:
		s.showChallenge(r, t, u, body, embedded, links)
	case expired:
		embedded["policy"] = object{"complexity": complexity}
		links["next"] = named("changePassword", authnOf(r)+"/credentials/change_password")
	case warn:
		days, _ := s.warnDays(r.Now(), u)
		embedded["policy"] = object{"expiration": object{"passwordExpireDays": days}, "complexity": complexity}
		links["next"] = named("changePassword", authnOf(r)+"/credentials/change_password")
		links["skip"] = named("skip", authnOf(r)+"/skip")
	}
	return t.answer(body)
}

// showChallenge adds the factor that is asked for, and what can be done next.
func (s *Store) showChallenge(r *endpoint.Request, t *transaction, u User, body, embedded, links object) {
	f, ok := enrolledAs(s.factors.Enrolled(u.ID), t.factor)
	if !ok {
		return // taken from the user meanwhile
	}
	shown := render(f)
	next := "verify"
	if t.result != "" {
		body["factorResult"] = t.result
	}
	if t.result == "WAITING" {
		next = "poll"
	}
	if f.Signs {
		shown["_embedded"] = object{"challenge": object{"challenge": f.Challenge, "userVerification": "preferred"}}
	}
	embedded["factor"] = shown
	at := authnOf(r) + "/factors/" + f.ID
	links["next"] = named(next, at+"/verify")
	links["prev"] = endpoint.Link(authnOf(r)+"/previous", http.MethodPost)
	if f.Sends {
		links["resend"] = []any{named(f.Type, at+"/verify/resend")}
	}
}

// choices are the factors that the user can prove.
func (s *Store) choices(r *endpoint.Request, u User) []any {
	all := []any{}
	for _, f := range s.factors.Enrolled(u.ID) {
		shown := render(f)
		shown["_links"] = object{"verify": endpoint.Link(authnOf(r)+"/factors/"+f.ID+"/verify", http.MethodPost)}
		all = append(all, shown)
	}
	return all
}

// enrollable are the factors that the user could enroll. How they enroll is not served.
func enrollable(r *endpoint.Request) []any {
	all := []any{}
	for _, k := range factor.Kinds() {
		all = append(all, object{
			"factorType": k.Type, "provider": k.Provider, "vendorName": k.Provider, "status": "NOT_SETUP", "enrollment": "OPTIONAL",
			"_links": object{"enroll": endpoint.Link(authnOf(r)+"/factors", http.MethodPost)},
		})
	}
	return all
}

func render(f factor.Enrolled) object {
	return object{"id": f.ID, "factorType": f.Type, "provider": f.Provider, "vendorName": f.Provider, "profile": f.Profile}
}

// shown is the user as a transaction shows it.
func shown(u User) object {
	profile := object{"login": u.Login, "locale": "en", "timeZone": "America/Los_Angeles"}
	for _, name := range []string{"firstName", "lastName"} {
		profile[name] = u.Profile[name]
	}
	for attribute, name := range map[string]string{"locale": "locale", "timezone": "timeZone"} {
		if v, _ := u.Profile[attribute].(string); v != "" {
			profile[name] = v
		}
	}
	return object{"id": u.ID, "passwordChanged": endpoint.Timestamp(u.PasswordChanged), "profile": profile}
}

// previous serves POST /authn/previous: back from a challenge to the choice of a factor.
func (s *Store) previous(r *endpoint.Request) endpoint.Answer {
	t, u, bad := s.of(r, nil, challenge)
	if bad != nil {
		return *bad
	}
	return s.advance(r, t, u)
}

// skip serves POST /authn/skip: on from a warning. A user who has no factor cannot skip the
// enrollment of one.
func (s *Store) skip(r *endpoint.Request) endpoint.Answer {
	t, u, bad := s.of(r, nil, warn)
	if bad != nil {
		return *bad
	}
	t.warned = true
	return s.advance(r, t, u)
}

// cancel serves POST /authn/cancel: the state token is good for nothing then.
func (s *Store) cancel(r *endpoint.Request) endpoint.Answer {
	t, _, bad := s.of(r, nil)
	if bad != nil {
		return *bad
	}
	s.transactions.Delete(t.token)
	return t.answer(object{})
}

func authnOf(r *endpoint.Request) string { return r.Base + "/api/v1/authn" }

// named is a link that takes a POST and has a name.
func named(name, href string) object {
	l := endpoint.Link(href, http.MethodPost)
	l["name"] = name
	return l
}
