// This file tests which requests count for one client or caller.

package identity

import (
	"encoding/base64"
	"net/http/httptest"
	"testing"
)

func jwt(payload string) string {
	return "Bearer e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".sig"
}

func TestTokensOfOneClientHaveOneKey(t *testing.T) {
	k := NewKeys()
	first := jwt(`{"iss":"https://acme.okta.com","cid":"0oa1","jti":"1"}`)
	for _, tt := range []struct {
		name  string
		other string
		same  bool
	}{
		{"the same token", first, true},
		{"another token of the client", jwt(`{"jti":"2","cid":"0oa1","iss":"https://acme.okta.com"}`), true},
		{"another client", jwt(`{"iss":"https://acme.okta.com","cid":"0oa2"}`), false},
		{"another issuer", jwt(`{"iss":"https://other.okta.com","cid":"0oa1"}`), false},
		{"a token without a client", jwt(`{"iss":"https://acme.okta.com"}`), false},
		{"no JSON", "Bearer a.!!!.c", false},
		{"an opaque token", "SSWS 00abc", false},
		{"no token", "", false},
	} {
		for range 2 { // decoded, then remembered
			if got := k.Of(first, "") == k.Of(tt.other, ""); got != tt.same {
				t.Errorf("%s: one key: %t, want %t", tt.name, got, tt.same)
			}
		}
	}
}

func TestCallersOfALoginEndpoint(t *testing.T) {
	of := func(target string, header ...string) string {
		r := httptest.NewRequest("GET", target, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		return Caller(r)
	}
	plain := of("/oauth2/v1/authorize")
	if plain != "" {
		t.Errorf("a request without any mark is of caller %q", plain)
	}
	seen := map[string]string{}
	for name, caller := range map[string]string{
		"device":                of("/", "X-Device-Token", "d1"),
		"another device":        of("/", "X-Device-Token", "d2"),
		"address":               of("/", "X-Forwarded-For", "d1"),
		"session":               of("/", "Cookie", "JSESSIONID=1; sid=s1"),
		"another session":       of("/", "Cookie", "JSESSIONID=1; sid=s2"),
		"identity engine":       of("/", "Cookie", "idx=s1"),
		"client":                of("/oauth2/v1/authorize?client_id=0oa1"),
		"client, device, plain": of("/oauth2/v1/authorize?client_id=0oa1", "X-Device-Token", "d1"),
	} {
		if other, ok := seen[caller]; ok || caller == "" {
			t.Errorf("%s and %s are one caller %q", name, other, caller)
		}
		seen[caller] = name
	}
	if a, b := of("/", "Cookie", "JSESSIONID=1; sid=s1"), of("/", "Cookie", "JSESSIONID=2; sid=s1"); a != b {
		t.Error("another cookie of one session makes another caller")
	}
}

func TestKeysAllocateNothingForKnownTokens(t *testing.T) {
	k, token := NewKeys(), jwt(`{"iss":"https://acme.okta.com","cid":"0oa1"}`)
	if n := testing.AllocsPerRun(100, func() { k.Of(token, "caller"); k.Of("SSWS 00abc", "") }); n > 0 {
		t.Errorf("%.0f allocations", n)
	}
}

func TestLabelsTellCredentialsApartAndRevealNone(t *testing.T) {
	k, other := NewKeys(), NewKeys()
	a, b := k.Of("SSWS 00abc", ""), k.Of("SSWS 00abd", "")
	if len(k.Label(a)) != 8 || k.Label(a) == k.Label(b) {
		t.Errorf("labels %q and %q", k.Label(a), k.Label(b))
	}
	if k.Label(a) != other.Label(other.Of("SSWS 00abc", "")) {
		t.Error("one credential has two labels in one process")
	}
	if got := k.Label(k.Of("", "")); got != "" {
		t.Errorf("no credential has label %q", got)
	}
}
