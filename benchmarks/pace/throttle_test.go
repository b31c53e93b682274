package pace_test

// This file measures SDK v6's own throttle, WithRateLimitPrevent(true).

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	okta6 "github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry/benchmarks/internal/peers"
	"github.com/oktaretry/oktaretry/benchmarks/internal/sdks"
	"github.com/oktaretry/oktaretry/oktatest"
)

const (
	creates        = 5
	throttleWindow = 3 * time.Second
)

// throttle is a way to be stopped by a limit, or not to.
type throttle struct {
	name string
	wrap func(http.RoundTripper) http.RoundTripper
	set  []okta6.ConfigSetter
}

var throttles = []throttle{
	{"SDK v6, its throttle off", peers.Bare, nil},
	{"SDK v6, `WithRateLimitPrevent(true)`", peers.Bare, []okta6.ConfigSetter{okta6.WithRateLimitPrevent(true)}},
	{"SDK v6 over oktaretry", peers.Oktaretry, nil},
}

// TestSDK6sThrottleStallsWhatNobodyLimits fails when creates wait for the window
// of another bucket with this library below the SDK, or no longer do with the
// SDK's own throttle, which docs/okta-sdks.md warns of.
func TestSDK6sThrottleStallsWhatNobodyLimits(t *testing.T) {
	took := measureThrottle(t)
	for i, each := range took {
		stalled := slices.Min(each) >= throttleWindow
		if own := len(throttles[i].set) > 0; stalled != own {
			t.Errorf("%s: creates took %v", throttles[i].name, each)
		}
		if most := slices.Max(each); !stalled && most > 2*latency {
			t.Errorf("%s: a create took %s, want the latency", throttles[i].name, most)
		}
	}
}

// measureThrottle is how long each of some creates takes, in an org that does
// not limit them, after a GET of users that took the last place of its window.
func measureThrottle(t *testing.T) (took [][]time.Duration) {
	for _, way := range throttles {
		var each []time.Duration
		synctest.Test(t, func(t *testing.T) {
			okta := oktatest.New(oktatest.WithUsers(1), oktatest.WithLatency(latency), oktatest.WithoutLimits(),
				oktatest.WithWindowLength(throttleWindow), oktatest.WithLimit(endpoint, 1))
			client := sdks.V6(way.wrap(okta.Transport()), org, "token", way.set...)
			if _, _, err := client.UserAPI.ListUsers(context.Background()).Limit(1).Execute(); err != nil {
				t.Fatal(err)
			}
			for n := range creates {
				profile := okta6.NewOktaUserGroupProfile()
				profile.SetName(fmt.Sprintf("group %d", n))
				group := okta6.NewAddGroupRequest()
				group.SetProfile(*profile)
				began := time.Now()
				if _, _, err := client.GroupAPI.AddGroup(context.Background()).Group(*group).Execute(); err != nil {
					t.Fatal(err)
				}
				each = append(each, time.Since(began))
			}
		})
		took = append(took, each)
	}
	return took
}

// throttleSection is what RESULTS.md says of it.
func throttleSection(took [][]time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "## SDK v6's own throttle\n\nAfter a GET of users that took the last place of its window of %.0f s, %d groups are created one after the other. Nothing limits creates.\n\n"+
		"| | a create takes | all of them |\n|---|--:|--:|\n", throttleWindow.Seconds(), creates)
	for i, each := range took {
		all := time.Duration(0)
		for _, d := range each {
			all += d
		}
		slices.Sort(each)
		fmt.Fprintf(&b, "| %s | %s | %s |\n", throttles[i].name, seconds(each[len(each)/2].Seconds()), seconds(all.Seconds()))
	}
	return b.String()
}
