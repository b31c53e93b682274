// This file has users prove a factor while they sign in.

package signin

import (
	"slices"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/factor"
	"github.com/oktaretry/oktaretry/oktatest/internal/syslog"
)

// resendPause is how long a passcode must have been under way before another can be sent.
const resendPause = 30 * time.Second

// verify serves POST /authn/factors/{factor}/verify: what a user has typed, the wish for a push
// or a passcode, or the poll of a push. Of the user's factors none is preferred: another can be
// taken instead at any time.
func (s *Store) verify(r *endpoint.Request) endpoint.Answer {
	t, u, bad := s.of(r, nil, required, challenge)
	if bad != nil {
		return *bad
	}
	f, ok := enrolledAs(s.factors.Enrolled(u.ID), r.Vars[0])
	switch {
	case u.Status == "LOCKED_OUT":
		return endpoint.Fail("E0000069")
	case !ok: // which answer that has is a guess
		return endpoint.Missing(r.Vars[0], "UserFactor")
	case t.push != "" && t.factor == f.ID:
		return s.poll(r, t, u, f)
	}
	return s.attempt(r, t, u, f, s.factors.Verify)
}

// resend serves POST /authn/factors/{factor}/verify/resend.
func (s *Store) resend(r *endpoint.Request) endpoint.Answer {
	t, u, bad := s.of(r, nil, challenge)
	if bad != nil {
		return *bad
	}
	f, ok := enrolledAs(s.factors.Enrolled(u.ID), r.Vars[0])
	early := r.Now().Before(t.sent.Add(resendPause))
	switch {
	case !ok || f.ID != t.factor || !f.Sends:
		return endpoint.Fail("E0000079", "This operation is not allowed in the current authentication state.")
	case early && f.Type == "sms":
		return endpoint.Fail("E0000109")
	case early && f.Type == "call":
		return endpoint.Fail("E0000133")
	}
	return s.attempt(r, t, u, f, s.factors.Resend)
}

// attempt has the user prove a factor by what the request brings.
func (s *Store) attempt(r *endpoint.Request, t *transaction, u User, f factor.Enrolled, prove func(*endpoint.Request, string, string) factor.Attempt) endpoint.Answer {
	a := prove(as(r, u), u.ID, f.ID)
	switch {
	case a.Refused != nil && a.Refused.Error != nil && a.Refused.Error.Code == "E0000068" && s.miss(r, u):
		return endpoint.Fail("E0000069")
	case a.Refused != nil:
		return *a.Refused
	case a.Result == "SUCCESS":
		t.proven = &f
		return s.advance(r, t, u)
	}
	t.status, t.factor, t.push, t.result, t.sent = challenge, f.ID, a.Push, "", r.Now()
	if a.Push != "" {
		t.result = a.Result
	}
	return s.show(r, t, u)
}

// poll asks what a push has come to. Only the user's yes leads on: after anything else the
// transaction still waits for a factor.
func (s *Store) poll(r *endpoint.Request, t *transaction, u User, f factor.Enrolled) endpoint.Answer {
	t.result = s.factors.Poll(as(r, u), u.ID, t.push)
	switch t.result {
	case "WAITING":
	case "SUCCESS":
		t.proven = &f
		return s.advance(r, t, u)
	default:
		t.push = ""
	}
	return s.show(r, t, u)
}

// as is a request whose events have the user as their actor.
func as(r *endpoint.Request, u User) *endpoint.Request {
	own := *r
	own.Record = func(e syslog.Event) { record(r, u, e) }
	return &own
}

func enrolledAs(all []factor.Enrolled, id string) (factor.Enrolled, bool) {
	i := slices.IndexFunc(all, func(f factor.Enrolled) bool { return f.ID == id })
	if i < 0 {
		return factor.Enrolled{}, false
	}
	return all[i], true
}
