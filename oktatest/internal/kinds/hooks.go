// This file holds hooks, trusted origins and network zones.

package kinds

import "github.com/oktaretry/oktaretry/oktatest/internal/generic"

var hooks = map[string]generic.Rule{
	"/api/v1/eventHooks/{}": {
		Name: "Webhook", Prefix: "who", Check: demand("name", "events", "channel"), Keeps: []string{"verificationStatus"},
		Begin: both(active, begin(map[string]any{"verificationStatus": "UNVERIFIED"})), Act: verifyHook,
	},
	"/api/v1/inlineHooks/{}": {
		Name: "InlineHook", Prefix: "cal", Check: demandFirst("name", "type"), Begin: active, Keeps: []string{"type", "version"},
	},
	"/api/v1/trustedOrigins/{}": {
		Name: "TrustedOrigin", Prefix: "tos", Check: unique("origin", demand("name", "origin")), Begin: active,
	},
	"/api/v1/zones/{}": {
		Name: "NetworkZone", Prefix: "nzo", Check: unique("name", demand("type", "name")), Keeps: []string{"type", "system"},
		Begin: both(active, begin(map[string]any{"usage": "POLICY", "system": false})), Seeds: defaultZones, Delete: deleteSystem,
	},
}

// verifyHook verifies an event hook; one that is not can be activated all the same.
func verifyHook(_ *generic.Call, o *generic.Object, verb string) *generic.Failure {
	if verb == "verify" {
		o.Body["verificationStatus"] = "VERIFIED"
	}
	return nil
}

func defaultZones(*generic.Call) []generic.Seed {
	var all []generic.Seed
	for _, zone := range [][2]string{{"LegacyIpZone", "POLICY"}, {"BlockedIpZone", "BLOCKLIST"}} {
		all = append(all, generic.Seed{Lean: true, Body: map[string]any{
			"type": "IP", "name": zone[0], "usage": zone[1], "status": "ACTIVE", "system": true, "gateways": []any{}, "proxies": []any{},
		}})
	}
	return all
}
