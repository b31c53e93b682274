// This file lives the five slow calls of docs/why-slow.md in virtual time, and holds the
// document to what they log and to where their time goes.

package debug_test

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

var update = flag.Bool("update", false, "write what was measured into docs/why-slow.md")

const whySlow = "../docs/why-slow.md"

// slowCall is a call that takes 41 s or so.
type slowCall struct {
	name   string // of its block in the document
	policy func(*oktaretry.Policy)
	steps  func() []script.Step // the last one repeats
	before int                  // other calls of the program that were sent just before
}

var slowCalls = []slowCall{
	{
		name: "rate-limit",
		steps: func() []script.Step {
			return []script.Step{
				script.Limited(append(script.Window(600, 0, 40*time.Second), script.Date(0))...).Takes(120 * time.Millisecond),
				script.OK().Takes(90 * time.Millisecond),
			}
		},
	}, {
		name:   "backoff",
		policy: func(p *oktaretry.Policy) { p.ServerError.Jitter = 0 },
		steps: func() []script.Step {
			return []script.Step{
				script.Bare(503).Takes(12500 * time.Millisecond), script.Bare(503).Takes(12500 * time.Millisecond),
				script.Bare(503).Takes(12500 * time.Millisecond), script.OK().Takes(90 * time.Millisecond),
			}
		},
	}, {
		name:   "line",
		policy: func(p *oktaretry.Policy) { p.Pace.MaxRate, p.Pace.Burst = 0.0976, 1 },
		steps:  func() []script.Step { return []script.Step{script.OK().Takes(90 * time.Millisecond)} },
		before: 4,
	}, {
		name:   "concurrency",
		policy: func(p *oktaretry.Policy) { p.Pace.MaxInFlight = 1 },
		steps: func() []script.Step {
			return []script.Step{script.OK().Takes(41 * time.Second), script.OK().Takes(90 * time.Millisecond)}
		},
		before: 1,
	}, {
		name:   "hang",
		policy: func(p *oktaretry.Policy) { p.AttemptTimeout = 40 * time.Second },
		steps:  func() []script.Step { return []script.Step{{Hang: true}, script.OK().Takes(90 * time.Millisecond)} },
	},
}

// live returns the log line of the call's end, and its timeline.
func (c *slowCall) live(t *testing.T) (block string) {
	var log bytes.Buffer
	lines := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	base := script.Repeat(t, c.steps()...)
	rt := rig.Over(t, base, c.policy, oktaretry.WithLogger(lines))
	for range c.before {
		rig.Start(t, rt, rig.UserURL)
		synctest.Wait()
	}
	outcome := rig.Get(t, rt, rig.UserURL).Is(http.StatusOK).Outcome
	if outcome.Elapsed < 38*time.Second || outcome.Elapsed > 44*time.Second {
		t.Errorf("%s took %s, want about 41 s", c.name, outcome.Elapsed)
	}
	done := regexp.MustCompile(`(?m)^.*call done.*$`).FindAllString(log.String(), -1)
	if len(done) == 0 {
		t.Fatalf("%s logged no end:\n%s", c.name, log.String())
	}
	var timeline strings.Builder
	if err := outcome.WriteTimeline(&timeline); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("```text\n%s\n\n%s```\n", done[len(done)-1], timeline.String())
}

func TestWhySlowQuotesWhatHappens(t *testing.T) {
	b, err := os.ReadFile(whySlow)
	if err != nil {
		t.Fatal(err)
	}
	document := string(b)
	for i := range slowCalls {
		c := &slowCalls[i]
		var block string
		synctest.Test(t, func(t *testing.T) { block = c.live(t) })
		quoted := regexp.MustCompile("(?s)(<!-- measured: " + c.name + " -->\n)(```text\n.*?```\n)").FindStringSubmatch(document)
		if quoted == nil {
			t.Errorf("the document has no block %q", c.name)
			continue
		}
		if *update {
			document = strings.Replace(document, quoted[0], quoted[1]+block, 1)
		} else if what := differs(quoted[2], block); what != "" {
			t.Errorf("%s: %s; run with -update. It was\n%s", c.name, what, block)
		}
	}
	if *update {
		if err := os.WriteFile(whySlow, []byte(document), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var number = regexp.MustCompile(`\d+(\.\d+)?`)

// differs reports how two texts differ: their words must be the same, and their numbers
// alike, for waits are spread at random.
func differs(a, b string) string {
	a, b = inSeconds(a), inSeconds(b)
	words := func(s string) string { return strings.Join(strings.Fields(number.ReplaceAllString(s, "#")), " ") }
	if words(a) != words(b) {
		return "the words differ"
	}
	as, bs := number.FindAllString(a, -1), number.FindAllString(b, -1)
	for i := range as {
		x, _ := strconv.ParseFloat(as[i], 64)
		y, _ := strconv.ParseFloat(bs[i], 64)
		if math.Abs(x-y) > 2 {
			return as[i] + " is " + bs[i]
		}
	}
	return ""
}

// inSeconds writes milliseconds as seconds.
func inSeconds(s string) string {
	return regexp.MustCompile(`\d+ms`).ReplaceAllStringFunc(s, func(ms string) string {
		n, _ := strconv.Atoi(strings.TrimSuffix(ms, "ms"))
		return strconv.FormatFloat(float64(n)/1000, 'f', 3, 64) + "s"
	})
}
