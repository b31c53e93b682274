// This file holds which events a change through the API causes: part of Okta's catalogue,
// https://developer.okta.com/docs/reference/api/event-types/.

package syslog

import (
	"slices"
	"strings"
	"sync"
)

// Unlisted is the type of the event for a change that this package's table lacks. Okta logs
// many of those not at all, others by a type of their own.
const Unlisted = "oktatest.write"

// Kinds of targets, by Okta's names.
const (
	User  = "User"
	Group = "UserGroup"
	App   = "AppInstance"
)

// changes are requests and, after |, the event of their success and the kinds of its targets:
// one for each {} of the path, and one more where the answer is the target. A kind of - is left
// out. The first row that fits counts.
const changes = `
POST /api/v1/users | user.lifecycle.create User
POST /api/v1/users/{}/lifecycle/activate | user.lifecycle.activate User
POST /api/v1/users/{}/lifecycle/reactivate | user.lifecycle.reactivate User
POST /api/v1/users/{}/lifecycle/deactivate | user.lifecycle.deactivate User
POST /api/v1/users/{}/lifecycle/suspend | user.lifecycle.suspend User
POST /api/v1/users/{}/lifecycle/unsuspend | user.lifecycle.unsuspend User
POST /api/v1/users/{}/lifecycle/unlock | user.account.unlock_by_admin User
POST /api/v1/users/{}/lifecycle/expire_password | user.account.expire_password User
POST /api/v1/users/{}/lifecycle/expire_password_with_temp_password | user.account.expire_password User
POST /api/v1/users/{}/lifecycle/reset_password | user.account.reset_password User
POST /api/v1/users/{}/lifecycle/reset_factors | user.mfa.factor.reset_all User
POST /api/v1/users/{}/credentials/change_password | user.account.update_password User
POST /api/v1/users/{}/credentials/forgot_password | user.account.reset_password User
DELETE /api/v1/users/{}/sessions | user.session.clear User
POST /api/v1/users/{}/roles | user.account.privilege.grant User
DELETE /api/v1/users/{}/roles/{} | user.account.privilege.revoke User -
DELETE /api/v1/users/{}/factors/{} | user.mfa.factor.deactivate User -
POST /api/v1/groups/rules | policy.rule.add PolicyRule
PUT /api/v1/groups/rules/{} | policy.rule.update PolicyRule
DELETE /api/v1/groups/rules/{} | policy.rule.delete PolicyRule
POST /api/v1/groups/rules/{}/lifecycle/activate | policy.rule.activate PolicyRule
POST /api/v1/groups/rules/{}/lifecycle/deactivate | policy.rule.deactivate PolicyRule
POST /api/v1/groups | group.lifecycle.create UserGroup
PUT /api/v1/groups/{} | group.profile.update UserGroup
DELETE /api/v1/groups/{} | group.lifecycle.delete UserGroup
PUT /api/v1/groups/{}/users/{} | group.user_membership.add UserGroup User
DELETE /api/v1/groups/{}/users/{} | group.user_membership.remove UserGroup User
POST /api/v1/groups/{}/roles | group.privilege.grant UserGroup
DELETE /api/v1/groups/{}/roles/{} | group.privilege.revoke UserGroup -
POST /api/v1/apps | application.lifecycle.create AppInstance
PUT /api/v1/apps/{} | application.lifecycle.update AppInstance
DELETE /api/v1/apps/{} | application.lifecycle.delete AppInstance
POST /api/v1/apps/{}/lifecycle/activate | application.lifecycle.activate AppInstance
POST /api/v1/apps/{}/lifecycle/deactivate | application.lifecycle.deactivate AppInstance
POST /api/v1/apps/{}/users | application.user_membership.add AppInstance User
POST /api/v1/apps/{}/users/{} | application.user_membership.update AppInstance User
DELETE /api/v1/apps/{}/users/{} | application.user_membership.remove AppInstance User
PUT /api/v1/apps/{}/groups/{} | group.application_assignment.add AppInstance UserGroup
PATCH /api/v1/apps/{}/groups/{} | group.application_assignment.update AppInstance UserGroup
DELETE /api/v1/apps/{}/groups/{} | group.application_assignment.remove AppInstance UserGroup
PUT /api/v1/apps/{}/policies/{} | application.policy.sign_on.update AppInstance PolicyEntity
POST /api/v1/policies | policy.lifecycle.create PolicyEntity
PUT /api/v1/policies/{} | policy.lifecycle.update PolicyEntity
DELETE /api/v1/policies/{} | policy.lifecycle.delete PolicyEntity
POST /api/v1/policies/{}/lifecycle/activate | policy.lifecycle.activate PolicyEntity
POST /api/v1/policies/{}/lifecycle/deactivate | policy.lifecycle.deactivate PolicyEntity
POST /api/v1/policies/{}/rules | policy.rule.add PolicyEntity PolicyRule
PUT /api/v1/policies/{}/rules/{} | policy.rule.update PolicyEntity PolicyRule
DELETE /api/v1/policies/{}/rules/{} | policy.rule.delete PolicyEntity PolicyRule
POST /api/v1/policies/{}/rules/{}/lifecycle/activate | policy.rule.activate PolicyEntity PolicyRule
POST /api/v1/policies/{}/rules/{}/lifecycle/deactivate | policy.rule.deactivate PolicyEntity PolicyRule
POST /api/v1/zones | zone.create NetworkZone
PUT /api/v1/zones/{} | zone.update NetworkZone
DELETE /api/v1/zones/{} | zone.delete NetworkZone
POST /api/v1/zones/{}/lifecycle/activate | zone.activate NetworkZone
POST /api/v1/zones/{}/lifecycle/deactivate | zone.deactivate NetworkZone
POST /api/v1/eventHooks | event_hook.created EventHook
PUT /api/v1/eventHooks/{} | event_hook.updated EventHook
DELETE /api/v1/eventHooks/{} | event_hook.deleted EventHook
POST /api/v1/eventHooks/{}/lifecycle/activate | event_hook.activated EventHook
POST /api/v1/eventHooks/{}/lifecycle/deactivate | event_hook.deactivated EventHook
POST /api/v1/eventHooks/{}/lifecycle/verify | event_hook.verified EventHook
POST /api/v1/inlineHooks | inline_hook.created InlineHook
POST /api/v1/inlineHooks/{} | inline_hook.updated InlineHook
PUT /api/v1/inlineHooks/{} | inline_hook.updated InlineHook
DELETE /api/v1/inlineHooks/{} | inline_hook.deleted InlineHook
POST /api/v1/inlineHooks/{}/execute | inline_hook.executed InlineHook
POST /api/v1/inlineHooks/{}/lifecycle/activate | inline_hook.activated InlineHook
POST /api/v1/inlineHooks/{}/lifecycle/deactivate | inline_hook.deactivated InlineHook
POST /api/v1/authorizationServers | oauth2.as.created AuthorizationServer
PUT /api/v1/authorizationServers/{} | oauth2.as.updated AuthorizationServer
DELETE /api/v1/authorizationServers/{} | oauth2.as.deleted AuthorizationServer
POST /api/v1/authorizationServers/{}/lifecycle/activate | oauth2.as.activated AuthorizationServer
POST /api/v1/authorizationServers/{}/lifecycle/deactivate | oauth2.as.deactivated AuthorizationServer
POST /api/v1/authorizationServers/{}/scopes | oauth2.scope.created AuthorizationServer Scope
PUT /api/v1/authorizationServers/{}/scopes/{} | oauth2.scope.updated AuthorizationServer Scope
DELETE /api/v1/authorizationServers/{}/scopes/{} | oauth2.scope.deleted AuthorizationServer Scope
POST /api/v1/authorizationServers/{}/claims | oauth2.claim.created AuthorizationServer Claim
PUT /api/v1/authorizationServers/{}/claims/{} | oauth2.claim.updated AuthorizationServer Claim
DELETE /api/v1/authorizationServers/{}/claims/{} | oauth2.claim.deleted AuthorizationServer Claim
POST /api/v1/authorizationServers/{}/policies | policy.lifecycle.create AuthorizationServer PolicyEntity
PUT /api/v1/authorizationServers/{}/policies/{} | policy.lifecycle.update AuthorizationServer PolicyEntity
DELETE /api/v1/authorizationServers/{}/policies/{} | policy.lifecycle.delete AuthorizationServer PolicyEntity
POST /api/v1/authorizationServers/{}/policies/{}/rules | policy.rule.add AuthorizationServer PolicyEntity PolicyRule
PUT /api/v1/authorizationServers/{}/policies/{}/rules/{} | policy.rule.update AuthorizationServer PolicyEntity PolicyRule
DELETE /api/v1/authorizationServers/{}/policies/{}/rules/{} | policy.rule.delete AuthorizationServer PolicyEntity PolicyRule
POST /api/v1/idps | system.idp.lifecycle.create IdentityProvider
PUT /api/v1/idps/{} | system.idp.lifecycle.update IdentityProvider
DELETE /api/v1/idps/{} | system.idp.lifecycle.delete IdentityProvider
POST /api/v1/idps/{}/lifecycle/activate | system.idp.lifecycle.activate IdentityProvider
POST /api/v1/idps/{}/lifecycle/deactivate | system.idp.lifecycle.deactivate IdentityProvider
POST /api/v1/authenticators | security.authenticator.lifecycle.create Authenticator
PUT /api/v1/authenticators/{} | security.authenticator.lifecycle.update Authenticator
POST /api/v1/authenticators/{}/lifecycle/activate | security.authenticator.lifecycle.activate Authenticator
POST /api/v1/authenticators/{}/lifecycle/deactivate | security.authenticator.lifecycle.deactivate Authenticator
POST /api/v1/iam/roles | iam.role.create Role
DELETE /api/v1/iam/roles/{} | iam.role.delete Role
POST /api/v1/iam/roles/{}/permissions/{} | iam.role.permissions.add Role -
DELETE /api/v1/iam/roles/{}/permissions/{} | iam.role.permissions.delete Role -
POST /api/v1/iam/resource-sets | iam.resourceset.create ResourceSet
DELETE /api/v1/iam/resource-sets/{} | iam.resourceset.delete ResourceSet
PATCH /api/v1/iam/resource-sets/{}/resources | iam.resourceset.resources.add ResourceSet
DELETE /api/v1/iam/resource-sets/{}/resources/{} | iam.resourceset.resources.delete ResourceSet -
POST /api/v1/iam/resource-sets/{}/bindings | iam.resourceset.bindings.add ResourceSet
DELETE /api/v1/iam/resource-sets/{}/bindings/{} | iam.resourceset.bindings.delete ResourceSet -
POST /api/v1/behaviors | security.behavior.settings.create Behavior
PUT /api/v1/behaviors/{} | security.behavior.settings.update Behavior
DELETE /api/v1/behaviors/{} | security.behavior.settings.delete Behavior
POST /api/v1/devices/{}/lifecycle/activate | device.lifecycle.activate Device
POST /api/v1/devices/{}/lifecycle/deactivate | device.lifecycle.deactivate Device
POST /api/v1/devices/{}/lifecycle/suspend | device.lifecycle.suspend Device
POST /api/v1/devices/{}/lifecycle/unsuspend | device.lifecycle.unsuspend Device
DELETE /api/v1/devices/{} | device.lifecycle.delete Device
POST /api/v1/meta/types/user | directory.non_default_user_profile.create UserType
POST /api/v1/meta/schemas/user/{} | directory.user_profile.update -
POST /api/v1/meta/schemas/apps/{}/{} | directory.app_user_profile.update AppInstance -
POST /api/v1/mappings/{} | directory.mapping.update ProfileMapping
DELETE /api/v1/api-tokens/{} | system.api_token.revoke Token
POST /oauth2/v1/token | app.oauth2.token.grant
POST /oauth2/{}/v1/token | app.oauth2.as.token.grant AuthorizationServer
POST /governance/api/v1/campaigns | certification.campaign.create Campaign
PUT /governance/api/v1/campaigns/{} | certification.campaign.update Campaign
DELETE /governance/api/v1/campaigns/{} | certification.campaign.delete Campaign
POST /governance/api/v1/campaigns/{}/launch | certification.campaign.launch Campaign
POST /governance/api/v1/campaigns/{}/end | certification.campaign.close Campaign
POST /governance/api/v1/requests | access.request.create Request
POST /governance/api/v2/requests | access.request.create Request
`

