// This file holds HTTP dates, alone and in lists. net/http reads each date. The
// lists are taken apart by hand, because net/http has nothing for them: commas
// join their members, and two of the three forms of a date hold a comma too.

package wire

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// lastDate is the Date parsed last. The answers of one second share theirs, and with
// http.ParseTime for each, ParseLimits would take three times as long.
var lastDate atomic.Pointer[parsedDate]

type parsedDate struct {
	text [len(http.TimeFormat)]byte // a string could keep a whole header alive
	unix int64
}

// firstDate returns the first valid date after 1970 among values, in Unix seconds,
// or 0.
func firstDate(values []string) int64 {
	if len(values) == 1 && len(values[0]) == len(http.TimeFormat) { // as servers send it
		v := values[0]
		last := lastDate.Load()
		if last != nil && string(last.text[:]) == v {
			return last.unix
		}
		if t, err := http.ParseTime(v); err == nil && t.Unix() > 0 {
			last = &parsedDate{unix: t.Unix()}
			copy(last.text[:], v)
			lastDate.Store(last)
			return last.unix
		}
	}
	for v := range readable(values) {
		for v != "" {
			t, rest, ok := cutDate(v)
			if ok && t.Unix() > 0 {
				return t.Unix()
			}
			v = rest
		}
	}
	return 0
}

// shortestDate is as short as an HTTP date gets.
const shortestDate = len("Sun Nov 6 8:49:37 1994")

// cutDate parses the date that list begins with and returns the members behind it,
// or those behind the first member if that begins no date.
//
// No date is the beginning of another one, so the first reading that is valid is the
// only one. http.ParseTime takes fractions of a second, also behind a comma: with
// that a date holds two.
func cutDate(list string) (t time.Time, rest string, ok bool) {
	rest = list
	for commas := 0; commas <= 2 && rest != ""; commas++ {
		_, rest, _ = strings.Cut(rest, ",")
		if t, ok = parseDate(strings.TrimSuffix(list[:len(list)-len(rest)], ",")); ok {
			return t, rest, true
		}
	}
	_, rest, _ = strings.Cut(list, ",")
	return time.Time{}, rest, false
}

// parseDate parses what http.ParseTime does, with white space around it.
func parseDate(s string) (time.Time, bool) {
	s = trimSpace(s)
	if len(s) < shortestDate { // http.ParseTime takes 800 ns to refuse, and allocates
		return time.Time{}, false
	}
	t, err := http.ParseTime(s)
	return t, err == nil
}
