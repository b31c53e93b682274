// This file has the form of a user.

package render

import "time"

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

type userJSON struct {
	ID              string      `json:"id"`
	Status          string      `json:"status"`
	Created         Time        `json:"created"`
	Activated       Time        `json:"activated"`
	StatusChanged   Time        `json:"statusChanged"`
	LastLogin       Time        `json:"lastLogin"`
	LastUpdated     Time        `json:"lastUpdated"`
	PasswordChanged Time        `json:"passwordChanged"`
	Type            userType    `json:"type"`
	Profile         Object      `json:"profile"`
	Credentials     Credentials `json:"credentials"`
	Links           Links       `json:"_links"`
}

type userType struct {
	ID string `json:"id"`
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
	return u.json(u.links(base))
}

// Entry is the user in a list: its only link is self.
func (u User) Entry(base string) any {
	return u.json(Links{{Name: "self", Href: u.self(base)}})
}

func (u User) self(base string) string { return base + "/api/v1/users/" + u.ID }

func (u User) json(links Links) any {
	return userJSON{
		ID:              u.ID,
		Status:          u.Status,
		Created:         Time(u.Created),
		Activated:       Time(u.Activated),
		StatusChanged:   Time(u.StatusChanged),
		LastLogin:       Time(u.LastLogin),
		LastUpdated:     Time(u.LastUpdated),
		PasswordChanged: Time(u.PasswordSince),
		Type:            userType{UserType},
		Profile:         withNulls(u.Profile),
		Credentials:     u.Credentials(),
		Links:           links,
	}
}

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
