// HTTP dates: the form that everybody sends without allocation, the two older
// ones through net/http, each also as a member of a list joined by commas.

package wire

import (
	"net/http"
	"strings"
	"time"
)

// firstDate is the first valid date after 1970 among values, in Unix seconds, or 0.
func firstDate(values []string) int64 {
	if len(values) == 1 { // as net/http's servers, and Okta, send it
		if t, ok := parseFixdate(values[0]); ok && t > 0 {
			return t
		}
	}
	for _, v := range headerValues(values) {
		if len(v) > maxHeaderLen {
			continue
		}
		for v != "" {
			t, rest, ok := cutDate(v)
			if ok && t > 0 {
				return t
			}
			if !ok {
				_, rest, _ = strings.Cut(v, ",")
			}
			v = rest
		}
	}
	return 0
}

// cutDate reads the date that s starts with, and returns what follows its comma.
// A date may hold a comma of its own, so the longer reading is tried first.
func cutDate(s string) (unix int64, rest string, ok bool) {
	first := strings.IndexByte(s, ',')
	if first < 0 {
		unix, ok = parseDate(trimSpace(s))
		return unix, "", ok
	}
	both, rest := s, ""
	if second := strings.IndexByte(s[first+1:], ','); second >= 0 {
		both, rest = s[:first+1+second], s[first+1+second+1:]
	}
	if unix, ok = parseDate(trimSpace(both)); ok {
		return unix, rest, true
	}
	unix, ok = parseDate(trimSpace(s[:first]))
	return unix, s[first+1:], ok
}

// parseDate reads an HTTP date in any of its three forms. It accepts nothing that
// http.ParseTime refuses, and gives the same instant.
func parseDate(s string) (int64, bool) {
	if unix, ok := parseFixdate(s); ok {
		return unix, true
	}
	// http.ParseTime is slow to refuse and allocates, so it sees only what could
	// be a date. It also reads zones as the local machine names them and seconds
	// with fractions: neither is an HTTP date.
	if len(s) < len("Sun Nov 6 8:49:37 1994") || len(s) > len("Wednesday, 09-Nov-94 08:49:37 GMT") {
		return 0, false
	}
	if last := s[len(s)-1] - '0'; last > 9 && !strings.HasSuffix(s, " GMT") {
		return 0, false
	}
	t, err := http.ParseTime(s)
	if err != nil || t.Nanosecond() != 0 {
		return 0, false
	}
	return t.Unix(), true
}

// parseFixdate reads the preferred form, Sun, 06 Nov 1994 08:49:37 GMT. Like
// http.ParseTime it does not ask whether that was a Sunday.
func parseFixdate(s string) (int64, bool) {
	if len(s) != len(http.TimeFormat) ||
		s[3] != ',' || s[4] != ' ' || s[7] != ' ' || s[11] != ' ' || s[16] != ' ' ||
		s[19] != ':' || s[22] != ':' || s[25:] != " GMT" {
		return 0, false
	}
	switch s[:3] {
	case "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat":
	default:
		return 0, false
	}
	day, ok1 := twoDigits(s[5:])
	century, ok2 := twoDigits(s[12:])
	year, ok3 := twoDigits(s[14:])
	hour, ok4 := twoDigits(s[17:])
	minute, ok5 := twoDigits(s[20:])
	second, ok6 := twoDigits(s[23:])
	year += 100 * century
	month, days := monthNamed(s[8:11], year)
	if !(ok1 && ok2 && ok3 && ok4 && ok5 && ok6) ||
		day < 1 || day > days || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	return 86400*daysSince1970(year, month, day) + int64(3600*hour+60*minute+second), true
}

// daysSince1970 counts the days to a date. It reckons years from March on, so
// that a leap day is the last of its year, and from 400 years before the year 0,
// so that it divides nothing below zero.
func daysSince1970(year int, month time.Month, day int) int64 {
	m := int(month) - 3
	if m < 0 {
		m += 12
		year--
	}
	year += 400
	days := 365*year + year/4 - year/100 + year/400 + (153*m+2)/5 + day - 1
	return int64(days - toYear0 - to1970)
}

const (
	toYear0 = 400*365 + 97 // the days of 400 years
	to1970  = 719468       // from March 1st of the year 0 to January 1st of 1970
)

func twoDigits(s string) (int, bool) {
	tens, ones := s[0]-'0', s[1]-'0'
	return int(tens)*10 + int(ones), tens <= 9 && ones <= 9
}

// monthNamed returns the month and its number of days, 0 if there is none of that name.
func monthNamed(name string, year int) (time.Month, int) {
	switch name {
	case "Jan":
		return time.January, 31
	case "Feb":
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return time.February, 29
		}
		return time.February, 28
	case "Mar":
		return time.March, 31
	case "Apr":
		return time.April, 30
	case "May":
		return time.May, 31
	case "Jun":
		return time.June, 30
	case "Jul":
		return time.July, 31
	case "Aug":
		return time.August, 31
	case "Sep":
		return time.September, 30
	case "Oct":
		return time.October, 31
	case "Nov":
		return time.November, 30
	case "Dec":
		return time.December, 31
	}
	return 0, 0
}
