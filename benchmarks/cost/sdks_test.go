package cost_test

// This file has Okta's own SDKs make the call: with their own retries, and with
// this library below them.

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	okta2 "github.com/okta/okta-sdk-golang/v2/okta"
	okta6 "github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry/benchmarks/internal/meter"
	"github.com/oktaretry/oktaretry/benchmarks/internal/peers"
	"github.com/oktaretry/oktaretry/benchmarks/internal/sdks"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

const (
	withOurs = " + oktaretry"
	orgURL   = "https://acme.okta.com"
	token    = "00abcdefghijklmnopqrstuvwxyz0123456789ABCD"
)

// bySDK are the cases that the SDKs make: with their own retries as by default,
// or once more with those off and this library below.
var bySDK = []costCase{
	{"GET a user", func() []*meter.Bench { return sdkBenches(false) }, "", nil, nil},
	{"GET a user, 429 first", func() []*meter.Bench { return sdkBenches(true) }, "", nil, nil},
}

func sdkBenches(refused bool) (benches []*meter.Bench) {
	for _, b := range []struct {
		name   string
		client func(http.RoundTripper, bool) func(context.Context) error
	}{{"SDK v2", sdk2}, {"SDK v6", sdk6}} {
		for _, under := range []bool{false, true} {
			name := b.name
			if under {
				name += withOurs
			}
			benches = append(benches, &meter.Bench{Name: name, Virtual: refused, Make: func(t *testing.T) func(int) {
				var base http.RoundTripper = &script.Fast{Status: 200, Body: script.UserBody, Flaky: refused}
				if under {
					base = peers.Oktaretry(base)
				}
				get := b.client(base, !under)
				ctx, cancel := context.WithCancel(context.Background())
				t.Cleanup(cancel)
				return func(n int) {
					for range n {
						if err := get(ctx); err != nil {
							panic(name + ": " + err.Error())
						}
					}
				}
			}})
		}
	}
	return benches
}

// sdkTitle is a bench's name with the version of its SDK.
func sdkTitle(name string) string {
	return strings.NewReplacer("SDK v2", peers.Title("okta-sdk-golang", sdks.V2Module), "SDK v6", peers.Title("okta-sdk-golang", sdks.V6Module)).Replace(name)
}

// sdk2 gets a user by okta-sdk-golang v2. Without its own retries, it has one
// attempt.
func sdk2(base http.RoundTripper, retries bool) func(context.Context) error {
	var set []okta2.ConfigSetter
	if !retries {
		set = append(set, okta2.WithRateLimitMaxRetries(0))
	}
	client := sdks.V2(base, orgURL, token, set...)
	return func(ctx context.Context) error {
		_, _, err := client.User.GetUser(ctx, "00u1")
		return err
	}
}

// sdk6 gets a user by okta-sdk-golang v6, which has no retries unless told.
func sdk6(base http.RoundTripper, retries bool) func(context.Context) error {
	var set []okta6.ConfigSetter
	if retries {
		set = append(set, okta6.WithRateLimitMaxRetries(2), okta6.WithRateLimitMaxBackOff(int64(time.Minute/time.Second)))
	}
	client := sdks.V6(base, orgURL, token, set...)
	return func(ctx context.Context) error {
		_, _, err := client.UserAPI.GetUser(ctx, "00u1").Execute()
		return err
	}
}
