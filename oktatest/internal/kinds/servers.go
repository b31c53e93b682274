// This file holds authorization servers and identity providers.

package kinds

import "github.com/oktaretry/oktaretry/oktatest/internal/generic"

const server = "/api/v1/authorizationServers/{}"

var servers = map[string]generic.Rule{
	server: {
		Name: "AuthorizationServer", Prefix: "aus", Begin: active, Check: unique("name", demand("name", "audiences")),
		Show: showServer, Seeds: defaultServer,
	},
	server + "/scopes/{}": {
		Name: "OAuth2Scope", Prefix: "scp", Check: unique("name", demand("name")), Seeds: defaultScopes, Delete: deleteSystem,
		Begin: begin(map[string]any{"system": false, "default": false, "optional": false, "consent": "IMPLICIT", "metadataPublish": "NO_CLIENTS"}),
	},
	server + "/claims/{}": {
		Name: "OAuth2Claim", Prefix: "ocl", Begin: both(active, begin(map[string]any{"system": false, "alwaysIncludeInToken": true})),
		Check: demand("name"), Seeds: defaultClaims, Delete: deleteSystem,
	},
	server + "/policies/{}": {
		Name: "Policy", Prefix: "00p", Sets: []string{"priority"}, Keeps: []string{"type", "system", "priority"},
		Check: unique("name", demand("name")), Begin: both(active, beginServerPolicy("OAUTH_AUTHORIZATION_POLICY")),
		Created: renumber, Changed: renumber, Order: byPriority,
	},
	server + "/policies/{}/rules/{}": {
		Name: "PolicyRule", Prefix: "0pr", Sets: []string{"priority"}, Keeps: []string{"type", "system", "priority"},
		Check: unique("name", demand("name")), Begin: both(active, beginServerPolicy("RESOURCE_ACCESS")),
		Created: renumber, Changed: renumber, Order: byPriority,
	},
	"/api/v1/idps/{}": {
		Name: "IdpTrust", Prefix: "0oa", Begin: active, Keeps: []string{"type"}, Check: unique("name", demand("type", "name")),
	},
	"/api/v1/idps/credentials/keys/{}": {Name: "IdpKeyCredential"},
}

func defaultServer(*generic.Call) []generic.Seed {
	return []generic.Seed{{ID: "default", Lean: true, Body: map[string]any{
		"name": "default", "description": "Default Authorization Server for your Applications",
		"audiences": []any{"api://default"}, "status": "ACTIVE", "issuerMode": "DYNAMIC",
	}}}
}

// showServer shows where a server issues tokens.
func showServer(c *generic.Call, o *generic.Object, out map[string]any) {
	out["issuer"] = c.Base + "/oauth2/" + o.ID
}

func beginServerPolicy(kind string) func(*generic.Call, map[string]any) {
	return func(c *generic.Call, body map[string]any) {
		body["system"] = false
		body["type"] = kind
		body["priority"] = number(body, "priority", float64(len(c.Siblings())+1))
	}
}

// defaultScopes are OpenID Connect's own.
func defaultScopes(*generic.Call) []generic.Seed {
	var all []generic.Seed
	for _, name := range []string{"openid", "profile", "email", "address", "phone", "offline_access", "device_sso"} {
		all = append(all, generic.Seed{Lean: true, Body: map[string]any{
			"name": name, "system": true, "default": false, "optional": false, "consent": "IMPLICIT", "metadataPublish": "ALL_CLIENTS",
		}})
	}
	return all
}

func defaultClaims(*generic.Call) []generic.Seed {
	return []generic.Seed{{Lean: true, Body: map[string]any{
		"name": "sub", "status": "ACTIVE", "claimType": "RESOURCE", "valueType": "EXPRESSION", "system": true, "alwaysIncludeInToken": true,
		"value": "(appuser != null) ? appuser.userName : app.clientId", "conditions": map[string]any{"scopes": []any{}},
	}}}
}
