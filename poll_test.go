// This file tests where a pending answer's result is requested, and when.

package oktaretry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

const (
	verifyPath = "/api/v1/users/00u1/factors/opf1/verify"
	resultPath = "/api/v1/users/00u1/factors/opf1/transactions/v2mst"
	interval   = 4 * time.Second
)

// pending is a 202 with E0000070, and with links if there are any.
func pending(links string, h ...script.Field) script.Step {
	body := `{"errorCode":"E0000070","errorSummary":"Waiting for ACK"`
	if links != "" {
		body += `,"_links":` + links
	}
	return script.Reply(202, body+"}", h...)
}

func linked(href string) script.Step { return pending(fmt.Sprintf(`{"poll":{"href":%q}}`, href)) }

// waiting is a factor's answer that its user has not answered yet.
func waiting(status int, href string) script.Step {
	return script.Reply(status, fmt.Sprintf(`{"factorResult":"WAITING","_links":{"poll":{"href":%q}}}`, href))
}

func factorResult(result string) script.Step {
	return script.Reply(200, fmt.Sprintf(`{"factorResult":%q}`, result))
}

// verify posts a challenge.
func verify(t testing.TB, rt http.RoundTripper, h ...string) rig.Call {
	return rig.Do(t, t.Context(), rt, http.MethodPost, rig.Org+verifyPath, `{"passCode":"1"}`, h...)
}

func TestPollFollowsTheAnswersLink(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer script.Step
	}{
		{"Location", pending("", script.Set("Location", rig.Org+resultPath))},
		{"Location before _links", pending(`{"poll":{"href":"`+rig.Org+`/elsewhere"}}`, script.Set("Location", rig.Org+resultPath))},
		{"relative Location", pending("", script.Set("Location", resultPath))},
		{"Location relative to the request", pending("", script.Set("Location", "transactions/v2mst"))},
		{"Location without a scheme", pending("", script.Set("Location", "//example.okta.com"+resultPath))},
		{"Location with the host in capitals", pending("", script.Set("Location", "https://EXAMPLE.OKTA.COM"+resultPath))},
		{"Location with a fragment", pending("", script.Set("Location", rig.Org+resultPath+"#top"))},
		{"Location with the port of its scheme", pending("", script.Set("Location", "https://example.okta.com:443"+resultPath))},
		{"Location elsewhere, _links.poll here", pending(`{"poll":{"href":"`+rig.Org+resultPath+`"}}`, script.Set("Location", "https://evil.example.com/x"))},
		{"_links.poll", linked(rig.Org + resultPath)},
		{"_links.poll relative", linked(resultPath)},
		{"_links.poll in an array", pending(`{"poll":[{"name":"x"},{"href":"` + rig.Org + resultPath + `"}]}`)},
		{"_links.poll escaped", pending(`{"poll":{"href":"https:\/\/example.okta.com` + strings.ReplaceAll(resultPath, "/", `\/`) + `"}}`)},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, nil, tt.answer, tt.answer.After(interval, 0), script.OK().After(interval, 0))
			if strings.Contains(tt.name, "relative to") {
				base.Play(tt.answer, pending("").After(interval, 0), script.OK().After(interval, 0)) // it would be relative to the poll now
			}
			c := verify(t, rt).Is(200).Stopped(oktaretry.StopSuccess)
			base.WantSent(3)
			if n := base.Count(http.MethodPost, verifyPath); n != 1 {
				t.Errorf("the challenge was posted %d times", n)
			}
			if n := base.Count(http.MethodGet, resultPath); n != 2 {
				t.Errorf("the result was asked for %d times, want 2", n)
			}
			poll := base.Sent()[2]
			if !strings.EqualFold(poll.URL.Hostname(), "example.okta.com") || poll.URL.Scheme != "https" || poll.URL.Fragment != "" {
				t.Errorf("polled %s", poll.URL)
			}
			if c.Resp == nil {
				return
			}
			if r := c.Resp.Request; r.Method != http.MethodGet || r.URL.Path != resultPath || r.Body != nil {
				t.Errorf("the response is to %s %s", r.Method, r.URL)
			}
			for i, a := range c.Outcome.Attempts {
				if a.Poll != (i > 0) {
					t.Errorf("attempt %d is a poll: %t", i+1, a.Poll)
				}
			}
		})
	}
}

