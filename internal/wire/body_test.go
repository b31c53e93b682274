package wire_test

import (
	"encoding/json"
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
	pushBody  = `{"factorResult":"WAITING","profile":{"deviceType":"SmartPhone_IPhone","keys":[{"kty":"EC"}],"name":"A \"}\" phone"},` +
		`"expiresAt":"2022-11-15T12:50:26.000Z","_links":{"cancel":{"href":"https://acme.okta.com/api/v1/users/00u1/factors/opf1/transactions/v2mst.1/cancel"},` +
		`"poll":{"href":"https://acme.okta.com/api/v1/users/00u1/factors/opf1/transactions/v2mst.1","hints":{"allow":["GET"]}}}}`
)

// members is a wire.Error as strings, absent members left out.
type members map[string]string

func read(e wire.Error) members {
	m := members{}
	for name, raw := range map[string][]byte{
		"errorCode": e.Code, "errorSummary": e.Summary, "errorLink": e.Link, "errorId": e.ID,
		"errorCauses": e.Causes, "error": e.OAuth, "error_description": e.Description,
	} {
		switch {
		case raw == nil:
		case name == "errorCauses":
			m[name] = string(raw)
		default:
			m[name] = wire.Unescape(raw)
		}
	}
	return m
}

func TestParseError(t *testing.T) {
	tests := []struct {
		name string
		body string
		want members
	}{
		{"Okta's rate limit", rateLimitBody, members{
			"errorCode": "E0000047", "errorSummary": "API call exceeded rate limit due to too many requests.",
			"errorLink": "E0000047", "errorId": "oaeUZEcyZz-Sg6MBchNjHwSxA", "errorCauses": "[]",
		}},
		{"OAuth", oauthBody, members{
			"error":             "invalid_client",
			"error_description": "The client secret supplied for a confidential client is invalid.",
		}},
		{"byte order mark and white space", "\ufeff \r\n\t" + `{ "errorCode" : "E0000047" } `, members{"errorCode": "E0000047"}},
		{"unknown members around", `{"a":{"errorCode":"E1"},"b":[{"errorCode":"E2"},"}"],"errorCode":"E3","c":-1.5e+3,"d":null}`, members{"errorCode": "E3"}},
		{"empty string", `{"errorCode":""}`, members{"errorCode": ""}},
		{"quotes and backslashes", `{"errorSummary":"a \"b\" \\","errorCode":"E0000001"}`, members{"errorSummary": `a "b" \`, "errorCode": "E0000001"}},
		{"the last of two", `{"errorCode":"E0000001","errorCode":"E0000047"}`, members{"errorCode": "E0000047"}},
		{"the last of two, not a string", `{"errorCode":"E0000001","errorCode":5,"errorId":"x"}`, members{"errorId": "x"}},
		{"escaped key", `{"error\u0043ode":"E0000047","\u0065rror":"server_error"}`, members{"errorCode": "E0000047", "error": "server_error"}},
		{"escaped key of another name", `{"error\u0063ode":"E0000047","errorCode\u0000":"x","errorId":"y"}`, members{"errorId": "y"}},
		{"keys of another case", `{"errorcode":"E0000047","ErrorCode":"E1","errorId":"y"}`, members{"errorId": "y"}},
		{"causes that are no array", `{"errorCauses":"none","errorCode":"E0000001"}`, members{"errorCode": "E0000001"}},
		{"error that is an object", `{"error":{"code":5},"error_description":"x"}`, members{"error_description": "x"}},
		{"trailing garbage", `{"errorCode":"E0000047"}<html>`, members{"errorCode": "E0000047"}},

		{"cut off in a string", `{"errorCode":"E0000047","errorSummary":"abc`, members{"errorCode": "E0000047"}},
		{"cut off behind a backslash", `{"errorCode":"E0000047","errorSummary":"abc\`, members{"errorCode": "E0000047"}},
		{"cut off in an escape", `{"errorCode":"E0000047","errorSummary":"abc\"`, members{"errorCode": "E0000047"}},
		{"cut off in a key", `{"errorCode":"E0000047","errorSum`, members{"errorCode": "E0000047"}},
		{"cut off behind a key", `{"errorCode":"E0000047","errorSummary"`, members{"errorCode": "E0000047"}},
		{"cut off behind a colon", `{"errorCode":"E0000047","errorSummary":`, members{"errorCode": "E0000047"}},
		{"cut off behind a value", `{"errorCode":"E0000047"`, members{"errorCode": "E0000047"}},
		{"cut off behind a comma", `{"errorCode":"E0000047",`, members{"errorCode": "E0000047"}},
		{"cut off in the causes", `{"errorCode":"E0000047","errorCauses":[{"errorSummary":"x"}`, members{"errorCode": "E0000047"}},
		{"cut off in a second value", `{"errorCode":"E0000047","errorCode":"E00`, members{"errorCode": "E0000047"}},
		{"malformed later on", `{"errorCode":"E0000047" "errorId":"x"}`, members{"errorCode": "E0000047"}},
		{"malformed value later on", `{"errorCode":"E0000047","x":<html>,"errorId":"x"}`, members{"errorCode": "E0000047"}},
		{"key without quotes later on", `{"errorCode":"E0000047",errorId:"x"}`, members{"errorCode": "E0000047"}},

		{"empty", ``, nil},
		{"only a byte order mark", "\ufeff", nil},
		{"HTML of the edge", htmlBody, nil},
		{"gzip that nobody decoded", gzipBody, nil},
		{"plain text", "upstream connect error or disconnect/reset before headers", nil},
		{"array", `[{"errorCode":"E0000047"}]`, nil},
		{"string", `"errorCode"`, nil},
		{"null", `null`, nil},
		{"empty object", `{}`, nil},
		{"brace", `{`, nil},
		{"none of the members", `{"id":"00u1","status":"ACTIVE"}`, nil},
		{"code that is a number", `{"errorCode":5}`, nil},
		{"code that is null", `{"errorCode":null}`, nil},
		{"double comma", `{,"errorCode":"E0000047"}`, nil},
		{"cut off at once", `{"errorCode":"E00000`, nil},
		{"UTF-16", "{\x00\"\x00e\x00", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e, ok := wire.ParseError([]byte(test.body))
			if ok != (test.want != nil) {
				t.Errorf("found is %t", ok)
			}
			got := read(e)
			for name, want := range test.want {
				if value, ok := got[name]; !ok || value != want {
					t.Errorf("%s is %q (present: %t), want %q", name, value, ok, want)
				}
			}
			if len(got) != len(test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// Wherever a body is cut, what is read of it is what the whole of it says.
func TestParseErrorOfEveryPrefix(t *testing.T) {
	for _, body := range []string{rateLimitBody, validationBody, oauthBody} {
		whole, _ := wire.ParseError([]byte(body))
		want := read(whole)
		for n := range len(body) {
			e, _ := wire.ParseError([]byte(body[:n]))
			for name, got := range read(e) {
				if got != want[name] {
					t.Fatalf("the first %d bytes: %s is %q, want %q", n, name, got, want[name])
				}
			}
		}
	}
}

func TestCauses(t *testing.T) {
	e, _ := wire.ParseError([]byte(validationBody))
	tests := []struct {
		name string
		raw  string
		want []string
	}{
		{"Okta's", string(e.Causes), []string{
			"login: An object with this field already exists in the current organization",
			"password: Zu kurz, „José“ 😀",
		}},
		{"absent", "", nil},
		{"none", "[]", nil},
		{"others skipped", `[{"reason":"x"},"y",5,null,[],{"errorSummary":7},{"errorSummary":"z"}]`, []string{"z"}},
		{"empty summary", `[{"errorSummary":""}]`, []string{""}},
		{"the first 32 looked at", "[" + strings.Repeat("0,", 32) + `{"errorSummary":"a"}]`, nil},
		{"cut off", `[{"errorSummary":"a"},{"errorSummary":"b"`, []string{"a"}},
		{"not an array", `{"errorSummary":"a"}`, nil},
		{"at most 32", "[" + strings.Repeat(`{"errorSummary":"a"},`, 40) + "1]", slices.Repeat([]string{"a"}, 32)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := causesOf([]byte(test.raw)); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	for first := range wire.Causes(e.Causes) {
		if !strings.HasPrefix(string(first), "login") {
			t.Errorf("first cause is %q", first)
		}
		break
	}
}

func TestUnescape(t *testing.T) {
	valid := []string{
		``, `plain`, `é😀`, `\"\\\/\b\f\n\r\t`, `\u0041\u00e9\u20ac`, `\ud83d\ude00`, `\uD83D\uDE00x`,
		`\ud83d`, `\ude00`, `\ud83dx`, `\ud83d\n`, `\ud83d\u0041`, `\ude00\ud83d`, `\ud83d\ud83d\ude00`, `\u0000`, `\ufffd`,
		"\xff", "a\xc3(", "\xed\xa0\x80", "\xf0\x9f\x98", `\\u0041`,
	}
	for _, raw := range valid {
		var want string
		if err := json.Unmarshal([]byte(`"`+raw+`"`), &want); err != nil {
			t.Fatal(err)
		}
		if got := wire.Unescape([]byte(raw)); got != want {
			t.Errorf("Unescape(%q) = %q, want %q as encoding/json", raw, got, want)
		}
	}
	broken := map[string]string{
		`\`:            "\ufffd",
		`a\`:           "a\ufffd",
		`\x41`:         "\ufffdx41",
		`\'`:           "\ufffd'",
		`\u`:           "\ufffdu",
		`\u12`:         "\ufffdu12",
		`\u12g4`:       "\ufffdu12g4",
		`\ud83d\ude0`:  "\ufffd\ufffdude0",
		"\\\xff":       "\ufffd\ufffd",
		"raw\nnewline": "raw\nnewline",
	}
	for raw, want := range broken {
		if got := wire.Unescape([]byte(raw)); got != want {
			t.Errorf("Unescape(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestParseFactor(t *testing.T) {
	const href = "https://acme.okta.com/api/v1/users/00u1/factors/opf1/transactions/v2mst.1"
	tests := []struct {
		name         string
		body         string
		result, poll string
	}{
		{"waiting push", pushBody, "WAITING", href},
		{"answered", `{"factorResult":"SUCCESS"}`, "SUCCESS", ""},
		{"links first", `{"_links":{"poll":{"href":"/p"}},"factorResult":"WAITING"}`, "WAITING", "/p"},
		{"several poll links", `{"_links":{"poll":[{"name":"x"},5,"y",{"href":null},{"href":"/1"},{"href":"/2"}]}}`, "", "/1"},
		{"href in the 32nd", `{"_links":{"poll":[` + strings.Repeat("0,", 31) + `{"href":"/1"}]}}`, "", "/1"},
		{"href in the 33rd", `{"_links":{"poll":[` + strings.Repeat("0,", 32) + `{"href":"/1"}]}}`, "", ""},
		{"no href in any", `{"_links":{"poll":[{"name":"x"},{}]}}`, "", ""},
		{"empty array", `{"factorResult":"WAITING","_links":{"poll":[]}}`, "WAITING", ""},
		{"escaped slashes stay escaped", `{"_links":{"poll":{"href":"https:\/\/x"}}}`, "", `https:\/\/x`},
		{"escaped keys", `{"\u005flinks":{"pol\u006c":{"hre\u0066":"/p"}},"f\u0061ctorResult":"WAITING"}`, "WAITING", "/p"},
		{"last of doubled keys", `{"_links":{"poll":{"href":"/1"}},"_links":{"poll":{"href":"/2"},"poll":{"href":"/3","href":"/4"}}}`, "", "/4"},
		{"a last one without link", `{"_links":{"poll":{"href":"/1"}},"_links":null}`, "", ""},
		{"poll at another level", `{"poll":{"href":"/1"},"_embedded":{"_links":{"poll":{"href":"/2"}}},"href":"/3"}`, "", ""},
		{"poll that is a string", `{"_links":{"poll":"/1"}}`, "", ""},
		{"href that is an object", `{"_links":{"poll":{"href":{"href":"/1"}}}}`, "", ""},
		{"links that are an array", `{"_links":[{"poll":{"href":"/1"}}]}`, "", ""},
		{"result that is no string", `{"factorResult":1,"_links":{"poll":{"href":"/1"}}}`, "", "/1"},
		{"cut off in the links", pushBody[:len(pushBody)-3], "WAITING", ""},
		{"cut off at the end", pushBody[:len(pushBody)-1], "WAITING", href},
		{"HTML", htmlBody, "", ""},
		{"empty", "", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			result, poll := wire.ParseFactor([]byte(test.body))
			if string(result) != test.result || string(poll) != test.poll {
				t.Errorf("got %q, %q, want %q, %q", result, poll, test.result, test.poll)
			}
		})
	}
}

// causesOf returns the causes unescaped.
func causesOf(raw []byte) (causes []string) {
	for summary := range wire.Causes(raw) {
		causes = append(causes, wire.Unescape(summary))
	}
	return causes
}
