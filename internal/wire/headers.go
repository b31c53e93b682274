// Package wire reads what Okta says on the wire: its rate-limit headers, its
// error bodies and its authentication challenges.
//
// Everything here is a pure function of its arguments, takes time linear in a
// bounded input, never panics on any input, and allocates nothing unless a
// comment says otherwise. Nothing here judges: whether a reset in the year 3000
// is plausible, or a code known, is for the caller to decide.
//
// This file holds the header fields that say how long to wait.
package wire

import (
	"math"
	"net/http"
	"strings"
	"time"
)

const (
	// No field read here is sent more than a few times in one answer, nor is it
	// longer than a few dates. What lies beyond is noise or hostile and not read:
	// further values are ignored, and so is the whole of a longer value, because
	// part of one could say something else.
	maxHeaderValues = 16
	maxHeaderLen    = 256

	// maxReset is the latest X-Rate-Limit-Reset that is reported, in the year 36812.
	// Callers can add, subtract and build a time.Time below it without overflow.
	maxReset = 1 << 40
)

// Limits is what the headers of one answer say about its rate limit.
type Limits struct {
	Limit     int   // X-Rate-Limit-Limit; -1 when absent or not a plain number
	Remaining int   // X-Rate-Limit-Remaining; -1 when absent or not a plain number
	Reset     int64 // X-Rate-Limit-Reset, Unix seconds; 0 when absent or nonsense
	Date      int64 // Date, Unix seconds; 0 when absent or nonsense
}

// ParseLimits reads the rate-limit headers and the Date of one answer.
//
// A field that came several times, as several values or joined by commas, counts
// with its smallest valid value (Okta has been seen to send Reset twice, and its
// own SDKs take the smallest); of several dates the first valid one counts.
// Keys are looked up in their canonical form, as net/http stores them.
func ParseLimits(h http.Header) Limits {
	return Limits{
		Limit:     int(smallest(h["X-Rate-Limit-Limit"], 0, math.MaxInt, -1)),
		Remaining: int(smallest(h["X-Rate-Limit-Remaining"], 0, math.MaxInt, -1)),
		Reset:     smallest(h["X-Rate-Limit-Reset"], 1, maxReset, 0),
		Date:      firstDate(h["Date"]),
	}
}

// Concurrency reports whether Okta's concurrency limit spoke, which answers 0 of 0,
// rather than the bucket of the endpoint. Such numbers say nothing about a bucket.
func (l Limits) Concurrency() bool { return l.Limit == 0 && l.Remaining == 0 }

// RetryAfter reads the Retry-After field, and reports whether it holds anything
// valid: seconds (a fraction is rounded up), or an HTTP date.
//
// A date counts from date, the Unix seconds of the answer's own Date, which makes
// it independent of the local clock; with date 0 it counts from now. One in the
// past is a wait of 0. A delay that overflows is the longest Duration, not an
// invalid one. Of several valid values the longest counts: never early.
func RetryAfter(h http.Header, date int64, now time.Time) (time.Duration, bool) {
	longest := time.Duration(-1)
	for _, v := range headerValues(h["Retry-After"]) {
		if len(v) > maxHeaderLen {
			continue
		}
		for v != "" {
			member, rest, _ := strings.Cut(v, ",")
			if n, ok := delaySeconds(trimSpace(member)); ok {
				longest = max(longest, seconds(n))
			} else if t, after, ok := cutDate(v); ok {
				longest = max(longest, until(t, date, now))
				rest = after
			}
			v = rest
		}
	}
	return max(longest, 0), longest >= 0
}

// until is the time from the server's date to t, never negative; from now where
// the server's date is not known.
func until(t, date int64, now time.Time) time.Duration {
	if date <= 0 {
		return max(time.Unix(t, 0).Sub(now), 0)
	}
	if t <= date {
		return 0
	}
	return seconds(uint64(t - date))
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
	for _, v := range headerValues(values) {
		if len(v) > maxHeaderLen {
			continue
		}
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

// number reads plain decimal digits; what overflows saturates.
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

// delaySeconds reads a number with an optional fraction, rounded up to the next
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

func headerValues(values []string) []string {
	return values[:min(len(values), maxHeaderValues)]
}

// trimSpace removes the white space that HTTP allows around a value, and no other.
func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
