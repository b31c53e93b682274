// This file tests the class, code and texts of answers and redirects.

package oktaretry_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry"
)

// answerOf is an answer with a body.
func answerOf(status int, contentType, body string) *http.Response {
	h := make(http.Header)
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

const jsonType = "application/json"

func oktaBody(code string) string {
	return `{"errorCode":"` + code + `","errorSummary":"Jane Doe \u00fc","errorLink":"` + code +
		`","errorId":"oae1","errorCauses":[{"errorSummary":"login: jane"},{"errorSummary":"x"}]}`
}

// byStatus is the class of a status without a code.
func byStatus(status int) oktaretry.Class {
	switch {
	case status == 429:
		return oktaretry.ClassRateLimited
	case status >= 500:
		return oktaretry.ClassServerError
	case status >= 400:
		return oktaretry.ClassClientError
	}
	return oktaretry.ClassSuccess
}

func TestClassifyGoesByCodeUnderAnyStatus(t *testing.T) {
	for _, d := range documentedCodes(t) {
		want := mustLookup(t, d.code).Class
		statuses := []int{400, 401, 403, 404, 409, 429, 500, 502, 503, 504}
		for _, own := range []int{d.seedStatus, d.today} {
			if own != 0 {
				statuses = append(statuses, own)
			}
		}
		for _, status := range statuses {
			c := oktaretry.Classify(answerOf(status, jsonType, oktaBody(d.code)))
			if c.Class != want || c.Code != d.code || c.Status != status || c.Terminal || c.NotSent {
				t.Errorf("%s under %d: %v, code %q, status %d; want %v", d.code, status, c.Class, c.Code, c.Status, want)
			}
		}
	}
}

func TestClassifyReadsTheErrorBody(t *testing.T) {
	c := oktaretry.Classify(answerOf(403, jsonType, oktaBody("E0000006")))
	want := &oktaretry.APIError{
		Code: "E0000006", ID: "oae1", Link: "E0000006", Summary: "Jane Doe ü", Causes: []string{"login: jane", "x"},
	}
	if !reflect.DeepEqual(c.Error, want) {
		t.Errorf("read %+v, want %+v", c.Error, want)
	}
	if text := c.Error.Error(); text != "okta: E0000006 (error id oae1)" {
		t.Errorf("the error's text is %q", text)
	}
	c = oktaretry.Classify(answerOf(400, jsonType, `{"error":"invalid_scope","error_description":"no \"x\""}`))
	want = &oktaretry.APIError{Code: "invalid_scope", Description: `no "x"`}
	if !reflect.DeepEqual(c.Error, want) || c.Error.Error() != "okta: invalid_scope" {
		t.Errorf("read %+v, want %+v", c.Error, want)
	}
}

// The texts of an error are copied together, by whether anything in the body
// has to be unescaped.
func TestErrorTextsComeFromItsJSON(t *testing.T) {
	long := strings.Repeat("long ", 200)
	for _, text := range []string{
		"", "plain", "ünïcode", `\u00fc`, `\ud83d\ude00 \"quoted\" \\ \n`, "\xff\xfe\xfd not UTF-8 \xff", `\ud800`, long, long + `\t`,
	} {
		for _, causes := range []int{0, 1, 5} {
			body := `{"errorCode":"E0000001","errorSummary":"` + text + `","errorLink":"link ` + text + `","errorId":"id",` +
				`"errorCauses":[` + strings.TrimSuffix(strings.Repeat(`{"errorSummary":"cause `+text+`"},`, causes), ",") + `]}`
			var want struct {
				ErrorCode, ErrorSummary, ErrorLink, ErrorID string
				ErrorCauses                                 []struct{ ErrorSummary string }
			}
			if err := json.Unmarshal([]byte(body), &want); err != nil {
				t.Fatal(err)
			}
			got := oktaretry.Classify(answerOf(400, jsonType, body)).Error
			if got == nil || got.Code != want.ErrorCode || got.Summary != want.ErrorSummary || got.Link != want.ErrorLink || got.ID != want.ErrorID {
				t.Fatalf("%q with %d causes: %+v, want %+v", text, causes, got, want)
			}
			if len(got.Causes) != causes || (got.Causes == nil) != (causes == 0) {
				t.Fatalf("%q: %d causes, want %d", text, len(got.Causes), causes)
			}
			for i, cause := range got.Causes {
				if cause != want.ErrorCauses[i].ErrorSummary {
					t.Errorf("cause %d of %q is %q", i, text, cause)
				}
			}
		}
	}
}

// What is kept of an error is its texts, not what its body might have held.
func TestErrorKeepsOnlyItsTexts(t *testing.T) {
	body := `{"errorCode":"E0000001","errorSummary":"s","errorCauses":[{"other":"` + strings.Repeat("x", 60<<10) + `"}]}`
	var kept []oktaretry.Classification
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const n = 250
	for range n {
		kept = append(kept, oktaretry.Classify(answerOf(400, jsonType, body)))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > 2048 {
		t.Errorf("%d bytes are kept of each error whose texts have 10", each)
	}
	runtime.KeepAlive(kept)
}

func TestClassifyPrefersOktasCodeToOAuths(t *testing.T) {
	c := oktaretry.Classify(answerOf(400, jsonType, `{"error":"server_error","errorCode":"E0000047"}`))
	if c.Code != "E0000047" || c.Class != oktaretry.ClassRateLimited {
		t.Errorf("got %v, %q", c.Class, c.Code)
	}
}

func TestClassifyFindsOAuthErrorsAnywhere(t *testing.T) {
	for code, want := range oauthErrors {
		check := func(where string, c oktaretry.Classification, status int) {
			t.Helper()
			if c.Class != want || c.Code != code || c.Status != status || c.Error == nil || c.Error.Code != code || c.Error.Description != "a b" {
				t.Errorf("%s %s: %+v, error %+v; want %v", code, where, c, c.Error, want)
			}
		}
		for _, status := range []int{400, 401, 403, 500} {
			body := `{"error":"` + code + `","error_description":"a b"}`
			check(fmt.Sprint("in a body under ", status), oktaretry.Classify(answerOf(status, jsonType, body)), status)
			for _, scheme := range []string{"Bearer", "DPoP"} {
				resp := answerOf(status, "", "")
				resp.Header.Set("WWW-Authenticate", scheme+` realm="acme", error="`+code+`", error_description="a b"`)
				check(fmt.Sprint("in a ", scheme, " challenge under ", status), oktaretry.Classify(resp), status)
			}
		}
		for _, target := range []string{
			"https://app.example/cb?state=s&error=" + code + "&error_description=a+b",
			"https://app.example/cb#error_description=a%20b&error=" + code,
			"app.example:/cb?error_description=a%20b&error=" + code + "#x",
		} {
			u, err := url.Parse(target)
			if err != nil {
				t.Fatal(err)
			}
			check("in "+target, oktaretry.ClassifyRedirect(u), 0)
		}
	}
}

// A fragment that is decoded before it is taken apart lets a description bring
// parameters of its own.
func TestClassifyRedirectParsesRawFragments(t *testing.T) {
	u, err := url.Parse("https://app.example/cb#error_description=1%261=2%26error=access_denied%2b&error=server_error")
	if err != nil {
		t.Fatal(err)
	}
	c := oktaretry.ClassifyRedirect(u)
	if c.Code != "server_error" || c.Class != oktaretry.ClassServerError || c.Error.Description != "1&1=2&error=access_denied+" {
		t.Errorf("got %+v, error %+v", c, c.Error)
	}
}

func TestClassifyRedirectWithoutAKnownError(t *testing.T) {
	for _, tt := range []struct {
		target, code string
		class        oktaretry.Class
	}{
		{"https://app.example/cb?code=xyz&state=s", "", oktaretry.ClassSuccess},
		{"https://app.example/cb?error=", "", oktaretry.ClassSuccess},
		{"https://app.example/cb?error_description=x", "", oktaretry.ClassSuccess},
		{"https://app.example/cb#access_token=xyz", "", oktaretry.ClassSuccess},
		{"https://app.example/cb?error=invalid_grant", "invalid_grant", oktaretry.ClassClientError},
		{"https://app.example/cb?error=jane%40example.com", "", oktaretry.ClassClientError},
		// No code comes out, so none decides.
		{"https://app.example/cb?error=E0000047", "", oktaretry.ClassClientError},
		{"https://app.example/cb?%zz&error=server_error", "server_error", oktaretry.ClassServerError},
		{"https://app.example/cb?error=server_error#error=access_denied", "server_error", oktaretry.ClassServerError},
	} {
		u, err := url.Parse(tt.target)
		if err != nil {
			t.Fatal(err)
		}
		c := oktaretry.ClassifyRedirect(u)
		if c.Class != tt.class || c.Code != tt.code || (c.Error != nil) != (tt.code != "") {
			t.Errorf("%s: %v, %q, error %+v; want %v, %q", tt.target, c.Class, c.Code, c.Error, tt.class, tt.code)
		}
	}
	if c := oktaretry.ClassifyRedirect(nil); c != (oktaretry.Classification{}) {
		t.Errorf("nil: %+v", c)
	}
}

func TestClassifyUnknownCodesGoByStatus(t *testing.T) {
	for _, code := range []string{"E0000999", "E9999999", "E0000169", "invalid_grant", "too_many_user_codes", "authorization_pending", "slow_down", "use_dpop_nonce", "invalid_dpop_proof"} {
		body := `{"error":"` + code + `"}`
		if strings.HasPrefix(code, "E") {
			body = oktaBody(code)
		}
		for _, status := range []int{400, 401, 403, 404, 409, 423, 429, 500, 501, 502, 503, 504, 599} {
			c := oktaretry.Classify(answerOf(status, jsonType, body))
			if c.Class != byStatus(status) || c.Code != code {
				t.Errorf("%s under %d: %v, %q; want %v", code, status, c.Class, c.Code, byStatus(status))
			}
		}
	}
}

func TestClassifyWithoutACodeGoesByStatus(t *testing.T) {
	const page = "<html>\r\n<head><title>503 Service Unavailable</title></head>\r\n<body>errorCode E0000047</body></html>"
	for _, body := range []struct{ name, contentType, text string }{
		{"empty", "", ""}, {"empty JSON", jsonType, ""}, {"HTML", "text/html", page}, {"HTML called JSON", jsonType, page},
		{"an array", jsonType, `[{"errorCode":"E0000047"}]`}, {"no error", jsonType, `{"id":"00u1"}`},
		{"a code of another form", jsonType, `{"errorCode":"E47"}`}, {"a code that is a number", jsonType, `{"errorCode":47}`},
		{"an error that is an object", jsonType, `{"error":{"errorCode":"E0000047"}}`}, {"an empty code", jsonType, `{"errorCode":"","error":""}`},
	} {
		for _, status := range []int{400, 401, 403, 404, 405, 409, 410, 418, 429, 499, 500, 501, 502, 503, 504, 520, 599} {
			c := oktaretry.Classify(answerOf(status, body.contentType, body.text))
			if c.Class != byStatus(status) || c.Code != "" || c.Status != status || c.Error != nil {
				t.Errorf("%s under %d: %+v, error %+v", body.name, status, c, c.Error)
			}
		}
	}
	// Answers without a body, as of HEAD, come in three forms.
	for _, body := range []io.ReadCloser{nil, http.NoBody, io.NopCloser(strings.NewReader(""))} {
		if c := oktaretry.Classify(&http.Response{StatusCode: 503, Body: body, ContentLength: 500}); c.Class != oktaretry.ClassServerError {
			t.Errorf("%T: %v", body, c.Class)
		}
	}
	for _, status := range []int{101, 200, 201, 204, 206, 301, 302, 304} {
		if c := oktaretry.Classify(answerOf(status, jsonType, "")); c.Class != oktaretry.ClassSuccess || c.Status != status {
			t.Errorf("%d: %v", status, c.Class)
		}
	}
}

// Most 202s are plain successes; only one in JSON can say that a factor waits.
func TestClassifyAccepted(t *testing.T) {
	for _, tt := range []struct {
		contentType, body string
		want              oktaretry.Class
	}{
		{jsonType, oktaBody("E0000070"), oktaretry.ClassPending},
		{"Application/JSON; charset=utf-8", oktaBody("E0000070"), oktaretry.ClassPending},
		{"application/okta+json;okta-version=1.0.0", oktaBody("E0000070"), oktaretry.ClassPending},
		{"text/plain", oktaBody("E0000070"), oktaretry.ClassSuccess},
		{"", oktaBody("E0000070"), oktaretry.ClassSuccess},
		{jsonType, `{"factorResult":"WAITING"}`, oktaretry.ClassSuccess},
		{jsonType, `{"status":"PENDING","jobId":"1"}`, oktaretry.ClassSuccess},
		{jsonType, "", oktaretry.ClassSuccess},
		{jsonType, "accepted", oktaretry.ClassSuccess},
	} {
		if c := oktaretry.Classify(answerOf(202, tt.contentType, tt.body)); c.Class != tt.want || c.Status != 202 {
			t.Errorf("202 of %q, %.30q: %v, want %v", tt.contentType, tt.body, c.Class, tt.want)
		}
	}
}

func TestClassNames(t *testing.T) {
	for class, want := range map[oktaretry.Class]string{
		oktaretry.ClassSuccess: "success", oktaretry.ClassRateLimited: "rate-limited", oktaretry.ClassServerError: "server-error",
		oktaretry.ClassClientError: "client-error", oktaretry.ClassPending: "pending", oktaretry.ClassNetwork: "network", 99: "unknown",
	} {
		if class.String() != want {
			t.Errorf("%d is %q, want %q", class, class, want)
		}
	}
}

// The code goes into spans, metrics and error texts, so nothing of what a user
// may have typed becomes one.
func TestClassifyMakesNoCodeOfPersonalData(t *testing.T) {
	for _, text := range []string{
		"jane.doe@example.com", "jane@example", "Jane Doe", "jane doe", "JaneDoe", "jane-doe", "00u1abcdEFGH", "+15551234567", "jane\x00doe",
		"https://app.example/?token=x", "server_error ", " server_error", "SERVER_ERROR", "E0000047x", "e0000047", "é", strings.Repeat("a", 65),
	} {
		quoted := fmt.Sprintf("%q", text)
		challenge := answerOf(401, "", "")
		challenge.Header.Set("WWW-Authenticate", "Bearer error="+quoted)
		for where, c := range map[string]oktaretry.Classification{
			"error":            oktaretry.Classify(answerOf(401, jsonType, `{"error":`+strings.ReplaceAll(quoted, `\x`, `\u00`)+`}`)),
			"errorCode":        oktaretry.Classify(answerOf(401, jsonType, `{"errorCode":`+strings.ReplaceAll(quoted, `\x`, `\u00`)+`}`)),
			"WWW-Authenticate": oktaretry.Classify(challenge),
			"redirect":         oktaretry.ClassifyRedirect(&url.URL{RawQuery: "error=" + url.QueryEscape(text)}),
		} {
			if c.Code != "" || c.Error != nil || c.Class != oktaretry.ClassClientError {
				t.Errorf("%q in %s: %v, code %q, error %v", text, where, c.Class, c.Code, c.Error)
			}
		}
	}
}

func TestClassifyKeepsOnlyAPlausibleRequestID(t *testing.T) {
	long := strings.Repeat("a", 64)
	for id, want := range map[string]string{
		"Y3OJZpwB2Vgu6vPYbkRfcQAAAAE": "Y3OJZpwB2Vgu6vPYbkRfcQAAAAE", "aB0-_": "aB0-_", "": "", long: long, long + "a": "",
		"jane.doe@example.com": "", "a b": "", "a\nb": "", "a;b": "", "<script>": "", "https://x": "", "é": "", "a%0a": "",
	} {
		resp := answerOf(200, "", "")
		resp.Header.Set("X-Okta-Request-Id", id)
		if got := oktaretry.Classify(resp).RequestID; got != want {
			t.Errorf("%q became %q, want %q", id, got, want)
		}
	}
}
