package main

import (
	"bytes"
	"os"
	"testing"
)

func TestSchemaIsCurrent(t *testing.T) {
	want, err := schema("../..")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile("../../policyfile/policy.schema.json"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("policyfile/policy.schema.json is stale (%v): run go -C tools run ./policyschema > policyfile/policy.schema.json", err)
	}
}
