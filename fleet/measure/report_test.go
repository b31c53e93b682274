package measure

// This file writes results down.

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

func (r result) String() string {
	return fmt.Sprintf("%d calls in %.1f s (optimum %.1f s), %d failed, 429s: %d in the first window, %d later (%d of %d answers while the store was lost), "+
		"%.3f commands a call, slowest unpaced call %s, store lost %d times and back %d, after the kill %v %s",
		r.calls, r.took.Seconds(), r.optimum.Seconds(), r.failed, r.refused, r.refusedLater, r.during, r.answersDuring,
		r.commands, r.slowest.Round(time.Millisecond), r.lost, r.back, r.afterKill, r.firstError)
}

// document is RESULTS.md.
func document(z size, results []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# A fleet, measured

%d processes with %d workers each make %d calls together, to one bucket of %d calls per %s: real processes and sockets, a real redis-server,
an oktatest server with 50 ms latency, %s on %s/%s with %d cores. The optimum is a client who knows everything beforehand: the first
window from the start on, then all places of each window at its beginning.

Made by `+"`go test ./fleet/measure -v -full -timeout 40m -update`"+`; without -update the same command holds the library to its targets, and fails
where one is missed.

`, z.processes, z.workers, z.calls, z.limit, z.window, runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	b.WriteString(table(results))
	for _, r := range results {
		switch {
		case r.trouble:
			fmt.Fprintf(&b, "\nWhile redis-server was killed for a fifth of the time, restarted empty, and later paused (SIGSTOP) for 15 %% of it, and in the three\n"+
				"seconds after each: %d of %d answers were 429s (%.1f %%). %d log lines said that the store is lost, %d that it is back.\n",
				r.during, r.answersDuring, 100*float64(r.during)/float64(max(r.answersDuring, 1)), r.lost, r.back)
		case len(r.afterKill) > 0:
			fmt.Fprintf(&b, "\nAfter %d of %d processes were killed (SIGKILL), the others used these many places of the whole windows that followed: %s.\n",
				z.processes*3/8, z.processes, strings.Trim(fmt.Sprint(r.afterKill), "[]"))
		case r.skew:
			fmt.Fprintf(&b, "\nClocks: the workers' time.Now is off by -10, 0 and +10 minutes, built in by an overlay of package time; at the end they were\n%s apart.\n",
				r.clocks.Round(time.Second))
		}
	}
	return b.String()
}

// late returns how many 429s a run with a store in trouble met once the store was
// back for longer than its processes are given to find out: there should be none.
func (r result) late() int {
	if !r.trouble {
		return 0
	}
	return r.refusedLater - r.during
}

// table is the results side by side.
func table(results []result) string {
	var b strings.Builder
	b.WriteString(`| | over the optimum | 429s in the first window | 429s later | calls failed | Redis commands a call | slowest call that had a place |
|---|--:|--:|--:|--:|--:|--:|
`)
	for _, r := range results {
		over := fmt.Sprintf("%.1f %%", 100*(float64(r.took)/float64(r.optimum)-1))
		if len(r.afterKill) > 0 {
			over = "n/a"
		}
		commands := "n/a"
		if r.store && !r.trouble { // a restart loses the count
			commands = fmt.Sprintf("%.3f", r.commands)
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %s | %d ms |\n", r.name, over, r.refused, r.refusedLater, r.failed, commands, r.slowest.Milliseconds())
	}
	return b.String()
}
