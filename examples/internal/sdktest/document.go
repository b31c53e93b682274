// This file writes the matrix down, for people to read.

package sdktest

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
)

const command = "go test ./examples/sdkv6 -run TestDocument -update"

// CheckDocument checks that SDKS.md is the matrix, for a test in a directory beside it;
// update writes it. That what it says is so, the SDKs' TestMatrix shows.
func CheckDocument(t *testing.T, update bool) {
	const path = "../SDKS.md"
	want := document(t)
	if update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("SDKS.md is stale (%v): run %s", err, command)
	}
}

// CheckNames checks that each situation has a name of its own.
func CheckNames(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range situations {
		if seen[s.name] {
			t.Errorf("two situations are called %q", s.name)
		}
		seen[s.name] = true
	}
}

func document(t *testing.T) []byte {
	var b bytes.Buffer
	d, p := oktaretry.DefaultPolicy(), tiny()
	fmt.Fprintf(&b, `# What the SDKs' callers get

Okta's SDKs, okta-sdk-golang %s, %s and %s, meet each of these situations with a fake Okta at the other end, set up as in
[`+"`sdkv6`](sdkv6/main.go), [`sdkv5`](sdkv5/main.go) and [`sdkv2`](sdkv2/main.go)"+`: over loopback sockets, or, in the rows that take a window,
an attempt timeout or a deadline, in memory and in virtual time. The tests hold them to what is written here, and to the number
of users in the fake in the end: no create is ever done twice.

    go test ./examples/sdkv6 ./examples/sdkv5 ./examples/sdkv2 -run TestMatrix   # the situations
    %s                           # this file

- **What the caller gets**: first what `+"`errors.As` and `errors.Is`"+` find in the error, then its text, with … for what differs
  from run to run. `+"`errors.Is(err, io.EOF)`"+` never holds. SDK v2 wraps what comes from below in a `+"`*url.Error`"+`; SDKs v6 and v5 mostly
  keep its text only, and `+"`oktav6.Outcome`"+` finds the error itself.
- **Requests at Okta**: connections are kept alive, as in production. Where a request without a body meets the end of a
  connection that was used before, net/http itself sends it once more; the rows that see this say so.
- **How long**: a backoff is %s here, %s by default (twice that each further time); a poll comes after %s, %s by
  default; an attempt times out after %s, %s by default; a window is the shortest that Okta's headers can name, 1 s,
  and mostly a minute. "At once" is without any wait.
`, version(t, "v6"), version(t, "v5"), version(t, "v2"), command,
		p.ServerError.InitialWait, d.ServerError.InitialWait, p.Pending.InitialWait, d.Pending.InitialWait,
		attemptTimeout, short(d.AttemptTimeout))
	for _, s := range situations {
		if s.group != "" {
			fmt.Fprintf(&b, "\n## %s\n\n| situation | v6 caller gets | v5 caller gets | v2 caller gets | requests at Okta | how long |\n|---|---|---|---|---|---|\n", s.group)
		}
		requests := s.requests.String()
		if s.note != "" {
			requests += ": " + s.note
		}
		if s.users > 0 {
			requests += "; one user"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", s.name, s.cell("v6"), s.cell("v5"), s.cell("v2"), requests, s.took.words)
	}
	return b.Bytes()
}

// cell is what one caller gets.
func (s situation) cell(sdk string) string {
	if !s.reaches(sdk) {
		return "–"
	}
	r := s.want(sdk)
	if r.text == "" {
		return r.got
	}
	var parts []string
	if r.got != "" {
		parts = append(parts, r.got+" and")
	}
	if r.finds != "" {
		parts = append(parts, "`"+strings.ReplaceAll(r.finds, ", ", "`, `")+"`")
	}
	if r.status != 0 {
		parts = append(parts, fmt.Sprintf("beside the %d", r.status))
	}
	text := "`" + r.text + "`"
	switch {
	case sdk != "v6" && r == s.want("v6"):
		return "the same"
	case sdk != "v6" && r.text == s.want("v6").text:
		text = "the same text"
	}
	cell := strings.Join(parts, " ")
	if r.finds != "" {
		cell += ":"
	}
	return strings.TrimSpace(cell + " " + text)
}

// version is that of go.mod.
func version(t *testing.T, major string) string {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`okta-sdk-golang/` + major + ` (v\S+)`).FindSubmatch(mod)
	if m == nil {
		t.Fatalf("go.mod has no SDK %s", major)
	}
	return string(m[1])
}

func short(d time.Duration) string { return strings.TrimSuffix(d.String(), "0s") }
