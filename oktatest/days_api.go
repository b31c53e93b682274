// This file holds the bad days of Okta's API itself.

package oktatest

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// within makes a day whose effect keeps no state and lies behind the limits.
func within(meet func(c *call, next func(*call) *reply) *reply) func(Day, *rand.Rand) effect {
	return func(Day, *rand.Rand) effect { return effect{inside, meet} }
}

// failing makes a day that answers with one of Okta's codes.
func failing(code string) func(Day, *rand.Rand) effect {
	return within(func(c *call, _ func(*call) *reply) *reply { return c.fail(code) })
}

func patterns(all ...string) (list []pattern) {
	for _, s := range all {
		list = append(list, mustPattern(s))
	}
	return list
}

// ReadOnly is maintenance: what would change something is refused with 503
// E0000010, while reads, logins, factor challenges, sessions and tokens go on.
// The name is "read-only".
//
// Okta announces it, and comes to it by itself when a cell moves to its
// disaster-recovery region:
// https://help.okta.com/en-us/Content/Topics/Reference/ref-service-op-mode.htm
func ReadOnly() Day {
	return Day{name: "read-only", about: "maintenance: writes are refused with E0000010, reads and logins go on",
		patterns: everything, narrow: writes, chance: 1, play: failing("E0000010")}
}

// signingIn is what goes on in read-only mode though it is sent by POST.
var signingIn = patterns("/api/v1/authn", "/api/v1/authn/*", "/api/v1/sessions", "/api/v1/sessions/*", "/oauth2/*", "/idp/idx/*",
	"POST /api/v1/users/{id}/factors/{factor}/verify")

// recovering is what lies below signingIn and yet is a write.
var recovering = patterns("/api/v1/authn/recovery/*", "/api/v1/authn/credentials/*", "/oauth2/v1/clients", "/oauth2/v1/clients/*")

func writes(c *call) bool {
	if slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, c.r.Method) {
		return false
	}
	return !c.isOneOf(signingIn) || c.isOneOf(recovering)
}

// ErrorSpells fails single resources with 500 E0000009, for a spell, and then
// heals them for good: each resource's begins with the first request that meets
// the day and lasts 1, 5, 14, 14, 16 or 21 s; the seed says which. By default it
// means DELETEs. Nothing is done meanwhile. The name is "error-spells".
//
// These are the six spells in 63,836 recorded answers, all of DELETEs (five user
// types, one app): each ended in a 204. So E0000009 speaks of one resource, not
// of Okta.
func ErrorSpells() Day {
	lengths := []time.Duration{1 * time.Second, 5 * time.Second, 14 * time.Second, 14 * time.Second, 16 * time.Second, 21 * time.Second}
	return Day{name: "error-spells", about: "the first DELETE of each resource begins a spell of E0000009 of 1 to 21 s",
		patterns: patterns("DELETE *"), chance: 1,
		play: func(_ Day, random *rand.Rand) effect {
			s := &spells{until: map[string]time.Time{}}
			deck := &deck{random: random, size: len(lengths)}
			return effect{inside, func(c *call, next func(*call) *reply) *reply {
				if s.ill(c, func() time.Duration { return lengths[deck.draw()] }) {
					return c.fail("E0000009")
				}
				return next(c)
			}}
		}}
}

// spellMemory is how many resources are remembered before they are forgotten.
const spellMemory = 100_000

// spells keeps until when each resource is ill.
type spells struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// ill reports whether a call's resource is ill; its spell begins with its first call.
func (s *spells) ill(c *call, length func() time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	resource, now := c.r.Method+" "+strings.Join(c.segs, "/"), time.Now()
	until, known := s.until[resource]
	if !known {
		if len(s.until) >= spellMemory {
			clear(s.until)
		}
		until = now.Add(length())
		s.until[resource] = until
	}
	return now.Before(until)
}

