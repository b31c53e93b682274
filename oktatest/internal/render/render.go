// Package render has the JSON forms of users and groups as recordings of real orgs
// show them: fields, order, links.
package render
