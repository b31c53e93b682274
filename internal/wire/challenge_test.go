// This file holds what is read of WWW-Authenticate.

package wire_test

import (
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/internal/wire"
)

func TestChallengeError(t *testing.T) {
	tests := []struct {
		name              string
		values            []string
		code, description string
	}{
		{"Okta's refusal of a token",
			[]string{`Bearer authorization_uri="http://acme.okta.com/oauth2/v1/authorize", realm="http://acme.okta.com", scope="okta.users.read", error="insufficient_scope", error_description="The access token provided does not contain the required scopes.", resource="/api/v1/users"`},
			"insufficient_scope", "The access token provided does not contain the required scopes."},
		{"Okta's refusal of a proof",
			[]string{`DPoP algs="RS256 RS384 ES256", error="invalid_dpop_proof", error_description="The DPoP proof JWT has already been used."`},
			"invalid_dpop_proof", "The DPoP proof JWT has already been used."},
		{"the second of two joined",
			[]string{`DPoP realm="x", Bearer error="invalid_token", error_description="a \"quoted\" thing"`},
			"invalid_token", `a "quoted" thing`},
		{"the second of two values", []string{`Basic realm="x"`, `Bearer error="invalid_token"`}, "invalid_token", ""},
		{"the first of two errors",
			[]string{`DPoP error="use_dpop_nonce", error_description="n", Bearer error="invalid_token", error_description="t"`},
			"use_dpop_nonce", "n"},
		{"a description belongs to its own challenge",
			[]string{`DPoP error_description="n", Bearer error="invalid_token"`}, "invalid_token", ""},
		{"and not to the one before",
			[]string{`DPoP error="use_dpop_nonce", Basic error_description="n"`}, "use_dpop_nonce", ""},
		{"description first", []string{`Bearer error_description="d", error="invalid_token"`}, "invalid_token", "d"},
		{"one challenge split over two values", []string{`Bearer realm="x"`, `error="invalid_token"`}, "invalid_token", ""},
		{"any case", []string{`bEARER ERROR="invalid_token", Error_Description="d"`}, "invalid_token", "d"},
		{"code keeps its case", []string{`Bearer error="Invalid_Token"`}, "Invalid_Token", ""},
		{"tokens without quotes", []string{`Bearer error=invalid_token, error_description=expired`}, "invalid_token", "expired"},
		{"spaces around the equals sign", []string{"Bearer error \t= \"invalid_token\" , error_description\t=\t\"d\""}, "invalid_token", "d"},
		{"empty list members", []string{`, ,Bearer ,error="invalid_token",,error_description="d",`}, "invalid_token", "d"},
		{"no space behind the comma", []string{`Basic realm="x",Bearer error="invalid_token",error_description="d"`}, "invalid_token", "d"},
		{"no commas", []string{`Bearer realm="x" error="invalid_token" error_description="d"`}, "invalid_token", "d"},
		{"semicolons", []string{`Bearer realm="x"; error="invalid_token"; error_description="d"`}, "invalid_token", "d"},
		{"comma and equals sign in a string", []string{`Bearer realm="a, DPoP error=b", error="invalid_token"`}, "invalid_token", ""},
		{"quoted pairs in the code", []string{`Bearer error="invalid\_token"`}, "invalid_token", ""},
		{"quoted pair of a backslash", []string{`Bearer error="invalid_token", error_description="C:\\x\\"`}, "invalid_token", `C:\x\`},
		{"token68 before", []string{`Negotiate oYG2+/ab==, Bearer error="invalid_token"`}, "invalid_token", ""},
		{"token68 with one equals sign before", []string{`NTLM TlRM=, Bearer error="invalid_token"`}, "invalid_token", ""},
		{"token68 without equals sign before", []string{`NTLM TlRM, Bearer error="invalid_token"`}, "invalid_token", ""},
		{"scheme alone before", []string{`Negotiate, Bearer error="invalid_token"`}, "invalid_token", ""},
		{"closing quote missing", []string{`Bearer error="invalid_token`}, "invalid_token", ""},
		{"closing quote of the description missing", []string{`Bearer error="invalid_token", error_description="it has`}, "invalid_token", "it has"},
		{"opening quote missing", []string{`Bearer error=invalid_token", error_description="d"`}, "invalid_token", "d"},
		{"backslash at the end", []string{`Bearer error="invalid_token", error_description="d\`}, "invalid_token", `d\`},
		{"doubled error, the first", []string{`Bearer error="invalid_token", error="insufficient_scope"`}, "invalid_token", ""},
		{"doubled description, the first", []string{`Bearer error="invalid_token", error_description="", error_description="d"`}, "invalid_token", ""},
		{"implausible error, then another challenge",
			[]string{`DPoP error="not a code", error_description="n", Bearer error="invalid_token"`}, "invalid_token", ""},
		{"code of 64 bytes", []string{`Bearer error=` + strings.Repeat("x", 64)}, strings.Repeat("x", 64), ""},

		{"nothing", nil, "", ""},
		{"empty", []string{""}, "", ""},
		{"no error", []string{`Bearer realm="x"`, `SSWS`}, "", ""},
		{"other scheme", []string{`Basic error="invalid_token", error_description="d"`}, "", ""},
		{"no scheme", []string{`error="invalid_token"`}, "", ""},
		{"scheme that only begins alike", []string{`BearerX error="invalid_token"`}, "", ""},
		{"parameter that only begins alike", []string{`Bearer error_uri="x", errors="y"`}, "", ""},
		{"error without value", []string{`Bearer error=, error_description="d"`}, "", ""},
		{"empty error", []string{`Bearer error="", error_description="d"`}, "", ""},
		{"code of 65 bytes", []string{`Bearer error=` + strings.Repeat("x", 65)}, "", ""},
		{"code with a line break", []string{"Bearer error=\"a\nb\""}, "", ""},
		{"code beyond ASCII", []string{`Bearer error="ünvalid"`}, "", ""},
		{"quoted pairs around a quote", []string{`Bearer realm="\", error=invalid_token, x=\""`}, "", ""},
		{"error behind 8 KiB", []string{`Bearer realm="` + strings.Repeat("x", 8<<10) + `", error="invalid_token"`}, "", ""},
		{"error across 8 KiB", []string{`Bearer realm="` + strings.Repeat("x", 8<<10-28) + `", error="invalid_token"`}, "", ""},
		{"error in the 17th value", append(make([]string, 16), `Bearer error="invalid_token"`), "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, description := wire.ChallengeError(test.values)
			if code != test.code || description != test.description {
				t.Errorf("got %q, %q, want %q, %q", code, description, test.code, test.description)
			}
		})
	}
}
