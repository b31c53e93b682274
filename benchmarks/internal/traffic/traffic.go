// Package traffic makes calls to many endpoints.
package traffic

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// Requests are so many requests, each to an endpoint and a bucket of its own:
// 100 of them to each org, of 50 templates with two methods, and a credential
// for each.
func Requests(n int) (all []*http.Request) {
	for i := range n {
		path := templates[i%len(templates)]
		method := http.MethodGet
		if i/len(templates)%2 == 1 {
			method = http.MethodPut
		}
		req, err := http.NewRequestWithContext(context.Background(), method,
			fmt.Sprintf("https://org%d.okta.com%s", i/100, path), nil)
		if err != nil {
			panic(err)
		}
		req.Header.Set("Authorization", fmt.Sprint("SSWS ", i))
		all = append(all, req)
	}
	return all
}

// Visit makes n calls, by the requests in turn.
func Visit(tr http.RoundTripper, requests []*http.Request, n int) {
	var buf [4096]byte
	for i := range n {
		resp, err := tr.RoundTrip(requests[i%len(requests)])
		if err != nil {
			panic(err)
		}
		for {
			if _, err := resp.Body.Read(buf[:]); err != nil {
				break
			}
		}
		resp.Body.Close()
	}
}

// templates are paths with 50 different templates.
var templates = strings.Fields(`
/api/v1/users /api/v1/users/1 /api/v1/users/1/groups /api/v1/users/1/factors /api/v1/users/1/factors/2
/api/v1/users/1/appLinks /api/v1/users/1/roles /api/v1/users/1/roles/2 /api/v1/users/1/sessions /api/v1/users/1/clients
/api/v1/groups /api/v1/groups/1 /api/v1/groups/1/users /api/v1/groups/1/users/2 /api/v1/groups/1/apps
/api/v1/groups/1/roles /api/v1/groups/rules /api/v1/groups/rules/1 /api/v1/groups/1/owners /api/v1/groups/1/roles/2
/api/v1/apps /api/v1/apps/1 /api/v1/apps/1/users /api/v1/apps/1/users/2 /api/v1/apps/1/groups
/api/v1/apps/1/groups/2 /api/v1/apps/1/credentials/keys /api/v1/apps/1/credentials/csrs /api/v1/apps/1/grants /api/v1/apps/1/tokens
/api/v1/logs /api/v1/policies /api/v1/policies/1 /api/v1/policies/1/rules /api/v1/policies/1/rules/2
/api/v1/zones /api/v1/zones/1 /api/v1/idps /api/v1/idps/1 /api/v1/idps/1/users
/api/v1/authorizationServers /api/v1/authorizationServers/1 /api/v1/authorizationServers/1/scopes /api/v1/authorizationServers/1/claims /api/v1/authorizationServers/1/policies
/api/v1/eventHooks /api/v1/eventHooks/1 /api/v1/inlineHooks /api/v1/inlineHooks/1 /api/v1/trustedOrigins`)
