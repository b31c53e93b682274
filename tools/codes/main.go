// Command codes writes docs/codes.md, the page of all error codes, from the
// library's catalogue:
//
//	go -C tools run ./codes > docs/codes.md
//
// Its test fails where the page is stale.
package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry"
)

func main() { os.Stdout.Write(page()) }

const intro = "# Error codes" + `

What oktaretry does by default with each error code of Okta's, and with the OAuth errors. The code decides before the
status, except for E0000169 and the steps of OAuth's own flows (authorization_pending, invalid_dpop_proof, slow_down, use_dpop_nonce),
which go by their status. A rule in ` + "`Policy.Codes`, or `WithRule`" + ` for one call, changes it; ` + "`oktaretry.Lookup(code)`" + ` returns the same to a
program.

- **Handed back**: at once, and as Okta sent it.
- **Waits**: as long as Okta says, then goes again whatever the method, for Okta refused it unprocessed; up to 10 minutes in all.
- **Attempts**: where the method is idempotent, unless "any method" stands there. The circuit named is the one that the answer counts against.

This page is generated: ` + "`go -C tools run ./codes > docs/codes.md`" + `.

| code | status | name | class | what the library does | advice |
|---|---|---|---|---|---|
`

func page() []byte {
	b := bytes.NewBufferString(intro)
	for info := range oktaretry.Codes() {
		status := "–"
		if info.Status != 0 {
			status = strconv.Itoa(info.Status)
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", info.Code, status, info.Name, info.Class, does(info), info.Advice)
	}
	return b.Bytes()
}

// does describes a code's rule in words.
func does(info oktaretry.CodeInfo) string {
	r := info.Rule
	switch {
	case r.Action == oktaretry.FailFast:
		return "handed back"
	case r.Action == oktaretry.Poll:
		return fmt.Sprintf("polled every %s, up to %s", brief(r.InitialWait), brief(r.MaxElapsed))
	case info.Class != oktaretry.ClassRateLimited:
		return resends(r)
	case r.MinWait > r.MaxElapsed:
		return "a `*RateLimitError` at once: no call has " + brief(r.MinWait)
	case info.Local:
		return fmt.Sprintf("waits, at least %s, while the bucket's other calls go on", brief(r.MinWait))
	}
	return "waits, and the bucket's other calls with it"
}

// resends describes the rule for an error that a resend may heal.
func resends(r oktaretry.Rule) string {
	text := "sent again"
	if r.MaxAttempts > 0 {
		text = fmt.Sprintf("up to %d attempts", r.MaxAttempts)
	}
	if r.MaxElapsed > 0 {
		text += " within " + brief(r.MaxElapsed)
	}
	if r.MinWait > 0 {
		text += fmt.Sprintf(", %s apart at least", brief(r.MinWait))
	}
	if r.AnyMethod {
		text += ", any method"
	}
	return text + "; " + circuit(r.Trips)
}

func circuit(s oktaretry.Scope) string {
	return map[oktaretry.Scope]string{
		oktaretry.TripsNothing: "no circuit", oktaretry.TripsEndpoint: "its endpoint's circuit", oktaretry.TripsHost: "its host's circuit",
	}[s]
}

// brief returns d in its largest unit.
func brief(d time.Duration) string {
	if days := int(d.Hours() / 24); days > 1 {
		return fmt.Sprintf("%d days", days)
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if rest, ok := strings.CutSuffix(text, zero); ok {
			text = rest + zero[:1]
		}
	}
	return text
}
