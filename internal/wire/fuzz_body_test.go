// This file holds the bodies that are read to those that encoding/json reads.

package wire_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/oktaretry/oktaretry/internal/wire"
)

var bodySeeds = []string{
	rateLimitBody, validationBody, oauthBody, htmlBody, gzipBody, pushBody, "", "{", "{}", "[]", "null", "\ufeff{}",
	`{"errorCode":"E0000001","errorCode":null}`, `{"errorCode":5,"error":{},"errorCauses":{}}`, `{"ERRORCODE":"E0000047","ſ":1}`,
	`{"error\u0043ode":"\ud83d\ude00\ud83d","errorLink":"\\","":""}`, "{\"errorId\":\"\xff\xed\xa0\x80\"}", `{"errorCode":"E0000\u0030\u00347"}`,
	`{"errorCode":"E0000047","errorSummary":"abc`, `{"a":[{"b":"]}"},1e5,true],"errorCode":"x"}`, `{"a":tru"errorCode":"x"}`,
	`{"errorCode":"E0000047"}{"errorId":"x"}`, `{"errorCauses":[{"errorSummary":"a"}],"errorCauses":[{},{"errorSummary":5}]}`,
	`{"_links":{"poll":[{"name":"x"},5,{"href":"/1"},{"href":"/2"}]},"factorResult":"WAITING"}`,
	`{"_links":{"poll":{"href":"/1"}},"_links":{"p\u006fll":{"hre\u0066":"\/2"},"poll":[]}}`,
}

// expected is what encoding/json makes of body. Where body is no JSON, that is what
// it makes of the longest beginning of body that becomes an object when it is closed.
func expected[V any](body []byte) (v V) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	doc := body
	for n := len(body); !json.Valid(doc); n-- {
		if n == 0 {
			return v
		}
		doc = append(slices.Clone(body[:n]), '}')
	}
	_ = json.Unmarshal(doc, &v)
	return v
}

// maxExpected bounds the bodies that are given to expected, which takes the square of
// their length.
const maxExpected = 2 << 10

func FuzzParseError(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add([]byte(seed), uint16(len(seed)))
		f.Add([]byte(seed), uint16(len(seed)/2))
	}
	f.Fuzz(func(t *testing.T, body []byte, cut uint16) {
		before := slices.Clone(body)
		part := body[:min(len(body), int(cut))]
		got, ok := wire.ParseError(part)
		if !bytes.Equal(body, before) {
			t.Errorf("the body has become %q", body)
		}
		if ok != (got.Code != "" || got.OAuth != "") {
			t.Errorf("reports %t for %+v", ok, got)
		}
		if len(part) > maxExpected {
			return
		}
		want := expected[struct {
			ErrorCode    string
			ErrorSummary string
			ErrorLink    string
			ErrorID      string
			ErrorCauses  [64]struct{ ErrorSummary string }
			Error        string
			Description  string `json:"error_description"`
		}](part)
		if got.Code != want.ErrorCode || got.Summary != want.ErrorSummary || got.Link != want.ErrorLink || got.ID != want.ErrorID ||
			got.OAuth != want.Error || got.Description != want.Description {
			t.Errorf("got %+v, want %+v as encoding/json", got, want)
		}
		var causes []string
		for _, cause := range want.ErrorCauses[:32] {
			if cause.ErrorSummary != "" {
				causes = append(causes, cause.ErrorSummary)
			}
		}
		if !slices.Equal(got.Causes, causes) {
			t.Errorf("the causes are %q, want %q as encoding/json", got.Causes, causes)
		}
	})
}

func FuzzParseFactor(f *testing.F) {
	for _, seed := range bodySeeds {
		f.Add([]byte(seed), uint16(len(seed)))
		f.Add([]byte(seed), uint16(len(seed)/2))
	}
	f.Fuzz(func(t *testing.T, body []byte, cut uint16) {
		part := body[:min(len(body), int(cut))]
		result, poll := wire.ParseFactor(part)
		if len(part) > maxExpected {
			return
		}
		want := expected[struct {
			FactorResult string
			Links        struct{ Poll json.RawMessage } `json:"_links"`
		}](part)
		if result != want.FactorResult {
			t.Errorf("the result is %q, want %q as encoding/json", result, want.FactorResult)
		}
		type link struct{ Href string }
		links := expected[[]link](want.Links.Poll)
		links = append([]link{expected[link](want.Links.Poll)}, links[:min(len(links), 32)]...)
		var href string
		for _, link := range links {
			if href = link.Href; href != "" {
				break
			}
		}
		if poll != href {
			t.Errorf("the href is %q, want %q as encoding/json", poll, href)
		}
	})
}
