// This file lists kinds of which only Okta's name and the beginning of their ids are
// known. The names are those of recorded answers where there are some ("CVDType").

package kinds

import "github.com/oktaretry/oktaretry/oktatest/internal/generic"

var names = map[string]generic.Rule{
	generic.Users:  {Name: "User"},
	generic.Groups: {Name: "UserGroup"},

	"/api/v1/api-tokens/{}":                  {Name: "ApiToken", Prefix: "00T"},
	"/api/v1/agentPools/{}/updates/{}":       {Name: "AgentPoolUpdate", Prefix: "aup"},
	"/api/v1/behaviors/{}":                   {Name: "BehaviorRule", Prefix: "bhv"},
	"/api/v1/captchas/{}":                    {Name: "CaptchaInstance", Prefix: "cap"},
	"/api/v1/device-assurances/{}":           {Name: "DeviceAssurancePolicy", Prefix: "dae"},
	"/api/v1/devices/{}":                     {Name: "Device", Prefix: "guo"},
	"/api/v1/domains/{}":                     {Name: "Domain", Prefix: "OcD"},
	"/api/v1/email-domains/{}":               {Name: "EmailDomain", Prefix: "OeD"},
	"/api/v1/groups/rules/{}":                {Name: "GroupRule", Prefix: "0pr"},
	"/api/v1/iam/resource-sets/{}":           {Name: "ResourceSet", Prefix: "iam"},
	"/api/v1/iam/roles/{}":                   {Name: "Role", Prefix: "cr0"},
	"/api/v1/logStreams/{}":                  {Name: "LogStream", Prefix: "0oa", Begin: active},
	"/api/v1/mappings/{}":                    {Name: "ProfileMapping", Prefix: "prm"},
	"/api/v1/meta/types/user/{}":             {Name: "CVDType", Prefix: "oty", Check: demandFirst("name", "displayName"), Seeds: defaultUserType, Show: showType, Means: isDefault},
	"/api/v1/meta/uischemas/{}":              {Name: "UISchema", Prefix: "uis"},
	"/api/v1/realms/{}":                      {Name: "Realm", Prefix: "guo"},
	"/api/v1/realm-assignments/{}":           {Name: "RealmAssignment", Prefix: "rul", Begin: active},
	"/api/v1/sessions/{}":                    {Name: "Session", Prefix: "102"},
	"/api/v1/templates/sms/{}":               {Name: "SmsTemplate", Prefix: "cus"},
	"/api/v1/users/{}/factors/{}":            {Name: "Factor", Prefix: "opf"},
	"/api/v1/users/{}/grants/{}":             {Name: "OAuth2ScopeConsentGrant", Prefix: "oag"},
	"/api/v1/apps/{}/grants/{}":              {Name: "OAuth2ScopeConsentGrant", Prefix: "oag", Begin: active},
	"/api/v1/apps/{}/tokens/{}":              {Name: "OAuth2RefreshToken", Prefix: "oar"},
	"/api/v1/apps/{}/credentials/secrets/{}": {Name: "OAuth2ClientSecret", Prefix: "ocs", Begin: active},
}

// defaultUserType is the type of users that every org has.
func defaultUserType(*generic.Call) []generic.Seed {
	return []generic.Seed{{ID: "oty0000000000000deft", Lean: true, Body: map[string]any{
		"name": "user", "displayName": "User", "description": "Okta user profile template with default permission settings", "default": true,
	}}}
}
