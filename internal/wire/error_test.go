// This file holds what is read of error bodies, whole and broken.

package wire_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/internal/wire"
)

const (
	rateLimitBody = `{
    "errorCode": "E0000047",
    "errorSummary": "API call exceeded rate limit due to too many requests.",
    "errorLink": "E0000047",
    "errorId": "oaeUZEcyZz-Sg6MBchNjHwSxA",
    "errorCauses": []
}`
	validationBody = `{"errorCode":"E0000001","errorSummary":"Api validation failed: login","errorLink":"E0000001",` +
		`"errorId":"oaeHfmOAx1iRLa0H10DeMz5fQ","errorCauses":[` +
		`{"errorSummary":"login: An object with this field already exists in the current organization"},` +
		`{"errorSummary":"password: Zu kurz, \u201eJos\u00e9\u201c \ud83d\ude00"}]}`
	oauthBody = `{"error":"invalid_client","error_description":"The client secret supplied for a confidential client is invalid."}`
	htmlBody  = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
	gzipBody  = "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabVJ-*\xca/r\xceOIU\xb2Rr50\x00\x02s%\x1d"
)

func TestParseError(t *testing.T) {
	type E = wire.Error
	code := E{Code: "E0000047"}
	tests := []struct {
		name string
		body string
		want wire.Error
	}{
		{"Okta's rate limit", rateLimitBody, E{
			Code: "E0000047", Summary: "API call exceeded rate limit due to too many requests.",
			Link: "E0000047", ID: "oaeUZEcyZz-Sg6MBchNjHwSxA",
		}},
		{"Okta's validation", validationBody, E{
			Code: "E0000001", Summary: "Api validation failed: login", Link: "E0000001", ID: "oaeHfmOAx1iRLa0H10DeMz5fQ",
			Causes: []string{
				"login: An object with this field already exists in the current organization",
				"password: Zu kurz, „José“ 😀",
			},
		}},
		{"OAuth", oauthBody, E{
			OAuth:       "invalid_client",
			Description: "The client secret supplied for a confidential client is invalid.",
		}},
		{"byte order mark and white space", "\ufeff \r\n\t" + `{ "errorCode" : "E0000047" } `, code},
		{"unknown members around", `{"a":{"errorCode":"E1"},"b":[{"errorCode":"E2"},"}"],"errorCode":"E0000047","c":-1.5e+3,"d":null}`, code},
		{"quotes and backslashes", `{"errorSummary":"a \"b\" \\","errorCode":"E0000047"}`, E{Code: "E0000047", Summary: `a "b" \`}},
		{"escaped code", `{"errorCode":"E0000\u0030\u00347"}`, code},
		{"half a surrogate pair and a byte that is not UTF-8", `{"errorCode":"E0000047","errorSummary":"\ud83d` + "\xff" + `"}`,
			E{Code: "E0000047", Summary: "\ufffd\ufffd"}},
		{"the last of two", `{"errorCode":"E0000001","errorCode":"E0000047"}`, code},
		{"the last string of two", `{"errorCode":"E0000047","errorCode":5}`, code},
		{"escaped key", `{"error\u0043ode":"E0000047","\u0065rror":"server_error"}`, E{Code: "E0000047", OAuth: "server_error"}},
		{"escaped key of another name", `{"error_\u0063ode":"x","errorCode\u0000":"x","errorCode":"E0000047"}`, code},
		{"key of another case", `{"ErrorCode":"E0000047"}`, code},
		{"causes that are no array", `{"errorCauses":"none","errorCode":"E0000047"}`, code},
		{"error that is an object", `{"error":{"code":5},"errorCode":"E0000047"}`, code},
		{"summary that is a number", `{"errorSummary":5,"errorCode":"E0000047"}`, code},
		{"every member but one of a wrong type",
			`{"errorSummary":[],"errorLink":{},"errorId":true,"errorCauses":{},"error":1,"error_description":null,"errorCode":"E0000047"}`, code},
		{"trailing garbage", `{"errorCode":"E0000047"}<html>`, code},
		{"a second body", `{"errorCode":"E0000047"}{"errorCode":"E0000001"}`, code},

		{"cut off in a string", `{"errorCode":"E0000047","errorSummary":"abc`, code},
		{"cut off behind a backslash", `{"errorCode":"E0000047","errorSummary":"abc\`, code},
		{"cut off in an escape", `{"errorCode":"E0000047","errorSummary":"abc\"`, code},
		{"cut off in a key", `{"errorCode":"E0000047","errorSum`, code},
		{"cut off behind a key", `{"errorCode":"E0000047","errorSummary"`, code},
		{"cut off behind a colon", `{"errorCode":"E0000047","errorSummary":`, code},
		{"cut off behind a value", `{"errorCode":"E0000047"`, code},
		{"cut off behind a comma", `{"errorCode":"E0000047",`, code},
		{"cut off in the causes", `{"errorCode":"E0000047","errorCauses":[{"errorSummary":"x"}`, code},
		{"cut off in a second value", `{"errorCode":"E0000047","errorCode":"E00`, code},
		{"cut off behind the causes", `{"errorCode":"E0000047","errorCauses":[{"errorSummary":"x"}]`, E{Code: "E0000047", Causes: []string{"x"}}},
		{"malformed later on", `{"errorCode":"E0000047" "errorId":"x"}`, code},
		{"malformed value later on", `{"errorCode":"E0000047","x":<html>,"errorId":"x"}`, code},
		{"malformed string later on", `{"errorCode":"E0000047","errorSummary":"a` + "\n" + `b","errorId":"x"}`, code},
		{"key without quotes later on", `{"errorCode":"E0000047",errorId:"x"}`, code},
		{"wrong type, then malformed", `{"errorSummary":5,"errorCode":"E0000047",,`, code},
		{"the 1000th member of a malformed body", `{` + strings.Repeat(`"a":0,`, 999) + `"errorCode":"E0000047",,`, code},
		{"the 1001st member of a malformed body", `{` + strings.Repeat(`"a":0,`, 1000) + `"errorCode":"E0000047",,`, E{}},
		{"the 1001st member", `{` + strings.Repeat(`"a":0,`, 1000) + `"errorCode":"E0000047"}`, code},

		{"empty", ``, E{}},
		{"only a byte order mark", "\ufeff", E{}},
		{"HTML of the edge", htmlBody, E{}},
		{"gzip that nobody decoded", gzipBody, E{}},
		{"plain text", "upstream connect error or disconnect/reset before headers", E{}},
		{"array", `[{"errorCode":"E0000047"}]`, E{}},
		{"array cut off", `[{"errorCode":"E0000047"}`, E{}},
		{"string", `"errorCode"`, E{}},
		{"null", `null`, E{}},
		{"empty object", `{}`, E{}},
		{"brace", `{`, E{}},
		{"none of the members", `{"id":"00u1","status":"ACTIVE"}`, E{}},
		{"code that is a number", `{"errorCode":5}`, E{}},
		{"code that is null", `{"errorCode":null}`, E{}},
		{"empty code", `{"errorCode":""}`, E{}},
		{"no code", `{"errorId":"x"}`, E{ID: "x"}},
		{"double comma", `{,"errorCode":"E0000047"}`, E{}},
		{"cut off at once", `{"errorCode":"E00000`, E{}},
		{"UTF-16", "{\x00\"\x00e\x00", E{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := wire.ParseError([]byte(test.body))
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if want := test.want.Code != "" || test.want.OAuth != ""; ok != want {
				t.Errorf("reports %t, want %t", ok, want)
			}
		})
	}
}

func TestParseErrorCauses(t *testing.T) {
	tests := []struct {
		name string
		raw  string
		want []string
	}{
		{"none", `[]`, nil},
		{"others skipped", `[{"reason":"x"},"y",5,null,[],{"errorSummary":7},{"errorSummary":"z"}]`, []string{"z"}},
		{"empty summary", `[{"errorSummary":""}]`, nil},
		{"only the last array", `[{"errorSummary":"a"},{"errorSummary":"b"}],"errorCauses":[{"errorSummary":"c"}]`, []string{"c"}},
		{"null after an array", `[{"errorSummary":"a"}],"errorCauses":null`, []string{"a"}},
		{"not an array", `{"errorSummary":"a"}`, nil},
		{"at most 32", `[` + strings.Repeat(`{"errorSummary":"a"},`, 40) + `1]`, slices.Repeat([]string{"a"}, 32)},
		{"the 32nd", `[` + strings.Repeat(`0,`, 31) + `{"errorSummary":"a"}]`, []string{"a"}},
		{"the 33rd", `[` + strings.Repeat(`0,`, 32) + `{"errorSummary":"a"}]`, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e, _ := wire.ParseError([]byte(`{"errorCauses":` + test.raw + `}`))
			if !slices.Equal(e.Causes, test.want) {
				t.Errorf("got %q, want %q", e.Causes, test.want)
			}
		})
	}
}

// A body that is cut off yields each member as it is in the whole, or not at all.
func TestParseErrorOfEveryPrefix(t *testing.T) {
	for _, body := range []string{rateLimitBody, validationBody, oauthBody} {
		whole, _ := wire.ParseError([]byte(body))
		for n := range len(body) {
			part, _ := wire.ParseError([]byte(body)[:n])
			got, want := reflect.ValueOf(part), reflect.ValueOf(whole)
			for i := range got.NumField() {
				if !got.Field(i).IsZero() && !reflect.DeepEqual(got.Field(i).Interface(), want.Field(i).Interface()) {
					t.Fatalf("of %d bytes %s is %q, want %q", n, got.Type().Field(i).Name, got.Field(i), want.Field(i))
				}
			}
		}
		last, _ := wire.ParseError([]byte(body)[:len(body)-1])
		if !reflect.DeepEqual(last, whole) {
			t.Errorf("without its last brace the body is %+v, want %+v", last, whole)
		}
	}
}

// The caller has more of the body behind the part that it passes.
func TestParseErrorLeavesTheBodyAlone(t *testing.T) {
	for n := range len(rateLimitBody) {
		body := []byte(rateLimitBody)
		wire.ParseError(body[:n])
		wire.ParseFactor(body[:n])
		if string(body) != rateLimitBody {
			t.Fatalf("the body has become %q", body)
		}
	}
}
