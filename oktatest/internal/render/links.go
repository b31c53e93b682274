// This file decides which links a user has.

package render

import "slices"

// Links are the _links of an object, in order.
type Links []Link

// Link is one of them.
type Link struct {
	Name   string `json:"-"`
	Href   string `json:"href"`
	Method string `json:"method,omitempty"`
}

// append writes the links.
func (l Links) append(b []byte) []byte {
	b = append(b, '{')
	for i, link := range l {
		b = appendString(append(appendName(b, i, link.Name), `{"href":`...), link.Href)
		if link.Method != "" {
			b = appendString(append(b, `,"method":`...), link.Method)
		}
		b = append(b, '}')
	}
	return append(b, '}')
}

// Sets of statuses.
var (
	alive  = []string{"PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT"}
	signed = []string{"ACTIVE", "RECOVERY", "PASSWORD_EXPIRED"}
)

// userLinks are the links of users, in the order of Okta's answers. A user has one if its
// status is among those named (all, if none is) and it has what else the link needs.
var userLinks = []struct {
	name, path, method string
	statuses           []string
	needs              func(User) bool // nil: nothing
}{
	{"suspend", "/lifecycle/suspend", "POST", []string{"PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED"}, nil},
	{"schema", "", "", nil, nil},
	{"resetPassword", "/lifecycle/reset_password", "POST", alive, nil},
	{"forgotPassword", "/credentials/forgot_password", "POST", signed, func(u User) bool { return u.Password && u.Question != "" }},
	{"expirePassword", "/lifecycle/expire_password", "POST", signed, hasPassword},
	{"unlock", "/lifecycle/unlock", "POST", []string{"LOCKED_OUT"}, nil},
	{"changeRecoveryQuestion", "/credentials/change_recovery_question", "POST", signed, hasPassword},
	{"reactivate", "/lifecycle/reactivate", "POST", []string{"PROVISIONED"}, nil},
	{"unsuspend", "/lifecycle/unsuspend", "POST", []string{"SUSPENDED"}, nil},
	{"activate", "/lifecycle/activate", "POST", []string{"STAGED", "DEPROVISIONED"}, nil},
	{"self", "", "", nil, nil},
	{"resetFactors", "/lifecycle/reset_factors", "POST", nil, nil},
	{"type", "", "", nil, nil},
	{"delete", "", "DELETE", []string{"DEPROVISIONED"}, nil},
	{"changePassword", "/credentials/change_password", "POST", signed, hasPassword},
	{"deactivate", "/lifecycle/deactivate", "POST", append([]string{"SUSPENDED"}, alive...), nil},
}

func hasPassword(u User) bool { return u.Password }

func (u User) links(base string) Links {
	self := u.self(base)
	all := make(Links, 0, len(userLinks))
	for _, l := range userLinks {
		if l.statuses != nil && !slices.Contains(l.statuses, u.Status) || l.needs != nil && !l.needs(u) {
			continue
		}
		href := self + l.path
		switch l.name {
		case "schema":
			href = base + "/api/v1/meta/schemas/user/" + userSchema
		case "type":
			href = base + "/api/v1/meta/types/user/" + UserType
		}
		all = append(all, Link{l.name, href, l.method})
	}
	return all
}
