// This file holds the life of a user: its statuses, and what leads from one to another.

package oktatest

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/oktaretry/oktaretry/oktatest/internal/render"
	"github.com/oktaretry/oktaretry/oktatest/internal/signin"
)

func (o *Okta) lifecycleRoutes(add func(string, func(*call) *reply)) {
	const lifecycle = "POST /api/v1/users/{id}/lifecycle/"
	add(lifecycle+"activate", o.withUser(o.activateUser))
	add(lifecycle+"reactivate", o.withUser(o.reactivateUser))
	add(lifecycle+"deactivate", o.withUser(o.deactivateUser))
	add(lifecycle+"suspend", o.withUser(func(c *call, u *user) *reply {
		return o.moveUser(c, u, "ACTIVE", "SUSPENDED", "Cannot suspend a user that is not active")
	}))
	add(lifecycle+"unsuspend", o.withUser(func(c *call, u *user) *reply {
		return o.moveUser(c, u, "SUSPENDED", "ACTIVE", "Cannot unsuspend a user that is not suspended")
	}))
	add(lifecycle+"unlock", o.withUser(o.unlockUser))
	add(lifecycle+"reset_password", o.withUser(o.resetPassword))
	add(lifecycle+"expire_password", o.withUser(o.expirePassword))
	add(lifecycle+"expire_password_with_temp_password", o.withUser(o.expirePassword))
}

// activeStatus is what activation brings: a user without a password has to choose one first.
func (u *user) activeStatus() string {
	elsewhere := u.provider != (render.Provider{}) && u.provider.Type != "OKTA"
	if u.password || elsewhere {
		return "ACTIVE"
	}
	return "PROVISIONED"
}

// setStatus changes a user's status, and returns the user as it is then.
func (o *Okta) setStatus(u *user, status string) *user {
	changed := *u
	changed.status = status
	changed.statusChanged = o.stamp()
	changed.lastUpdated = changed.statusChanged
	if status == "ACTIVE" || status == "PROVISIONED" {
		changed.activated = cmp.Or(changed.activated, changed.statusChanged)
	}
	o.directory.replaceUser(&changed)
	return &changed
}

func (o *Okta) activateUser(c *call, u *user) *reply {
	if u.status != "STAGED" && !u.gone() {
		return c.fail("E0000016")
	}
	o.setStatus(u, u.activeStatus())
	return c.activation()
}

// reactivateUser sends a user who has chosen no password yet the way to do so again.
func (o *Okta) reactivateUser(c *call, u *user) *reply {
	if u.status != "PROVISIONED" {
		return c.fail("E0000038")
	}
	return c.activation()
}

// activation replies with a token if no email is to carry it.
func (c *call) activation() *reply {
	if c.flag("sendEmail", true) {
		return c.json(http.StatusOK, struct{}{})
	}
	token := c.o.newID("")
	return c.json(http.StatusOK, struct {
		URL   string `json:"activationUrl"`
		Token string `json:"activationToken"`
	}{c.base() + "/welcome/" + token, token})
}

func (o *Okta) deactivateUser(c *call, u *user) *reply {
	if !u.gone() {
		o.setStatus(u, "DEPROVISIONED")
	}
	return c.json(http.StatusOK, struct{}{})
}

// moveUser changes a status that must be the one named.
func (o *Okta) moveUser(c *call, u *user, from, to, otherwise string) *reply {
	if u.status != from {
		e := oktaError{Code: "E0000001", Summary: "Api validation failed: " + u.id, Causes: causes([]string{otherwise})}
		return c.errorReply(http.StatusBadRequest, e)
	}
	o.setStatus(u, to)
	return c.json(http.StatusOK, struct{}{})
}

func (o *Okta) unlockUser(c *call, u *user) *reply {
	if u.status != "LOCKED_OUT" {
		return c.fail("E0000032", "The user is not locked out.")
	}
	o.setStatus(u, "ACTIVE")
	return c.json(http.StatusOK, struct{}{})
}

// resetPassword leaves the user without access until a new password is chosen.
func (o *Okta) resetPassword(c *call, u *user) *reply {
	if slices.Contains([]string{"STAGED", "SUSPENDED", "DEPROVISIONED"}, u.status) {
		return c.fail("E0000038")
	}
	if u.status != "PROVISIONED" {
		o.setStatus(u, "RECOVERY")
	}
	if c.flag("sendEmail", true) {
		return c.json(http.StatusOK, struct{}{})
	}
	return c.json(http.StatusOK, map[string]string{"resetPasswordUrl": c.base() + "/reset_password/" + o.newID("")})
}

// expirePassword replies with the user, or with a password that serves until the next login.
func (o *Okta) expirePassword(c *call, u *user) *reply {
	if !u.password || !slices.Contains([]string{"ACTIVE", "RECOVERY", "PASSWORD_EXPIRED"}, u.status) {
		return c.fail("E0000038")
	}
	u = o.setStatus(u, "PASSWORD_EXPIRED")
	if c.segs[len(c.segs)-1] == "expire_password" {
		return c.user(u)
	}
	changed, temporary := *u, o.newID("")[:12]
	changed.setPassword(u.passwordSince, signin.NewPassword(temporary))
	o.directory.replaceUser(&changed)
	return c.json(http.StatusOK, map[string]string{"tempPassword": temporary})
}
