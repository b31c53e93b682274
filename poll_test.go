package oktaretry_test

// This file tests where a pending answer's result is asked for, and when.

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

const (
	verifyPath = "/api/v1/users/00u1/factors/opf1/verify"
	resultPath = "/api/v1/users/00u1/factors/opf1/transactions/v2mst"
	interval   = 4 * time.Second
)

// pending is a 202 that says E0000070, with more members if there are any.
func pending(links string, h ...header) answer {
	body := `{"errorCode":"E0000070","errorSummary":"Waiting for ACK"`
	if links != "" {
		body += `,"_links":` + links
	}
	return says(202, body+"}", h...)
}

func linked(href string) answer { return pending(fmt.Sprintf(`{"poll":{"href":%q}}`, href)) }

// waiting is a factor's answer that its user has not answered yet.
func waiting(status int, href string) answer {
	return says(status, fmt.Sprintf(`{"factorResult":"WAITING","_links":{"poll":{"href":%q}}}`, href))
}

func factorResult(result string) answer { return says(200, fmt.Sprintf(`{"factorResult":%q}`, result)) }

// verify posts a challenge.
func verify(t testing.TB, rt http.RoundTripper, h ...string) call {
	return do(t.Context(), rt, http.MethodPost, org+verifyPath, `{"passCode":"1"}`, h...)
}

func TestPollGoesWhereTheAnswerSays(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer answer
	}{
		{"Location", pending("", set("Location", org+resultPath))},
		{"Location before _links", pending(`{"poll":{"href":"`+org+`/elsewhere"}}`, set("Location", org+resultPath))},
		{"relative Location", pending("", set("Location", resultPath))},
		{"Location relative to the request", pending("", set("Location", "transactions/v2mst"))},
		{"Location without a scheme", pending("", set("Location", "//example.okta.com"+resultPath))},
		{"Location with the host in capitals", pending("", set("Location", "https://EXAMPLE.OKTA.COM"+resultPath))},
		{"Location with a fragment", pending("", set("Location", org+resultPath+"#top"))},
		{"Location with the port of its scheme", pending("", set("Location", "https://example.okta.com:443"+resultPath))},
		{"Location elsewhere, _links.poll here", pending(`{"poll":{"href":"`+org+resultPath+`"}}`, set("Location", "https://evil.example.com/x"))},
		{"_links.poll", linked(org + resultPath)},
		{"_links.poll relative", linked(resultPath)},
		{"_links.poll in an array", pending(`{"poll":[{"name":"x"},{"href":"` + org + resultPath + `"}]}`)},
		{"_links.poll escaped", pending(`{"poll":{"href":"https:\/\/example.okta.com` + strings.ReplaceAll(resultPath, "/", `\/`) + `"}}`)},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, nil, then(tt.answer), at(interval, 0, tt.answer), at(interval, 0, ok()))
			if strings.Contains(tt.name, "relative to") {
				base.steps[1].answer = pending("") // it would be relative to the poll now
			}
			c := verify(t, rt).is(t, 200).stopped(t, oktaretry.StopSuccess)
			base.sends(3)
			if n := base.counts(http.MethodPost, verifyPath); n != 1 {
				t.Errorf("the challenge was posted %d times", n)
			}
			if n := base.counts(http.MethodGet, resultPath); n != 2 {
				t.Errorf("the result was asked for %d times, want 2", n)
			}
			poll := base.requests()[2]
			if !strings.EqualFold(poll.url.Hostname(), "example.okta.com") || poll.url.Scheme != "https" || poll.url.Fragment != "" {
				t.Errorf("polled %s", poll.url)
			}
			if c.resp == nil {
				return
			}
			if r := c.resp.Request; r.Method != http.MethodGet || r.URL.Path != resultPath || r.Body != nil {
				t.Errorf("the response is to %s %s", r.Method, r.URL)
			}
			for i, a := range c.outcome.Attempts {
				if a.Poll != (i > 0) {
					t.Errorf("attempt %d is a poll: %t", i+1, a.Poll)
				}
			}
		})
	}
}

