// This file has the form of a group.

package render

import "time"

// Group is what a group is rendered from.
type Group struct {
	ID, Type                          string
	Created, LastUpdated, LastMembers time.Time
	Profile                           map[string]any
}

type groupJSON struct {
	ID          string     `json:"id"`
	Created     Time       `json:"created"`
	LastUpdated Time       `json:"lastUpdated"`
	LastMembers Time       `json:"lastMembershipUpdated"`
	ObjectClass []string   `json:"objectClass"`
	Type        string     `json:"type"`
	Profile     Object     `json:"profile"`
	Links       groupLinks `json:"_links"`
}

type groupLinks struct {
	Logo  []logo `json:"logo"`
	Users Link   `json:"users"`
	Apps  Link   `json:"apps"`
}

type logo struct {
	Name string `json:"name"`
	Href string `json:"href"`
	Type string `json:"type"`
}

const logos = "https://ok12static.oktacdn.com/assets/img/logos/groups/odyssey/okta-"

var groupLogos = []logo{
	{"medium", logos + "medium.30ce6d4085dff29412984e4c191bc874.png", "image/png"},
	{"large", logos + "large.c3cb8cda8ae0add1b4fe928f5844dbe3.png", "image/png"},
}

// JSON is the group at an org's base URL.
func (g Group) JSON(base string) any {
	self := base + "/api/v1/groups/" + g.ID
	profile := Object{"description": nil}
	for key, value := range g.Profile {
		profile[key] = value
	}
	return groupJSON{
		ID:          g.ID,
		Created:     Time(g.Created),
		LastUpdated: Time(g.LastUpdated),
		LastMembers: Time(g.LastMembers),
		ObjectClass: []string{"okta:user_group"},
		Type:        g.Type,
		Profile:     profile,
		Links:       groupLinks{Logo: groupLogos, Users: Link{Href: self + "/users"}, Apps: Link{Href: self + "/apps"}},
	}
}
