// This file tests that the example shows its day and ends.

package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestExamplePrintsItsAddressAndEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var b strings.Builder
	if err := run(ctx, &b, "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	head, form, _ := strings.Cut(b.String(), "in the end:\n")
	if !strings.Contains(head, "The page: http://127.0.0.1:") || !json.Valid([]byte(form)) {
		t.Errorf("%s", b.String())
	}
}
