//go:build tools

// Package tools pins what the tools of this module read but don't compile: the SDK brings Okta's OpenAPI description,
// which routegen turns into the route table. The import keeps the requirement through `go mod tidy`.
package tools

import _ "github.com/okta/okta-sdk-golang/v6/okta"
