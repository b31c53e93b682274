// This file runs the first block of Go code in README.md. A test of internal/docs
// compares the two.

package main

import (
	"context"
	"testing"

	"github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav6"
)

func readmeUse(ctx context.Context, url, token string, handle func([]okta.User)) error {
	transport, err := oktaretry.NewTransport(nil) // one for all clients of an org
	if err != nil {
		return err
	}
	client, err := oktav6.NewClient(ctx, transport, okta.WithOrgUrl(url), okta.WithToken(token))
	if err != nil {
		return err
	}
	for users, err := range oktav6.Pages(ctx, client.UserAPI.ListUsers(ctx)) { // all pages
		if err != nil {
			return err
		}
		handle(users)
	}
	return nil
}

func TestCodeOfTheReadmeReadsAllUsers(t *testing.T) {
	org := oktatest.StartServer(oktatest.WithUsers(450))
	defer org.Close()
	n := 0
	if err := readmeUse(t.Context(), org.URL, "a-token", func(users []okta.User) { n += len(users) }); err != nil {
		t.Fatal(err)
	}
	if n != 450 {
		t.Errorf("read %d users, want 450", n)
	}
}
