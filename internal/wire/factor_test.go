// This file holds what is read of the answers of factor verifications.

package wire_test

import (
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/internal/wire"
)

const pushBody = `{"factorResult":"WAITING","profile":{"deviceType":"SmartPhone_IPhone","keys":[{"kty":"EC"}],"name":"A \"}\" phone"},` +
	`"expiresAt":"2022-11-15T12:50:26.000Z","_links":{"cancel":{"href":"https://acme.okta.com/api/v1/users/00u1/factors/opf1/transactions/v2mst.1/cancel"},` +
	`"poll":{"href":"https://acme.okta.com/api/v1/users/00u1/factors/opf1/transactions/v2mst.1","hints":{"allow":["GET"]}}}}`

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
		{"several poll links", `{"_links":{"poll":[{"name":"x"},5,"y",{"href":null},{"href":""},{"href":"/1"},{"href":"/2"}]}}`, "", "/1"},
		{"href in the 32nd", `{"_links":{"poll":[` + strings.Repeat("0,", 31) + `{"href":"/1"}]}}`, "", "/1"},
		{"href in the 33rd", `{"_links":{"poll":[` + strings.Repeat("0,", 32) + `{"href":"/1"}]}}`, "", ""},
		{"no href in any", `{"_links":{"poll":[{"name":"x"},{}]}}`, "", ""},
		{"empty array", `{"factorResult":"WAITING","_links":{"poll":[]}}`, "WAITING", ""},
		{"escaped slashes", `{"_links":{"poll":{"href":"https:\/\/x"}}}`, "", `https://x`},
		{"escaped keys", `{"\u005flinks":{"pol\u006c":{"hre\u0066":"/p"}},"f\u0061ctorResult":"WAITING"}`, "WAITING", "/p"},
		{"keys of another case", `{"_LINKS":{"Poll":{"HREF":"/p"}},"FactorResult":"WAITING"}`, "WAITING", "/p"},
		{"last of doubled keys", `{"_links":{"poll":{"href":"/1"}},"_links":{"poll":{"href":"/2"},"poll":{"href":"/3","href":"/4"}}}`, "", "/4"},
		{"doubled links, the last without poll", `{"_links":{"poll":{"href":"/1"}},"_links":{"cancel":{}}}`, "", "/1"},
		{"doubled poll, the last without href", `{"_links":{"poll":{"href":"/1"},"poll":{}}}`, "", ""},
		{"poll at another level", `{"poll":{"href":"/1"},"_embedded":{"_links":{"poll":{"href":"/2"}}},"href":"/3"}`, "", ""},
		{"poll that is a string", `{"_links":{"poll":"/1"}}`, "", ""},
		{"poll that is null", `{"_links":{"poll":null}}`, "", ""},
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
			if result != test.result || poll != test.poll {
				t.Errorf("got %q, %q, want %q, %q", result, poll, test.result, test.poll)
			}
		})
	}
}
