// This file is the matrix: every situation once, as data, for all three SDKs.

package sdktest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

type situation struct {
	group, name string
	only        string // the SDKs that can get there, "v6 v5"; "" for all

	org        []oktatest.Option
	script     func(*oktatest.Okta)
	change     func(*oktaretry.Policy)
	inMemory   bool // in virtual time and without sockets: for what only waits
	hangs      bool // Okta never answers, and an attempt has a short timeout
	privateKey bool
	tls        bool // with a certificate that the client does not trust
	warm       bool // the client has a connection that was used before
	refuses    int  // so many first connections
	loses      int  // so many first answers, to requests that Okta has done

	do       func(*stage) Answer
	gets     string // by the caller of any SDK; or else
	fails    results
	requests span
	users    int // how many there are more in the end
	took     took
	note     string // beside the requests
	check    func(*stage, *oktaretry.Transport)
}

const always = -1

const (
	attemptTimeout = 300 * time.Millisecond
	shortDeadline  = 2 * time.Second
	anyNumber      = 1000
)

var (
	atOnce        = took{words: "at once"}
	oneBackoff    = took{words: "1 backoff", reason: oktaretry.WaitBackoff, waits: exactly(1)}
	twoBackoffs   = took{words: "2 backoffs", reason: oktaretry.WaitBackoff, waits: exactly(2)}
	threeBackoffs = took{words: "3 backoffs", reason: oktaretry.WaitBackoff, waits: exactly(3)}
	backoffs      = took{words: "some backoffs", reason: oktaretry.WaitBackoff, waits: span{1, anyNumber}}
	inLine        = took{words: backoffs.words, reason: backoffs.reason, waits: backoffs.waits, inLine: true}
	oneWindow     = took{words: "one window", reason: oktaretry.WaitRateLimit, waits: span{1, anyNumber}, least: 900 * time.Millisecond}
	// The client knows Okta's clock by then, and waits for what is left of the window.
	restOfWindow  = took{words: oneWindow.words, reason: oneWindow.reason, waits: oneWindow.waits}
	twoPolls      = took{words: "2 polls", reason: oktaretry.WaitPoll, waits: exactly(2)}
	tripleTimeout = took{words: "3 attempt timeouts", least: 3 * attemptTimeout}
	eightTimeouts = took{words: "8 attempt timeouts, 3 backoffs", reason: oktaretry.WaitBackoff, waits: exactly(3), least: 8 * attemptTimeout}
	outageLong    = took{words: "some backoffs, and until a circuit lets a probe out"}
	toDeadline    = took{words: "until the context's deadline", least: shortDeadline}
)

const (
	anyRequest  = "*"
	users       = "GET /api/v1/users"
	oneUser     = "GET /api/v1/users/{id}"
	newUser     = "POST /api/v1/users"
	tokens      = "POST /oauth2/v1/token"
	verify      = "POST /api/v1/users/{id}/factors/{factor}/verify"
	transaction = "GET /api/v1/users/{id}/factors/{factor}/transactions/{transaction}"
)

func script(pattern string, steps ...oktatest.Step) func(*oktatest.Okta) {
	return func(org *oktatest.Okta) { org.Script(pattern, steps...) }
}

func withUsers(n int) []oktatest.Option { return []oktatest.Option{oktatest.WithUsers(n)} }

// withTokens takes only tokens that the org has issued itself.
func withTokens(n int, more ...oktatest.Option) []oktatest.Option {
	return append(more, oktatest.WithUsers(n), oktatest.RequireAuth("only tokens of its own"))
}

func list(s *stage) Answer   { return s.ListUsers(s.ctx) }
func get(s *stage) Answer    { return s.GetUser(s.ctx, s.user) }
func create(s *stage) Answer { return s.CreateUser(s.ctx, "new@example.com") }
func remove(s *stage) Answer { return s.DeleteUser(s.ctx, s.user) }

// soon is a call with little time.
func soon(do func(*stage) Answer) func(*stage) Answer {
	return func(s *stage) Answer {
		hurried := *s
		ctx, cancel := context.WithTimeout(s.ctx, shortDeadline)
		defer cancel()
		hurried.ctx = ctx
		return do(&hurried)
	}
}

// syncs reads all users six times at a time.
func syncs(s *stage) Answer {
	const n = 6
	answers := make([]Answer, n)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = list(s) })
	}
	all.Wait()
	for _, a := range answers {
		if a != answers[0] {
			return Answer{Got: fmt.Sprintf("%v and %v", a, answers[0]), Err: a.Err}
		}
	}
	return Answer{Got: fmt.Sprintf("%d times %s", n, answers[0].Got), Err: answers[0].Err}
}

