//go:build tools

// Package tools pins what the tools of this module read but don't compile: the SDKs bring Okta's OpenAPI descriptions,
// which routegen turns into the route table and apigen into the fake's operations. The imports keep the requirements
// through `go mod tidy`.
package tools

import (
	_ "github.com/okta/okta-governance-sdk-golang/governance"
	_ "github.com/okta/okta-sdk-golang/v6/okta"
)
