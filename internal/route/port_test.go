// This file tests Port.

package route_test

import (
	"net/url"
	"testing"

	"github.com/oktaretry/oktaretry/internal/route"
)

func TestPortIsTheNamedOneElseTheSchemes(t *testing.T) {
	for _, tt := range []struct {
		url  url.URL
		port int
	}{
		{url.URL{Scheme: "https", Host: "acme.okta.com"}, 443},
		{url.URL{Scheme: "http", Host: "acme.okta.com"}, 80},
		{url.URL{Scheme: "https", Host: "acme.okta.com:8443"}, 8443},
		{url.URL{Scheme: "http", Host: "[::1]:8080"}, 8080},
		{url.URL{Scheme: "http", Host: "[::1]"}, 80},
		{url.URL{Scheme: "https", Host: "acme.okta.com:"}, 443},
		{url.URL{Scheme: "https", Host: "acme.okta.com:https"}, 443},
		{url.URL{Scheme: "gopher", Host: "acme.okta.com"}, 443},
		{url.URL{Host: "acme.okta.com"}, 443},
		{url.URL{}, 443},
	} {
		if got := route.Port(&tt.url); got != tt.port {
			t.Errorf("Port(%v) = %d, want %d", &tt.url, got, tt.port)
		}
	}
}
