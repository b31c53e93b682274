// This file tests that the rights which the package's documentation names suffice, and
// that none of them is idle.

package fleet_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/oktaretry/oktaretry/fleet"
	"github.com/oktaretry/oktaretry/fleet/internal/redistest"
	"github.com/oktaretry/oktaretry/shared"
)

// documentedRights returns the arguments of ACL SETUSER in the package's documentation.
func documentedRights(t *testing.T) (user string, rules []string) {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^//\tACL SETUSER (\S+) ((?:.*\\\n//\t)*.*)`).FindStringSubmatch(string(text))
	if found == nil {
		t.Fatal("doc.go has no ACL SETUSER")
	}
	return found[1], strings.Fields(strings.NewReplacer("\\\n//\t", " ").Replace(found[2]))
}

// addUser gives the server at addr a user with the rules, and returns the password.
func addUser(t *testing.T, addr, user string, rules ...string) (password string) {
	t.Helper()
	admin := redistest.Client(addr)
	defer admin.Close()
	admin.Do(t.Context(), "ACL", "DELUSER", user)
	args := []any{"ACL", "SETUSER", user}
	for _, rule := range rules {
		args = append(args, rule)
		if strings.HasPrefix(rule, ">") {
			password = rule[1:]
		}
	}
	if err := admin.Do(t.Context(), args...).Err(); err != nil {
		t.Fatal(err)
	}
	return password
}

// works has a store do all that it can, and returns the first error.
func works(t *testing.T, client redis.UniversalClient) error {
	t.Helper()
	store, err := fleet.New(client)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	bucket := shared.Bucket{Host: "acme.okta.com", Bucket: "/api/v1/users"}
	id := shared.CircuitID{Host: "acme.okta.com", Method: "GET", Template: "/api/v1/users"}
	seen := shared.Window{ID: time.Now().Unix() + 60, Limit: 10, Remaining: 9, Ends: time.Minute}
	for _, f := range []func() error{
		func() error {
			_, err := store.Lease(ctx, bucket, shared.LeaseRequest{Holder: "a", Seen: seen, Interactive: 1, MaxUtilization: 1})
			return err
		},
		func() error {
			_, err := store.Report(ctx, id, shared.Report{Process: "a", OpenFor: time.Millisecond, Needed: 1})
			return err
		},
		func() error { _, err := store.Circuits(ctx, id.Host); return err },
		func() error {
			return redistest.Until(ctx, func() error {
				c, err := store.Probe(ctx, id, "a", time.Minute)
				if err == nil && !c.Yours {
					time.Sleep(time.Millisecond)
				}
				return err
			})
		},
		func() error {
			_, err := store.Report(ctx, id, shared.Report{Process: "a", Holder: "a", Event: shared.ProbeSucceeded, Needed: 1})
			return err
		},
	} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// poison leaves values in Redis that scripts delete.
func poison(t *testing.T, admin *redis.Client) {
	t.Helper()
	ctx := t.Context()
	for _, key := range admin.Keys(ctx, "*").Val() {
		if strings.HasSuffix(key, ":holders") || strings.HasSuffix(key, ":circuits") {
			admin.HSet(ctx, key, "nonsense", "nonsense")
		} else {
			admin.Del(ctx, key)
			admin.Set(ctx, key, "nonsense", 0)
		}
	}
}

func TestDocumentedRightsSufficeAndNoneIsIdle(t *testing.T) {
	t.Parallel() // half of its time it waits for the server's answers
	user, rules := documentedRights(t)
	server := redistest.New(t)
	admin := redistest.Client(server.Addr)
	defer admin.Close()
	// under has a new user with some of the rules use the store of an empty server.
	under := func(t *testing.T, rules []string) error {
		ctx := t.Context()
		admin.FlushAll(ctx)
		admin.ScriptFlush(ctx)
		password := addUser(t, server.Addr, user, rules...)
		client := redistest.Client(server.Addr, func(o *redis.Options) { o.Username, o.Password = user, password })
		defer client.Close()
		if err := works(t, client); err != nil {
			return err
		}
		poison(t, admin)
		return works(t, client)
	}
	if err := under(t, rules); err != nil {
		t.Fatalf("%s under %v", err, rules)
	}
	for i, rule := range rules {
		if strings.HasPrefix(rule, "+") || strings.HasPrefix(rule, "~") {
			rest := append(append([]string{}, rules[:i]...), rules[i+1:]...)
			if err := under(t, rest); err == nil {
				t.Errorf("%s is not needed", rule)
			}
		}
	}
}

func TestNilClientsAreRefused(t *testing.T) {
	for name, client := range map[string]redis.UniversalClient{
		"interface": nil, "client": (*redis.Client)(nil), "cluster": (*redis.ClusterClient)(nil), "ring": (*redis.Ring)(nil),
	} {
		if _, err := fleet.New(client); err == nil || !strings.Contains(err.Error(), "the client is nil") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