// http.Client follows a 307 or 308 by posting the challenge again: a second push to
// the user's phone, or their factor's code to another host.
func TestRedirectOfAPollIsFollowedAsAPoll(t *testing.T) {
	for status := range map[int]bool{301: true, 302: true, 303: true, 307: true, 308: true} {
		moved := func(to string) script.Step { return script.Bare(status, script.Set("Location", to)) }
		for name, tt := range map[string]struct {
			answers []script.Step
			sends   int
			ok      bool
		}{
			"to the same host":   {[]script.Step{moved("/moved").After(interval, 0), script.OK().After(0, 0)}, 3, true},
			"twice":              {[]script.Step{moved("/moved").After(interval, 0), moved(resultPath).After(0, 0), script.OK().After(interval, 0)}, 4, true},
			"and still pending":  {[]script.Step{moved("/moved").After(interval, 0), pending("").After(0, 0), script.OK().After(interval, 0)}, 4, true},
			"to another host":    {[]script.Step{moved("https://evil.example.com/moved")}, 2, false},
			"to another scheme":  {[]script.Step{moved("http://example.okta.com/moved")}, 2, false},
			"to no place at all": {[]script.Step{script.Bare(status)}, 2, false},
		} {
			rig.Virtual(t, fmt.Sprint(status, " ", name), func(t *testing.T) {
				base := script.New(t, append([]script.Step{pending("", script.Set("Location", resultPath))}, tt.answers...)...)
				client := rig.Over(t, base, nil).Client()
				ctx, rec := oktaretry.WithRecorder(t.Context())
				resp, err := client.Do(rig.Request(t, ctx, "POST", verifyPath, strings.NewReader(`{"passCode":"1"}`)))
				if tt.ok {
					rig.Text(t, resp, err)
				} else {
					var e *oktaretry.PendingError
					if !errors.As(err, &e) || e.Stop != oktaretry.StopNoPollTarget || e.Polls != 1 {
						t.Errorf("got %v, %v; want a *PendingError", resp, err)
					}
					rig.WantStop(t, rec, oktaretry.StopNoPollTarget)
				}
				base.WantSent(tt.sends)
				base.WantClosed()
				for i, s := range base.Sent() {
					if (s.Method == "POST") != (i == 0) || s.URL.Host != "example.okta.com" {
						t.Errorf("request %d is %s %s", i+1, s.Method, s.URL)
					}
				}
			})
		}
	}
}

func TestRedirectsOfAPollEndWithItsRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, pending("", script.Set("Location", resultPath)), script.Bare(307, script.Set("Location", resultPath)))
		c := verify(t, rig.Over(t, base, nil))
		c.Stopped(oktaretry.StopMaxElapsed).TookBetween(4*time.Minute, 6*time.Minute)
		rig.Failure[*oktaretry.PendingError](c)
	})
}

// A redirect of the challenge itself is its caller's: Okta has not accepted it.
func TestRedirectOfAChallengeIsItsCallers(t *testing.T) {
	rt, base := rig.New(t, nil, script.Bare(307, script.Set("Location", "/moved")))
	verify(t, rt).Is(307).Stopped(oktaretry.StopSuccess)
	base.WantSent(1)
}

