// Package factor keeps the factors of users, and sends them pushes and passcodes that they
// answer as the test has it.
package factor

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry/oktatest/internal/endpoint"
	"github.com/oktaretry/oktaretry/oktatest/internal/syslog"
)

// pushLife is how long a push or an activation waits for its user; Okta's lives about as long.
const pushLife = 5 * time.Minute

// maxTransactions bounds the memory of verifications by push: the oldest are forgotten.
const maxTransactions = 10_000

// User is a user as factors see it.
type User struct {
	ID, Login, Email string
	PushID           string // of the push factor that users have from the start
	Created          time.Time
	Entity           syslog.Entity
}

// Store keeps the factors and the verifications under way. It is safe for concurrent use.
type Store struct {
	find func(key string) (User, bool)

	mu           sync.Mutex
	result       string
	waits        int
	pushes       int
	byUser       map[string][]*factor // without entry: the push alone
	transactions map[string]*transaction
	order        []string // ids of transactions, the oldest first
}

// factor is one enrollment.
type factor struct {
	id       string
	kind     kind
	provider string
	vendor   string
	status   string
	created  time.Time
	updated  time.Time
	profile  map[string]any

	secret     string      // TOTP: the shared secret, in base32
	answer     string      // of a question
	code       string      // the passcode sent last, or a token's
	codeUntil  time.Time   // the end of its life
	used       int64       // TOTP: the step of the last passcode accepted
	activation transaction // a push's
	registered bool        // the push that users have from the start
}

// transaction waits for what a user does with a push.
type transaction struct {
	user, factor string
	result       string // what it will come to
	waits        int    // polls that still answer WAITING; negative: all
	expires      time.Time
	done         string // the result, once it is there
}

// New returns a store in which each user that find knows has one push factor.
func New(find func(key string) (User, bool), result string, waits int) *Store {
	return &Store{find: find, result: result, waits: waits,
		byUser: map[string][]*factor{}, transactions: map[string]*transaction{}}
}

// SetResult changes how verifications go that begin later: so many polls answer WAITING, or
// all if waits is negative, and then comes the result.
func (s *Store) SetResult(result string, waits int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result, s.waits = result, waits
}

// Pushes is the number of pushes sent for verifications.
func (s *Store) Pushes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pushes
}

// Clear takes all factors from a user.
func (s *Store) Clear(userID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byUser[userID] = []*factor{}
}

// Passcode is what the user would type: the passcode sent last to a phone or an address, that
// of a token, the present one of an app, or the answer to a question.
func (s *Store) Passcode(now time.Time, key, id string) (string, bool) {
	u, ok := s.find(key)
	if !ok {
		return "", false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.factor(u, id)
	switch {
	case f == nil:
		return "", false
	case f.secret != "":
		return TOTP(f.secret, step(now)), true
	}
	code := cmp.Or(f.answer, f.code)
	return code, code != ""
}

// factors are those of a user.
func (s *Store) factors(u User) []*factor {
	if _, ok := s.byUser[u.ID]; !ok {
		s.byUser[u.ID] = []*factor{{
			id: u.PushID, kind: kinds["push"], provider: "OKTA", vendor: "OKTA", status: active,
			created: u.Created, updated: u.Created, profile: phone(u), registered: true,
		}}
	}
	return s.byUser[u.ID]
}

// phone is the profile of a push factor.
func phone(u User) map[string]any {
	return map[string]any{"credentialId": u.Login, "deviceType": "SmartPhone_IPhone", "keys": []any{},
		"name": "oktatest", "platform": "IOS", "version": "17.0"}
}

// factor finds a factor of a user. The push that users have from the start also answers to
// other ids of pushes.
func (s *Store) factor(u User, id string) *factor {
	all := s.factors(u)
	for _, f := range all {
		if f.id == id {
			return f
		}
	}
	if len(id) >= 3 && id[:3] == "opf" {
		for _, f := range all {
			if f.registered {
				return f
			}
		}
	}
	return nil
}

// begin makes a transaction for a push.
func (s *Store) begin(u User, factorID string, now time.Time) transaction {
	return transaction{user: u.ID, factor: factorID, result: s.result, waits: s.waits, expires: now.Add(pushLife)}
}

// keep remembers a transaction.
func (s *Store) keep(id string, t *transaction) {
	if len(s.order) >= maxTransactions {
		delete(s.transactions, s.order[0])
		s.order = slices.Delete(s.order, 0, 1)
	}
	s.transactions[id] = t
	s.order = append(s.order, id)
}

// poll is how a transaction stands; each call is one poll. first reports that it has come to
// its end now.
func (t *transaction) poll(now time.Time) (result string, first bool) {
	switch {
	case t.done != "":
		return t.done, false
	case now.After(t.expires):
		t.done = "TIMEOUT"
	case t.waits == 0:
		t.done = t.result
	case t.waits > 0:
		t.waits--
	}
	if t.done == "" {
		return "WAITING", false
	}
	return t.done, true
}

// record records an event about a user's factor.
func record(r *endpoint.Request, u User, f *factor, e syslog.Event) {
	e.Targets = []syslog.Entity{u.Entity}
	e.Debug = map[string]any{"factor": f.kind.label, "factorId": f.id}
	r.Record(e)
}
