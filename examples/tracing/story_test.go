package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/examples/internal/spantree"
)

// TestStory checks the first round line by line, so that it cannot rot.
func TestStory(t *testing.T) {
	p := thePlay(t)
	if p.took > rounds*15*time.Second { // of virtual time
		t.Errorf("took %v for %d rounds, want 10 s each", p.took, rounds)
	}
	const times = ` +\d+\.\d{3} s +[\d.]+ m?s +`
	rest := p.text
	for _, want := range []string{
		`1\. Another app has used up the window`,
		`The sync: 40 users in 4 pages`,
		`(?m)^trace [0-9a-f]{32}$`,
		times + `list the users`,
		times + `├─ oktaretry GET /api/v1/users +class=success stop=success attempts=2 waited=[1-9]`,
		times + `│  ├─ GET /api/v1/users +status_code=429 code=E0000047\n.*request_id=[0-9a-f]{32}`,
		times + `│  ├─ wait: rate-limit`,
		times + `│  └─ GET /api/v1/users +resend_count=1 status_code=200`,
		times + `└─ oktaretry GET /api/v1/users`,
		`2\. Too many calls at once`,
		`8 users`,
		`─ GET /api/v1/users/{id} +status_code=429 code=E0000047`,
		`─ wait: concurrency`,
		`3\. Six calls a window`,
		`the groups of 8 users`,
		`─ wait: rate-limit`,
		`4\. A ceiling`,
		`three pages of groups`,
		`─ GET /api/v1/groups +error\.type=connection`, // a kept connection's: no backoff
		`─ wait: ceiling`,
		`─ GET /api/v1/groups +resend_count=1 status_code=200`,
		`5\. One endpoint fails`,
		`error after \d+ failures: .* endpoint circuit open`,
		`stop=not-idempotent`,
		`─ wait: ceiling`,
		`─ POST /api/v1/groups +status_code=500 code=E0000009`,
		`circuit of the endpoint: closed → open`,
		`stop=circuit-open attempts=0`,
		`6\. A push waits`,
		`factorResult SUCCESS`,
		`─ POST /api/v1/users/{userId}/factors/{factorId}/verify +status_code=201`,
		`─ wait: poll`,
		`poll=true`,
		`7\. A user is gone`,
		`error: 404 Not Found`,
		`stop=fail-fast attempts=1`,
		`8\. A second code`,
		`error: E0000109, 30s to wait and 5 s to spend`,
		`stop=deadline attempts=1`,
		`9\. Okta is down`,
		`\d+ calls answered 503, the next refused`,
		`circuit of the host: closed → open`,
		`circuit of the host: open → half-open`,
		`circuit of the host: half-open → closed`,
		`What the log says`,
		`level=INFO msg="oktaretry: waiting" reason=rate-limit`,
		`level=WARN msg="oktaretry: call done" .*stop=deadline`,
		`level=WARN msg="oktaretry: circuit" scope=host from=closed to=open`,
		`Some of what http://127\.0\.0\.1:\d+/metrics says`,
		`oktaretry_circuit_changes_total{.*oktaretry_circuit_to="open"} 1`,
		`oktaretry_polls_total{.*} 3`,
		`oktaretry_rate_limit_refusals_total{.*oktaretry_rate_limit_kind="bucket"} 1`,
		`oktaretry_wait_duration_seconds_sum{.*oktaretry_wait_reason="rate-limit".*} \d`,
		`That was round 2`,
	} {
		at := regexp.MustCompile(want).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("no %q, or not in its place:\n%s", want, p.text)
		}
		rest = rest[at[1]:]
	}
	trees, _, _ := strings.Cut(p.text, "What the log says")
	for line := range strings.Lines(trees) {
		n := len([]rune(strings.TrimSuffix(line, "\n")))
		if n > spantree.Width && regexp.MustCompile(`^ +\d+\.\d{3} s`).MatchString(line) {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
}

// TestLogLeadsToTraces: each line's trace is one that was printed.
func TestLogLeadsToTraces(t *testing.T) {
	p := thePlay(t)
	trees, rest, _ := strings.Cut(p.text, "What the log says")
	lines, _, _ := strings.Cut(rest, "Some of what")
	n := 0
	for _, id := range regexp.MustCompile(`trace_id=([0-9a-f]+)`).FindAllStringSubmatch(lines, -1) {
		n++
		if !strings.Contains(trees, "\ntrace "+id[1]+"\n") {
			t.Errorf("a line names the trace %s, which is none of those printed", id[1])
		}
	}
	if n < 5 || n != strings.Count(lines, "level=") {
		t.Errorf("%d of %d lines name a trace, want all and five at least", n, strings.Count(lines, "level="))
	}
}

// TestExemplarsLeadToTraces: a Prometheus that keeps exemplars can show the
// trace of a slow call.
func TestExemplarsLeadToTraces(t *testing.T) {
	p := thePlay(t)
	traces := map[string]bool{}
	for _, id := range regexp.MustCompile(`(?m)^trace ([0-9a-f]{32})$`).FindAllStringSubmatch(p.text, -1) {
		traces[id[1]] = true
	}
	for _, e := range p.store.exemplars {
		if traces[e.Labels.Get("trace_id")] {
			return
		}
	}
	t.Errorf("none of %d exemplars names a trace that was printed", len(p.store.exemplars))
}
