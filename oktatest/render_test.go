// This file tests package render: that a user who writes itself is what encoding/json makes of it.

package oktatest_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/canned"
	"github.com/oktaretry/oktaretry/oktatest/internal/render"
)

// In a list encoding/json checks what a user writes, and takes out what is not needed.
func TestUserAloneIsWrittenAsInAList(t *testing.T) {
	odd := "<a href=\"x\">&\\ é \u2028 \x01 \x7f \xff"
	for _, status := range []string{"STAGED", "PROVISIONED", "ACTIVE", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED"} {
		for _, u := range []render.User{
			{ID: "00u1", Status: status, Created: time.Unix(1_700_000_000, 5)},
			{ID: odd, Status: status, Profile: map[string]any{
				"login": odd, odd: "x", "email": "a@b.c", "n": 5, "list": []any{odd, nil, 1.5}, "object": map[string]any{"b": 1},
			}, Password: true, Question: odd},
		} {
			alone, list := canned.JSON(u.JSON("https://é<&")), canned.JSON([]any{u.JSON("https://é<&")})
			if in := bytes.TrimSuffix(bytes.TrimPrefix(list, []byte("[")), []byte("]")); !bytes.Equal(alone, in) {
				t.Errorf("alone\n%s\nin a list\n%s", alone, in)
			}
			var read struct {
				ID      string
				Profile map[string]any
				Links   map[string]render.Link `json:"_links"`
			}
			if err := json.Unmarshal(alone, &read); err != nil || read.Links["self"].Href != "https://é<&/api/v1/users/"+read.ID {
				t.Errorf("%v, %+v", err, read)
			}
			if want := "<a href=\"x\">&\\ é \u2028 \x01 \x7f \ufffd"; u.ID == odd && (read.ID != want || read.Profile["login"] != want || read.Profile[want] != "x") {
				t.Errorf("%q and %q, want %q", read.ID, read.Profile, want)
			}
		}
	}
}
