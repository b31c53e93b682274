// This file holds what is read of the header fields that limit rates and order waits.

package wire_test

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/wire"
)

const absent = -1

// fields builds a header the way net/http does, several values under one key.
func fields(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestParseLimitsOfOktasHeaders(t *testing.T) {
	got := wire.ParseLimits(fields(
		"Date", "Tue, 15 Nov 2022 12:45:26 GMT",
		"X-Rate-Limit-Limit", "600",
		"X-Rate-Limit-Remaining", "599",
		"X-Rate-Limit-Reset", "1668516386",
	))
	want := wire.Limits{Limit: 600, Remaining: 599, Reset: 1668516386, Date: 1668516326}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestParseLimitsOfNothing(t *testing.T) {
	want := wire.Limits{Limit: absent, Remaining: absent}
	for _, h := range []http.Header{nil, {}, {"X-Rate-Limit-Limit": nil, "Date": {}}} {
		if got := wire.ParseLimits(h); got != want {
			t.Errorf("ParseLimits(%v) = %+v, want %+v", h, got, want)
		}
	}
}

func TestParseLimitsCounts(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   int
	}{
		{"plain", []string{"600"}, 600},
		{"zero", []string{"0"}, 0},
		{"leading zeros", []string{"0060"}, 60},
		{"spaces and tabs around", []string{" \t600\t "}, 600},
		{"two values, the smallest", []string{"600", "300"}, 300},
		{"joined by a comma, the smallest", []string{"600, 300"}, 300},
		{"joined and repeated", []string{"600,500", "400 , 700"}, 400},
		{"invalid ones skipped", []string{"-1", "x", "", "600", "1e2"}, 600},
		{"invalid members skipped", []string{"-1, x,,600,"}, 600},
		{"empty", []string{""}, absent},
		{"only spaces", []string{"   "}, absent},
		{"only commas", []string{",,,"}, absent},
		{"negative", []string{"-5"}, absent},
		{"signed", []string{"+5"}, absent},
		{"fraction", []string{"5.0"}, absent},
		{"hexadecimal", []string{"0x10"}, absent},
		{"underscore", []string{"1_000"}, absent},
		{"space inside", []string{"6 00"}, absent},
		{"full-width digits", []string{"６００"}, absent},
		{"other white space around", []string{"\u00a0600"}, absent},
		{"one too many for an int", []string{"9223372036854775808"}, absent},
		{"overflows 64 bits", []string{"18446744073709551616"}, absent},
		{"overflows by far", []string{strings.Repeat("9", 100)}, absent},
		{"overflowing one skipped", []string{"99999999999999999999, 7"}, 7},
		{"longer than any list of numbers", []string{strings.Repeat("0", 300) + "7"}, absent},
		{"beyond the sixteenth value", append(make([]string, 16), "7"), absent},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := wire.ParseLimits(http.Header{
				"X-Rate-Limit-Limit":     test.values,
				"X-Rate-Limit-Remaining": test.values,
			})
			if got.Limit != test.want || got.Remaining != test.want {
				t.Errorf("Limit %d, Remaining %d, want %d", got.Limit, got.Remaining, test.want)
			}
		})
	}
	largest := strconv.Itoa(math.MaxInt)
	if got := wire.ParseLimits(fields("X-Rate-Limit-Limit", largest)).Limit; got != math.MaxInt {
		t.Errorf("the largest int is read as %d", got)
	}
}

