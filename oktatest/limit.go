// This file holds Limit: a limit finer than a bucket, or beside it.

package oktatest

import (
	"fmt"
	"slices"
	"time"
)

// Limit is a limit beside the buckets: on the calls of one user, client,
// session or token, or on the calls in flight at one endpoint. What it refuses
// is answered 429 E0000047, as by a bucket, and takes no place anywhere.
//
// All limits that match a request apply to it, and then its bucket does; the
// first that is used up refuses it, those of WithConcurrencyLimit and then of
// WithLimits in their order. Request.RefusedBy names it.
//
// Okta's own limits are values of this type: LimitPerUserName and the others
// that OktaLimits lists. A copy can be changed.
type Limit struct {
	// Name is what SetLimit, Used and Request.RefusedBy call the limit. It must
	// differ from the buckets' names.
	Name string

	// Patterns are the requests meant, in the language of Script.
	Patterns []string

	// Key counts requests apart: those of one key share places, those with the
	// key "" are not limited. The request has its Body. Key is called by many
	// goroutines at a time. Nil: all requests share the places.
	Key func(Request) string

	// Max is the number of requests let through in each window. 0: any number.
	Max int

	// Window is the length of a window; each key's opens with its first request
	// after the last is over. 0: the buckets' (see WithWindowLength and
	// WithWindow).
	Window time.Duration

	// Burst, from 2 on, lets that many times Max through while the limit's own
	// Remaining is 0.
	Burst int

	// InFlight is the number of requests answered at a time. What is beyond is
	// refused as ConcurrencyLimited answers, with Limit 0, Remaining 0 and a
	// Reset two minutes ahead. 0: any number.
	InFlight int

	// Headers selects what the rate-limit headers report. Default: as
	// WithLimitHeaders has it.
	Headers Headers
}

// Headers selects whose Limit, Remaining and Reset an answer carries where a
// Limit and the org's bucket both count the request.
type Headers int

const (
	// HeadersDefault takes what WithLimitHeaders selects, HeadersOfRefusal
	// without it.
	HeadersDefault Headers = iota

	// HeadersOfRefusal reports the limit in what it refuses (Limit 4, Remaining
	// 0, Reset at the end of the user's second), and the bucket in all else.
	HeadersOfRefusal

	// HeadersOfBucket reports the bucket in every answer: a refusal may then
	// have Remaining > 0.
	HeadersOfBucket

	// HeadersOfLimit reports the limit in every answer to a request that it
	// counts. Okta documents this for client-based limits:
	// https://developer.okta.com/docs/reference/rl2-client-based/
	HeadersOfLimit
)

// WithLimits adds limits beside the buckets. A limit replaces an earlier one of
// the same name, and one of an org's (SmallOrg, Enterprise).
func WithLimits(limits ...Limit) Option {
	for _, l := range limits {
		if err := l.check(); err != nil {
			panic("oktatest: WithLimits: " + err.Error())
		}
	}
	limits = slices.Clone(limits)
	return func(c *config) { c.limits = append(c.limits, limits...) }
}

// WithLimitHeaders selects what the answers of limits report that select
// nothing themselves. For its limits per user Okta has published neither form,
// so a client must cope with both. Default: HeadersOfRefusal.
func WithLimitHeaders(h Headers) Option {
	require(h >= HeadersOfRefusal && h <= HeadersOfLimit, "WithLimitHeaders(%d): no such selection", h)
	return func(c *config) { c.limitHeaders = h }
}

func (l Limit) check() error {
	switch {
	case l.Name == "":
		return fmt.Errorf("a limit needs a name")
	case len(l.Patterns) == 0:
		return fmt.Errorf("limit %q has no patterns", l.Name)
	case l.Max < 0 || l.Window < 0 || l.Burst < 0 || l.InFlight < 0:
		return fmt.Errorf("limit %q: Max, Window, Burst and InFlight must not be negative", l.Name)
	case l.Max == 0 && l.InFlight == 0:
		return fmt.Errorf("limit %q needs a Max or an InFlight", l.Name)
	case l.Headers < HeadersDefault || l.Headers > HeadersOfLimit:
		return fmt.Errorf("limit %q: no such Headers: %d", l.Name, l.Headers)
	}
	for _, s := range l.Patterns {
		if _, err := parsePattern(s); err != nil {
			return fmt.Errorf("limit %q: %w", l.Name, err)
		}
	}
	return nil
}

// scopedCounter counts the requests that match its patterns.
type scopedCounter struct {
	counter
	patterns []pattern
	windowed bool // SetLimit changes max; else inFlight
}

// match reports whether a request of that method and those segments is meant.
func (s *scopedCounter) match(method string, segs []string) bool {
	return slices.ContainsFunc(s.patterns, func(p pattern) bool { return p.Match(method, segs) })
}

// counter makes what counts for the limit.
func (l Limit) counter(windows layout, headers Headers) *scopedCounter {
	s := &scopedCounter{windowed: l.Max > 0, counter: counter{
		name: l.Name, key: l.Key, headers: l.Headers,
		max: l.Max, burst: l.Burst, windows: windows, inFlight: l.InFlight,
	}}
	if !s.windowed {
		s.max = -1
	}
	if l.Window > 0 {
		s.windows = layout{length: l.Window}
	}
	if l.InFlight > 0 {
		s.flying = map[string]int{}
	}
	if l.Headers == HeadersDefault {
		s.headers = headers
	}
	for _, p := range l.Patterns {
		s.patterns = append(s.patterns, mustPattern(p))
	}
	return s
}
