// This file is what a test sees of factors.

package oktatest

// SetFactorResult changes what WithFactorResult has set, for verifications
// that begin later.
func (o *Okta) SetFactorResult(result string, waits int) { o.factors.SetResult(result, waits) }

// Pushes is the number of pushes sent to users: one for each verification
// begun with a push factor.
func (o *Okta) Pushes() int { return o.factors.Pushes() }

// Passcode is what a user would type to activate or verify a factor: the passcode last sent by
// text message, call or email, the present one of an authenticator app, that of a hardware
// token, or the answer to a security question. The user is given by id or login. ok is false if
// there is no such factor, or nothing to type.
func (o *Okta) Passcode(user, factor string) (code string, ok bool) {
	return o.factors.Passcode(o.now(), user, factor)
}