// A link to elsewhere gets neither a request nor a credential.
func TestPollNeverLeavesTheHost(t *testing.T) {
	for name, target := range map[string]string{
		"another host":     "https://evil.example.com" + resultPath,
		"a longer host":    "https://example.okta.com.evil.example.com" + resultPath,
		"without a scheme": "//evil.example.com" + resultPath,
		"another scheme":   "http://example.okta.com" + resultPath,
		"not encrypted":    "http://example.okta.com:443" + resultPath,
		"another port":     "https://example.okta.com:8443" + resultPath,
		"with a user":      "https://user:secret@example.okta.com" + resultPath,
		"a host as user":   "https://example.okta.com@evil.example.com" + resultPath,
		"not for HTTP":     "javascript:alert(1)",
		"no URL at all":    "https://%zz/",
	} {
		for kind, a := range map[string]answer{"Location": pending("", set("Location", target)), "_links.poll": linked(target)} {
			virtually(t, kind+", "+name, func(t *testing.T) {
				rt, base := newScript(t, nil, then(a))
				verify(t, rt, "Authorization", "SSWS secret").is(t, 202).stopped(t, oktaretry.StopNoPollTarget).
					took(t, 0, 0).reads(t, a.body)
				base.sends(1)
			})
		}
	}
}

func TestPollRepeatsARequestThatMayBeRepeated(t *testing.T) {
	for _, tt := range []struct{ method, path string }{
		{http.MethodGet, resultPath},
		{http.MethodHead, resultPath},
		{http.MethodPost, "/idp/idx/challenge/poll"},
	} {
		virtually(t, tt.method+" "+tt.path, func(t *testing.T) {
			body := ""
			if tt.method == http.MethodPost {
				body = `{"stateHandle":"02"}`
			}
			rt, base := newScript(t, nil, then(pending("")), at(interval, 0, pending("")), at(interval, 0, ok()))
			do(t.Context(), rt, tt.method, org+tt.path+"?a=b", body).is(t, 200)
			base.sends(3)
			for i, r := range base.requests() {
				if r.method != tt.method || r.url.Path != tt.path || r.url.RawQuery != "a=b" || r.body != body {
					t.Errorf("request %d is %s %s with body %q", i+1, r.method, r.url, r.body)
				}
			}
		})
	}
}

func TestPendingAnswerThatCannotBePolledComesBackAsItIs(t *testing.T) {
	for _, tt := range []struct {
		name, method, path string
		header             []string
		answer             answer
		stop               oktaretry.StopReason
	}{
		{"POST", "POST", verifyPath, nil, pending(""), oktaretry.StopNoPollTarget},
		{"PUT", "PUT", "/api/v1/users/00u1", nil, pending(""), oktaretry.StopNoPollTarget},
		{"POST with Idempotency-Key", "POST", verifyPath, []string{"Idempotency-Key", "1"}, pending(""), oktaretry.StopNoPollTarget},
		{"DPoP without a hook", "POST", verifyPath, []string{"DPoP", "proof"}, linked(org + resultPath), oktaretry.StopNotReplayable},
		{"DPoP GET without a hook", "GET", resultPath, []string{"DPoP", "proof"}, pending(""), oktaretry.StopNotReplayable},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, nil, then(tt.answer))
			body := "{}"
			if tt.method == "GET" {
				body = ""
			}
			c := do(t.Context(), rt, tt.method, org+tt.path, body, tt.header...)
			c.is(t, 202).stopped(t, tt.stop).took(t, 0, 0).reads(t, tt.answer.body)
			base.sends(1)
		})
	}
}

func TestPollHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := `{"poll":{"href":"` + resultPath + `"}}`
		rt, base := newScript(t, nil,
			then(pending(link, set("Retry-After", "9"))),
			at(9*time.Second, 0, pending(link, set("Retry-After", "1"))), // not oftener than every 4 s
			at(interval, 0, pending(link)),
			at(interval, 0, ok()))
		verify(t, rt).is(t, 200)
		base.sends(4)
	})
}

