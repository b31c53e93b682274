// This file plays a call that meets an error: the real transport, against the fake
// Okta, in virtual time.

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

// scene is a call and what Okta answers it.
type scene struct {
	code   string // or a status
	info   oktaretry.CodeInfo
	method string
	path   string
}

// sceneOf returns the scene of an error that is named by its code or status; false if
// nothing has that name.
func sceneOf(name, method string) (s scene, ok bool) {
	s.code, s.method = name, method
	if s.info, ok = infoOf(name); !ok {
		return s, false
	}
	afterPost := s.isOAuth() || s.info.Class == oktaretry.ClassPending
	switch {
	case s.method != "":
	case afterPost:
		s.method = http.MethodPost
	default:
		s.method = http.MethodGet
	}
	switch {
	case s.isOAuth() && s.method == http.MethodPost:
		s.path = "/oauth2/v1/token"
	case s.isOAuth():
		s.path = "/oauth2/v1/userinfo"
	case s.info.Class == oktaretry.ClassPending:
		s.path = "/api/v1/users/00u1/factors/opf1/verify"
	case slices.Contains([]string{http.MethodPut, http.MethodPatch, http.MethodDelete}, s.method):
		s.path = "/api/v1/users/00u1"
	default:
		s.path = "/api/v1/users"
	}
	return s, true
}

// noAnswer is what explain calls an attempt that brings none.
const noAnswer = "network"

// infoOf returns what is known of a code, of answers of a status without a code, or of no
// answer.
func infoOf(name string) (info oktaretry.CodeInfo, ok bool) {
	if info, ok = oktaretry.Lookup(name); ok {
		return info, true
	}
	if name == noAnswer {
		return oktaretry.CodeInfo{Name: "No answer: the connection breaks", Class: oktaretry.ClassNetwork}, true
	}
	status, err := strconv.Atoi(name)
	if err != nil || status < 400 || status > 599 {
		return info, false
	}
	info = oktaretry.CodeInfo{Status: status, Name: http.StatusText(status), Class: oktaretry.ClassClientError}
	switch {
	case status == http.StatusTooManyRequests:
		info.Class = oktaretry.ClassRateLimited
	case status >= 500:
		info.Class = oktaretry.ClassServerError
	}
	return info, true
}

func (s scene) isOAuth() bool { return s.info.Code != "" && !strings.HasPrefix(s.info.Code, "E0") }

// request describes the call: "POST /oauth2/v1/token".
func (s scene) request() string { return s.method + " " + s.path }

// answer is what Okta sends.
func (s scene) answer() oktatest.Step {
	switch {
	case s.code == noAnswer:
		return oktatest.Reset
	case s.info.Code == "":
		return oktatest.Status(s.info.Status)
	case s.isOAuth():
		return oktatest.OAuthError(s.info.Code, s.status())
	case s.info.Class == oktaretry.ClassPending:
		return oktatest.Code(s.info.Code).WithPoll("/api/v1/users/00u1/factors/opf1/transactions/t1")
	}
	answer := oktatest.Code(s.info.Code).WithStatus(s.status())
	if s.info.Local { // it isn't the bucket's limit, so the bucket's reset is no part of it
		answer = answer.WithoutHeader("X-Rate-Limit-Limit").WithoutHeader("X-Rate-Limit-Remaining").WithoutHeader("X-Rate-Limit-Reset")
	}
	return answer
}

// status returns the status that carries the error; of one for which Okta documents none,
// a usual one of its class.
func (s scene) status() int {
	switch {
	case s.info.Status != 0:
		return s.info.Status
	case s.info.Class == oktaretry.ClassRateLimited:
		return http.StatusTooManyRequests
	case s.info.Class == oktaretry.ClassServerError:
		return http.StatusServiceUnavailable
	}
	return http.StatusBadRequest
}

// success is what Okta sends when it's over.
var success = oktatest.Status(http.StatusOK).WithBody("application/json", "{}")

// play makes the call, which Okta answers by these steps, and returns how it went. Waits
// are as the rules have them, without their variation at random.
func (s scene) play(p oktaretry.Policy, steps ...oktatest.Step) (out oktaretry.Outcome, err error) {
	fake := oktatest.New(oktatest.WithJournal(0))
	fake.Script("*", steps...)
	inVirtualTime(func() { out, err = s.send(fake.Transport(), steady(p)) })
	return out, err
}

