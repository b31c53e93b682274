package wire_test

import (
	"math"
	"net/http"
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
		if want := slowSmallest(values, 0, math.MaxInt, -1); int64(got.Limit) != want {
			t.Errorf("Limit %d, want %d", got.Limit, want)
		}
		if want := slowSmallest(values[:1], 0, math.MaxInt, -1); int64(got.Remaining) != want {
			t.Errorf("Remaining %d, want %d", got.Remaining, want)
		}
		if want := slowSmallest(values, 1, 1<<40, 0); got.Reset != want {
			t.Errorf("Reset %d, want %d", got.Reset, want)
		}
		if want, ok := slowDate(a); ok && want > 0 && got.Date != want {
			t.Errorf("Date %d, want %d", got.Date, want)
		}
		if got.Date < 0 || got.Date > 0 && !slices.Contains(slowDates(a), got.Date) {
			t.Errorf("Date %d, in none of the members", got.Date)
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
		for _, member := range slowMembers(a) {
			if n, err := strconv.ParseUint(member, 10, 33); err == nil && first < time.Duration(n)*time.Second {
				t.Errorf("%v is earlier than %d s", first, n)
			}
		}
		if at, ok := slowDate(a); ok && date > 0 && at-date <= math.MaxInt32 {
			if want := time.Duration(max(at-date, 0)) * time.Second; !firstOK || first != want {
				t.Errorf("got %v, %t, want %v", first, firstOK, want)
			}
		}
	})
}

// slowMembers is what a header's value is made of, if it is short enough to be read.
func slowMembers(value string) []string {
	if len(value) > 256 {
		return nil
	}
	members := strings.Split(value, ",")
	for i := range members {
		members[i] = strings.Trim(members[i], " \t")
	}
	return members
}

func slowSmallest(values []string, least, most, absent int64) int64 {
	var valid []int64
	for _, value := range values {
		for _, member := range slowMembers(value) {
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

// slowDate is what net/http makes of a value that is one HTTP date.
func slowDate(value string) (int64, bool) {
	value = strings.Trim(value, " \t")
	t, err := http.ParseTime(value)
	if err != nil || t.Nanosecond() != 0 || len(value) > 33 ||
		!strings.HasSuffix(value, " GMT") && !strings.ContainsAny(value[len(value)-1:], "0123456789") {
		return 0, false
	}
	return t.Unix(), true
}

// slowDates is every date that can be read out of a list.
func slowDates(value string) (dates []int64) {
	members := slowMembers(value)
	for i, member := range members {
		if t, ok := slowDate(member); ok {
			dates = append(dates, t)
		}
		if i > 0 {
			untrimmed := strings.Join(strings.Split(value, ",")[i-1:i+1], ",")
			if t, ok := slowDate(untrimmed); ok {
				dates = append(dates, t)
			}
		}
	}
	return dates
}

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
