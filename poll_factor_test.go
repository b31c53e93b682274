package oktaretry_test

// This file tests that a challenge is posted once, what a poll carries, and the
// polling of factor answers that say WAITING.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
)

func pollFactors(p *oktaretry.Policy) { p.PollFactors = true }

func TestChallengeIsPostedAgainOnlyIfOktaRefusedIt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first answer
		posts int
		last  int
	}{
		{"429", limited(dated(0), resets(0, 9*time.Second)), 2, 200},
		{"429 about SMS", code(429, "E0000109"), 2, 200},
		{"concurrency limit", concurrency(), 2, 200},
		{"nothing written", fails(refused), 2, 200},
		{"503", bare(503), 1, 503},
		{"E0000009", code(500, "E0000009"), 1, 500},
		{"E0000067, not yet polled", code(504, "E0000067"), 1, 504},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, nil, then(tt.first), then(linked(resultPath)), at(interval, 0, linked(resultPath)),
				at(interval, 0, limited(set("Retry-After", "2"))), at(2*time.Second, gap, ok()))
			verify(t, rt).is(t, tt.last)
			if n := base.counts(http.MethodPost, verifyPath); n != tt.posts {
				t.Errorf("the challenge was posted %d times, want %d", n, tt.posts)
			}
			for _, r := range base.requests() {
				if want := `{"passCode":"1"}`; r.method == http.MethodPost && r.body != want {
					t.Errorf("posted %q, want %q", r.body, want)
				}
			}
		})
	}
}

// Before a challenge is polled, E0000067 is an outage of the factor service.
func TestFactorTimeoutThatEndsNoPollIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil, then(code(504, "E0000067")), then(ok()))
		get(t, rt, org+"/api/v1/users/00u1/factors").is(t, 200)
		base.sends(2)
	})
}

func TestChallengeWhoseAnswerWasLostIsNotPostedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil, then(fails(errors.New("connection reset by peer"))))
		if c := verify(t, rt).stopped(t, oktaretry.StopNotIdempotent); c.err == nil {
			t.Error("no error")
		}
		base.sends(1)
	})
}

func TestPollCarriesTheCallsHeadersButNotThoseOfItsBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil, then(linked(resultPath)), then(ok()))
		verify(t, rt, "Authorization", "SSWS a", "User-Agent", "sync/1", "Accept", "application/json",
			"Content-Type", "application/json", "Content-Language", "en", "Idempotency-Key", "1", "X-Idempotency-Key", "1",
			"If-Match", "x", "If-None-Match", "y", "Expect", "100-continue", "Range", "bytes=0-1", "Te", "trailers").is(t, 200)
		poll := base.requests()[1]
		want := http.Header{"Authorization": {"SSWS a"}, "User-Agent": {"sync/1"}, "Accept": {"application/json"}}
		if fmt.Sprint(poll.header) != fmt.Sprint(want) || poll.body != "" {
			t.Errorf("the poll has headers %v and body %q, want %v and none", poll.header, poll.body, want)
		}
	})
}

// Nor does it announce a body of any kind.
func TestPollHasNoBodyWhateverTheRequestHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := newTransport(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPost {
				return linked(resultPath).response(r), nil
			}
			if r.Body != nil || r.GetBody != nil || r.ContentLength != 0 || r.TransferEncoding != nil || r.Trailer != nil {
				t.Errorf("the poll announces a body: length %d, encoding %v, trailer %v", r.ContentLength, r.TransferEncoding, r.Trailer)
			}
			return ok().response(r), nil
		}), nil)
		req := newReq(t, t.Context(), http.MethodPost, org+verifyPath, strings.NewReader("{}"))
		req.TransferEncoding, req.Trailer = []string{"chunked"}, http.Header{"X-Sum": nil}
		resp, err := rt.RoundTrip(req)
		mustOK(t, resp, err)
	})
}

// A poll has no need of a body that can't be sent again; a request that is its
// own poll has, and must not wait in vain.
func TestPollWithoutABodyGoesOnAndOneWithoutAReplayDoesNot(t *testing.T) {
	for _, tt := range []struct {
		path     string
		steps    []step
		status   int
		from, to time.Duration
	}{
		{verifyPath, []step{then(linked(resultPath)), then(bare(503)), then(ok())}, 200, interval, time.Minute},
		{verifyPath, []step{then(linked(resultPath)), then(pending("")), then(ok())}, 200, 2 * interval, 2 * interval},
		{"/idp/idx/challenge/poll", []step{then(pending(""))}, 202, 0, 0},
	} {
		virtually(t, tt.path, func(t *testing.T) {
			rt, base := newScript(t, func(p *oktaretry.Policy) { p.MaxCapture = 0 }, tt.steps...)
			began := time.Now()
			resp, err := rt.RoundTrip(newReq(t, t.Context(), http.MethodPost, org+tt.path, watch("{}")))
			call{resp: resp, err: err, elapsed: time.Since(began)}.is(t, tt.status).took(t, tt.from, tt.to)
			base.sends(len(tt.steps))
		})
	}
}

func TestPollOfADPoPRequestIsSignedByTheHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &script{t: t, steps: []step{then(linked(resultPath)), at(interval, 0, linked(resultPath)), at(interval, 0, ok())}}
		proofs := 0
		rt, err := oktaretry.NewTransport(base, oktaretry.WithPrepareRetry(func(r *http.Request) error {
			proofs++
			r.Header.Set("DPoP", fmt.Sprint("proof ", proofs, " for ", r.Method, " ", r.URL.Path))
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		verify(t, rt, "DPoP", "proof 0").is(t, 200)
		for i, want := range []string{"proof 0", "proof 1 for GET " + resultPath, "proof 2 for GET " + resultPath} {
			if got := base.requests()[i].header.Get("DPoP"); got != want {
				t.Errorf("request %d has %q, want %q", i+1, got, want)
			}
		}
	})
}

