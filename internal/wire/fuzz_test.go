package wire_test

import (
	"encoding/json"
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

var bodySeeds = []string{
	rateLimitBody, validationBody, oauthBody, htmlBody, gzipBody, pushBody, "", "{", "{}", "[]", "null", "\ufeff{}",
	`{"errorCode":"E0000001","errorCode":null}`, `{"errorCode":5,"error":{},"errorCauses":{}}`,
	`{"error\u0043ode":"\ud83d\ude00\ud83d","errorLink":"\\","":""}`, "{\"errorId\":\"\xff\xed\xa0\x80\"}",
	`{"errorCode":"E0000047","errorSummary":"abc`, `{"a":[{"b":"]}"},1e5,true],"errorCode":"x"}`, `{"a":tru"errorCode":"x"}`,
	`{"_links":{"poll":[{"name":"x"},5,{"href":"/1"},{"href":"/2"}]},"factorResult":"WAITING"}`,
	`{"_links":{"poll":{"href":"/1"}},"_links":{"p\u006fll":{"hre\u0066":"\/2"},"poll":[]}}`,
}

// asMap is what encoding/json makes of a body, nil if it refuses or it is no object.
func asMap(body []byte) (m map[string]json.RawMessage) {
	if json.Unmarshal([]byte(strings.TrimPrefix(string(body), "\ufeff")), &m) != nil {
		return nil
	}
	return m
}

// asString is a string by encoding/json.
func asString(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// checkView fails unless view is absent or a part of body itself.
func checkView(t *testing.T, body, view []byte) {
	t.Helper()
	if view != nil && (cap(view) == 0 || &view[:cap(view)][cap(view)-1] != &body[:cap(body)][cap(body)-1]) {
		t.Errorf("%q is not part of the body", view)
	}
}

func checkString(t *testing.T, name string, view []byte, raw json.RawMessage) {
	t.Helper()
	want, ok := asString(raw)
	if got := wire.Unescape(view); ok != (view != nil) || got != want {
		t.Errorf("%s is %q (present: %t), encoding/json says %q (present: %t)", name, got, view != nil, want, ok)
	}
}

func FuzzParseError(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, ok := wire.ParseError(body)
		views := [][]byte{e.Code, e.Summary, e.Link, e.ID, e.Causes, e.OAuth, e.Description}
		found := false
		for _, view := range views {
			checkView(t, body, view)
			wire.Unescape(view)
			found = found || view != nil
		}
		if ok != found {
			t.Errorf("reports %t, has members: %t", ok, found)
		}
		causes := causesOf(e.Causes)
		for range wire.Causes(body) {
		}

		m := asMap(body)
		if m == nil {
			return
		}
		for i, name := range []string{"errorCode", "errorSummary", "errorLink", "errorId", "", "error", "error_description"} {
			if name != "" {
				checkString(t, name, views[i], m[name])
			}
		}
		raw := m["errorCauses"]
		if len(raw) == 0 || raw[0] != '[' {
			raw = nil
		}
		if string(e.Causes) != string(raw) {
			t.Errorf("causes are %q, want %q", e.Causes, raw)
		}
		var list []json.RawMessage
		var want []string
		_ = json.Unmarshal(raw, &list)
		for _, cause := range list[:min(len(list), 32)] {
			if s, ok := asString(asMap(cause)["errorSummary"]); ok {
				want = append(want, s)
			}
		}
		if !slices.Equal(causes, want) {
			t.Errorf("causes are %q, want %q", causes, want)
		}
	})
}

func FuzzParseFactor(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		result, poll := wire.ParseFactor(body)
		checkView(t, body, result)
		checkView(t, body, poll)

		m := asMap(body)
		if m == nil {
			return
		}
		checkString(t, "factorResult", result, m["factorResult"])
		link := asMap(m["_links"])["poll"]
		href := asMap(link)["href"]
		var links []json.RawMessage
		if json.Unmarshal(link, &links) == nil {
			for _, link := range links[:min(len(links), 32)] {
				if href = asMap(link)["href"]; len(href) > 0 && href[0] == '"' {
					break
				}
			}
		}
		checkString(t, "href", poll, href)
	})
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
