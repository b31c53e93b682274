package pace_test

// This file holds the scenarios as data: what is asked of each library, the
// least time that it can take, and the targets of this one.

import (
	"math"
	"time"
)

// scenario is a job, and the org that it runs against.
type scenario struct {
	name  string
	words string // what it is, for the tables

	// The job: processes that know nothing of each other, each with a
	// credential of its own.
	processes, workers, calls int // workers of each process, calls of all together

	// The org. Calls take latency, half of it on their way there.
	limit       int           // calls a window, for all; 0: none
	window      time.Duration // its length
	concurrency int           // calls in flight, for all; 0: no limit
	skew        time.Duration // Okta's clock is ahead
	reordered   bool          // calls take 10 to 190 ms, at random
	opens       bool          // windows open with their first call, as Okta's do, else on a grid
	dropTo      int           // the limit from some moment of the second window on; 0: it stays
	dropAt      time.Duration // that moment, after the window's beginning
	others      int           // calls a window by another app, on average, at random times
	utilization float64       // MaxUtilization; 0: all

	target target
}

// target is what this library has to achieve, by the median of each offset's
// runs. In no run may a call fail.
type target struct {
	over     time.Duration // the optimum
	refused  float64       // 429s, of calls
	refusals int           // 429s in all; 0: as many as refused says
	known    int           // 429s to calls that were sent when an answer had told the limit; -1: any number
	settled  float64       // 429s of the calls sent after settling; 0: refused counts
	best     float64       // share of the best throughput; 0: over counts
	others   float64       // calls of the other app that are refused, of its calls
}

const (
	latency  = 50 * time.Millisecond
	settling = 3 * time.Second
)

var full = scenario{processes: 1, workers: 50, calls: 3000, limit: 600, window: time.Minute}

var scenarios = []scenario{
	full.with("one", "one process, 50 workers", func(s *scenario) {
		s.target = target{over: 500 * time.Millisecond, refused: 1, refusals: 1, known: 0}
	}),
	full.with("four", "4 processes × 25 workers", func(s *scenario) {
		s.processes, s.workers = 4, 25
		s.target = target{over: 3 * time.Second, refused: 0.01, known: -1}
	}),
	full.with("one-opens", "one process, 50 workers, windows that open with their first call", func(s *scenario) {
		s.opens = true
		s.target = target{over: 2400 * time.Millisecond, refused: 1, refusals: 4, known: -1}
	}),
	full.with("four-opens", "4 processes × 25 workers, windows that open with their first call", func(s *scenario) {
		s.processes, s.workers, s.opens = 4, 25, true
		s.target = target{over: 4 * time.Second, refused: 1, refusals: 40, known: -1}
	}),
	full.with("shared", "one process, 50 workers, another app's 150 calls a window, 30 % left free", func(s *scenario) {
		s.others, s.utilization = 150, 0.7
		s.target = target{over: 2 * time.Second, refused: 0.005, known: -1, others: 0.01}
	}),
	full.with("tight", "200 workers, 1,000 calls, limit 50", func(s *scenario) {
		s.workers, s.calls, s.limit = 200, 1000, 50
		s.target = target{over: time.Second, refused: 0.01, known: -1}
	}),
	full.with("concurrency", "75 in flight allowed, 200 workers, 30,000 calls, no rate limit", func(s *scenario) {
		s.workers, s.calls, s.limit, s.window, s.concurrency = 200, 30_000, 0, 0, 75
		s.target = target{best: 0.9, refused: math.Inf(1), settled: 0.02, known: -1}
	}),
	full.with("drop", "the limit drops from 600 to 300 between two bursts", func(s *scenario) {
		s.dropTo, s.dropAt = 300, 30*time.Second
		s.target = target{over: time.Minute, refused: 0.02, known: -1}
	}),
	full.with("drop-burst", "the limit drops from 600 to 300 within a burst", func(s *scenario) {
		s.dropTo, s.dropAt = 300, 250*time.Millisecond
		s.target = target{over: time.Minute, refused: 0.02, known: -1}
	}),
	full.with("ahead", "Okta's clock is 10 minutes ahead", func(s *scenario) {
		s.skew = 10 * time.Minute
		s.target = target{over: time.Minute, refused: 0.02, known: -1}
	}),
	full.with("behind", "Okta's clock is 10 minutes behind", func(s *scenario) {
		s.skew = -10 * time.Minute
		s.target = target{over: time.Minute, refused: 0.02, known: -1}
	}),
	full.with("short", "windows of 10 s", func(s *scenario) {
		s.window = 10 * time.Second
		s.target = target{over: 10 * time.Second, refused: 0.02, known: -1}
	}),
	full.with("reordered", "answers overtake each other", func(s *scenario) {
		s.reordered = true
		s.target = target{over: time.Minute, refused: 0.02, known: -1}
	}),
}

