// This file holds what may be shown of a request and an answer, in an error's
// text, a span, a metric or a log: whatever a caller, a server or an error says,
// only a listed word gets there.

package oktaretry

// shownCode is a code that may stand in a text or a label. Any word can stand
// in an answer's "error"; one that neither Okta's table nor OAuth's registry
// knows could be a person's.
func shownCode(code string) string {
	if code == "" || isOktaCode(code) || knownOAuthCodes[code] {
		return code
	}
	if _, ok := lookup(code); ok {
		return code
	}
	return "_OTHER"
}

// countedCode is a code as metrics show it. There are ten million that have the
// form of Okta's, so one that the catalogue does not know is no label.
func countedCode(code string) string {
	if _, ok := lookup(code); ok || code == "" || knownOAuthCodes[code] {
		return code
	}
	return "_OTHER"
}

// knownOAuthCodes are errors that OAuth, OpenID Connect and DPoP register and
// the catalogue leaves to their status.
var knownOAuthCodes = map[string]bool{
	"invalid_grant": true, "invalid_token": true, "insufficient_scope": true, "unsupported_grant_type": true,
	"authorization_pending": true, "slow_down": true, "expired_token": true, "too_many_user_codes": true,
	"invalid_dpop_proof": true, "use_dpop_nonce": true, "interaction_required": true, "consent_required": true,
	"account_selection_required": true, "invalid_client_metadata": true, "invalid_redirect_uri": true,
	"unsupported_token_type": true, "invalid_target": true, "mfa_required": true,
}