func TestPendingErrorMatchesTheCauseOfACancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil)
		base.answers = func(*http.Request) step { return then(linked(resultPath)) }
		ctx := cancelAfter(t, 10*time.Second, errShutdown)
		c := do(ctx, rt, http.MethodPost, org+verifyPath, "{}").stopped(t, oktaretry.StopCanceled).took(t, 10*time.Second, 10*time.Second)
		e := failure[*oktaretry.PendingError](t, c)
		if e.Polls != 2 || !errors.Is(c.err, errShutdown) || !errors.Is(c.err, context.Canceled) {
			t.Errorf("%d polls, error %v", e.Polls, c.err)
		}
		base.sends(3)
	})
}

func TestWaitingFactorIsPolledUntilItSaysSomethingElse(t *testing.T) {
	for _, status := range []int{200, 201} {
		for _, result := range []string{"SUCCESS", "REJECTED", "TIMEOUT", "CANCELLED"} {
			virtually(t, fmt.Sprint(status, " ", result), func(t *testing.T) {
				again := at(interval, 0, waiting(200, org+resultPath))
				last := factorResult(result)
				rt, base := newScript(t, pollFactors, then(waiting(status, org+resultPath)), again, again, at(interval, 0, last))
				verify(t, rt).is(t, 200).stopped(t, oktaretry.StopSuccess).reads(t, last.body)
				if n := base.counts(http.MethodPost, verifyPath); n != 1 {
					t.Errorf("the challenge was posted %d times", n)
				}
				if n := base.counts(http.MethodGet, resultPath); n != 3 {
					t.Errorf("the result was asked for %d times, want 3", n)
				}
			})
		}
	}
}

func TestWaitingFactorWithoutALinkInItsPollsIsAskedAtTheSamePlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil, then(linked(resultPath)), at(interval, 0, pending("")), at(interval, 0, ok()))
		verify(t, rt).is(t, 200)
		if n := base.counts(http.MethodGet, resultPath); n != 2 {
			t.Errorf("the result was asked for %d times, want 2", n)
		}
	})
}

// Where the link leads need not be an endpoint that the router knows.
func TestWaitingFactorIsPolledWhereverItsLinkLeads(t *testing.T) {
	const odd = "/api/v1/users/00u1/factors/opf1/transactions/v2mst/state"
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, pollFactors,
			then(waiting(201, odd)), at(interval, 0, waiting(200, odd)), at(interval, 0, factorResult("SUCCESS")))
		verify(t, rt).is(t, 200).reads(t, factorResult("SUCCESS").body)
		base.sends(3)
	})
}

func TestWaitingFactorThatNobodyAnswersEndsWithAPendingError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, pollFactors)
		base.answers = func(*http.Request) step { return then(waiting(200, resultPath)) }
		c := verify(t, rt).stopped(t, oktaretry.StopMaxElapsed).took(t, 5*time.Minute, 5*time.Minute)
		if e := failure[*oktaretry.PendingError](t, c); e.Code != "" || e.Polls != 75 {
			t.Errorf("code %q, %d polls; want none, 75", e.Code, e.Polls)
		}
	})
}

func TestFactorAnswerThatIsNotPolledComesBackAsItIs(t *testing.T) {
	off := func(*oktaretry.Policy) {}
	for _, tt := range []struct {
		name   string
		edit   func(*oktaretry.Policy)
		path   string
		answer answer
	}{
		{"PollFactors is off", off, verifyPath, waiting(201, resultPath)},
		{"another result", pollFactors, verifyPath, factorResult("SUCCESS")},
		{"no link", pollFactors, verifyPath, factorResult("WAITING")},
		{"no factor's endpoint", pollFactors, "/api/v1/groups", waiting(200, resultPath)},
		{"another status", pollFactors, verifyPath, waiting(203, resultPath)},
		{"not JSON", pollFactors, verifyPath, says(200, waiting(200, resultPath).body, set("Content-Type", "text/html"))},
		{"a link to another host", pollFactors, verifyPath, waiting(201, "https://evil.example.com"+resultPath)},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, tt.edit, then(tt.answer))
			do(t.Context(), rt, http.MethodPost, org+tt.path, "{}").is(t, tt.answer.status).took(t, 0, 0).reads(t, tt.answer.body)
			base.sends(1)
		})
	}
}

func TestNoRetryHandsAPendingAnswerBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, pollFactors, then(linked(resultPath)))
		ctx := oktaretry.WithNoRetry(t.Context())
		c := do(ctx, rt, http.MethodPost, org+verifyPath, "{}").is(t, 202).stopped(t, oktaretry.StopNoRetry)
		c.reads(t, linked(resultPath).body)
		base.sends(1)
	})
}

func TestPendingAnswerIsHandedBackIfTheRuleSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, func(p *oktaretry.Policy) { p.Pending.Action = oktaretry.FailFast }, then(linked(resultPath)))
		verify(t, rt).is(t, 202).stopped(t, oktaretry.StopFailFast).reads(t, linked(resultPath).body)
		base.sends(1)
	})
}

// A request whose path ends in /poll only asks: it is repeated after an error
// like a GET.
func TestPostThatPollsIsSentAgainAfterAnError(t *testing.T) {
	virtually(t, "503", func(t *testing.T) {
		rt, base := newScript(t, nil, then(bare(503)), then(ok()))
		do(t.Context(), rt, http.MethodPost, org+"/idp/idx/challenge/poll", `{"stateHandle":"x"}`).is(t, 200)
		base.sends(2)
	})
}
