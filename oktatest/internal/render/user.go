// This file has the form of a user.

package render

import (
	"slices"
	"time"
)

// User is what a user is rendered from.
type User struct {
	ID, Status                                                               string
	Created, Activated, StatusChanged, LastLogin, LastUpdated, PasswordSince time.Time
	Profile                                                                  map[string]any
	Password                                                                 bool
	Question                                                                 string // for recovery
	Provider                                                                 Provider
}

// Provider is who checks a user's password. The zero one is Okta.
type Provider struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

// Ids of the type and the schema that all users have.
const (
	UserType   = "oty0000000000000deft"
	userSchema = "osc0000000000000deft"
)

// userJSON is a user that writes itself: encoding/json would read all of it once more.
type userJSON struct {
	User
	links Links
}

// MarshalJSON is for users in what encoding/json writes, such as lists.
func (u userJSON) MarshalJSON() ([]byte, error) { return u.AppendJSON(nil) }

// AppendJSON writes a user as Okta does.
func (u userJSON) AppendJSON(b []byte) ([]byte, error) {
	b = slices.Grow(b, 4<<10)
	b = appendString(append(b, `{"id":`...), u.ID)
	b = appendString(append(b, `,"status":`...), u.Status)
	b = appendTime(append(b, `,"created":`...), u.Created)
	b = appendTime(append(b, `,"activated":`...), u.Activated)
	b = appendTime(append(b, `,"statusChanged":`...), u.StatusChanged)
	b = appendTime(append(b, `,"lastLogin":`...), u.LastLogin)
	b = appendTime(append(b, `,"lastUpdated":`...), u.LastUpdated)
	b = appendTime(append(b, `,"passwordChanged":`...), u.PasswordSince)
	b = append(b, `,"type":{"id":"`+UserType+`"},"profile":`...)
	b, err := withNulls(u.Profile).append(b)
	if err != nil {
		return nil, err
	}
	if b, err = appendJSON(append(b, `,"credentials":`...), u.Credentials()); err != nil {
		return nil, err
	}
	return append(u.links.append(append(b, `,"_links":`...)), '}'), nil
}

// Credentials are a user's, without what is secret.
type Credentials struct {
	Password *struct{}      `json:"password,omitempty"`
	Emails   []emailAddress `json:"emails,omitempty"`
	Question *question      `json:"recovery_question,omitempty"`
	Provider Provider       `json:"provider"`
}

type emailAddress struct {
	Value  string `json:"value"`
	Status string `json:"status"`
	Type   string `json:"type"`
}

type question struct {
	Question string `json:"question"`
}

// JSON is the user at an org's base URL, with the links of its state.
func (u User) JSON(base string) any {
	return userJSON{u, u.links(base)}
}

// Entry is the user in a list: its only link is self.
func (u User) Entry(base string) any {
	return userJSON{u, Links{{Name: "self", Href: u.self(base)}}}
}

func (u User) self(base string) string { return base + "/api/v1/users/" + u.ID }

// withNulls is a profile with the two attributes that are there even without a value.
func withNulls(profile map[string]any) Object {
	o := Object{"mobilePhone": nil, "secondEmail": nil}
	for key, value := range profile {
		o[key] = value
	}
	return o
}

// Credentials are the user's.
func (u User) Credentials() Credentials {
	c := Credentials{Provider: u.Provider}
	if c.Provider == (Provider{}) {
		c.Provider = Provider{Type: "OKTA", Name: "OKTA"}
	}
	if u.Password {
		c.Password = new(struct{})
	}
	if email, _ := u.Profile["email"].(string); email != "" {
		c.Emails = []emailAddress{{Value: email, Status: "VERIFIED", Type: "PRIMARY"}}
	}
	if u.Question != "" {
		c.Question = &question{u.Question}
	}
	return c
}
