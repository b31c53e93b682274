package outage_test

// This file takes the measure of a run. doc.go says what each figure means.

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// measure is what the tables say of a run.
type measure struct {
	hits        int
	load        float64
	calls       int           // begun in the trouble
	gets, posts float64       // the part of them that ended well
	done        float64       // of them, those that ended well, of the normal number of calls
	refused     int           // of them, those that were never sent
	refusedIn   time.Duration // the longest that one of those took
	failedIn    time.Duration // the longest that one of those that ended badly took; never: it had no end
	first       time.Duration // since the trouble's end, or never
	recovered   time.Duration // likewise
	lasting     float64       // successes from 10 s after the trouble on, of the normal
	early       float64       // successes in the 30 s after the trouble, of the normal
	peak        float64
	twice       int // POSTs
}

const never = time.Duration(math.MaxInt64)

func (r run) measure() measure {
	s := r.scenario
	from, to := s.before, s.before+s.trouble
	m := measure{first: never, recovered: never}
	for _, at := range r.hits {
		if at >= from && at < to {
			m.hits++
		}
	}
	m.load = float64(m.hits) / (s.normal() * s.trouble.Seconds())

	var doneAt []time.Duration
	gets, getsOK, posts, postsOK := 0, 0, 0, 0
	for _, c := range r.calls {
		if c.post && c.reached > 1 {
			m.twice++
		}
		if c.ok {
			doneAt = append(doneAt, c.ended)
			if c.ended >= to {
				m.first = min(m.first, c.ended-to)
			}
		}
		if c.began < from || c.began >= to {
			continue
		}
		m.calls++
		n, ok := &gets, &getsOK
		if c.post {
			n, ok = &posts, &postsOK
		}
		*n++
		if c.ok {
			*ok++
			continue
		}
		if m.failedIn = max(m.failedIn, c.ended-c.began); c.cut {
			m.failedIn = never
		}
		if len(c.hits) == 0 && !c.cut {
			m.refused++
			m.refusedIn = max(m.refusedIn, c.ended-c.began)
		}
	}
	m.gets, m.posts = share(getsOK, gets), share(postsOK, posts)
	m.done = float64(getsOK+postsOK) / (s.normal() * s.trouble.Seconds())
	slices.Sort(doneAt)
	m.lasting = float64(within(doneAt, to+10*time.Second, s.length()-time.Second)) / (s.normal() * (s.after - 11*time.Second).Seconds())
	m.early = float64(within(doneAt, to, to+30*time.Second)) / (s.normal() * 30)
	for _, at := range doneAt {
		// The first second with 95 % of the normal successes, at its end.
		if end := at + time.Second; at >= to && float64(within(doneAt, at, end)) >= math.Floor(0.95*s.normal()) {
			m.recovered = end - to
			break
		}
	}
	for _, at := range r.hits {
		if at >= from {
			m.peak = max(m.peak, float64(within(r.hits, at, at+time.Second))/s.normal())
		}
	}
	return m
}

// within counts the moments from from on and before to.
func within(moments []time.Duration, from, to time.Duration) int {
	i, _ := slices.BinarySearch(moments, from)
	j, _ := slices.BinarySearch(moments, to)
	return j - i
}

func share(part, whole int) float64 { return float64(part) / float64(max(whole, 1)) }

func (m measure) String() string {
	return fmt.Sprintf("%d requests (load %.4f, peak %.2f), %d calls (GETs %.2f %%, POSTs %.2f %%, done %.3f), failed in %s, %d refused in %s; "+
		"first %s, recovered %s, %.3f early, %.3f lasting, %d POSTs twice",
		m.hits, m.load, m.peak, m.calls, 100*m.gets, 100*m.posts, m.done, seconds(m.failedIn), m.refused, seconds(m.refusedIn),
		seconds(m.first), seconds(m.recovered), m.early, m.lasting, m.twice)
}

// misses are the targets that were missed. A POST may never be read twice,
// whatever the scenario.
func (m measure) misses(want target) (misses []string) {
	miss := func(bad bool, format string, args ...any) {
		if bad {
			misses = append(misses, fmt.Sprintf(format, args...))
		}
	}
	miss(m.twice > 0, "%d POSTs were read twice", m.twice)
	miss(want.first > 0 && m.refusedIn > time.Millisecond, "a refusal took %s", m.refusedIn)
	miss(want.load > 0 && m.load > want.load, "load %.4f, want %.4f at most", m.load, want.load)
	miss(want.peak > 0 && m.peak > want.peak, "peak %.2f, want %.2f at most", m.peak, want.peak)
	miss(want.first > 0 && m.first > want.first, "first success after %s, want %s at most", seconds(m.first), want.first)
	miss(want.recovered > 0 && m.recovered > want.recovered, "recovered after %s, want %s at most", seconds(m.recovered), want.recovered)
	miss(want.recovered > 0 && m.lasting < 0.95, "%.3f of the normal successes from 10 s on, want 0.95", m.lasting)
	miss(m.gets < want.gets, "%.4f of the GETs ended well, want %.4f at least", m.gets, want.gets)
	return misses
}

// worst has of each figure the worst of several runs.
func worst(all []measure) measure {
	w := all[0]
	for _, m := range all[1:] {
		w.hits, w.load, w.peak = max(w.hits, m.hits), max(w.load, m.load), max(w.peak, m.peak)
		w.gets, w.posts, w.done = min(w.gets, m.gets), min(w.posts, m.posts), min(w.done, m.done)
		w.refusedIn, w.failedIn = max(w.refusedIn, m.refusedIn), max(w.failedIn, m.failedIn)
		w.first, w.recovered = max(w.first, m.first), max(w.recovered, m.recovered)
		w.lasting, w.early, w.twice = min(w.lasting, m.lasting), min(w.early, m.early), max(w.twice, m.twice)
	}
	return w
}
