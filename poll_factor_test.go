// This file tests that a challenge is posted once, what a poll carries, and the
// polling of factor answers that are WAITING.

package oktaretry_test

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
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func pollFactors(p *oktaretry.Policy) { p.PollFactors = true }

func TestChallengeIsPostedAgainOnlyIfOktaRefusedIt(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first script.Step
		posts int
		last  int
	}{
		{"429", script.Limited(script.Date(0), script.ResetIn(0, 9*time.Second)), 2, 200},
		{"429 about SMS", script.Code(429, "E0000109"), 2, 200},
		{"concurrency limit", script.Concurrency(), 2, 200},
		{"nothing written", script.Fail(script.Refused), 2, 200},
		{"503", script.Bare(503), 1, 503},
		{"E0000009", script.Code(500, "E0000009"), 1, 500},
		{"E0000067, not yet polled", script.Code(504, "E0000067"), 1, 504},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, nil, tt.first, linked(resultPath), linked(resultPath).After(interval, 0),
				script.Limited(script.Set("Retry-After", "2")).After(interval, 0), script.OK().After(2*time.Second, rig.Spread))
			verify(t, rt).Is(tt.last)
			if n := base.Count(http.MethodPost, verifyPath); n != tt.posts {
				t.Errorf("the challenge was posted %d times, want %d", n, tt.posts)
			}
			for _, r := range base.Sent() {
				if want := `{"passCode":"1"}`; r.Method == http.MethodPost && r.Body != want {
					t.Errorf("posted %q, want %q", r.Body, want)
				}
			}
		})
	}
}

// Before a challenge is polled, E0000067 is an outage of the factor service.
func TestFactorTimeoutThatEndsNoPollIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil, script.Code(504, "E0000067"), script.OK())
		rig.Get(t, rt, rig.Org+"/api/v1/users/00u1/factors").Is(200)
		base.WantSent(2)
	})
}

func TestChallengeWhoseAnswerWasLostIsNotPostedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil, script.Fail(errors.New("connection reset by peer")))
		if c := verify(t, rt).Stopped(oktaretry.StopNotIdempotent); c.Err == nil {
			t.Error("no error")
		}
		base.WantSent(1)
	})
}

func TestPollCarriesTheCallsHeadersButNotThoseOfItsBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil, linked(resultPath), script.OK())
		verify(t, rt, "Authorization", "SSWS a", "User-Agent", "sync/1", "Accept", "application/json",
			"Content-Type", "application/json", "Content-Language", "en", "Idempotency-Key", "1", "X-Idempotency-Key", "1",
			"If-Match", "x", "If-None-Match", "y", "Expect", "100-continue", "Range", "bytes=0-1", "Te", "trailers").Is(200)
		poll := base.Sent()[1]
		want := http.Header{"Authorization": {"SSWS a"}, "User-Agent": {"sync/1"}, "Accept": {"application/json"}}
		if fmt.Sprint(poll.Header) != fmt.Sprint(want) || poll.Body != "" {
			t.Errorf("the poll has headers %v and body %q, want %v and none", poll.Header, poll.Body, want)
		}
	})
}

// Nor does it announce a body of any kind.
func TestPollHasNoBodyWhateverTheRequestHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := rig.Over(t, script.Func(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPost {
				return linked(resultPath).Respond(r)
			}
			if r.Body != nil || r.GetBody != nil || r.ContentLength != 0 || r.TransferEncoding != nil || r.Trailer != nil {
				t.Errorf("the poll announces a body: length %d, encoding %v, trailer %v", r.ContentLength, r.TransferEncoding, r.Trailer)
			}
			return script.OK().Respond(r)
		}), nil)
		req := rig.Request(t, t.Context(), http.MethodPost, rig.Org+verifyPath, strings.NewReader("{}"))
		req.TransferEncoding, req.Trailer = []string{"chunked"}, http.Header{"X-Sum": nil}
		rig.Send(t, rt, req).Text()
	})
}

// A poll has no need of a body that can't be sent again; a request that is its
// own poll has, and must not wait in vain.
func TestPollNeedsNoReplayUnlessItRepeatsTheRequest(t *testing.T) {
	for _, tt := range []struct {
		path     string
		steps    []script.Step
		status   int
		from, to time.Duration
	}{
		{verifyPath, []script.Step{linked(resultPath), script.Bare(503), script.OK()}, 200, interval, time.Minute},
		{verifyPath, []script.Step{linked(resultPath), pending(""), script.OK()}, 200, 2 * interval, 2 * interval},
		{"/idp/idx/challenge/poll", []script.Step{pending("")}, 202, 0, 0},
	} {
		rig.Virtual(t, tt.path, func(t *testing.T) {
			rt, base := rig.New(t, func(p *oktaretry.Policy) { p.MaxCapture = 0 }, tt.steps...)
			rig.Send(t, rt, rig.Request(t, t.Context(), http.MethodPost, rig.Org+tt.path, script.Text("{}"))).Is(tt.status).TookBetween(tt.from, tt.to)
			base.WantSent(len(tt.steps))
		})
	}
}

func TestPollOfADPoPRequestIsSignedByTheHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.New(t, linked(resultPath), linked(resultPath).After(interval, 0), script.OK().After(interval, 0))
		proofs := 0
		rt, err := oktaretry.NewTransport(base, oktaretry.WithPrepareRetry(func(r *http.Request) error {
			proofs++
			r.Header.Set("DPoP", fmt.Sprint("proof ", proofs, " for ", r.Method, " ", r.URL.Path))
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		verify(t, rt, "DPoP", "proof 0").Is(200)
		for i, want := range []string{"proof 0", "proof 1 for GET " + resultPath, "proof 2 for GET " + resultPath} {
			if got := base.Sent()[i].Header.Get("DPoP"); got != want {
				t.Errorf("request %d has %q, want %q", i+1, got, want)
			}
		}
	})
}

