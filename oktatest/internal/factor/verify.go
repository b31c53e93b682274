// This file verifies factors: by push, by passcode and by answer.

package factor

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/syslog"
)

// proof is the body of a verification or an activation.
type proof struct {
	PassCode string `json:"passCode"`
	Answer   string `json:"answer"`
}

// verify serves POST /users/{id}/factors/{factor}/verify.
func (s *Store) verify(r *endpoint.Request, u User, f *factor) endpoint.Answer {
	a := s.attempt(r, u, f, r.Vars[1])
	switch {
	case a.Refused != nil:
		return *a.Refused
	case a.Push != "":
		return verification(r, http.StatusCreated, a.Push, s.transactions[a.Push], a.Result)
	}
	return result(r, u, f, a.Result)
}

// attempt has a user prove a factor, which goes by that id, by the body of a request.
func (s *Store) attempt(r *endpoint.Request, u User, f *factor, id string) Attempt {
	switch {
	case f.status != active:
		return refuse(endpoint.Invalid("factorId", "The factor is not active."))
	case f.kind.name == "push":
		return Attempt{Result: "WAITING", Push: s.push(r, u, f, id)}
	case f.kind.signed:
		return Attempt{Result: "SUCCESS"}
	}
	var in proof
	if bad, ok := r.Decode(&in); !ok {
		return refuse(bad)
	}
	if f.kind.codes && in.PassCode == "" {
		s.challenge(r, u, f)
		return Attempt{Result: "CHALLENGE"}
	}
	if bad, ok := s.check(r, u, f, true); !ok {
		record(r, u, f, syslog.Event{Type: verified, Outcome: syslog.Failure("INVALID_CREDENTIALS")})
		return refuse(bad)
	}
	record(r, u, f, syslog.Event{Type: verified})
	return Attempt{Result: "SUCCESS"}
}

// verified is the event of a verification.
const verified = "user.authentication.auth_via_mfa"

func result(r *endpoint.Request, u User, f *factor, result string) endpoint.Answer {
	at := self(r, u, f.id)
	return endpoint.OK(object{"factorResult": result, "_links": object{
		"verify": endpoint.Link(at+"/verify", http.MethodPost),
		"factor": endpoint.Link(at, http.MethodGet, http.MethodDelete),
	}})
}

// check compares what the user has typed, if anything need be typed.
func (s *Store) check(r *endpoint.Request, u User, f *factor, typed bool) (bad endpoint.Answer, ok bool) {
	var in proof
	if bad, ok := r.Decode(&in); !ok || !typed {
		return bad, ok
	}
	now := r.Now()
	switch f.kind.name {
	case "question":
		if !strings.EqualFold(in.Answer, f.answer) {
			return wrong("answer"), false
		}
	case "token:software:totp":
		return f.checkTOTP(in.PassCode, step(now))
	default:
		switch {
		case !equal(in.PassCode, f.code):
			return wrong("passcode"), false
		case f.kind.codes && now.After(f.codeUntil):
			return endpoint.Fail("E0000083"), false
		case f.kind.codes:
			f.code = "" // good for once
		}
	}
	return bad, true
}

func equal(have, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(have), []byte(want)) == 1
}

// checkTOTP takes the passcode of the present step or of a neighbour, each once.
func (f *factor) checkTOTP(code string, now int64) (bad endpoint.Answer, ok bool) {
	for at := now - 1; at <= now+1; at++ {
		if !equal(code, TOTP(f.secret, at)) {
			continue
		}
		if at <= f.used {
			return endpoint.Fail("E0000068", "Each code can only be used once. Please wait for a new code and try again."), false
		}
		f.used = at
		return bad, true
	}
	return wrong("passcode"), false
}

// wrong is Okta's answer to what does not match.
func wrong(what string) endpoint.Answer {
	return endpoint.Fail("E0000068", "Your "+what+" doesn't match our records. Please try again.")
}

// push sends the user a push, and returns the id of the verification that waits for it.
func (s *Store) push(r *endpoint.Request, u User, f *factor, factorID string) (id string) {
	s.pushes++
	id = r.NewID("v2mst.")
	t := s.begin(u, factorID, r.Now())
	s.keep(id, &t)
	record(r, u, f, syslog.Event{Type: f.kind.sends})
	return id
}

// ofTransaction calls f with the transaction that the path names, the store locked.
func (s *Store) ofTransaction(f func(r *endpoint.Request, u User, id string, t *transaction) endpoint.Answer) func(*endpoint.Request) endpoint.Answer {
	return s.ofUser(func(r *endpoint.Request, u User) endpoint.Answer {
		id := r.Vars[2]
		t := s.transactions[id]
		if t == nil || t.factor != r.Vars[1] || t.user != u.ID {
			return endpoint.Fail("E0000191")
		}
		return f(r, u, id, t)
	})
}

// poll replies with how the verification stands.
func (s *Store) poll(r *endpoint.Request, u User, id string, t *transaction) endpoint.Answer {
	result, first := t.poll(r.Now())
	if f := s.factor(u, t.factor); first && f != nil {
		recordResult(r, u, f, result)
	}
	return verification(r, http.StatusOK, id, t, result)
}

// recordResult records what a push has come to.
func recordResult(r *endpoint.Request, u User, f *factor, result string) {
	switch result {
	case "SUCCESS":
		record(r, u, f, syslog.Event{Type: verified})
	case "REJECTED":
		record(r, u, f, syslog.Event{Type: "user.mfa.okta_verify.deny_push", Outcome: syslog.Failure("User rejected Okta push verify")})
	case "TIMEOUT":
		record(r, u, f, syslog.Event{Type: verified, Outcome: syslog.Failure("TIMEOUT")})
	}
}

func (s *Store) cancel(_ *endpoint.Request, _ User, _ string, t *transaction) endpoint.Answer {
	if t.done == "" {
		t.done = "CANCELLED"
	}
	return endpoint.Answer{Status: http.StatusNoContent}
}

// verification replies with the state of a verification; only one that waits has links to poll
// and cancel it.
func verification(r *endpoint.Request, status int, id string, t *transaction, result string) endpoint.Answer {
	at := r.Base + "/api/v1/users/" + t.user + "/factors/" + t.factor
	body := object{"factorResult": result}
	if result == "WAITING" {
		body["expiresAt"] = endpoint.Timestamp(t.expires)
		body["_links"] = object{
			"poll":   endpoint.Link(at+"/transactions/"+id, http.MethodGet),
			"cancel": endpoint.Link(at+"/transactions/"+id, http.MethodDelete),
		}
	} else {
		body["_links"] = object{
			"verify": endpoint.Link(at+"/verify", http.MethodPost),
			"factor": endpoint.Link(at, http.MethodGet, http.MethodDelete),
		}
	}
	return endpoint.Answer{Status: status, Body: body}
}