// quiet are requests that change nothing or whose handlers report what happens.
const quiet = `
POST /api/v1/users/{}
PUT /api/v1/users/{}
DELETE /api/v1/users/{}
POST /api/v1/users/{}/factors
POST /api/v1/users/{}/factors/{}/verify
POST /api/v1/users/{}/factors/{}/resend
POST /api/v1/users/{}/factors/{}/lifecycle/activate
DELETE /api/v1/users/{}/factors/{}/transactions/{}
POST /api/v1/policies/simulate
POST /api/v1/authn
POST /api/v1/authn/{}
POST /api/v1/authn/credentials/{}
POST /api/v1/authn/factors/{}/verify
POST /api/v1/authn/factors/{}/verify/resend
POST /api/v1/sessions
DELETE /api/v1/sessions/{}
POST /api/v1/sessions/{}/lifecycle/refresh
`

// Change is what a request means for the log.
type Change struct {
	Type  string // of its event; empty: none
	Kinds []string
	IDs   []string // what the path names, one for each of the first kinds
}

type row struct {
	segs []string // the method first
	Change
}

var rows = sync.OnceValue(func() []row {
	var all []row
	for line := range strings.Lines(quiet + changes) {
		request, event, _ := strings.Cut(line, "|")
		method, path, _ := strings.Cut(strings.TrimSpace(request), " /")
		if path == "" {
			continue
		}
		r := row{segs: append([]string{method}, strings.Split(path, "/")...)}
		if f := strings.Fields(event); len(f) > 0 {
			r.Type, r.Kinds = f[0], f[1:]
		}
		all = append(all, r)
	}
	return all
})