func TestPendingErrorMatchesTheCauseOfACancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		base.Always(linked(resultPath))
		ctx := rig.CancelAfter(t, 10*time.Second, errShutdown)
		c := rig.Do(t, ctx, rt, http.MethodPost, rig.Org+verifyPath, "{}").Stopped(oktaretry.StopCanceled).TookBetween(10*time.Second, 10*time.Second)
		e := rig.Failure[*oktaretry.PendingError](c)
		if e.Polls != 2 || !errors.Is(c.Err, errShutdown) || !errors.Is(c.Err, context.Canceled) {
			t.Errorf("%d polls, error %v", e.Polls, c.Err)
		}
		base.WantSent(3)
	})
}

func TestWaitingFactorIsPolledUntilItsResult(t *testing.T) {
	for _, status := range []int{200, 201} {
		for _, result := range []string{"SUCCESS", "REJECTED", "TIMEOUT", "CANCELLED"} {
			rig.Virtual(t, fmt.Sprint(status, " ", result), func(t *testing.T) {
				again := waiting(200, rig.Org+resultPath).After(interval, 0)
				last := factorResult(result)
				rt, base := rig.New(t, pollFactors, waiting(status, rig.Org+resultPath), again, again, last.After(interval, 0))
				verify(t, rt).Is(200).Stopped(oktaretry.StopSuccess).Reads(last.Body)
				if n := base.Count(http.MethodPost, verifyPath); n != 1 {
					t.Errorf("the challenge was posted %d times", n)
				}
				if n := base.Count(http.MethodGet, resultPath); n != 3 {
					t.Errorf("the result was asked for %d times, want 3", n)
				}
			})
		}
	}
}

func TestWaitingFactorKeepsItsLinkWhenAPollHasNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil, linked(resultPath), pending("").After(interval, 0), script.OK().After(interval, 0))
		verify(t, rt).Is(200)
		if n := base.Count(http.MethodGet, resultPath); n != 2 {
			t.Errorf("the result was asked for %d times, want 2", n)
		}
	})
}

// Where the link leads need not be an endpoint that the router knows.
func TestWaitingFactorIsPolledAtAnyLinkOfItsHost(t *testing.T) {
	const odd = "/api/v1/users/00u1/factors/opf1/transactions/v2mst/state"
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, pollFactors,
			waiting(201, odd), waiting(200, odd).After(interval, 0), factorResult("SUCCESS").After(interval, 0))
		verify(t, rt).Is(200).Reads(factorResult("SUCCESS").Body)
		base.WantSent(3)
	})
}

func TestUnansweredFactorEndsWithAPendingError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, pollFactors)
		base.Always(waiting(200, resultPath))
		c := verify(t, rt).Stopped(oktaretry.StopMaxElapsed).TookBetween(5*time.Minute, 5*time.Minute)
		if e := rig.Failure[*oktaretry.PendingError](c); e.Code != "" || e.Polls != 75 {
			t.Errorf("code %q, %d polls; want none, 75", e.Code, e.Polls)
		}
	})
}

func TestUnpolledFactorAnswerIsReturnedUnchanged(t *testing.T) {
	off := func(*oktaretry.Policy) {}
	for _, tt := range []struct {
		name   string
		edit   func(*oktaretry.Policy)
		path   string
		answer script.Step
	}{
		{"PollFactors is off", off, verifyPath, waiting(201, resultPath)},
		{"another result", pollFactors, verifyPath, factorResult("SUCCESS")},
		{"no link", pollFactors, verifyPath, factorResult("WAITING")},
		{"no factor's endpoint", pollFactors, "/api/v1/groups", waiting(200, resultPath)},
		{"another status", pollFactors, verifyPath, waiting(203, resultPath)},
		{"not JSON", pollFactors, verifyPath, script.Reply(200, waiting(200, resultPath).Body, script.Set("Content-Type", "text/html"))},
		{"a link to another host", pollFactors, verifyPath, waiting(201, "https://evil.example.com"+resultPath)},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, tt.edit, tt.answer)
			rig.Do(t, t.Context(), rt, http.MethodPost, rig.Org+tt.path, "{}").Is(tt.answer.Status).TookBetween(0, 0).Reads(tt.answer.Body)
			base.WantSent(1)
		})
	}
}

func TestFailFastRuleReturnsThePendingAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, func(p *oktaretry.Policy) { p.Pending.Action = oktaretry.FailFast }, linked(resultPath))
		verify(t, rt).Is(202).Stopped(oktaretry.StopFailFast).Reads(linked(resultPath).Body)
		base.WantSent(1)
	})
}

// A request whose path ends in /poll only asks: it is repeated after an error
// like a GET.
func TestPostThatPollsIsSentAgainAfterAnError(t *testing.T) {
	rig.Virtual(t, "503", func(t *testing.T) {
		rt, base := rig.New(t, nil, script.Bare(503), script.OK())
		rig.Do(t, t.Context(), rt, http.MethodPost, rig.Org+"/idp/idx/challenge/poll", `{"stateHandle":"x"}`).Is(200)
		base.WantSent(2)
	})
}
