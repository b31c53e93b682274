package outage_test

// This file holds the scenarios as data: the load, the trouble, and what this
// library has to achieve in it.

import (
	"fmt"
	"math/rand/v2"
	"time"
)

type scenario struct {
	name  string
	words string // what it is, for the tables

	workers                int
	before, trouble, after time.Duration // the server is well, is not, and is well again
	patience               time.Duration // after which a caller leaves; 0: never
	nobodyWaits            bool          // calls begin on time, whatever became of those before
	only                   string        // the one endpoint that is called; "": all of mix
	fates                  func(scenario) fates

	target target
}

// target bounds figures of a measure. Zero: no bound.
type target struct {
	load      float64       // at most
	first     time.Duration // at most
	recovered time.Duration // at most
	peak      float64       // at most
	gets      float64       // at least
}

func (s scenario) length() time.Duration { return s.before + s.trouble + s.after }

// normal is how many calls a second there are.
func (s scenario) normal() float64 { return float64(s.workers) / period.Seconds() }

const (
	before = 40 * time.Second // longer than any window in which a circuit counts
	after  = 90 * time.Second // longer than any wait that the trouble may have caused
)

// kinds are the ways in which a server can be away.
var kinds = []struct {
	fate        fate
	name, words string
}{
	{unavailable, "503", "503s from the edge"},
	{refused, "refused", "connections refused"},
	{hung, "hung", "requests that hang"},
}

var lengths = []time.Duration{60 * time.Second, 100 * time.Second, 120 * time.Second, 300 * time.Second}

// recovery is the target of all outages, whatever their kind and length.
var recovery = target{first: 6 * time.Second, recovered: 10 * time.Second, peak: 1.2}

// outages are those that have targets.
func outages() (all []scenario) {
	for _, k := range kinds {
		for _, long := range lengths {
			s := outage(fmt.Sprintf("%s-%.0f", k.name, long.Seconds()), fmt.Sprintf("%.0f s of %s", long.Seconds(), k.words), long, k.fate)
			s.target = recovery
			if long >= 120*time.Second {
				s.target.load = 0.01
			}
			all = append(all, s)
		}
	}
	for _, k := range kinds {
		s := outage(k.name+"-only", fmt.Sprintf("120 s of %s, of a program that calls one endpoint", k.words), 120*time.Second, k.fate)
		s.only, s.target = getUser, recovery
		s.target.load = 0.01
		all = append(all, s)
	}
	return all
}

func outage(name, words string, long time.Duration, f fate) scenario {
	return scenario{
		name: name, words: words, workers: 100, before: before, trouble: long, after: after,
		fates: func(s scenario) fates { return s.until(f) },
	}
}

// until is one fate for all as long as the trouble lasts.
func (s scenario) until(f fate) fates {
	return func(at time.Duration, _ string, _ *rand.Rand) fate {
		if at < s.trouble {
			return f
		}
		return served
	}
}

// brownOut has some of the requests fail, at random.
func brownOut(workers int, share float64) scenario {
	calls := fmt.Sprintf("%d calls", workers)
	if workers == 1 {
		calls = "one call"
	}
	return scenario{
		name:    fmt.Sprintf("brown-out-%.0f-%d", 100*share, workers),
		words:   fmt.Sprintf("%.0f %% of the requests answered 503 for 10 minutes, %s a second", 100*share, calls),
		workers: workers, before: before, trouble: 10 * time.Minute, after: after,
		fates: func(s scenario) fates {
			return func(at time.Duration, _ string, r *rand.Rand) fate {
				if at < s.trouble && r.Float64() < share {
					return unavailable
				}
				return served
			}
		},
	}
}

// targeted are the scenarios that have targets.
func targeted() []scenario {
	b := brownOut(100, 0.3)
	b.target = target{gets: 0.99, load: 1.5}
	return append(outages(), b)
}

// brief are those of them that go test runs each time, shorter where that shows the
// same: an outage of each kind, one endpoint's, and two minutes of a brown-out.
func brief() (some []scenario) {
	for _, s := range targeted() {
		switch s.name {
		case "503-120", "refused-120", "hung-120", "503-only":
		case brownOut(100, 0.3).name:
			s.trouble = 2 * time.Minute
		default:
			continue
		}
		s.after = 30 * time.Second
		some = append(some, s)
	}
	return some
}

// hostile are the scenarios without targets.
func hostile() []scenario {
	flap := outage("flap", "10 s up, 10 s down, for 2 minutes", 2*time.Minute, 0)
	flap.fates = func(s scenario) fates {
		return func(at time.Duration, _ string, _ *rand.Rand) fate {
			if at < s.trouble && at%(20*time.Second) < 10*time.Second {
				return unavailable
			}
			return served
		}
	}
	own := outage("own-limit", "2 minutes of requests that hang; callers leave after 10 s", 2*time.Minute, hung)
	own.patience = 10 * time.Second
	crowd := outage("crowd", "2 minutes of requests that hang; calls begin on time, whatever became of those before", 2*time.Minute, hung)
	crowd.nobodyWaits = true
	crowded := brownOut(100, 0.3)
	crowded.name, crowded.nobodyWaits = "brown-out-crowd", true
	crowded.words += "; calls begin on time, whatever became of those before"
	probes := outage("hung-probes", "2 minutes: 503s for 20 s, then requests hang", 2*time.Minute, 0)
	probes.fates = func(s scenario) fates {
		return func(at time.Duration, _ string, _ *rand.Rand) fate {
			switch {
			case at < 20*time.Second:
				return unavailable
			case at < s.trouble:
				return hung
			}
			return served
		}
	}
	slow := outage("slow-start", "2 minutes of 503s, then a server that serves 20 requests a second at first, 100 after 30 s", 2*time.Minute, 0)
	slow.fates = slowStart
	return []scenario{
		flap,
		outage("blip", "300 ms of 503s", 300*time.Millisecond, unavailable),
		one("one-503", "one of five endpoints, with 4 of 10 calls, answers 503 for 2 minutes", unavailable),
		one("one-500", "one of five endpoints, with 4 of 10 calls, answers 500 E0000009 for 2 minutes", internal),
		outage("all-500", "all five endpoints answer 500 E0000009 for 2 minutes", 2*time.Minute, internal),
		slow,
		probes,
		outage("hung-107", "107 s of requests that hang", 107*time.Second, hung),
		own,
		crowd,
		crowded,
		brownOut(100, 0.5),
		brownOut(5, 0.3),
		brownOut(1, 0.3),
	}
}

// one is the trouble of the endpoint that is called most.
func one(name, words string, f fate) scenario {
	s := outage(name, words, 2*time.Minute, f)
	s.fates = func(s scenario) fates {
		return func(at time.Duration, endpoint string, _ *rand.Rand) fate {
			if at < s.trouble && endpoint == getUser {
				return f
			}
			return served
		}
	}
	return s
}

// slowStart serves nothing, then so many calls a second as it has warmed up to.
func slowStart(s scenario) fates {
	var second time.Duration
	var n float64
	return func(at time.Duration, _ string, _ *rand.Rand) fate {
		if at < s.trouble {
			return unavailable
		}
		up := (at - s.trouble).Truncate(time.Second)
		if up != second {
			second, n = up, 0
		}
		n++
		if n > s.normal()*(0.2+0.8*up.Seconds()/30) {
			return unavailable
		}
		return served
	}
}
