// This file holds the header fields that are read to strconv and net/http, and
// challenges to what is true of every one.

package wire_test

import (
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/wire"
)

var headerSeeds = []string{
	"", "0", "600", " 600\t", "600, 300", "-1", "1.5", "1.", "1e3", "x", ",,", "1668516386", "1668516386000", "32503680000",
	"9223372036854775807", "9223372036854775808", "18446744073709551616", "99999999999999999999999",
	"Tue, 15 Nov 2022 12:45:26 GMT", "Tuesday, 15-Nov-22 12:45:26 GMT", "Tue Nov 15 12:45:26 2022",
	"Tue, 15 Nov 2022 12:45:26 GMT, Wed, 16 Nov 2022 12:45:26 GMT", "5, Tue, 15 Nov 2022 12:45:26 GMT, 7",
	"Wed, 29 Feb 2023 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Sat, 15 Nov 1902 12:45:26 GMT",
	"tue, 15 nov 2022 12:45:26 GMT", "Tue, 15 Nov 2022 12:45:26.5 GMT", "Tue, 15 Nov 2022 12:45:60 GMT",
	"Tue, 15 Nov 2022 12:45:26,5 GMT", "Tue Nov 15 12:45:26,75 2022", "Tuesday, 15-Nov-22 12:45:26 PST", "Tue Nov  1  2:45:26 2022",
}

func FuzzParseLimits(f *testing.F) {
	for i, seed := range headerSeeds {
		f.Add(seed, headerSeeds[(i+1)%len(headerSeeds)])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		values := []string{a, b}
		got := wire.ParseLimits(http.Header{
			"X-Rate-Limit-Limit": values, "X-Rate-Limit-Remaining": {a}, "X-Rate-Limit-Reset": values, "Date": {a},
		})
		if want := expectedSmallest(values, 0, math.MaxInt, -1); int64(got.Limit) != want {
			t.Errorf("Limit %d, want %d", got.Limit, want)
		}
		if want := expectedSmallest(values[:1], 0, math.MaxInt, -1); int64(got.Remaining) != want {
			t.Errorf("Remaining %d, want %d", got.Remaining, want)
		}
		if want := expectedSmallest(values, 1, 1<<40, 0); got.Reset != want {
			t.Errorf("Reset %d, want %d", got.Reset, want)
		}
		checkDate(t, got.Date, a)
		got = wire.ParseLimits(http.Header{"Date": values})
		checkDate(t, got.Date, values...)
	})
}

