// This file tests what the scripts make of what no process of this version wrote.

package fleet_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// Somebody else's program wrote there, another version of this one, or a hand.
func TestNonsenseInRedisIsOverwritten(t *testing.T) {
	values := []string{
		"", "x", "nan", "inf", "-1", "1e300", "-1e300", "99999999999999999999999999", "18446744073709551616", "0x10", "{}",
		"9999999999999999:9999999999999999:9999999999999999:1:2:x:", "9999999999999999:5:0:0:1::", "1:1:1:1:1:1", "9:9:9:9999999999999999:9999999999999999:1",
		"999999999999:9:9:9:9:nan", "5:5:0:9999999999999999:0:1",
	}
	s, client := newStore(t)
	ctx := t.Context()
	bucket := shared.Bucket{Host: "h", Bucket: "b"}
	host := shared.CircuitID{Host: "h"}
	// works reports whether the store hands out places and lists what was reported.
	works := func(what string) {
		t.Helper()
		r := shared.LeaseRequest{
			Holder: "a", Interactive: 1, MaxUtilization: 1, Seen: shared.Window{ID: 5000, Limit: 10, Remaining: 8, Ends: 30 * time.Second},
		}
		l, err := s.Lease(ctx, bucket, r)
		if err != nil || l.Places != 1 || l.Window.Limit != 10 || l.Retry > time.Minute || l.Sharers != 1 {
			t.Errorf("%s: %+v, %v; want a place of ten", what, l, err)
		}
		if list, err := s.Circuits(ctx, "h"); err != nil || len(list) != 0 {
			t.Errorf("%s: %+v, %v; want no circuit", what, list, err)
		}
		if c, err := s.Report(ctx, host, shared.Report{OpenFor: time.Second}); err != nil || c.State != shared.Open || c.Wait > time.Second {
			t.Errorf("%s: %+v, %v; want an open circuit", what, c, err)
		}
	}
	works("nothing")
	window, circuits := client.Keys(ctx, "*:window").Val()[0], client.Keys(ctx, "*:circuits").Val()[0]
	holders := client.Keys(ctx, "*:holders").Val()[0]
	fields := client.HKeys(ctx, window).Val()
	for _, value := range values {
		for _, field := range fields {
			client.FlushAll(ctx)
			client.HSet(ctx, window, field, value)
			if field == "limit" || field == "remaining" || field == "left" || field == "id" {
				client.HSet(ctx, window, "ends", "12") // long over
			}
			works(fmt.Sprintf("window's %s is %q", field, value))
		}
		client.FlushAll(ctx)
		client.HSet(ctx, holders, "other", value, "a", value)
		works(fmt.Sprintf("a holder is %q", value))
		client.FlushAll(ctx)
		client.HSet(ctx, circuits, "", value, "GET /api/v1/users", value, "x", value)
		works(fmt.Sprintf("a circuit is %q", value))
		client.FlushAll(ctx)
		client.HSet(ctx, circuits, "#", value)
		works(fmt.Sprintf("the time is %q", value))
	}
	for _, key := range []string{window, holders, circuits} {
		client.FlushAll(ctx)
		client.Set(ctx, key, "x", 0)
		works(key + " is a string")
		client.FlushAll(ctx)
		client.LPush(ctx, key, "x")
		works(key + " is a list")
	}
}