func TestPollEndsWithAPendingErrorWhenItsTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil)
		base.answers = func(*http.Request) step { return then(linked(resultPath)) }
		c := verify(t, rt).stopped(t, oktaretry.StopMaxElapsed).took(t, 5*time.Minute, 5*time.Minute)
		e := failure[*oktaretry.PendingError](t, c)
		if e.Code != "E0000070" || e.Polls != 75 || e.RetryAfter != interval || e.Stop != oktaretry.StopMaxElapsed ||
			e.Template != "/api/v1/users/{userId}/factors/{factorId}/transactions/{transactionId}" {
			t.Errorf("got %+v", *e)
		}
		if errors.Is(c.err, context.DeadlineExceeded) {
			t.Error("the error matches context.DeadlineExceeded, which was not the reason")
		}
		base.sends(1 + 75)
	})
}

func TestPollThatDoesNotFitTheDeadlineIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := newScript(t, nil)
		base.answers = func(*http.Request) step { return then(linked(resultPath)) }
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c := do(ctx, rt, http.MethodPost, org+verifyPath, "{}").stopped(t, oktaretry.StopDeadline).took(t, 8*time.Second, 8*time.Second)
		if e := failure[*oktaretry.PendingError](t, c); e.Polls != 2 || !errors.Is(c.err, context.DeadlineExceeded) {
			t.Errorf("%d polls, error %v", e.Polls, c.err)
		}
	})
}

func TestPollEndsWithTheAnswerThatIsTerminal(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer answer
		status int
		stop   oktaretry.StopReason
	}{
		{"success", says(200, `{"status":"ACTIVE"}`), 200, oktaretry.StopSuccess},
		{"a plain 202", says(202, `{"status":"STAGED"}`), 202, oktaretry.StopSuccess},
		{"rejected", code(403, "E0000073"), 403, oktaretry.StopFailFast},
		{"wrong code", code(403, "E0000068"), 403, oktaretry.StopFailFast},
		{"timed out", code(504, "E0000067"), 504, oktaretry.StopFailFast},
		{"gone", code(404, "E0000007"), 404, oktaretry.StopFailFast},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, nil, then(linked(resultPath)), at(interval, 0, linked(resultPath)), at(interval, 0, tt.answer))
			verify(t, rt).is(t, tt.status).stopped(t, tt.stop).reads(t, tt.answer.body)
			base.sends(3)
		})
	}
}

func TestPollGoesOnAfterOtherTroubles(t *testing.T) {
	for _, tt := range []struct {
		name    string
		trouble answer
		from    time.Duration
		slack   time.Duration
	}{
		{"429", limited(dated(0), resets(0, 19*time.Second)), 20 * time.Second, gap},
		{"503", bare(503), 250 * time.Millisecond, 500 * time.Millisecond},
		{"E0000009", code(500, "E0000009"), 250 * time.Millisecond, 500 * time.Millisecond},
		{"network", fails(refused), 250 * time.Millisecond, 500 * time.Millisecond},
		{"a connection that broke", fails(errors.New("broken")), 250 * time.Millisecond, 500 * time.Millisecond},
	} {
		virtually(t, tt.name, func(t *testing.T) {
			rt, base := newScript(t, nil,
				then(linked(resultPath)), at(interval, 0, tt.trouble), at(tt.from, tt.slack, linked(resultPath)), at(interval, 0, ok()))
			verify(t, rt).is(t, 200)
			base.sends(4)
			if n := base.counts(http.MethodGet, resultPath); n != 3 {
				t.Errorf("the result was asked for %d times, want 3", n)
			}
			if n := base.counts(http.MethodPost, verifyPath); n != 1 {
				t.Errorf("the challenge was posted %d times", n)
			}
			sent := base.requests()
			if got := sent[2].header.Get("X-Okta-Retry-Count"); got != "1" {
				t.Errorf("the resent poll has X-Okta-Retry-Count %q, want 1", got)
			}
			if got := sent[3].header.Get("X-Okta-Retry-Count"); got != "" {
				t.Errorf("the next poll has X-Okta-Retry-Count %q, want none", got)
			}
		})
	}
}