// FuzzDates holds lists in which there is at least one date.
func FuzzDates(f *testing.F) {
	for i, seed := range headerSeeds {
		f.Add(seed, headerSeeds[(i+1)%len(headerSeeds)], int64(1668516326), uint8(i))
	}
	f.Fuzz(func(t *testing.T, before, behind string, unix int64, form uint8) {
		forms := []string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC}
		date := time.Unix(unix%(253402300800), 0).UTC().Format(forms[int(form)%len(forms)])
		for _, values := range [][]string{
			{date},
			{" " + date + "\t"},
			{before + "," + date},
			{date + "," + behind},
			{before + ", " + date + " ," + behind},
			{before, date, behind},
			{date + ", " + date, behind},
		} {
			checkDate(t, wire.ParseLimits(http.Header{"Date": values}).Date, values...)
			wait, ok := wire.RetryAfter(http.Header{"Retry-After": values}, 1668516326, time.Time{})
			checkWait(t, wait, ok, time.Unix(1668516326, 0), values...)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for i, seed := range headerSeeds {
		f.Add(seed, headerSeeds[(i+1)%len(headerSeeds)], int64(1668516326), int64(1668516326))
	}
	f.Add("5", "Tue, 15 Nov 2022 12:45:26 GMT", int64(0), int64(math.MaxInt64))
	f.Add("5", "Tue, 15 Nov 2022 12:45:26 GMT", int64(math.MaxInt64), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, a, b string, date, now int64) {
		wait := func(values ...string) (time.Duration, bool) {
			return wire.RetryAfter(http.Header{"Retry-After": values}, date, time.Unix(now, 0))
		}
		first, firstOK := wait(a)
		second, secondOK := wait(b)
		both, bothOK := wait(a, b)
		if both != max(first, second) || bothOK != (firstOK || secondOK) {
			t.Errorf("of %v, %t and %v, %t: %v, %t", first, firstOK, second, secondOK, both, bothOK)
		}
		if first < 0 || first > 0 && !firstOK {
			t.Errorf("got %v, %t", first, firstOK)
		}
		from := time.Unix(now, 0)
		if date > 0 {
			from = time.Unix(min(date, 1<<40), 0)
		}
		checkWait(t, first, firstOK, from, a)
	})
}

// members returns the members of a header's value, none of one that is too long to be
// read.
func members(value string) []string {
	if len(value) > 256 {
		return nil
	}
	members := strings.Split(value, ",")
	for i := range members {
		members[i] = strings.Trim(members[i], " \t")
	}
	return members
}

func expectedSmallest(values []string, least, most, absent int64) int64 {
	var valid []int64
	for _, value := range values {
		for _, member := range members(value) {
			n, err := strconv.ParseUint(member, 10, 63)
			if err == nil && int64(n) >= least && int64(n) <= most {
				valid = append(valid, int64(n))
			}
		}
	}
	if valid == nil {
		return absent
	}
	return slices.Min(valid)
}

// expectedDates is every run of members that http.ParseTime reads.
func expectedDates(values []string) (dates []time.Time) {
	for _, value := range values {
		if len(value) > 256 {
			continue
		}
		parts := strings.Split(value, ",")
		for i := range parts {
			for end := i + 1; end <= len(parts); end++ {
				if date, err := http.ParseTime(strings.Trim(strings.Join(parts[i:end], ","), " \t")); err == nil {
					dates = append(dates, date)
				}
			}
		}
	}
	return dates
}

// checkDate fails unless got is the first date of the values after 1970.
func checkDate(t *testing.T, got int64, values ...string) {
	t.Helper()
	var want int64
	for _, date := range expectedDates(values) {
		if date.Unix() > 0 {
			want = date.Unix()
			break
		}
	}
	if got != want {
		t.Errorf("the date of %q is %d, want %d as net/http", values, got, want)
	}
}

// checkWait fails unless got is the longest of the delays and of the times from from
// to a date that values hold, and ok reports whether they hold any.
func checkWait(t *testing.T, got time.Duration, ok bool, from time.Time, values ...string) {
	t.Helper()
	waits := []time.Duration{}
	for _, date := range expectedDates(values) {
		waits = append(waits, date.Sub(from))
	}
	for _, value := range values {
		for _, member := range members(value) {
			if delay := delays.FindStringSubmatch(member); delay != nil {
				n, _ := strconv.ParseUint(delay[1], 10, 64) // the largest of what overflows
				if strings.Trim(delay[2], "0") != "" {
					n = max(n, n+1)
				}
				waits = append(waits, time.Duration(min(n, uint64(math.MaxInt64/time.Second)))*time.Second)
				if n > uint64(math.MaxInt64/time.Second) {
					waits = append(waits, math.MaxInt64)
				}
			}
		}
	}
	want := slices.Max(append(waits, 0))
	if got != want || ok != (len(waits) > 0) {
		t.Errorf("the wait of %q is %v, %t, want %v", values, got, ok, want)
	}
}

var delays = regexp.MustCompile(`^([0-9]+)(?:\.([0-9]+))?$`)

func FuzzChallengeError(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", `Bearer error="invalid_token"`, `DPoP realm="x", Bearer error="invalid_token", error_description="a \"quoted\" thing"`,
		`Negotiate oYG2+/ab==, Bearer error=invalid_token`, `Bearer error="invalid_token`, `Bearer error="a\`, `bearer ERROR = x ;,error_description=y`,
		`Basic realm="a, DPoP error=b"`, `error=x`, "Bearer error=\"a\nb\"", `DPoP error="no code", error_description="n", Bearer error="i"`,
	} {
		f.Add(seed, `Bearer error="invalid_token", error_description="d"`)
		f.Add(`Bearer realm="x"`, seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		code, description := wire.ChallengeError([]string{a, b})
		if code == "" && description != "" {
			t.Errorf("description %q without a code", description)
		}
		if len(code) > 64 || strings.Trim(code, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") != "" {
			t.Errorf("implausible code %q", code)
		}
		if strings.Contains(a+b, `\`) {
			return
		}
		for _, part := range []string{code, description} {
			if !strings.Contains(a, part) && !strings.Contains(b, part) {
				t.Errorf("%q is in neither value", part)
			}
		}
		lower := strings.ToLower(a + "\n" + b)
		if code != "" && !strings.Contains(lower, "bearer") && !strings.Contains(lower, "dpop") {
			t.Errorf("code %q without a scheme of ours", code)
		}
	})
}