// PolicyLocks has Okta lock an org's policies and group rules while one of them
// is changed: for 700 ms after a change that was let through, further ones are
// refused with 423 E0000239. The name is "policy-locks".
//
// Recorded of POST /api/v1/groups/rules in parallel: sent again within a second,
// each was served. Terraform, which works on ten resources at a time, meets it.
func PolicyLocks() Day {
	const held = 700 * time.Millisecond
	return Day{name: "policy-locks", about: "policies and group rules are locked for 700 ms after each change: 423 E0000239",
		patterns: patterns("/api/v1/groups/rules", "/api/v1/groups/rules/*", "/api/v1/policies", "/api/v1/policies/*"),
		narrow:   writes, chance: 1,
		play: func(Day, *rand.Rand) effect {
			var mu sync.Mutex
			var until time.Time
			return effect{inside, func(c *call, next func(*call) *reply) *reply {
				mu.Lock()
				locked := time.Now().Before(until)
				if !locked {
					until = time.Now().Add(held)
				}
				mu.Unlock()
				if locked {
					return c.fail("E0000239")
				}
				return next(c)
			}}
		}}
}

// MissingFeature answers requests of these patterns with 401 E0000015, as of a
// feature that the org has not bought or switched on. The token is good: other
// requests go on. The name is "missing-feature", with Okta Identity Governance
// and log streaming.
//
// Okta's table has E0000015 as 401: a client that fetches a new token for each
// 401, and tries again, does so for ever.
func MissingFeature(patterns ...string) Day {
	d := Day{name: "missing-feature", about: "the org lacks a feature: 401 E0000015 of governance and log streams, though the token is good",
		chance: 1, play: failing("E0000015")}
	return d.On(patterns...)
}

// InlineHookTimeout is an inline hook of the customer's own that does not answer.
// Okta waits 3 s for it and asks once more. Then what needs the hook's answer,
// registrations and logins whose password is imported, fails with 504 E0000137;
// a custom authorization server's token is issued without what the hook would
// have added. So its calls all take 6 s. The name is "inline-hook-timeout".
//
// https://developer.okta.com/docs/concepts/inline-hooks/ has the times, and
// the reference of the token inline hook how tokens go on without it.
func InlineHookTimeout() Day {
	const patience = 2 * 3 * time.Second
	tokens := mustPattern("/oauth2/{server}/v1/token")
	return Day{name: "inline-hook-timeout", about: "an inline hook times out: logins by imported password and registrations fail after 6 s with E0000137",
		patterns: append(patterns("POST /api/v1/authn", "POST /api/v1/registration/{policy}/register", "POST /idp/idx/enroll/new"), tokens),
		chance:   1,
		play: within(func(c *call, next func(*call) *reply) *reply {
			if !c.wait(patience) {
				return &reply{fault: faultGone, header: http.Header{}}
			}
			if tokens.Match(c.r.Method, c.segs) {
				return next(c)
			}
			return c.fail("E0000137")
		})}
}

// TelephonyDown is the provider of SMS and voice calls that fails: whatever would
// send one, an enrollment, a challenge, a resend, a recovery, gets 503 E0000139
// for an SMS and 500 E0000138 for a call. Other factors work, and so do
// passcodes that have arrived. The name is "telephony-down".
//
// Both codes are in Okta's table as the provider's and not Okta's own failure.
func TelephonyDown() Day {
	return Day{name: "telephony-down", about: "no SMS or voice call can be sent: E0000139, E0000138",
		patterns: telephony, narrow: func(c *call) bool { return c.phones() != "" }, chance: 1,
		play: within(func(c *call, _ func(*call) *reply) *reply {
			if c.phones() == "call" {
				return c.fail("E0000138")
			}
			return c.fail("E0000139")
		})}
}

// SMSRoadblock is an org that has sent as many SMS as it may in 24 hours: what
// would send one is refused with 429 E0000146, a voice call with E0000147, while
// the bucket has places left. No wait that a call has will help. The name is
// "sms-roadblock".
//
// Okta's table says so of both codes; toll fraud through a form for registration
// is how orgs come there:
// https://help.okta.com/oie/en-us/Content/Topics/telephony/telephony-mitigate-tf.htm
func SMSRoadblock() Day {
	return Day{name: "sms-roadblock", about: "the SMS of 24 hours are used up: 429 E0000146",
		patterns: telephony, narrow: func(c *call) bool { return c.phones() != "" }, chance: 1,
		play: within(func(c *call, _ func(*call) *reply) *reply {
			if c.phones() == "call" {
				return c.fail("E0000147")
			}
			return c.fail("E0000146")
		})}
}

