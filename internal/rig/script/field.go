// This file holds the header fields of answers.

package script

import (
	"net/http"
	"strconv"
	"time"
)

// A Field sets header fields of an answer that is given at now.
type Field func(h http.Header, now time.Time)

// Set sets a field; several values come as several fields.
func Set(name string, values ...string) Field {
	return func(h http.Header, _ time.Time) { h[http.CanonicalHeaderKey(name)] = values }
}

// Headers sets fields given as names and values in turn.
func Headers(pairs ...string) Field {
	return func(h http.Header, _ time.Time) {
		for i := 0; i+1 < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
	}
}

// Date is the Date of a server whose clock is ahead of the local one.
func Date(ahead time.Duration) Field {
	return func(h http.Header, now time.Time) { h.Set("Date", now.Add(ahead).UTC().Format(http.TimeFormat)) }
}

// ResetIn is X-Rate-Limit-Reset by the same server's clock, one field for each
// of ins.
func ResetIn(ahead time.Duration, ins ...time.Duration) Field {
	return func(h http.Header, now time.Time) {
		for _, in := range ins {
			h.Add("X-Rate-Limit-Reset", strconv.FormatInt(now.Add(ahead+in).Unix(), 10))
		}
	}
}

// RetryAt is a Retry-After as a date, by a server whose clock is ahead.
func RetryAt(in, ahead time.Duration) Field {
	return func(h http.Header, now time.Time) {
		h.Set("Retry-After", now.Add(in+ahead).UTC().Format(http.TimeFormat))
	}
}

// Window is a bucket's state, with the Date that it is read by.
func Window(limit, remaining int, ends time.Duration) []Field {
	return []Field{
		Date(0), Set("X-Rate-Limit-Limit", strconv.Itoa(limit)),
		Set("X-Rate-Limit-Remaining", strconv.Itoa(remaining)), ResetIn(0, ends),
	}
}
