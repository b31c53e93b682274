package wire_test

import (
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

// Whatever 64 KiB say, no parser takes a millisecond for them. The shortest of many
// runs counts, so that a busy machine does not fail the test but anything worse than
// linear does.
func TestHostileInputTakesNoTime(t *testing.T) {
	limit := time.Millisecond
	if raceEnabled {
		limit *= 20 // for the detector, which watches each access
	}
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
		"tiny members":            fill("{", `"":0,`, `"":0}`),
		"doubled members":         fill("{", `"error":"",`, `"":0}`),
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
		within(t, limit, "Causes of "+name, func() {
			e, _ := wire.ParseError(body)
			for range wire.Causes(e.Causes) {
			}
		})
		within(t, limit, "Unescape of "+name, func() { wire.Unescape(body) })
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
	shortest := limit
	for range 50 {
		start := time.Now()
		f()
		if shortest = min(shortest, time.Since(start)); shortest < limit/2 {
			break
		}
	}
	if testing.Verbose() && shortest > limit/10 {
		t.Logf("%s takes %v", name, shortest)
	}
	if shortest >= limit {
		t.Errorf("%s takes more than %v", name, limit)
	}
}
