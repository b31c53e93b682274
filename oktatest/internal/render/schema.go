// This file has the attributes that every org's profiles have.

package render

// BaseAttributes are those of Okta's default user schema.
var BaseAttributes = []string{
	"login", "email", "secondEmail", "firstName", "lastName", "middleName", "honorificPrefix", "honorificSuffix",
	"title", "displayName", "nickName", "profileUrl", "primaryPhone", "mobilePhone", "streetAddress", "city", "state",
	"zipCode", "countryCode", "postalAddress", "preferredLanguage", "locale", "timezone", "userType",
	"employeeNumber", "costCenter", "organization", "division", "department", "managerId", "manager",
}