// send makes the call.
func (s scene) send(base http.RoundTripper, p oktaretry.Policy) (out oktaretry.Outcome, err error) {
	t, err := oktaretry.NewTransport(base, oktaretry.WithPolicy(p))
	if err != nil {
		return out, err
	}
	defer t.CloseIdleConnections()
	ctx, recorder := oktaretry.WithRecorder(context.Background())
	var body io.Reader
	if s.method == http.MethodPost || s.method == http.MethodPut || s.method == http.MethodPatch {
		body = strings.NewReader("{}")
	}
	req, err := http.NewRequestWithContext(ctx, s.method, "https://example.okta.com"+s.path, body)
	if err != nil {
		return out, err
	}
	if resp, err := t.RoundTrip(req); err == nil {
		resp.Body.Close()
	}
	out, _ = recorder.Outcome()
	return out, nil
}

// steady returns p without what varies at random.
func steady(p oktaretry.Policy) oktaretry.Policy {
	codes := make(map[string]oktaretry.Rule, len(p.Codes))
	for key, r := range p.Codes {
		r.Jitter = 0
		codes[key] = r
	}
	p.Codes = codes
	for _, r := range []*oktaretry.Rule{&p.RateLimited, &p.ServerError, &p.ClientError, &p.Pending, &p.Network} {
		r.Jitter = 0
	}
	return p
}

// event is one line of what happens.
type event struct {
	At   time.Duration `json:"-"`
	Time string        `json:"at"`
	What string        `json:"what"`
}

// events returns what happened in a call, in order.
func events(out oktaretry.Outcome) (list []event) {
	add := func(at time.Duration, format string, args ...any) {
		list = append(list, event{at, brief(at), fmt.Sprintf(format, args...)})
	}
	var at time.Duration
	for i, a := range out.Attempts {
		for _, w := range a.Waits {
			add(at, "waits %s, %s", brief(w.Duration), waitText(w.Reason))
			at += w.Duration
		}
		at = a.Start.Sub(out.Start)
		verb := "sends it"
		switch {
		case a.Poll:
			verb = "asks for the result"
		case i > 0:
			verb = "sends it again"
		}
		at += a.Duration
		add(at, "%s (attempt %d): %s", verb, i+1, answerText(a))
	}
	add(out.Elapsed, "%s", endText(out))
	return list
}

func answerText(a oktaretry.Attempt) string {
	if a.Err != nil {
		return "no answer"
	}
	text := strconv.Itoa(a.Status)
	if a.Code != "" {
		text += " " + a.Code
	}
	return text
}

func waitText(r oktaretry.WaitReason) string {
	switch r {
	case oktaretry.WaitRateLimit:
		return "as the rate limit asks"
	case oktaretry.WaitCeiling:
		return "for its turn under the policy's rates"
	case oktaretry.WaitConcurrency:
		return "for one of the calls in flight to end"
	case oktaretry.WaitPoll:
		return "before it asks for the result"
	}
	return "a backoff"
}

// endText says what the caller gets, and why no more is done.
func endText(out oktaretry.Outcome) string {
	got := "hands Okta's answer to the caller"
	if out.Err != nil {
		got = "returns the error " + strconv.Quote(out.Err.Error())
	}
	why := map[oktaretry.StopReason]string{
		oktaretry.StopFailFast:      "the rule is to fail fast",
		oktaretry.StopMaxAttempts:   "the rule's attempts are used up",
		oktaretry.StopMaxElapsed:    "the next wait of " + brief(out.Needed) + " would not fit into the rule's time",
		oktaretry.StopNotIdempotent: "sending it again could do the work twice",
		oktaretry.StopBudget:        "the retry budget is empty",
		oktaretry.StopNoPollTarget:  "there is no link to the result",
		oktaretry.StopCircuitOpen:   "a circuit is open",
		oktaretry.StopMaxWait:       "the line of its bucket is too long",
	}[out.Stop]
	if why == "" {
		return got
	}
	return why + ": " + got
}

// brief is a duration without what is zero: 10m instead of 10m0s.
func brief(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if rest, ok := strings.CutSuffix(text, zero); ok {
			text = rest + zero[:1]
		}
	}
	return text
}
