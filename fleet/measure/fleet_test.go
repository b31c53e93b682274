package measure

// This file holds the scenarios and their targets.

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	brief  = flag.Bool("brief", false, "measure 1,000 calls by 4 processes in windows of 200 per 4 s: some two minutes")
	full   = flag.Bool("full", false, "measure 12,000 calls by 8 processes in windows of 600 per 10 s: some 25 minutes")
	update = flag.Bool("update", false, "write RESULTS.md, and the table into docs/fleet.md")
	only   = flag.String("only", "", "measure only the scenarios whose name contains this")
)

var (
	large = size{processes: 8, workers: 25, calls: 12_000, limit: 600, window: 10 * time.Second}
	small = size{processes: 4, workers: 10, calls: 1000, limit: 200, window: 4 * time.Second}
)

var scenarios = []scenario{
	{name: "no store"},
	{name: "a fixed part for each process", shares: true},
	{name: "shared store", store: true},
	{name: "shared store, clocks 10 minutes apart", store: true, skew: true},
	{name: "shared store, processes killed", store: true, during: killProcesses},
	{name: "shared store, which is killed, restarted empty and paused", store: true, trouble: true, during: hurtRedis},
}

// killProcesses kills three of eight processes, or as large a part of fewer.
func killProcesses(r *run, t *testing.T) {
	if !r.at(0.4) {
		return
	}
	r.killed = time.Now()
	for i := range r.processes * 3 / 8 {
		r.dead[i] = true
		r.workers[i].Process.Kill()
	}
}

// hurtRedis kills redis-server, restarts it and pauses it for a while.
func hurtRedis(r *run, t *testing.T) {
	if !r.at(0.2) {
		return
	}
	from := time.Now()
	r.redis.Kill()
	r.at(0.4)
	if err := r.redis.Restart(); err != nil {
		t.Error(err)
	}
	r.outages = append(r.outages, outage{from, time.Now()})
	if !r.at(0.6) {
		return
	}
	from = time.Now()
	r.redis.Pause()
	r.at(0.75)
	r.redis.Resume()
	r.outages = append(r.outages, outage{from, time.Now()})
}

func TestFleet(t *testing.T) {
	switch {
	case raceEnabled:
		t.Skip("means nothing with the race detector's own load")
	case !*brief && !*full && !*update && *only == "":
		t.Skip("measures real processes in real time: run it with -brief or -full, on a machine that does little else")
	}
	z := small
	if *full {
		z = large
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var results []result
	for _, s := range scenarios {
		if !strings.Contains(s.name, *only) || s.skew && !*full && *only == "" {
			continue // the brief measurement is for CI, and building the workers takes a minute
		}
		t.Run(s.name, func(t *testing.T) {
			worker := self
			if s.skew {
				worker = skewable(t)
			}
			r := measure(t, z, s, worker)
			results = append(results, r)
			t.Log(r)
			r.check(t, z)
		})
	}
	if *update && *only == "" && !t.Failed() { // what misses its target is mended, not published
		doc, err := os.ReadFile("../../docs/fleet.md")
		if err != nil {
			t.Fatal(err)
		}
		head, rest, _ := strings.Cut(string(doc), "<!-- fleet -->\n")
		_, tail, found := strings.Cut(rest, "<!-- /fleet -->")
		if !found {
			t.Fatal("docs/fleet.md has no <!-- fleet --> and <!-- /fleet -->")
		}
		for path, text := range map[string]string{
			"RESULTS.md":          document(z, results),
			"../../docs/fleet.md": head + "<!-- fleet -->\n" + table(results) + "<!-- /fleet -->" + tail,
		} {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// check holds a result to its targets. In the brief measurement a single call is
// much, and the machine may be busy with other tests.
func (r *result) check(t *testing.T, z size) {
	if r.failed > 0 {
		t.Errorf("%d calls failed, the first with %s", r.failed, r.firstError)
	}
	if !r.store {
		return
	}
	spare, over := 0, 1.02
	if !*full {
		spare, over = 6, 1.35
	}
	switch {
	case r.trouble:
		if most := max(r.answersDuring/50, spare); r.during > most {
			t.Errorf("%d 429s of %d answers while the store was lost, want %d at most", r.during, r.answersDuring, most)
		}
		if r.late() > spare {
			t.Errorf("%d 429s while the store was there", r.late())
		}
		if r.lost == 0 || r.back != r.lost {
			t.Errorf("%d log lines say that the store is lost and %d that it is back", r.lost, r.back)
		}
		return
	case r.refusedLater > spare:
		t.Errorf("%d 429s after the first window", r.refusedLater)
	}
	if r.commands > 0.2 && *full || r.commands > 0.6 {
		t.Errorf("%.2f commands to Redis for each call", r.commands)
	}
	if len(r.afterKill) > 0 {
		for i, n := range r.afterKill {
			if n < z.limit-spare {
				t.Errorf("%d of %d places used in window %d after processes were killed", n, z.limit, i+1)
			}
		}
		return
	}
	if float64(r.took) > over*float64(r.optimum) {
		t.Errorf("it took %s, want %s at best", r.took, r.optimum)
	}
	if r.skew && r.clocks < 19*time.Minute {
		t.Errorf("the clocks were %s apart", r.clocks)
	}
}
