// This file corrects the description where Okta answers otherwise.

package main

import (
	"fmt"
	"slices"
)

// corrections are the success codes of operations whose description errs, as recorded of real orgs.
var corrections = []struct {
	method, path string
	status       int
}{
	{"POST", "/api/v1/agentPools/{poolId}/updates", 200},
	{"POST", "/api/v1/agentPools/{poolId}/updates/{updateId}", 200},
	{"PUT", "/api/v1/apps/{appId}/federated-claims/{claimId}", 200},
	{"POST", "/api/v1/apps/{appId}/grants", 200},
	{"POST", "/api/v1/apps/{appId}/group-push/mappings", 200},
	{"DELETE", "/api/v1/apps/{appId}/group-push/mappings/{mappingId}", 200},
	{"POST", "/api/v1/brands/{brandId}/themes/{themeId}/logo", 201},
	{"POST", "/api/v1/domains", 201},
	{"POST", "/api/v1/email-domains", 201},
	{"POST", "/api/v1/groups/{groupId}/roles", 201},
	{"PUT", "/api/v1/groups/{groupId}/roles/{roleAssignmentId}/targets/catalog/apps/{appName}", 204},
	{"DELETE", "/api/v1/identity-sources/{identitySourceId}/groups/{groupOrExternalId}", 200},
	{"POST", "/api/v1/identity-sources/{identitySourceId}/sessions", 201},
	{"DELETE", "/api/v1/identity-sources/{identitySourceId}/users/{externalId}", 200},
	{"POST", "/api/v1/idps/{idpId}/credentials/keys/generate", 201},
	{"POST", "/api/v1/realm-assignments", 200},
	{"POST", "/oauth2/v1/clients/{clientId}/roles", 201},
}

// correct applies the corrections. One that no longer changes anything is an error: the description has been mended.
func correct(all []*operated) error {
	for _, c := range corrections {
		i := slices.IndexFunc(all, func(o *operated) bool { return o.Method == c.method && o.Path == c.path })
		if i < 0 || all[i].Status == c.status {
			return fmt.Errorf("corrections: %s %s: the description has no such operation, or is right", c.method, c.path)
		}
		all[i].Status = c.status
	}
	return nil
}
