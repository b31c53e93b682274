// Package policyfile reads a policy of package oktaretry from a YAML or JSON file,
// with all problems at once and where they are.
package policyfile