func (s scenario) with(name, words string, change func(*scenario)) scenario {
	s.name, s.words = name, words
	change(&s)
	return s
}

// setting is what differs between the runs of a scenario.
type setting struct {
	offset time.Duration // how far past the full minute of Okta's clock the windows begin
	seed   uint64        // of what is random: the job's start within a second, the other app, latencies
}

// offsets are whole seconds, and one that is not. The header rounds the end of
// such a window up, so whoever believes the header loses up to a second of each
// window: here half of one.
var offsets = []time.Duration{0, 20 * time.Second, 53 * time.Second, 37500 * time.Millisecond}

// resets tells when windows begin as the header has it, in whole seconds: the
// last one until t, and the first one after it.
func (s scenario) resets(offset time.Duration, t time.Time) (last, next time.Time) {
	if s.limit == 0 {
		return time.Time{}, t.Add(math.MaxInt64)
	}
	ahead := s.skew - offset.Truncate(time.Second)
	if offset%time.Second != 0 {
		ahead -= time.Second // rounded up
	}
	since := time.Duration(t.Add(ahead).UnixNano()) % s.window
	last = t.Add(-since)
	return last, last.Add(s.window)
}

// dropsAt is when the limit drops in a job that starts at start: zero if never.
func (s scenario) dropsAt(offset time.Duration, start time.Time) time.Time {
	if s.dropTo == 0 {
		return time.Time{}
	}
	_, second := s.resets(offset, start)
	return second.Add(s.dropAt)
}

// optimum is the least time that the job can take. It is that of a client who
// knows everything beforehand: all workers of all processes are busy as long as
// the window (or the limit of calls in flight) has places, the first call of
// each window leaves at the very moment of the reset that the header names, and
// no call is refused. Three things are taken as given: no call is sent before a
// reset (it could arrive after it), of a limit with MaxUtilization only that
// share is a place, and calls of random latency take its mean.
//
// As all calls take the same time, workers move in step: the job is a sequence
// of waves, each as wide as there are workers, calls left, and places.
func (s scenario) optimum(offset time.Duration, start time.Time) time.Duration {
	each, width, left := latency, s.processes*s.workers, s.calls
	if s.reordered {
		each = 2 * latency
	}
	if s.concurrency > 0 {
		width = min(width, s.concurrency)
	}
	drop := s.dropsAt(offset, start)
	now, used := start, 0
	next := func() time.Time {
		if s.opens {
			return now.Add(s.window)
		}
		_, reset := s.resets(offset, now)
		return reset
	}
	reset := next()
	for left > 0 {
		if !now.Before(reset) {
			reset, used = next(), 0
		}
		wave := min(width, left)
		if s.limit > 0 {
			limit := s.limit
			if !drop.IsZero() && !now.Add(each/2).Before(drop) {
				limit = s.dropTo
			}
			if s.utilization > 0 {
				limit = int(float64(limit)*s.utilization + 1e-9)
			}
			wave = min(wave, limit-used)
		}
		if wave <= 0 {
			now = reset
			continue
		}
		used, left, now = used+wave, left-wave, now.Add(each)
	}
	return now.Sub(start)
}