// ChangeOf returns what a request means for the log, if it succeeds. ok is false for one that
// reads and for one beyond the org's APIs.
func ChangeOf(method string, segs []string) (c Change, ok bool) {
	if !slices.Contains([]string{"POST", "PUT", "PATCH", "DELETE"}, method) {
		return c, false
	}
	for _, r := range rows() {
		if ids, fits := r.match(method, segs); fits {
			c = r.Change
			c.IDs = ids
			return c, true
		}
	}
	if len(segs) == 0 || segs[0] != "api" && segs[0] != "governance" {
		return c, false
	}
	return Change{Type: Unlisted}, true
}

// match returns what the path's {} stand for.
func (r row) match(method string, segs []string) (ids []string, ok bool) {
	if method != r.segs[0] || len(segs) != len(r.segs)-1 {
		return nil, false
	}
	for i, want := range r.segs[1:] {
		switch {
		case want == "{}":
			ids = append(ids, segs[i])
		case want != segs[i]:
			return nil, false
		}
	}
	return ids, true
}

// messages are Okta's words for some types.
var messages = map[string]string{
	"user.lifecycle.create":                    "Create Okta user",
	"user.lifecycle.activate":                  "Activate Okta user",
	"user.lifecycle.reactivate":                "Reactivate Okta user",
	"user.lifecycle.deactivate":                "Deactivate Okta user",
	"user.lifecycle.suspend":                   "Suspend Okta user",
	"user.lifecycle.unsuspend":                 "Unsuspend Okta user",
	"user.lifecycle.delete.initiated":          "Delete Okta user initiated",
	"user.lifecycle.delete.completed":          "Delete Okta user completed",
	"user.account.update_profile":              "Update user profile for Okta",
	"user.account.update_password":             "User update password for Okta",
	"user.account.reset_password":              "User reset password for Okta",
	"user.account.privilege.grant":             "Grant user privilege",
	"user.account.privilege.revoke":            "Revoke user privilege",
	"user.session.start":                       "User login to Okta",
	"user.session.end":                         "User logout from Okta",
	"user.account.lock":                        "Max sign in attempts exceeded",
	"user.session.clear":                       "Clear user session",
	"user.mfa.factor.activate":                 "Activate factor or authenticator enrollment method for user",
	"user.mfa.factor.deactivate":               "Reset factor or authenticator enrollment method for user",
	"user.mfa.factor.reset_all":                "Reset all factors for user",
	"user.mfa.okta_verify.deny_push":           "User rejected Okta push verify",
	"user.authentication.auth_via_mfa":         "Authentication of user via MFA",
	"group.lifecycle.create":                   "Create Okta group",
	"group.lifecycle.delete":                   "Delete Okta group",
	"group.profile.update":                     "Update Okta group profile",
	"group.user_membership.add":                "Add user to group membership",
	"group.user_membership.remove":             "Remove user from group membership",
	"group.user_membership.rule.add_exclusion": "User added to exclusion list for group rule",
	"group.application_assignment.add":         "Add assigned application to group",
	"group.application_assignment.remove":      "Remove assigned application from group",
	"application.user_membership.add":          "Add user to application membership",
	"application.user_membership.remove":       "Remove user's application membership",
	"system.org.rate_limit.warning":            "Rate limit warning",
	"system.org.rate_limit.violation":          "Rate limit violation",
	"system.operation.rate_limit.violation":    "Operation rate limit violation",
	"system.client.rate_limit.violation":       "Client rate limit violation",
	"core.concurrency.org.limit.violation":     "Concurrency limit violation",
	"system.push.send_factor_verify_push":      "Send Okta Verify push",
	"system.sms.send_factor_verify_message":    "Send MFA factor SMS message",
	"system.email.send_factor_verify_message":  "Send MFA factor email message",
	"system.voice.send_mfa_challenge_call":     "Send MFA factor voice call",
	"app.oauth2.token.grant":                   "OIDC token request",
	"app.oauth2.as.token.grant":                "OAuth 2.0 token request",
	Unlisted:                                   "A change that Okta may not log",
}

// message is Okta's words for a type, or words made of the type's: "Zone create".
func message(eventType string) string {
	if m := messages[eventType]; m != "" {
		return m
	}
	words := strings.NewReplacer(".lifecycle.", " ", ".", " ", "_", " ").Replace(eventType)
	if words == "" {
		return ""
	}
	return strings.ToUpper(words[:1]) + words[1:]
}

// severity is that of a type: WARN for what should be looked at.
func severity(eventType string) string {
	for _, part := range []string{"rate_limit.", "limit.violation", "deny_push"} {
		if strings.Contains(eventType, part) {
			return "WARN"
		}
	}
	return "INFO"
}