// Relative links have the request's own user.
func TestUserOfTheCallersURLDoesNotStopPolls(t *testing.T) {
	for _, href := range []string{resultPath, rig.Org + resultPath} {
		rig.Virtual(t, href, func(t *testing.T) {
			rt, base := rig.New(t, nil, pending("", script.Set("Location", href)), script.OK())
			req := rig.Request(t, t.Context(), "POST", strings.Replace(rig.Org, "://", "://user:secret@", 1)+verifyPath, nil)
			rig.Send(t, rt, req).Is(200)
			if u := base.WantSent(2)[1].URL; u.Path != resultPath || u.User.String() != "user:secret" {
				t.Errorf("polled %s", u)
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
		for kind, a := range map[string]script.Step{"Location": pending("", script.Set("Location", target)), "_links.poll": linked(target)} {
			rig.Virtual(t, kind+", "+name, func(t *testing.T) {
				rt, base := rig.New(t, nil, a)
				verify(t, rt, "Authorization", "SSWS secret").Is(202).Stopped(oktaretry.StopNoPollTarget).TookBetween(0, 0).Reads(a.Body)
				base.WantSent(1)
			})
		}
	}
}

func TestPollRepeatsASafeRequest(t *testing.T) {
	for _, tt := range []struct{ method, path string }{
		{http.MethodGet, resultPath},
		{http.MethodHead, resultPath},
		{http.MethodPost, "/idp/idx/challenge/poll"},
	} {
		rig.Virtual(t, tt.method+" "+tt.path, func(t *testing.T) {
			body := ""
			if tt.method == http.MethodPost {
				body = `{"stateHandle":"02"}`
			}
			rt, base := rig.New(t, nil, pending(""), pending("").After(interval, 0), script.OK().After(interval, 0))
			rig.Do(t, t.Context(), rt, tt.method, rig.Org+tt.path+"?a=b", body).Is(200)
			base.WantSent(3)
			for i, r := range base.Sent() {
				if r.Method != tt.method || r.URL.Path != tt.path || r.URL.RawQuery != "a=b" || r.Body != body {
					t.Errorf("request %d is %s %s with body %q", i+1, r.Method, r.URL, r.Body)
				}
			}
		})
	}
}

func TestUnpollablePendingAnswerIsReturnedUnchanged(t *testing.T) {
	for _, tt := range []struct {
		name, method, path string
		header             []string
		answer             script.Step
		stop               oktaretry.StopReason
	}{
		{"POST", "POST", verifyPath, nil, pending(""), oktaretry.StopNoPollTarget},
		{"PUT", "PUT", "/api/v1/users/00u1", nil, pending(""), oktaretry.StopNoPollTarget},
		{"POST with Idempotency-Key", "POST", verifyPath, []string{"Idempotency-Key", "1"}, pending(""), oktaretry.StopNoPollTarget},
		{"DPoP without a hook", "POST", verifyPath, []string{"DPoP", "proof"}, linked(rig.Org + resultPath), oktaretry.StopNotReplayable},
		{"DPoP GET without a hook", "GET", resultPath, []string{"DPoP", "proof"}, pending(""), oktaretry.StopNotReplayable},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, nil, tt.answer)
			body := "{}"
			if tt.method == "GET" {
				body = ""
			}
			c := rig.Do(t, t.Context(), rt, tt.method, rig.Org+tt.path, body, tt.header...)
			c.Is(202).Stopped(tt.stop).TookBetween(0, 0).Reads(tt.answer.Body)
			base.WantSent(1)
		})
	}
}

func TestPollHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := `{"poll":{"href":"` + resultPath + `"}}`
		rt, base := rig.New(t, nil,
			pending(link, script.Set("Retry-After", "9")),
			pending(link, script.Set("Retry-After", "1")).After(9*time.Second, 0), // not oftener than every 4 s
			pending(link).After(interval, 0),
			script.OK().After(interval, 0))
		verify(t, rt).Is(200)
		base.WantSent(4)
	})
}

