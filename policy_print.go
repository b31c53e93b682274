// This file prints a policy as a table.

package oktaretry

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
)

// String returns the policy as a table: a row for each class, then one for
// each code whose rule differs from its class's, the user's own marked by *, and
// one for each status that, without a code, has another action than its class.
func (p Policy) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "answer\tstatus\taction\tattempts\tfor at most\twait\tat least\tmethods\ttrips\tname")
	for class := ClassRateLimited; class <= ClassNetwork; class++ {
		writeRule(w, class.String(), "", *p.classRule(class), "")
	}
	for info := range Codes() {
		_, own := p.Codes[info.Code]
		r, base := p.RuleFor(Classification{Class: info.Class, Code: info.Code, Status: info.Status}), *p.classRule(info.Class)
		switch {
		case own:
			writeRule(w, info.Code+" *", status(info.Status), r, info.Name)
		case r.Action == FailFast && base.Action == FailFast && r.Trips == base.Trips:
			// It differs only in what would apply if it were retried.
		case r != base:
			writeRule(w, info.Code, status(info.Status), r, info.Name)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(p.Codes)) {
		if _, known := lookup(code); !known && !isStatus(code) {
			writeRule(w, code+" *", "", p.Codes[code], "")
		}
	}
	p.printStatuses(w)
	w.Flush()
	table := trailingSpace.ReplaceAllString(b.String(), "\n")
	b.Reset()
	b.WriteString(table)
	timeout := orNone(p.AttemptTimeout)
	if p.AttemptTimeout > 0 {
		timeout += fmt.Sprintf(" (%s after one, %s of what is not sent again)", short(times(p.AttemptTimeout, 2)), short(times(p.AttemptTimeout, 3)))
	}
	fmt.Fprintf(&b, "attempt timeout %s, body timeout %s, asks again for bodies of up to %d bytes\n",
		timeout, orNone(p.BodyTimeout), p.RetryBodies)
	fmt.Fprintf(&b, "poll factors %t, a final 429 comes back as %s, captures up to %d bytes of a body\n",
		p.PollFactors, map[bool]string{true: "a response", false: "an error"}[p.ReturnRateLimited], p.MaxCapture)
	p.Pace.print(&b)
	if p.Breaker.Disabled {
		b.WriteString("circuits: off\n")
	} else {
		fmt.Fprintf(&b, "circuits: open for %s when %g%% of at least %d answers in %s failed, or all of as many in %s; then %d at a time\n",
			p.Breaker.OpenFor, 100*p.Breaker.FailureRatio, p.Breaker.MinCalls, p.Breaker.Window, circuit.StreakOpensAfter, p.Breaker.Probes)
	}
	if p.Budget.Disabled {
		b.WriteString("budget: off\n")
	} else {
		fmt.Fprintf(&b, "budget: %g resends a call and %g a second, kept for %s\n", p.Budget.Ratio, p.Budget.Reserve, p.Budget.TTL)
	}
	return b.String()
}

// printStatuses writes the rows of answers without a code.
func (p *Policy) printStatuses(w *tabwriter.Writer) {
	for n := 400; isErrorStatus(n); n++ {
		answer, class := status(n), classOf("", n)
		r := p.RuleFor(Classification{Class: class, Status: n})
		switch _, own := p.Codes[answer]; {
		case own:
			writeRule(w, answer+" *", answer, r, http.StatusText(n))
		case r.Action != p.classRule(class).Action:
			writeRule(w, answer, answer, r, http.StatusText(n))
		}
	}
}

// print writes the line about pacing.
func (p *Pace) print(b *strings.Builder) {
	if p.Disabled {
		b.WriteString("pace: off\n")
		return
	}
	fmt.Fprintf(b, "pace: up to %g%% of each window", 100*cmp.Or(p.MaxUtilization, 1))
	if p.Smooth {
		b.WriteString(", spread evenly")
	}
	if p.MaxInFlight > 0 {
		fmt.Fprintf(b, ", %d in flight a host", p.MaxInFlight)
	}
	if p.MaxRate > 0 {
		fmt.Fprintf(b, ", %g calls/s a host, %d at once", p.MaxRate, max(p.Burst, 1))
	}
	if p.MaxWait > 0 {
		fmt.Fprintf(b, ", %s in line at most", short(p.MaxWait))
	}
	if p.RefusalsOnly {
		b.WriteString(", by refusals only")
	}
	for _, bucket := range p.RefusalsOnlyBuckets {
		fmt.Fprintf(b, ", %q by refusals only", bucket)
	}
	for _, bucket := range slices.Sorted(maps.Keys(p.BucketRates)) {
		fmt.Fprintf(b, ", %g calls/s of %q, %d at once", p.BucketRates[bucket], bucket, max(p.Burst, 1))
	}
	b.WriteString("\n")
}

// trailingSpace is what tabwriter leaves of empty last cells.
var trailingSpace = regexp.MustCompile(` +\n`)

func writeRule(w *tabwriter.Writer, answer, status string, r Rule, name string) {
	if r.Action == FailFast {
		fmt.Fprintf(w, "%s\t%s\t%s\t1\t\t\t\t\t%s\t%s\n", answer, status, r.Action, r.Trips, name)
		return
	}
	if r.MaxElapsed > 0 && r.MinWait >= r.MaxElapsed {
		// The wait never fits, so none is begun.
		fmt.Fprintf(w, "%s\t%s\tgive up\t1\t%s\t\t%s\t\t%s\t%s\n", answer, status, short(r.MaxElapsed), short(r.MinWait), r.Trips, name)
		return
	}
	attempts, elapsed, least := "any", "any", ""
	if r.MaxAttempts > 0 {
		attempts = fmt.Sprint(r.MaxAttempts)
	}
	if r.MaxElapsed > 0 {
		elapsed = short(r.MaxElapsed)
	}
	wait := short(r.InitialWait)
	if r.MaxWait > r.InitialWait {
		wait += "…" + short(r.MaxWait)
	}
	if r.MinWait > 0 {
		least = short(r.MinWait)
	}
	methods := "idempotent"
	if r.AnyMethod {
		methods = "any"
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
		answer, status, r.Action, attempts, elapsed, wait, least, methods, r.Trips, name)
}

func status(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func orNone(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	return short(d)
}

// short is Duration.String without its zero parts: 10m instead of 10m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
