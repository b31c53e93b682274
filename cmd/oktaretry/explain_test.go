// This file tests what explain says of a call.

package main

import (
	"encoding/json"
	"strings"
	"testing"

	okta "github.com/oktaretry/oktaretry"
)

type explained struct {
	Code, Name, Class, Summary, Advice, Request string
	Rule                                        map[string]any
	Once, Always                                []struct{ At, What string }
}

func explainJSON(t *testing.T, dir string, args ...string) explained {
	t.Helper()
	got := runIn(t, dir, append([]string{"explain", "--json"}, args...)...)
	var e explained
	if err := json.Unmarshal([]byte(got.out), &e); err != nil || got.code != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	return e
}

// timeline returns the times at which requests are sent, and how it ends.
func (e explained) timeline() (sent []string, end string) {
	for _, event := range e.Always {
		if strings.Contains(event.What, "(attempt ") {
			sent = append(sent, event.At)
		}
		end = event.At + " " + event.What
	}
	return sent, end
}

func TestExplainedStepsAreThoseOfTheRule(t *testing.T) {
	dir := files(t, map[string]string{
		"patient.yaml": "serverError: {maxAttempts: 3, initialWait: 2s, maxWait: 1m, maxElapsed: 5m, multiplier: 3}\n",
		"once.yaml":    "rateLimited: {action: fail-fast}\n",
		"broke.yaml":   "budget: {ratio: 0, reserve: 0}\n",
		"brave.yaml":   "serverError: {anyMethod: true, maxAttempts: 2}\n",
		"slow.yaml":    "rateLimited: {maxElapsed: 20s}\n",
	})
	for _, c := range []struct {
		args, sent, end string
	}{
		{"E0000009", "0s 500ms 1.5s 3.5s 7.5s 15.5s 23.5s", "23.5s the next wait of 8s would not fit into the rule's time: hands Okta's answer"},
		{"E0000009 --policy patient.yaml", "0s 2s 8s", "8s the rule's attempts are used up: hands Okta's answer"},
		{"E0000009 --method POST", "0s", "0s sending it again could do the work twice: hands Okta's answer"},
		{"E0000009 --method PATCH --policy brave.yaml", "0s 500ms", "500ms the rule's attempts are used up: hands Okta's answer"},
		{"E0000009 --method DELETE --policy broke.yaml", "0s", "0s the retry budget is empty: hands Okta's answer"},
		{"E0000060", "0s", "0s the rule is to fail fast: hands Okta's answer"},
		{"503", "0s 500ms 1.5s 3.5s", "3.5s the rule's attempts are used up: hands Okta's answer"},
		{"network", "0s 500ms 1.5s 3.5s", "3.5s the rule's attempts are used up: returns the error"},
		{"network --method POST", "0s", "0s sending it again could do the work twice: returns the error"},
		{"404", "0s", "0s the rule is to fail fast: hands Okta's answer"},
		{"E0000047 --policy once.yaml", "0s", "0s the rule is to fail fast: returns the error \"oktaretry: rate limited E0000047"},
		{"E0000109 --method POST --policy slow.yaml", "0s", "0s the next wait of 30s would not fit into the rule's time: returns the error \"oktaretry: rate limited E0000109"},
		{"E0000146 --method POST", "0s", "0s the next wait of 24h would not fit into the rule's time: returns the error \"oktaretry: rate limited"},
		{"E0000001 --method PUT", "0s", "0s the rule is to fail fast: hands Okta's answer"},
		{"invalid_client", "0s", "0s the rule is to fail fast: hands Okta's answer"},
	} {
		t.Run(c.args, func(t *testing.T) {
			sent, end := explainJSON(t, dir, strings.Fields(c.args)...).timeline()
			if strings.Join(sent, " ") != c.sent || !strings.HasPrefix(end, c.end) {
				t.Errorf("sent at %s, end %s\nwant %s, %s", strings.Join(sent, " "), end, c.sent, c.end)
			}
		})
	}
}

func TestExplainWaitsAsTheCodeAsks(t *testing.T) {
	e := explainJSON(t, "", "E0000109", "--method", "POST")
	sent, end := e.timeline()
	if len(sent) < 3 || sent[1] != "30s" || sent[2] != "1m" || !strings.Contains(end, "rate limited E0000109") {
		t.Errorf("sent at %v, end %s", sent, end)
	}
	if len(e.Once) != 4 || e.Once[1].What != "waits 30s, as the rate limit asks" || e.Once[3].What != "hands Okta's answer to the caller" {
		t.Errorf("met once: %+v", e.Once)
	}
	if !strings.Contains(e.Summary, "30 seconds") || e.Advice == "" || e.Class != "rate-limited" || e.Rule["minWait"] != "30s" {
		t.Errorf("%+v lacks what Okta says, the advice, the class or the rule", e)
	}
}

func TestExplainPollsForAPendingAnswer(t *testing.T) {
	e := explainJSON(t, "", "E0000070")
	if e.Request != "POST /api/v1/users/00u1/factors/opf1/verify" || e.Once[2].What != "asks for the result (attempt 2): 200" || e.Once[2].At != "4s" {
		t.Errorf("%s: %+v", e.Request, e.Once)
	}
	if sent, end := e.timeline(); len(sent) != 76 || !strings.Contains(end, "still pending") {
		t.Errorf("%d requests, end %s, want a poll each 4s for 5m", len(sent), end)
	}
}

// TestExplainedStepsFitTheRuleOfEachCode plays a call for each code and method that
// matters.
func TestExplainedStepsFitTheRuleOfEachCode(t *testing.T) {
	var codes []string
	for info := range okta.Codes() {
		codes = append(codes, info.Code)
	}
	for _, method := range []string{"GET", "POST"} {
		got := runIn(t, "", append([]string{"explain", "--json", "--method", method}, codes...)...)
		if got.code != 0 {
			t.Fatal(got.err)
		}
		list := json.NewDecoder(strings.NewReader(got.out))
		for _, code := range codes {
			var e explained
			if err := list.Decode(&e); err != nil {
				t.Fatal(err)
			}
			sent, end := e.timeline()
			info, _ := okta.Lookup(code)
			r := info.Rule
			fits := r.MaxElapsed == 0 || r.MinWait < r.MaxElapsed
			again := r.Action != okta.FailFast && fits && (method == "GET" || r.AnyMethod || r.Action == okta.Poll)
			if e.Code != code || again != (len(sent) > 1) || len(sent) == 0 || sent[0] != "0s" {
				t.Errorf("%s %s by %+v: sent at %v, %s", method, code, r, sent, end)
			}
			if again && r.MaxAttempts > 0 && len(sent) != r.MaxAttempts {
				t.Errorf("%s %s: sent %d times, want %d", method, code, len(sent), r.MaxAttempts)
			}
		}
	}
}
