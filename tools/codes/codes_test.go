package main

import (
	"bytes"
	"os"
	"testing"
)

func TestPageIsCurrent(t *testing.T) {
	if got, err := os.ReadFile("../../docs/codes.md"); err != nil || !bytes.Equal(got, page()) {
		t.Errorf("docs/codes.md is stale (%v): run go -C tools run ./codes > docs/codes.md", err)
	}
}
