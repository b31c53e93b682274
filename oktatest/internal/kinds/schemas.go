// This file holds the schemas of users' and groups' profiles.

package kinds

import (
	"slices"
	"strings"

	"github.com/oktaretry/oktaretry/oktatest/internal/generic"
)

var schemas = map[string]generic.Rule{
	"/api/v1/meta/schemas/user/{}": {
		Name: "UserSchema", Own: true, Seeds: defaultUserSchema, Missing: schemaOfType, Check: checkSchema, Show: showSchema,
	},
	"/api/v1/meta/schemas/group/default":         {Name: "GroupSchema", Begin: beginGroupSchema, Check: checkSchema, Show: showSchema},
	"/api/v1/users/{}/linkedObjects/{}":          {Name: "LinkedObject", Loose: true},
	"/api/v1/meta/schemas/user/linkedObjects/{}": {Name: "LinkedObjectProperty", Own: true, Key: linkedName},
}

// baseAttributes are the attributes that users' profiles have everywhere.
var baseAttributes = []string{
	"login", "firstName", "lastName", "middleName", "honorificPrefix", "honorificSuffix", "email", "title", "displayName",
	"nickName", "profileUrl", "secondEmail", "mobilePhone", "primaryPhone", "streetAddress", "city", "state", "zipCode",
	"countryCode", "postalAddress", "preferredLanguage", "locale", "timezone", "userType", "employeeNumber", "costCenter",
	"organization", "division", "department", "managerId", "manager",
}

// attribute is the schema of an attribute of text.
func attribute(name string, required bool) map[string]any {
	a := map[string]any{
		"title": name, "type": "string", "scope": "NONE", "mutability": "READ_WRITE",
		"permissions": []any{map[string]any{"principal": "SELF", "action": "READ_ONLY"}},
		"master":      map[string]any{"type": "PROFILE_MASTER"},
	}
	if required {
		a["required"] = true
	}
	return a
}

// definitions are those of a schema with attributes that cannot be taken away.
func definitions(attributes, required []string) map[string]any {
	base := map[string]any{}
	for _, name := range attributes {
		base[name] = attribute(name, slices.Contains(required, name))
	}
	var demanded []any
	for _, name := range required {
		demanded = append(demanded, name)
	}
	return map[string]any{
		"base":   map[string]any{"id": "#base", "type": "object", "properties": base, "required": demanded},
		"custom": map[string]any{"id": "#custom", "type": "object", "properties": map[string]any{}, "required": []any{}},
	}
}

func defaultUserSchema(*generic.Call) []generic.Seed {
	return []generic.Seed{{ID: "default", Lean: true, Body: map[string]any{
		"name": "user", "title": "User", "type": "object",
		"definitions": definitions(baseAttributes, []string{"login", "firstName", "lastName", "email"}),
	}}}
}

// schemaOfType is the schema of a type of users that was created: its id is the
// type's, but for its beginning.
func schemaOfType(c *generic.Call, key string) map[string]any {
	for _, t := range c.Collection("api", "v1", "meta", "types", "user") {
		if schemaID(t) == key {
			return defaultUserSchema(c)[0].Body
		}
	}
	return nil
}

// schemaID is the id of a type's schema.
func schemaID(t *generic.Object) string {
	if t.Body["default"] == true {
		return "default"
	}
	return "osc" + strings.TrimPrefix(t.ID, "oty")
}

// isDefault reports whether the default is meant and this is it.
func isDefault(o *generic.Object, key string) bool {
	return key == "default" && o.Body["default"] == true
}

// showType links a type to its schema, which programs find by the link.
func showType(c *generic.Call, o *generic.Object, out map[string]any) {
	links := inside(out, "_links")
	links["schema"] = map[string]any{"rel": "schema", "href": c.Base + "/api/v1/meta/schemas/user/" + schemaID(o), "method": "GET"}
	out["_links"] = links
}

func beginGroupSchema(_ *generic.Call, body map[string]any) {
	if body["definitions"] == nil {
		body["name"], body["title"], body["type"] = "group", "Okta group", "object"
		body["definitions"] = definitions([]string{"name", "description"}, []string{"name"})
	}
}

// checkSchema refuses an attribute of its own that has no type.
func checkSchema(_ *generic.Call, _ *generic.Object, body map[string]any) *generic.Failure {
	custom := inside(inside(inside(body, "definitions"), "custom"), "properties")
	for name, v := range custom {
		if a, _ := v.(map[string]any); text(a, "type") == "" {
			return generic.Invalid(name, "The field type cannot be left blank")
		}
	}
	return nil
}

func showSchema(c *generic.Call, o *generic.Object, out map[string]any) {
	out["id"] = c.Base + o.Path
	out["$schema"] = "http://json-schema.org/draft-04/schema#"
	all := []any{}
	for _, part := range []string{"custom", "base"} {
		all = append(all, map[string]any{"$ref": "#/definitions/" + part})
	}
	out["properties"] = map[string]any{"profile": map[string]any{"allOf": all}}
}

// linkedName is the name that a linked object goes by.
func linkedName(c *generic.Call) (string, *generic.Failure) {
	name := text(inside(c.In(), "primary"), "name")
	if name == "" {
		return "", generic.Invalid("primary.name", blank)
	}
	return name, nil
}

// linkedObjects lists the users whom a user is linked to, or unlinks it from them.
func linkedObjects(c *generic.Call) *generic.Response {
	list := []any{}
	for _, o := range c.Collection("api", "v1", "users", c.Segment(3), "linkedObjects", c.Segment(5)) {
		if c.Method == "DELETE" {
			c.Remove(o)
			continue
		}
		list = append(list, map[string]any{"_links": map[string]any{"self": map[string]any{"href": c.Base + "/api/v1/users/" + o.ID}}})
	}
	if c.Method == "DELETE" {
		return &generic.Response{Status: 204}
	}
	return &generic.Response{Status: 200, Body: list}
}