// outage has fifty calls meet 503s that go on and on, and looks whether a
// call goes through when they are over.
func outage(s *stage) Answer {
	const n = 50
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			ctx, recorder := oktaretry.WithRecorder(s.ctx)
			a := s.GetUser(ctx, s.user)
			o, _ := recorder.Outcome()
			var open *oktaretry.CircuitOpenError
			if a.Err == nil || o.Status != http.StatusServiceUnavailable && !errors.As(o.Err, &open) {
				s.Errorf("error %v, outcome %+v, want Okta's 503 or an open circuit", a.Err, o)
			}
		})
	}
	all.Wait()
	s.org.ClearScripts()
	for s.ctx.Err() == nil {
		if a := s.GetUser(s.ctx, s.user); a.Err == nil {
			return Answer{Got: afterOutage}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return Answer{Err: errors.New("still failing after the outage")}
}

const afterOutage = "Okta's 503 or a `*CircuitOpenError`; when it is over, the user"

func forgiving(p *oktaretry.Policy) {
	p.Breaker.OpenFor = 100 * time.Millisecond
	spendOnce(p)
}

func withoutCircuits(p *oktaretry.Policy) {
	p.Breaker.Disabled = true
	spendOnce(p)
}

// spendOnce has the default budget, of 20 resends to begin with, last for all of a
// situation: on a busy machine that takes longer than those 10 s after which the
// default one forgets.
func spendOnce(p *oktaretry.Policy) {
	p.Budget.TTL, p.Budget.Reserve = time.Minute, 20.0/60
}

var unavailable = oktatest.EdgePage(http.StatusServiceUnavailable)

const firstUser = "user00000@example.com"

var situations = []situation{
	{group: "All is well", name: "list", org: withUsers(20), do: list, gets: "20 users", requests: exactly(1), took: atOnce},
	{name: "get", org: withUsers(1), do: get, gets: firstUser, requests: exactly(1), took: atOnce},
	{name: "create", do: create, gets: "new@example.com", requests: exactly(1), users: 1, took: atOnce},
	{
		name: "update, by POST", org: withUsers(1), do: func(s *stage) Answer { return s.UpdateUser(s.ctx, s.user, "Two") },
		gets: "Two", requests: exactly(1), took: atOnce,
	}, {
		name: "update, by PUT", org: withUsers(1), do: func(s *stage) Answer { return s.ReplaceUser(s.ctx, s.user, "Two") },
		gets: "Two", requests: exactly(1), took: atOnce,
	}, {
		name: "delete", org: withUsers(1), do: remove, gets: "no error", requests: exactly(1), took: atOnce,
		note: "the user is deactivated",
	},
	{name: "pagination over 5 pages", org: withUsers(125), do: list, gets: "125 users", requests: exactly(5), took: atOnce},
	{
		name: "OAuth with a private key, 3 pages", org: withTokens(60), privateKey: true, do: list,
		gets: "60 users", requests: exactly(1 + 3), took: atOnce,
		check: func(s *stage, _ *oktaretry.Transport) { statuses(s, tokens, 200) },
	}, {
		name: "OAuth with DPoP, 3 pages", only: "v6 v5", org: withTokens(60, oktatest.WithDPoP()), privateKey: true, do: list,
		gets: "60 users", requests: exactly(3 + 3), took: atOnce, note: "the token calls: 400, 400, 200", check: handshake,
	}, {
		name: "OAuth, for an org that demands DPoP", only: "v2", org: withTokens(60, oktatest.WithDPoP()), privateKey: true, do: list,
		fails: results{v2: result{got: "0 users", finds: v2Error, text: "the API returned an error: The DPoP proof JWT header is missing."}}, requests: exactly(1), took: atOnce,
	},

	{
		group: "Rate limits", name: "429 storm: 6 syncs of 3 pages at once, 5 tries refused together", org: withUsers(60), inMemory: true,
		script: script(users, oktatest.Pass, oktatest.Times(5, oktatest.Delay(100*time.Millisecond, oktatest.RateLimited(0)))), do: syncs,
		gets: "6 times 60 users", requests: exactly(18 + 5), took: restOfWindow,
	}, {
		name: "429 answering a create", inMemory: true, script: script(newUser, oktatest.RateLimited(0)), do: create,
		gets: "new@example.com", requests: exactly(2), users: 1, took: oneWindow, check: sentTheSameTwice,
	}, {
		name: "429 answering the token call", org: withTokens(3), privateKey: true, inMemory: true,
		script: script(tokens, oktatest.RateLimited(0)), do: list,
		gets: "3 users", requests: exactly(2 + 1), took: oneWindow,
	}, {
		name: "429 with a wait that ends after the deadline", org: withUsers(1),
		script: script(oneUser, oktatest.Always(oktatest.RateLimited(time.Minute))), do: get,
		fails: flattened("*RateLimitError, context.DeadlineExceeded, net.Error with Timeout",
			`Get "…": oktaretry: rate limited E0000047 for GET …/api/v1/users/{id} (request id …): gave up without waiting: needs 1m…s, context has …s left (deadline)`),
		requests: exactly(1), took: atOnce,
	},

	{
		group: "Server errors", name: "503 storm: 6 syncs of 3 pages at once, 5 of the first tries refused", org: withUsers(60),
		script: script(users, oktatest.Times(5, unavailable)), do: syncs,
		gets: "6 times 60 users", requests: exactly(18 + 5), took: inLine,
	}, {
		name: "3 pages on a bad day: 503, 503, 200, E0000009, 200, reset, 503, 200", org: withUsers(60),
		script: script(users, unavailable, unavailable, oktatest.Pass, oktatest.Code("E0000009"), oktatest.Pass, oktatest.Reset, unavailable, oktatest.Pass),
		do:     list, gets: "60 users", requests: exactly(8), took: backoffs,
	}, {
		name: "503 without end, 50 calls at once", org: withUsers(1), script: script(anyRequest, oktatest.Always(unavailable)),
		change: forgiving, do: outage, gets: afterOutage, requests: span{20, 101}, took: outageLong,
		note: "without circuits and budget it would be 200",
	}, {
		name: "503 without end, 50 calls at once, circuits switched off", org: withUsers(1), script: script(anyRequest, oktatest.Always(unavailable)),
		// The budget is half a resend for each call, and 20 to begin with.
		change: withoutCircuits, do: outage, gets: afterOutage, requests: span{50 + 25, 50 + 25 + 20 + 1},
		took: took{words: "some backoffs"},
	}, {
		name: "503 without end", org: withUsers(1), script: script(anyRequest, oktatest.Always(unavailable)), do: get,
		fails: outageAnswer, requests: exactly(4), took: threeBackoffs,
	}, {
		name: "503 answering a create", script: script(newUser, unavailable), do: create,
		fails: outageAnswer, requests: exactly(1), took: atOnce,
	}, {
		name: "503 answering the token call", org: withTokens(3), privateKey: true, script: script(tokens, unavailable), do: list,
		fails: results{
			v6: result{got: "0 users", text: "Empty access token"},
			v5: result{got: "0 users", text: "Empty access token"},
			v2: result{got: "0 users", finds: v2Error, text: "the API returned an unknown error"},
		},
		requests: exactly(1), took: atOnce,
	},

	{
		group: "Factors", name: "E0000070 (202) twice, then the result", org: withUsers(1),
		script: script(transaction, oktatest.Code("E0000070"), oktatest.Code("E0000070"), verified),
		do:     func(s *stage) Answer { return s.FactorResult(s.ctx, s.user, "opf1", "v2mst.1") },
		gets:   "SUCCESS", requests: exactly(3), took: twoPolls,
	}, {
		name: "E0000070 (202) answering a verification, with a link to poll", org: withUsers(1),
		script: func(org *oktatest.Okta) {
			org.Script(verify, oktatest.Code("E0000070").WithPoll("/api/v1/users/"+org.UserIDs()[0]+"/factors/opf1/transactions/v2mst.1"))
			org.Script(transaction, oktatest.Code("E0000070"), verified)
		},
		do:   func(s *stage) Answer { return s.VerifyFactor(s.ctx, s.user, "opf1") },
		gets: "SUCCESS", requests: exactly(3), took: twoPolls, note: "one push",
		check: func(s *stage, _ *oktaretry.Transport) { statuses(s, verify, 202) },
	},

	{
		group: "Answers that break off", name: "EOF before the headers, once", org: withUsers(1),
		script: script(anyRequest, oktatest.EOF), do: get, gets: firstUser, requests: exactly(2), took: oneBackoff,
	}, {
		name: "EOF before the headers, every time", org: withUsers(1),
		script: script(anyRequest, oktatest.Always(oktatest.EOF)), do: get,
		fails: flattened("io.ErrUnexpectedEOF", `Get "…": oktaretry: EOF`), requests: exactly(4), took: threeBackoffs,
	}, {
		name: "EOF before the headers on a connection used before, once", org: withUsers(1), warm: true,
		script: script(oneUser, oktatest.EOF), do: get, gets: firstUser, requests: exactly(2), took: atOnce,
		note: "the kept connection was to blame, so without a wait",
	}, {
		name: "EOF before the headers on a connection used before, every time", org: withUsers(1), warm: true,
		script: script(oneUser, oktatest.Always(oktatest.EOF)), do: get,
		fails: flattened("io.ErrUnexpectedEOF", `Get "…": oktaretry: EOF`), requests: exactly(4), took: twoBackoffs,
		note: "the first resend without a wait",
	}, {
		name: "EOF answering a create", script: script(newUser, oktatest.Always(oktatest.EOF)), do: create,
		fails:    flattened("io.ErrUnexpectedEOF", `Post "…": oktaretry: EOF`),
		requests: exactly(1), took: atOnce,
	}, {
		name: "EOF answering a create, on a connection used before", warm: true,
		script: script(newUser, oktatest.Always(oktatest.EOF)), do: create,
		fails: flattened("io.ErrUnexpectedEOF", `Post "…": oktaretry: EOF`), requests: exactly(1), took: atOnce,
	}, {
		name: "EOF answering a create that Okta has done", loses: anyNumber, do: create,
		fails:    flattened("io.ErrUnexpectedEOF", `Post "…": oktaretry: EOF`),
		requests: exactly(1), users: 1, took: atOnce,
	}, {
		name: "EOF answering the token call", org: withTokens(3), privateKey: true, script: script(tokens, oktatest.EOF), do: list,
		fails: results{
			v6: result{got: "0 users", finds: "io.ErrUnexpectedEOF", text: `Post "…/oauth2/v1/token": oktaretry: EOF`},
			v5: result{got: "0 users", finds: "io.ErrUnexpectedEOF", text: `Post "…client_assertion=…": oktaretry: EOF`},
			v2: result{got: "0 users", finds: "io.ErrUnexpectedEOF", text: `Post "…client_assertion=…": oktaretry: EOF`},
		},
		requests: exactly(1), took: atOnce,
	}, {
		name: "EOF answering a delete that Okta has done, once", org: withUsers(1), loses: 1, do: remove,
		gets: "no error", requests: exactly(2), users: -1, took: oneBackoff, note: "the user is gone for good: see the traps",
	}, {
		name: "EOF in the middle of the headers, once", org: withUsers(1),
		script: script(anyRequest, oktatest.EOFMidHeaders), do: get, gets: firstUser, requests: exactly(2), took: oneBackoff,
	}, {
		name: "EOF in the middle of the headers, every time", org: withUsers(1),
		script: script(anyRequest, oktatest.Always(oktatest.EOFMidHeaders)), do: get,
		fails: flattened("io.ErrUnexpectedEOF", `Get "…": net/http: HTTP/1.x transport connection broken: unexpected EOF`), requests: exactly(4), took: threeBackoffs,
	}, {
		name:   "EOF in the middle of the headers, answering a create",
		script: script(newUser, oktatest.Always(oktatest.EOFMidHeaders)), do: create,
		fails: flattened("io.ErrUnexpectedEOF", `Post "…": net/http: HTTP/1.x transport connection broken: unexpected EOF`), requests: exactly(1), took: atOnce,
	}, {
		name: "EOF in the middle of a body", org: withUsers(1), script: script(oneUser, oktatest.EOFMidBody), do: get,
		fails:    broken("", "io.ErrUnexpectedEOF", "unexpected EOF"),
		requests: exactly(1), took: atOnce,
	}, {
		name: "EOF in the middle of page 3's body", org: withUsers(125),
		script: script(users, oktatest.Pass, oktatest.Pass, oktatest.EOFMidBody), do: list,
		fails:    broken("50 users", "io.ErrUnexpectedEOF", "unexpected EOF"),
		requests: exactly(3), took: atOnce,
	}, {
		name: "EOF in the middle of the body, answering a create", script: script(newUser, oktatest.EOFMidBody), do: create,
		fails:    broken("", "io.ErrUnexpectedEOF", "unexpected EOF"),
		requests: exactly(1), users: 1, took: atOnce,
	}, {
		name: "a body that stops half-way and stays open", org: withUsers(1), inMemory: true,
		script: script(oneUser, oktatest.StallBody(oktatest.Pass)), do: soon(get),
		fails: broken("", "context.DeadlineExceeded, net.Error with Timeout", "context deadline exceeded"), requests: exactly(1), took: toDeadline,
	},

	{
		group: "Connections", name: "connection reset, once", org: withUsers(1),
		script: script(anyRequest, oktatest.Reset), do: get, gets: firstUser, requests: exactly(2), took: oneBackoff,
	}, {
		name: "connection reset, every time", org: withUsers(1),
		script: script(anyRequest, oktatest.Always(oktatest.Reset)), do: get,
		fails: flattened("ECONNRESET", `Get "…": read tcp …: read: connection reset by peer`), requests: exactly(4), took: threeBackoffs,
	}, {
		name: "connection reset, answering a create", script: script(newUser, oktatest.Always(oktatest.Reset)), do: create,
		fails:    flattened("ECONNRESET", `Post "…": read tcp …: read: connection reset by peer`),
		requests: exactly(1), took: atOnce,
	}, {
		name: "connection refused, once", org: withUsers(1), refuses: 1, do: get,
		gets: firstUser, requests: exactly(1), took: oneBackoff,
	}, {
		name: "connection refused, every time", org: withUsers(1), refuses: always, do: get,
		fails: flattened("ECONNREFUSED", `Get "…": dial tcp …: connect: connection refused`), took: threeBackoffs,
	}, {
		name: "connection refused once, for a create", refuses: 1, do: create,
		gets: "new@example.com", requests: exactly(1), users: 1, took: oneBackoff, note: "nothing had been written",
	}, {
		name: "connection refused every time, for a create", refuses: always, do: create,
		fails: flattened("ECONNREFUSED", `Post "…": dial tcp …: connect: connection refused`), took: threeBackoffs,
	}, {
		name: "a server that accepts and never answers", org: withUsers(1), hangs: true, inMemory: true,
		script: script(anyRequest, oktatest.Always(oktatest.Hang)), do: get,
		fails: flattened("net.Error with Timeout", `Get "…": oktaretry: no response headers within 900ms from …/api/v1/users/{id}`), requests: exactly(4), took: eightTimeouts,
	}, {
		name: "a server that accepts a create and never answers", hangs: true, inMemory: true,
		script: script(newUser, oktatest.Always(oktatest.Hang)), do: create,
		fails: flattened("net.Error with Timeout", `Post "…": oktaretry: no response headers within 900ms from …/api/v1/users`), requests: exactly(1), took: tripleTimeout,
	}, {
		name: "TLS with an unknown authority", org: withUsers(1), tls: true, do: get,
		fails: flattened("x509.UnknownAuthorityError", `Get "…": tls: failed to verify certificate: x509: certificate signed by unknown authority`), took: atOnce,
	}, {
		name: "TLS with an unknown authority, for a create", tls: true, do: create,
		fails: flattened("x509.UnknownAuthorityError", `Post "…": tls: failed to verify certificate: x509: certificate signed by unknown authority`), took: atOnce,
	},
}

var verified = oktatest.Status(http.StatusOK).WithBody("application/json", `{"factorResult":"SUCCESS"}`)

// statuses holds the answers to what matches the pattern.
func statuses(s *stage, pattern string, want ...int) {
	s.Helper()
	var got []int
	for _, r := range s.org.RequestsTo(pattern) {
		got = append(got, r.Status)
	}
	if !slices.Equal(got, want) {
		s.Errorf("%s was answered %v, want %v", pattern, got, want)
	}
}

// handshake: no proof, no nonce, both; then a proof of its own for each page.
func handshake(s *stage, transport *oktaretry.Transport) {
	statuses(s, tokens, 400, 400, 200)
	statuses(s, users, 200, 200, 200)
	proofs := map[string]bool{}
	for _, r := range s.org.RequestsTo(users) {
		proofs[r.Header.Get("Dpop")] = true
	}
	if len(proofs) != 3 {
		s.Errorf("%d proofs for 3 pages", len(proofs))
	}
	for _, c := range transport.Snapshot().Circuits {
		if c.Failures > 0 {
			s.Errorf("the handshake counts as %d failures of %s %s", c.Failures, c.Method, c.Template)
		}
	}
}

// sentTheSameTwice: the same bytes, and Okta is told which request it was that
// it refused.
func sentTheSameTwice(s *stage, _ *oktaretry.Transport) {
	statuses(s, newUser, 429, 200)
	sent := s.org.Requests()
	if len(sent) != 2 || string(sent[0].Body) != string(sent[1].Body) {
		s.Fatalf("sent %d times, want twice the same", len(sent))
	}
	if got, want := sent[1].Header["X-Okta-Retry-For"], []string{sent[0].RequestID}; !slices.Equal(got, want) {
		s.Errorf("X-Okta-Retry-For %q, want %q", got, want)
	}
}

func (s span) String() string {
	if s.least == s.most {
		return fmt.Sprint(s.least)
	}
	return fmt.Sprintf("at most %d", s.most)
}