func TestParseLimitsReset(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   int64
	}{
		{"seconds", []string{"1668516386"}, 1668516386},
		{"twice, the smallest", []string{"1668516446", "1668516386"}, 1668516386},
		{"joined, the smallest", []string{"1668516446, 1668516386"}, 1668516386},
		{"the smallest valid one", []string{"0", "-1", "1668516386", "soon"}, 1668516386},
		{"year 3000 is for the caller to judge", []string{"32503680000"}, 32503680000},
		{"the latest", []string{"1099511627776"}, 1 << 40},
		{"later than that", []string{"1099511627777"}, 0},
		{"milliseconds", []string{"1668516386000"}, 0},
		{"milliseconds of 2001", []string{"1000000000000"}, 1000000000000},
		{"zero", []string{"0"}, 0},
		{"negative", []string{"-1668516386"}, 0},
		{"garbage", []string{"in a minute"}, 0},
		{"a date", []string{"Tue, 15 Nov 2022 12:45:26 GMT"}, 0},
		{"overflowing", []string{"99999999999999999999999"}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := wire.ParseLimits(http.Header{"X-Rate-Limit-Reset": test.values}).Reset
			if got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestParseLimitsDate(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   int64
	}{
		{"IMF-fixdate", []string{"Sun, 06 Nov 1994 08:49:37 GMT"}, 784111777},
		{"RFC 850", []string{"Sunday, 06-Nov-94 08:49:37 GMT"}, 784111777},
		{"asctime", []string{"Sun Nov  6 08:49:37 1994"}, 784111777},
		{"asctime as short as it gets", []string{"Sun Nov 6 8:49:37 1994"}, 784111777},
		{"spaces around", []string{"  Sun, 06 Nov 1994 08:49:37 GMT "}, 784111777},
		{"leap day", []string{"Thu, 29 Feb 2024 00:00:00 GMT"}, 1709164800},
		{"leap day of a century", []string{"Tue, 29 Feb 2000 00:00:00 GMT"}, 951782400},
		{"wrong weekday", []string{"Mon, 06 Nov 1994 08:49:37 GMT"}, 784111777},
		{"twice, the first", []string{"Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT"}, 784111777},
		{"joined, the first", []string{"Sun, 06 Nov 1994 08:49:38 GMT, Sun, 06 Nov 1994 08:49:37 GMT"}, 784111778},
		{"the first valid one", []string{"", "yesterday", "Sun, 06 Nov 1994 08:49:37 GMT"}, 784111777},
		{"the first valid member", []string{"yesterday, Sun, 06 Nov 1994 08:49:37 GMT"}, 784111777},
		{"after a date of before 1970", []string{"Sun, 06 Nov 1904 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT"}, 784111777},
		{"asctime, then another", []string{"Sun Nov  6 08:49:37 1994, Sun, 06 Nov 1994 08:49:38 GMT"}, 784111777},
		{"year 9999", []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, 253402300799},
		{"epoch", []string{"Thu, 01 Jan 1970 00:00:00 GMT"}, 0},
		{"no leap day", []string{"Wed, 29 Feb 2023 00:00:00 GMT"}, 0},
		{"no leap day in 1900s' century", []string{"Mon, 29 Feb 2100 00:00:00 GMT"}, 0},
		{"day 0", []string{"Sun, 00 Nov 1994 08:49:37 GMT"}, 0},
		{"day 31 of 30", []string{"Sun, 31 Nov 1994 08:49:37 GMT"}, 0},
		{"hour 24", []string{"Sun, 06 Nov 1994 24:00:00 GMT"}, 0},
		{"minute 60", []string{"Sun, 06 Nov 1994 08:60:00 GMT"}, 0},
		{"unknown month", []string{"Sun, 06 Nob 1994 08:49:37 GMT"}, 0},
		{"unknown day", []string{"Sum, 06 Nov 1994 08:49:37 GMT"}, 0},
		{"another zone", []string{"Sun, 06 Nov 1994 08:49:37 PST"}, 0},
		{"fraction of a second", []string{"Sun, 06 Nov 1994 08:49:37.5 GMT"}, 784111777},
		{"fraction behind a comma", []string{"Sun, 06 Nov 1994 08:49:37,5 GMT"}, 784111777},
		{"fraction behind a comma, in a list", []string{"x, Sun, 06 Nov 1994 08:49:37,5 GMT, x"}, 784111777},
		{"RFC 3339", []string{"1994-11-06T08:49:37Z"}, 0},
		{"seconds", []string{"784111777"}, 0},
		{"cut off", []string{"Sun, 06 Nov 1994 08:49:37"}, 0},
		{"empty", []string{""}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := wire.ParseLimits(http.Header{"Date": test.values}).Date
			if got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

// The last Date is remembered, by all goroutines together.
func TestParseLimitsDateInParallel(t *testing.T) {
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for n := range int64(2000) {
				unix := 784111777 + n/3%50
				h := http.Header{"Date": {time.Unix(unix, 0).UTC().Format(http.TimeFormat)}}
				if got := wire.ParseLimits(h).Date; got != unix {
					t.Fatalf("%s is read as %d, want %d", h.Get("Date"), got, unix)
				}
			}
		})
	}
}

func TestParseLimitsDateAfterAnother(t *testing.T) {
	const date = "Sun, 06 Nov 1994 08:49:37 GMT"
	for _, test := range []struct {
		text string
		want int64
	}{
		{"Sun, 06 Nov 1994 08:49:38 GMT", 784111778},
		{"Sun, 06 Nov 1994 08:49:37 gmt", 0},
		{"Sun, 36 Nov 1994 08:49:37 GMT", 0},
		{"Mon, 06 Nov 1904 08:49:37 GMT", 0},
		{"", 0},
	} {
		for range 2 {
			if got := wire.ParseLimits(http.Header{"Date": {date}}).Date; got != 784111777 {
				t.Fatalf("%s is read as %d", date, got)
			}
			if got := wire.ParseLimits(http.Header{"Date": {test.text}}).Date; got != test.want {
				t.Errorf("%q after %q is read as %d, want %d", test.text, date, got, test.want)
			}
		}
	}
}

func TestConcurrencyLimitIsZeroOfZero(t *testing.T) {
	tests := []struct {
		limit, remaining string
		want             bool
	}{
		{"0", "0", true},
		{"600", "0", false},
		{"0", "1", false},
		{"", "0", false},
		{"0", "", false},
		{"", "", false},
	}
	for _, test := range tests {
		l := wire.ParseLimits(fields("X-Rate-Limit-Limit", test.limit, "X-Rate-Limit-Remaining", test.remaining))
		if got := l.Concurrency(); got != test.want {
			t.Errorf("%q of %q: %t, want %t", test.remaining, test.limit, got, test.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	const (
		date  = 1668516326 // Tue, 15 Nov 2022 12:45:26 GMT
		never = time.Duration(math.MaxInt64)
	)
	now := time.Unix(date, 0).Add(-10*time.Minute + 250*time.Millisecond) // a clock that is late
	tests := []struct {
		name   string
		values []string
		date   int64
		want   time.Duration
		ok     bool
	}{
		{"absent", nil, date, 0, false},
		{"seconds", []string{"30"}, date, 30 * time.Second, true},
		{"seconds, no Date", []string{"30"}, 0, 30 * time.Second, true},
		{"zero", []string{"0"}, date, 0, true},
		{"spaces around", []string{" 30\t"}, date, 30 * time.Second, true},
		{"fraction, rounded up", []string{"1.5"}, date, 2 * time.Second, true},
		{"smallest fraction", []string{"0.001"}, date, time.Second, true},
		{"fraction of nothing", []string{"2.000"}, date, 2 * time.Second, true},
		{"fraction that overflows", []string{"0." + strings.Repeat("9", 60)}, date, time.Second, true},
		{"negative", []string{"-1"}, date, 0, false},
		{"negative zero", []string{"-0"}, date, 0, false},
		{"garbage", []string{"soon"}, date, 0, false},
		{"with a unit", []string{"30s"}, date, 0, false},
		{"empty", []string{""}, date, 0, false},
		{"point alone", []string{"."}, date, 0, false},
		{"point without a fraction", []string{"1."}, date, 0, false},
		{"point without a whole", []string{".5"}, date, 0, false},
		{"two points", []string{"1.2.3"}, date, 0, false},
		{"exponent", []string{"1e3"}, date, 0, false},
		{"longest whole Duration", []string{"9223372036"}, date, 9223372036 * time.Second, true},
		{"beyond a Duration", []string{"9223372037"}, date, never, true},
		{"beyond 64 bits", []string{"18446744073709551617"}, date, never, true},
		{"beyond 64 bits, with a fraction", []string{strings.Repeat("9", 60) + ".9"}, date, never, true},
		{"twice, the longest", []string{"5", "30"}, date, 30 * time.Second, true},
		{"twice, the longest first", []string{"30", "5"}, date, 30 * time.Second, true},
		{"joined, the longest", []string{"5, 30, 7"}, date, 30 * time.Second, true},
		{"invalid ones skipped", []string{"-1", "soon", "5", ""}, date, 5 * time.Second, true},
		{"date", []string{"Tue, 15 Nov 2022 12:45:56 GMT"}, date, 30 * time.Second, true},
		{"date of RFC 850", []string{"Tuesday, 15-Nov-22 12:45:56 GMT"}, date, 30 * time.Second, true},
		{"date of asctime", []string{"Tue Nov 15 12:45:56 2022"}, date, 30 * time.Second, true},
		{"date, no Date", []string{"Tue, 15 Nov 2022 12:45:56 GMT"}, 0, 10*time.Minute + 30*time.Second - 250*time.Millisecond, true},
		{"date, negative Date", []string{"Tue, 15 Nov 2022 12:45:56 GMT"}, -5, 10*time.Minute + 30*time.Second - 250*time.Millisecond, true},
		{"date in the past", []string{"Tue, 15 Nov 2022 12:45:25 GMT"}, date, 0, true},
		{"date, Date beyond all time", []string{"Tue, 15 Nov 2022 12:45:56 GMT"}, math.MaxInt64, 0, true},
		{"date in the past, no Date", []string{"Tue, 15 Nov 1994 12:45:25 GMT"}, 0, 0, true},
		{"date of now", []string{"Tue, 15 Nov 2022 12:45:26 GMT"}, date, 0, true},
		{"date of before 1970", []string{"Sat, 15 Nov 1902 12:45:26 GMT"}, date, 0, true},
		{"date beyond a Duration", []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, date, never, true},
		{"date beyond a Duration, no Date", []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, 0, never, true},
		{"two dates joined", []string{"Tue, 15 Nov 2022 12:45:36 GMT, Tue, 15 Nov 2022 12:45:56 GMT"}, date, 30 * time.Second, true},
		{"seconds and a date joined", []string{"5, Tue, 15 Nov 2022 12:45:56 GMT, 7"}, date, 30 * time.Second, true},
		{"asctime and seconds joined", []string{"Tue Nov 15 12:45:56 2022, 40"}, date, 40 * time.Second, true},
		{"a day's name and seconds", []string{"Tue, 40"}, date, 40 * time.Second, true},
		{"date with a fraction", []string{"Tue, 15 Nov 2022 12:45:56.5 GMT"}, date, 30*time.Second + 500*time.Millisecond, true},
		{"dates with a fraction behind a comma", []string{"Tue, 15 Nov 2022 12:45:56,5 GMT, Tue Nov 15 12:45:56,75 2022"}, date, 30*time.Second + 750*time.Millisecond, true},
		{"a broken date and a good one", []string{"Tue, 99 Nov 2022 12:45:36 GMT, Tue, 15 Nov 2022 12:45:56 GMT"}, date, 30 * time.Second, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := wire.RetryAfter(http.Header{"Retry-After": test.values}, test.date, now)
			if got != test.want || ok != test.ok {
				t.Errorf("got %v, %t, want %v, %t", got, ok, test.want, test.ok)
			}
		})
	}
}