// telephony are the endpoints that may send an SMS or call somebody.
var telephony = patterns(
	"POST /api/v1/users/{id}/factors", "POST /api/v1/users/{id}/factors/{factor}/verify", "POST /api/v1/users/{id}/factors/{factor}/resend",
	"POST /api/v1/authn/factors", "POST /api/v1/authn/factors/*", "POST /api/v1/authn/recovery/password", "POST /api/v1/authn/recovery/unlock",
	"POST /idp/idx/challenge", "POST /idp/idx/challenge/resend", "POST /idp/idx/credential/enroll")

// phones says what a request would have Okta send: "sms", "call" or nothing.
func (c *call) phones() string {
	r := c.view()
	for _, name := range []string{"passCode", "answer"} {
		if r.field(name) != "" { // the answer to what was sent before
			return ""
		}
	}
	for _, name := range []string{"factorType", "methodType"} {
		switch strings.ToLower(r.field(name)) {
		case "sms":
			return "sms"
		case "call", "voice":
			return "call"
		}
	}
	for _, seg := range c.segs { // a factor is of the kind that its id begins with
		switch {
		case strings.HasPrefix(seg, "mbl"), strings.HasPrefix(seg, "sms"):
			return "sms"
		case strings.HasPrefix(seg, "clf"):
			return "call"
		}
	}
	return ""
}

// UserLockedOut is one user who is locked out, after too many wrong passwords or
// passcodes. The login is refused with 401 E0000004, as that of a wrong password
// is; answers to factors with 403 E0000069; the password grant with 400
// invalid_grant; and the user reads LOCKED_OUT. All others log in, and nothing
// that the client does or waits for helps, but POST …/lifecycle/unlock, which
// lets the user in again. The name is "user-locked-out", with user00000@example.com.
//
// That is an org's default; one that shows lockouts answers the login with 200
// and status LOCKED_OUT (https://developer.okta.com/docs/reference/api/authn/).
func UserLockedOut(login string) Day {
	require(login != "", "UserLockedOut: no login")
	return Day{name: "user-locked-out", about: "the first user is locked out: E0000004 at the login, E0000069 for factors",
		patterns: patterns("POST /api/v1/authn", "POST /oauth2/v1/token", "POST /oauth2/{server}/v1/token",
			"GET /api/v1/users/{id}", "POST /api/v1/users/{id}/factors/{factor}/verify", "POST /api/v1/users/{id}/lifecycle/unlock"),
		chance: 1,
		play: func(Day, *rand.Rand) effect {
			l := &lockout{login: login}
			return effect{inside, l.meet}
		}}
}

// lockout is one user's.
type lockout struct {
	login    string
	unlocked atomic.Bool
}

func (l *lockout) meet(c *call, next func(*call) *reply) *reply {
	if l.unlocked.Load() || !l.concerns(c) {
		return next(c)
	}
	last := c.segs[len(c.segs)-1]
	switch {
	case last == "unlock":
		l.unlocked.Store(true)
		return c.json(http.StatusOK, map[string]any{})
	case last == "authn":
		return c.fail("E0000004")
	case last == "token":
		return c.oauthFail(http.StatusBadRequest, "invalid_grant", "The credentials provided were invalid.")
	case last == "verify":
		return c.fail("E0000069")
	}
	r := next(c)
	r.body = bytes.Replace(r.body, []byte(`"status":"ACTIVE"`), []byte(`"status":"LOCKED_OUT"`), 1)
	return r
}

// concerns reports whether a call is the locked user's.
func (l *lockout) concerns(c *call) bool {
	r := c.view()
	if user := byPathUser(r); user != "" {
		c.o.directory.mu.Lock()
		defer c.o.directory.mu.Unlock()
		u := c.o.directory.user(c.segs[slices.Index(c.segs, "users")+1])
		return u != nil && u == c.o.directory.user(l.login)
	}
	return strings.EqualFold(r.field("username"), l.login)
}
