// This file holds what hostile input may cost.

package wire_test

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/wire"
)

// fill repeats unit between prefix and suffix up to 64 KiB.
func fill(prefix, unit, suffix string) string {
	const size = 64 << 10
	return prefix + strings.Repeat(unit, (size-len(prefix)-len(suffix))/len(unit)) + suffix
}

// No 64 KiB take a parser 5 ms, or as long as json.Valid takes for 20 times as much
// on a machine where that is longer. The shortest of many runs counts, so that a busy
// machine does not fail the test, but anything worse than linear does.
func TestHostileInputTakesLessThan5ms(t *testing.T) {
	plain := []byte(fill("{", `"":0,`, `"":0}`))
	limit := max(5*time.Millisecond, 20*shortest(0, func() { json.Valid(plain) }))
	bodies := map[string]string{
		"open arrays":             fill("", "[", ""),
		"open objects":            fill("", "{", ""),
		"open arrays in a member": fill(`{"errorCauses":`, "[", ""),
		"objects in a member":     fill(`{"_links":`, `{"poll":`, ""),
		"brackets that close":     fill(`{"_links":{"poll":[`, "[]", "]}}"),
		"brackets all balanced":   `{"_links":` + strings.Repeat("[", 32<<10) + strings.Repeat("]", 32<<10) + "}",
		"backslashes":             fill(`{"errorSummary":"`, `\\`, `"}`),
		"backslashes, unclosed":   fill(`{"errorSummary":"`, `\`, ``),
		"escaped quotes":          fill(`{"errorSummary":"`, `\"`, `"}`),
		"one unclosed string":     fill(`{"errorSummary":"`, `x`, ``),
		"unicode escapes":         fill(`{"errorSummary":"`, `\ud83d`, `"}`),
		"invalid UTF-8":           fill(`{"errorSummary":"`, "\xff", `"}`),
		"deep objects":            strings.Repeat(`{"":`, 9_000) + "0" + strings.Repeat("}", 9_000),
		"deep causes":             `{"errorCauses":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + "}",
		"deep causes, unclosed":   `{"errorCauses":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 8_000),
		"tiny members":            fill("{", `"":0,`, `"":0}`),
		"tiny members, unclosed":  fill("{", `"":0,`, ""),
		"members, then a string":  fill("{"+strings.Repeat(`"":0,`, 999)+`"":"`, "x", `",,`),
		"objects, unclosed":       fill("{", `"a":{"b":[{}]},`, ""),
		"doubled members":         fill("{", `"error":"",`, `"":0}`),
		"doubled by another case": fill("{", `"ErRoR":"",`, `"":0}`),
		"doubled wrong members":   fill("{", `"error":0,`, `"":0}`),
		"doubled causes":          fill("{", `"errorCauses":[],`, `"":0}`),
		"escaped keys":            fill("{", `"error\u0043odf":0,`, `"":0}`),
		"endless escaped key":     fill(`{"`, `\u0065`, `":0}`),
		"doubled links":           fill("{", `"_links":{"poll":{"href":""}},`, `"":0}`),
		"poll links without href": fill(`{"_links":{"poll":[`, `{"h":""},`, `0]}}`),
		"empty poll links":        fill(`{"_links":{"poll":[`, `{},`, `0]}}`),
		"poll link of many hrefs": fill(`{"_links":{"poll":[{`, `"href":0,`, `"":0}]}}`),
		"strings in poll":         fill(`{"_links":{"poll":[`, `"",`, `0]}}`),
		"causes":                  fill(`{"errorCauses":[`, `{"errorSummary":""},`, `0]}`),
		"causes without summary":  fill(`{"errorCauses":[`, `{},`, `0]}`),
		"scalars":                 fill(`{"errorCauses":[`, `0,`, `0]}`),
		"white space":             fill("{", " ", `"errorCode":"E0000047"}`),
		"white space in front":    fill("", "\n", `{"errorCode":"E0000047"}`),
		"one long number":         fill(`{"a":`, "1", `}`),
		"quotes":                  fill("{", `"`, ""),
		"colons":                  fill("{", `"":`, ""),
		"HTML":                    fill("<html>", "<br>", "</html>"),
		"zeros":                   fill("", "\x00", ""),
	}
	for name, text := range bodies {
		body := []byte(text)
		within(t, limit, "ParseError of "+name, func() { wire.ParseError(body) })
		within(t, limit, "ParseFactor of "+name, func() { wire.ParseFactor(body) })
	}

	values := map[string]string{
		"commas":           fill("", ",", ""),
		"spaces":           fill("", " ", ""),
		"spaces and words": fill("", "a ", ""),
		"digits":           fill("", "9", ""),
		"numbers":          fill("", "1,", ""),
		"day names":        fill("", "Mon,", ""),
		"dates":            fill("", "Tue, 15 Nov 2022 12:45:26 GMT, ", ""),
		"old dates":        fill("", "Tue Nov 15 12:45:26 2022,", ""),
		"broken dates":     fill("", "Tue, 99 Nov 2022 12:45:26 GMT,", ""),
		"broken old dates": fill("", "Tue Nov 99 12:45:2 2022,", ""),
		"almost dates":     fill("", "Tue Nov 15 12:45:26,", ""),
		"parts of dates":   fill("", "Tue Nov ,", ""),
		"quotes":           fill("Bearer ", `"`, ""),
		"unclosed":         fill(`Bearer error="`, `x`, ""),
		"quoted pairs":     fill(`Bearer error="`, `\"`, ""),
		"equals signs":     fill("Bearer ", "=", ""),
		"schemes":          fill("", "Bearer,", ""),
		"parameters":       fill("Bearer ", "error=,", ""),
		"escaped errors":   fill("Bearer ", `error="\\",`, ""),
		"open parameters":  fill("Bearer ", `a="`, ""),
	}
	for name, text := range values {
		// The same bytes as one value, and as many.
		for split, list := range map[string][]string{
			"as one":               {text},
			"by the 8 KiB":         chunks(text, 8<<10),
			"by the 256 bytes":     chunks(text, 256),
			"by the size of dates": chunks(text, 31),
		} {
			h := http.Header{
				"X-Rate-Limit-Limit": list, "X-Rate-Limit-Remaining": list, "X-Rate-Limit-Reset": list,
				"Date": list, "Retry-After": list,
			}
			within(t, limit, "ParseLimits of "+name+" "+split, func() { wire.ParseLimits(h) })
			within(t, limit, "RetryAfter of "+name+" "+split, func() { wire.RetryAfter(h, 0, time.Time{}) })
			within(t, limit, "ChallengeError of "+name+" "+split, func() { wire.ChallengeError(list) })
		}
	}
}

// chunks cuts s into parts of n bytes and a rest.
func chunks(s string, n int) (parts []string) {
	for len(s) > n {
		parts, s = append(parts, s[:n]), s[n:]
	}
	return append(parts, s)
}

func within(t *testing.T, limit time.Duration, name string, f func()) {
	t.Helper()
	took := shortest(limit/2, f)
	if testing.Verbose() && took > limit/10 {
		t.Logf("%s takes %v", name, took)
	}
	if took >= limit {
		t.Errorf("%s takes more than %v", name, limit)
	}
}

// shortest is the shortest of 50 runs of f, or the first that takes less than enough.
func shortest(enough time.Duration, f func()) time.Duration {
	took := time.Duration(math.MaxInt64)
	for range 50 {
		start := time.Now()
		f()
		if took = min(took, time.Since(start)); took < enough {
			break
		}
	}
	return took
}