func TestPollEndsWithAPendingErrorWhenItsTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		base.Always(linked(resultPath))
		c := verify(t, rt).Stopped(oktaretry.StopMaxElapsed).TookBetween(5*time.Minute, 5*time.Minute)
		e := rig.Failure[*oktaretry.PendingError](c)
		if e.Code != "E0000070" || e.Polls != 75 || e.RetryAfter != interval || e.Stop != oktaretry.StopMaxElapsed ||
			e.Template != "/api/v1/users/{userId}/factors/{factorId}/transactions/{transactionId}" {
			t.Errorf("got %+v", *e)
		}
		if errors.Is(c.Err, context.DeadlineExceeded) {
			t.Error("the error matches context.DeadlineExceeded, which was not the reason")
		}
		base.WantSent(1 + 75)
	})
}

func TestPollThatDoesNotFitTheDeadlineIsNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, base := rig.New(t, nil)
		base.Always(linked(resultPath))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c := rig.Do(t, ctx, rt, http.MethodPost, rig.Org+verifyPath, "{}").Stopped(oktaretry.StopDeadline).TookBetween(8*time.Second, 8*time.Second)
		if e := rig.Failure[*oktaretry.PendingError](c); e.Polls != 2 || !errors.Is(c.Err, context.DeadlineExceeded) {
			t.Errorf("%d polls, error %v", e.Polls, c.Err)
		}
	})
}

func TestPollEndsWithATerminalAnswer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer script.Step
		status int
		stop   oktaretry.StopReason
	}{
		{"success", script.Reply(200, `{"status":"ACTIVE"}`), 200, oktaretry.StopSuccess},
		{"a plain 202", script.Reply(202, `{"status":"STAGED"}`), 202, oktaretry.StopSuccess},
		{"rejected", script.Code(403, "E0000073"), 403, oktaretry.StopFailFast},
		{"wrong code", script.Code(403, "E0000068"), 403, oktaretry.StopFailFast},
		{"timed out", script.Code(504, "E0000067"), 504, oktaretry.StopFailFast},
		{"gone", script.Code(404, "E0000007"), 404, oktaretry.StopFailFast},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, nil, linked(resultPath), linked(resultPath).After(interval, 0), tt.answer.After(interval, 0))
			verify(t, rt).Is(tt.status).Stopped(tt.stop).Reads(tt.answer.Body)
			base.WantSent(3)
		})
	}
}

func TestPollContinuesAfterOtherErrors(t *testing.T) {
	for _, tt := range []struct {
		name    string
		trouble script.Step
		from    time.Duration
		slack   time.Duration
	}{
		{"429", script.Limited(script.Date(0), script.ResetIn(0, 20*time.Second)), 20 * time.Second, rig.Spread},
		{"503", script.Bare(503), 250 * time.Millisecond, 500 * time.Millisecond},
		{"E0000009", script.Code(500, "E0000009"), 250 * time.Millisecond, 500 * time.Millisecond},
		{"network", script.Fail(script.Refused), 250 * time.Millisecond, 500 * time.Millisecond},
		{"a connection that broke", script.Fail(io.ErrUnexpectedEOF), 250 * time.Millisecond, 500 * time.Millisecond},
		{"a body that broke off", script.Stream(200, io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF))), 250 * time.Millisecond, 500 * time.Millisecond},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			rt, base := rig.New(t, func(p *oktaretry.Policy) { p.RetryBodies = 1 << 10 },
				linked(resultPath), tt.trouble.After(interval, 0), linked(resultPath).After(tt.from, tt.slack), script.OK().After(interval, 0))
			verify(t, rt).Is(200)
			base.WantSent(4)
			if n := base.Count(http.MethodGet, resultPath); n != 3 {
				t.Errorf("the result was asked for %d times, want 3", n)
			}
			if n := base.Count(http.MethodPost, verifyPath); n != 1 {
				t.Errorf("the challenge was posted %d times", n)
			}
			sent := base.Sent()
			if got := sent[2].Header.Get("X-Okta-Retry-Count"); got != "1" {
				t.Errorf("the resent poll has X-Okta-Retry-Count %q, want 1", got)
			}
			if got := sent[3].Header.Get("X-Okta-Retry-Count"); got != "" {
				t.Errorf("the next poll has X-Okta-Retry-Count %q, want none", got)
			}
		})
	}
}
