// This file holds the header fields that limit rates and order waits.

// Package wire parses what Okta sends: rate-limit headers, error bodies and
// authentication challenges.
//
// Every function takes time linear in a bounded input, never panics on any input,
// and is safe for concurrent use. Its results depend on its arguments alone, and
// are checked for form alone: whether a reset in the year 3000 is plausible, or a
// code known, is for the caller to decide.
package wire

import (
	"iter"
	"math"
	"net/http"
	"strings"
	"time"
)

const (
	// No field read here comes more than a few times in one answer, or is longer than
	// a few dates. The rest is noise or hostile: values after the first 16 are ignored,
	// and so are longer values, whole, because a part can have another meaning.
	maxHeaderValues = 16
	maxHeaderLen    = 256

	// maxReset is the latest X-Rate-Limit-Reset that is valid, in the year 36812. Up to
	// it callers can add, subtract and build a time.Time without overflow.
	maxReset = 1 << 40
)

// Limits holds the rate-limit headers of one answer.
type Limits struct {
	Limit     int   // X-Rate-Limit-Limit; -1 when absent or not a plain number
	Remaining int   // X-Rate-Limit-Remaining; -1 when absent or not a plain number
	Reset     int64 // X-Rate-Limit-Reset, Unix seconds; 0 when absent or nonsense
	Date      int64 // Date, Unix seconds; 0 when absent or nonsense
}

// ParseLimits parses the rate-limit headers and the Date of one answer. Where each
// came once it allocates nothing, except for a Date that is not the one parsed last.
//
// Of a field that came several times, as several values or joined by commas, the
// smallest valid value counts (Okta has been seen to send Reset twice, and its own
// SDKs take the smallest), and of several dates the first valid one. The keys of h
// must be canonical, as net/http stores them.
func ParseLimits(h http.Header) Limits {
	return Limits{
		Limit:     int(smallest(h["X-Rate-Limit-Limit"], 0, math.MaxInt, -1)),
		Remaining: int(smallest(h["X-Rate-Limit-Remaining"], 0, math.MaxInt, -1)),
		Reset:     smallest(h["X-Rate-Limit-Reset"], 1, maxReset, 0),
		Date:      firstDate(h["Date"]),
	}
}

// Concurrency reports whether the limits are those of Okta's concurrency limit, which
// are 0 of 0, and not those of the endpoint's bucket.
func (l Limits) Concurrency() bool { return l.Limit == 0 && l.Remaining == 0 }

// RetryAfter parses the Retry-After field, and reports whether it holds anything
// valid: seconds (a fraction is rounded up), or an HTTP date.
//
// A date counts from date, the Unix seconds of the answer's own Date, and so does
// not depend on the local clock; with a date of 0 it counts from now. A date in the
// past is a wait of 0, a delay that overflows the longest Duration. Of several valid
// values the longest counts, so that no wait ends early.
func RetryAfter(h http.Header, date int64, now time.Time) (time.Duration, bool) {
	if date > 0 {
		now = time.Unix(min(date, maxReset), 0)
	}
	longest := time.Duration(-1)
	for v := range readable(h["Retry-After"]) {
		for v != "" {
			member, rest, _ := strings.Cut(v, ",")
			if n, ok := delaySeconds(trimSpace(member)); ok {
				longest = max(longest, seconds(n))
			} else if t, after, ok := cutDate(v); ok {
				longest = max(longest, t.Sub(now), 0)
				rest = after
			}
			v = rest
		}
	}
	return max(longest, 0), longest >= 0
}

// seconds saturates at the longest Duration.
func seconds(n uint64) time.Duration {
	if n > uint64(math.MaxInt64/time.Second) {
		return math.MaxInt64
	}
	return time.Duration(n) * time.Second
}

// smallest is the smallest number from least to most among the comma-separated
// members of values, or absent.
func smallest(values []string, least, most uint64, absent int64) int64 {
	if len(values) == 1 && len(values[0]) < 19 { // as Okta sends it
		if n, ok := number(values[0]); ok && n >= least && n <= most {
			return int64(n)
		}
	}
	best, found := most, false
	for v := range readable(values) {
		for more := true; more; {
			var member string
			member, v, more = strings.Cut(v, ",")
			if n, ok := number(trimSpace(member)); ok && n >= least && n <= best {
				best, found = n, true
			}
		}
	}
	if !found {
		return absent
	}
	return int64(best)
}

// number parses decimal digits alone, and saturates. strconv.ParseUint does the same,
// but allocates for what is no number and takes twice as long, three times an answer.
func number(s string) (uint64, bool) {
	var n uint64
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		if n > (math.MaxUint64-9)/10 {
			n = math.MaxUint64
			continue
		}
		n = n*10 + uint64(c)
	}
	return n, s != ""
}

// delaySeconds parses a number with an optional fraction, rounded up to the next
// whole one. The standard knows no fraction, but gateways send them.
func delaySeconds(s string) (uint64, bool) {
	whole, fraction, dotted := strings.Cut(s, ".")
	n, ok := number(whole)
	if !dotted || !ok {
		return n, ok
	}
	f, ok := number(fraction)
	if f > 0 && n < math.MaxUint64 {
		n++
	}
	return n, ok
}

// readable yields the values that are within the bounds.
func readable(values []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, v := range values[:min(len(values), maxHeaderValues)] {
			if len(v) <= maxHeaderLen && !yield(v) {
				return
			}
		}
	}
}

// trimSpace removes the white space that HTTP allows around a value.
func trimSpace(s string) string { return strings.Trim(s, " \t") }
