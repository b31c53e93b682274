// This file holds what every org has from the beginning beside its policies.

package kinds

import "github.com/oktaretry/oktaretry/oktatest/internal/generic"

var org = map[string]generic.Rule{
	"/api/v1/authenticators/{}": {
		Name: "Authenticator", Prefix: "aut", Check: unique("key", demand("key", "name")), Begin: active, Keeps: []string{"key", "type"},
		Seeds: defaultAuthenticators,
	},
	"/api/v1/brands/{}": {
		Name: "Brand", Prefix: "bnd", Check: unique("name", demand("name")), Seeds: defaultBrand, Delete: deleteDefaultBrand,
	},
	"/api/v1/brands/{}/themes/{}": {Name: "Theme", Prefix: "thm", Seeds: one(nil)},
	"/api/v1/features/{}": {
		Name: "Feature", Prefix: "ftr",
		Seeds: one(map[string]any{"name": "Event Hooks", "description": "Sends events to a service of your own", "type": "self-service", "status": "ENABLED"}),
	},
	"/api/v1/apps/{}/credentials/keys/{}":                 {Name: "JsonWebKey", Prefix: "kid", Seeds: one(nil)},
	"/api/v1/authorizationServers/{}/credentials/keys/{}": {Name: "JsonWebKey", Prefix: "kid", Seeds: one(map[string]any{"status": "ACTIVE"})},
}

// one is a single object from the beginning, filled by its type.
func one(body map[string]any) func(*generic.Call) []generic.Seed {
	return func(*generic.Call) []generic.Seed {
		own := map[string]any{}
		for k, v := range body {
			own[k] = v
		}
		return []generic.Seed{{Body: own}}
	}
}

func defaultAuthenticators(*generic.Call) []generic.Seed {
	var all []generic.Seed
	for _, a := range [][3]string{
		{"okta_email", "email", "Email"},
		{"okta_password", "password", "Password"},
		{"okta_verify", "app", "Okta Verify"},
		{"phone_number", "phone", "Phone"},
		{"security_question", "security_question", "Security Question"},
	} {
		all = append(all, generic.Seed{Lean: true, Body: map[string]any{"key": a[0], "type": a[1], "name": a[2], "status": "ACTIVE"}})
	}
	return all
}

func defaultBrand(*generic.Call) []generic.Seed {
	return []generic.Seed{{Lean: true, Body: map[string]any{"name": "Okta Default", "isDefault": true, "removePoweredByOkta": false}}}
}

// deleteDefaultBrand refuses to delete the brand that every org has.
func deleteDefaultBrand(_ *generic.Call, o *generic.Object) *generic.Failure {
	if o.Body["isDefault"] == true {
		return generic.Refused(409, "E0000200")
	}
	return nil
}
