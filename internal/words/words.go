// This file describes in words what a rule does.

// Package words describes in words what the library does after an error code: for the
// page of codes, for the schema of policy files, and for the command.
package words

import (
	"fmt"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry"
)

// Does returns what is done after a code: "handed back", "up to 4 attempts within 30s;
// its host's circuit". Go's names stand in backquotes.
func Does(info oktaretry.CodeInfo) string {
	r := info.Rule
	switch {
	case r.Action == oktaretry.FailFast:
		return "handed back"
	case r.Action == oktaretry.Poll:
		return fmt.Sprintf("polled every %s, up to %s", Brief(r.InitialWait), Brief(r.MaxElapsed))
	case info.Class != oktaretry.ClassRateLimited:
		return resends(r)
	case r.MinWait > r.MaxElapsed:
		return "a `*RateLimitError` at once: no call has " + Brief(r.MinWait)
	case info.Local:
		return fmt.Sprintf("waits, at least %s, while the bucket's other calls go on", Brief(r.MinWait))
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
		text += " within " + Brief(r.MaxElapsed)
	}
	if r.MinWait > 0 {
		text += fmt.Sprintf(", %s apart at least", Brief(r.MinWait))
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

// Brief returns d in its largest unit.
func Brief(d time.Duration) string {
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
