package main

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry/examples/internal/sdktest"
	"github.com/oktaretry/oktaretry/examples/internal/spantree"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav6"
)

func TestMain(m *testing.M) { os.Exit(sdktest.Main(m)) }

var full = flag.Bool("full", false, "tell the story in real time and over sockets, as the program does")

// TestQuickstart checks the story line by line, so that it cannot rot.
func TestQuickstart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		org, spans := sdktest.NewOkta(t, oktatest.WithUsers(3)), new(spantree.Collector)
		transport, err := newTransport(org.Transport(), spans)
		if err != nil {
			t.Fatal(err)
		}
		client, err := sdktest.Outside(func() (*okta.APIClient, error) {
			return oktav6.NewClient(t.Context(), transport, okta.WithOrgUrl(sdktest.URL), okta.WithToken("a-token"))
		})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := tell(t.Context(), &b, client, org, spans); err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		checkStory(t, b.String())
	})
}

func TestQuickstartInRealTime(t *testing.T) {
	if !*full {
		t.Skip("it takes some seconds: -full runs it")
	}
	var b strings.Builder
	if err := run(t.Context(), &b); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	checkStory(t, b.String())
}

func checkStory(t *testing.T, printed string) {
	t.Helper()
	story, spans, found := strings.Cut(printed, "OpenTelemetry spans")
	if !found {
		t.Fatalf("no spans:\n%s", story)
	}

	inReadme(t, story)
	rest := story
	for _, want := range []string{
		`1\. All is well`,
		`Okta +200 +\(success\)`,
		`the SDK +got the user`,
		`2\. The rate limit is used up`,
		`Okta +429 E0000047 .*\(rate-limited\)`,
		`oktaretry +waits \d\.\d\d s, until Okta's window is over`,
		`Okta +200`,
		`the SDK +got 3 users`,
		`3\. Okta stumbles`,
		`Okta +503 E0000009 .*\(server-error\)`,
		`oktaretry +waits \d\.\d\d s and sends it again`,
		`Okta +200`,
		`the SDK +got the user`,
		`4\. A push waits`,
		`Okta +202 E0000070 .*\(pending\)`,
		`oktaretry +asks again after \d\.\d\d s`,
		`Okta +202 E0000070`,
		`oktaretry +asks again after \d\.\d\d s`,
		`Okta +200`,
		`the SDK +got factorResult SUCCESS`,
		`5\. There is no such user`,
		`\d\.\d\d s +Okta +404 E0000007 .*\(client-error\)`,
		`\d\.\d\d s +oktaretry +hands it back at once`,
		`the SDK +error: 404 Not Found`,
		`6\. A create meets an outage`,
		`Okta +503 +\(server-error\)`,
		`\d\.\d\d s +oktaretry +hands it back at once: sent twice, it could do its work twice`,
		`the SDK +error: 503 Service Unavailable`,
		`7\. Half a minute to wait`,
		`Okta +429 E0000047`,
		`\d\.\d\d s +oktaretry +gives up at once: a wait of 3\d\.\d\d s ends after the deadline`,
		`the SDK +error: Get `,
		`code E0000047, request id \S+, retry after 3\d\.\d\d s`,
	} {
		at := regexp.MustCompile(want).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("no line %q, or not in its place:\n%s", want, story)
		}
		rest = rest[at[1]:]
	}
	if n := strings.Count(story, "   Okta  "); n != 11 {
		t.Errorf("%d answers, want 11:\n%s", n, story)
	}

	for want, n := range map[string]int{
		`(?m)^trace [0-9a-f]{32}$`:      7,
		`(?m)^ +0\.000 s .* oktaretry `: 7, // a call, and below it
		`─ (GET|POST) `:                 11,
		`─ wait: `:                      4,
		`resend_count=1`:                2,
		`code=E0000070`:                 2,
		`stop=not-idempotent`:           1,
		`stop=deadline`:                 1,
	} {
		if got := len(regexp.MustCompile(want).FindAllString(spans, -1)); got != n {
			t.Errorf("%q stands %d times in the spans, want %d:\n%s", want, got, n, spans)
		}
	}
	for text, most := range map[string]int{story: width, spans: spantree.Width} {
		for line := range strings.Lines(text) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > most {
				t.Errorf("a line of %d columns: %s", n, line)
			}
		}
	}
}

// inReadme checks that the calls that README.md shows, by a test of internal/docs the
// same, are in the story as it is today, but for their times.
func inReadme(t *testing.T, story string) {
	t.Helper()
	shown, err := os.ReadFile("testdata/readme.txt")
	if err != nil {
		t.Fatal(err)
	}
	withoutTimes := func(text string) string {
		return regexp.MustCompile(`\d+\.\d\d s`).ReplaceAllString(text, "N s")
	}
	story = withoutTimes(story)
	calls := strings.Split(strings.TrimRight(string(shown), "\n"), "\n\n")
	if len(calls) != 3 {
		t.Errorf("README.md shows %d calls, want 3", len(calls))
	}
	for _, call := range calls {
		if !strings.Contains(story, "\n"+withoutTimes(call)+"\n") {
			t.Errorf("README.md shows a call that the quickstart does not make so:\n%s", call)
		}
	}
}
