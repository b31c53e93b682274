// This file holds what parsing costs.

package wire_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/wire"
)

// oktaHeader has the fields of an Okta org's answers, in number and length.
var oktaHeader = http.Header{
	"Accept-Ch":                 {"Sec-CH-UA-Platform-Version"},
	"Cache-Control":             {"no-cache, no-store"},
	"Connection":                {"keep-alive"},
	"Content-Security-Policy":   {"default-src 'self' acme.okta.com *.oktacdn.com"},
	"Content-Type":              {"application/json"},
	"Date":                      {"Tue, 15 Nov 2022 12:45:26 GMT"},
	"Expires":                   {"0"},
	"P3p":                       {`CP="HONK"`},
	"Pragma":                    {"no-cache"},
	"Referrer-Policy":           {"strict-origin-when-cross-origin"},
	"Retry-After":               {"Tue, 15 Nov 2022 12:45:56 GMT"},
	"Server":                    {"nginx"},
	"Set-Cookie":                {`sid="";Version=1;Path=/;Max-Age=0`, "autolaunch_triggered=; Max-Age=0; Path=/"},
	"Strict-Transport-Security": {"max-age=315360000; includeSubDomains"},
	"Vary":                      {"Accept-Encoding"},
	"X-Content-Type-Options":    {"nosniff"},
	"X-Okta-Request-Id":         {"Y3OJZpwB2Vgu6vPYbkRfcQAAAAE"},
	"X-Rate-Limit-Limit":        {"600"},
	"X-Rate-Limit-Remaining":    {"0"},
	"X-Rate-Limit-Reset":        {"1668516386"},
	"X-Xss-Protection":          {"0"},
}

// shortBody is an error body of 200 bytes.
var shortBody = []byte(`{"errorCode":"E0000007","errorSummary":"Not found: Resource not found: 00u1nobody (User)",` +
	`"errorLink":"E0000007","errorId":"oaeUZEcyZz-Sg6MBchNjHwSxA","errorCauses":[{"errorSummary":"no user"}]}`)

var challengeValues = []string{`DPoP realm="x", Bearer error="invalid_token", error_description="The token has expired."`}

func TestHeadersAllocateNothing(t *testing.T) {
	now := time.Unix(1668516326, 0)
	for name, f := range map[string]func(){
		"ParseLimits":    func() { wire.ParseLimits(oktaHeader) },
		"RetryAfter":     func() { wire.RetryAfter(oktaHeader, 1668516326, now) },
		"ChallengeError": func() { wire.ChallengeError(challengeValues) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// Nothing that exceeds the bounds of an error's causes and of poll links is kept.
func TestBodiesAllocateLittle(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, too")
	}
	for name, body := range map[string][]byte{
		"short":      shortBody,
		"causes":     []byte(fill(`{"errorCauses":[`, `{"errorSummary":"x"},`, `0]}`)),
		"poll links": []byte(fill(`{"_links":{"poll":[`, `{"x":"x"},`, `0]}}`)),
		"members":    []byte(fill(`{`, `"x":"x",`, `"":0}`)),
	} {
		for function, f := range map[string]func(){
			"ParseError":  func() { wire.ParseError(body) },
			"ParseFactor": func() { wire.ParseFactor(body) },
		} {
			if n := testing.AllocsPerRun(10, f); n > 60 {
				t.Errorf("%s of %s allocates %v times, want 60 at most", function, name, n)
			}
		}
	}
}

func BenchmarkParseLimits(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		wire.ParseLimits(oktaHeader)
	}
}

func BenchmarkRetryAfter(b *testing.B) {
	now := time.Unix(1668516326, 0)
	b.ReportAllocs()
	for b.Loop() {
		wire.RetryAfter(oktaHeader, 1668516326, now)
	}
}

// BenchmarkParseError is on the path of each 429. Beside it stands what encoding/json
// takes to decode the code alone.
func BenchmarkParseError(b *testing.B) {
	b.Run("whole", func(b *testing.B) {
		b.SetBytes(int64(len(shortBody)))
		b.ReportAllocs()
		for b.Loop() {
			if e, ok := wire.ParseError(shortBody); !ok || len(e.Code) != 8 {
				b.Fatal("no code")
			}
		}
	})
	b.Run("cut off", func(b *testing.B) {
		body := shortBody[:len(shortBody)-1]
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if e, ok := wire.ParseError(body); !ok || len(e.Code) != 8 {
				b.Fatal("no code")
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(shortBody)))
		b.ReportAllocs()
		for b.Loop() {
			var e struct {
				Code string `json:"errorCode"`
			}
			if err := json.Unmarshal(shortBody, &e); err != nil || len(e.Code) != 8 {
				b.Fatal("no code")
			}
		}
	})
}

func BenchmarkParseFactor(b *testing.B) {
	body := []byte(pushBody)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		wire.ParseFactor(body)
	}
}

func BenchmarkChallengeError(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		wire.ChallengeError(challengeValues)
	}
}
