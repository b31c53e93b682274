// This file holds what a call may allocate, and what is kept between calls.
// Both are the same on every machine. How long a call may take beside its peers
// is held in benchmarks/cost.

package oktaretry_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// ceilings are what calls may allocate above their base, by case and provider.
// A plain base leaves the request's context alone; the others derive one, as
// net/http does, which takes a channel, a map and a timer more. Two allocations of
// each attempt are the map of a header of its own.
var ceilings = []struct {
	name, provider string
	plain          bool
	allocs         float64
	bytes          float64 // 0: any number
}{
	{"GET200", "none", true, 3, 1560},
	{"GET200", "none", false, 10, 2150},
	{"GET200", "noop", false, 10, 2150},
	{"GET200", "sampled=none", false, 16, 0}, // four of them OpenTelemetry's own: two spans, two contexts
	{"GET200", "sampled=all", true, 21, 0},
	{"GET200", "sampled=all", false, 28, 0},
	{"GET404", "none", true, 20, 0}, // 13 of them encoding/json's
	{"GET404", "none", false, 27, 0},
	{"POST2KB/GetBody", "none", false, 11, 0}, // one of them the body's wrapper
	{"POST2KB/captured", "none", false, 12, 0},
	{"CircuitOpen", "none", false, 5, 0},
	{"LimitedThenOK", "none", false, 55, 0},
}

// TestCallsStayWithinTheirAllocations fails when a call has become dearer.
func TestCallsStayWithinTheirAllocations(t *testing.T) {
	if rig.Race {
		t.Skip("the race detector allocates too")
	}
	for _, most := range ceilings {
		t.Run(fmt.Sprintf("%s/provider=%s/plain=%t", most.name, most.provider, most.plain), func(t *testing.T) {
			c, bare := caseNamed(t, most.name), get200
			if most.plain {
				c.base, bare.base = withoutContext(c.base), withoutContext(bare.base)
			}
			var allocs, size float64
			measure := func(t *testing.T) {
				tr, _ := c.over(t, providerNamed(t, most.provider))
				allocs, size = allocated(c.newCaller(t, tr))
				if c.err {
					return // the base has no part in it
				}
				base, baseBytes := allocated(bare.newCaller(t, bare.base()))
				allocs -= base * float64(1+c.resends)
				size -= baseBytes * float64(1+c.resends)
			}
			if c.resends > 0 {
				synctest.Test(t, measure) // what it waits takes no time
			} else {
				measure(t)
			}
			t.Logf("%.0f allocations, %.0f bytes", allocs, size)
			if allocs > most.allocs {
				t.Errorf("a call makes %.0f allocations, want %.0f at most", allocs, most.allocs)
			}
			if most.bytes > 0 && size > most.bytes {
				t.Errorf("a call allocates %.0f bytes, want %.0f at most", size, most.bytes)
			}
		})
	}
}

// withoutContext makes a base leave contexts alone.
func withoutContext(base func() *script.Fast) func() *script.Fast {
	return func() *script.Fast {
		b := base()
		b.Plain = true
		return b
	}
}

// allocated returns what one call allocates: the least average of several runs.
// The runtime's own allocations are counted too, and only ever add to it: those of
// a collection that falls into a run are two bytes and more for each of its calls.
func allocated(call func()) (allocs, size float64) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 10 {
		call()
	}
	allocs, size = math.Inf(1), math.Inf(1)
	for range 10 {
		a, s := allocatedOnce(call)
		allocs, size = min(allocs, a), min(size, s)
	}
	return allocs, size
}

// allocatedOnce returns the average of one run, rounded down.
func allocatedOnce(call func()) (allocs, size float64) {
	const calls = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		call()
	}
	runtime.ReadMemStats(&after)
	return float64((after.Mallocs - before.Mallocs) / calls), float64((after.TotalAlloc - before.TotalAlloc) / calls)
}

func caseNamed(t *testing.T, name string) costCase {
	for _, c := range append(costCases, limitedThenOK) {
		if c.name == name {
			return c
		}
	}
	t.Fatalf("there is no case %s", name)
	return costCase{}
}

func providerNamed(t *testing.T, name string) []oktaretry.Option {
	for _, p := range providers {
		if p.name == name {
			return p.opts()
		}
	}
	t.Fatalf("there is no provider %s", name)
	return nil
}

// TestOpenCircuitsSendNothing guards the benchmark of open circuits: nothing may
// reach the base.
func TestOpenCircuitsSendNothing(t *testing.T) {
	c := caseNamed(t, "CircuitOpen")
	base := script.Repeat(t, script.Bare(503))
	tr := rig.Over(t, base, c.policy)
	c.prime(t, tr, new(script.Fast))
	sent := len(base.Sent())
	for range 100 {
		c.newCaller(t, tr)()
	}
	base.WantSent(sent)
}

// TestKnownEndpointsAndBucketsTakeLittleMemory measures what a Transport keeps
// of each endpoint, and of each bucket, that it knows.
func TestKnownEndpointsAndBucketsTakeLittleMemory(t *testing.T) {
	if rig.Race {
		t.Skip("the race detector keeps memory of its own")
	}
	const n, most = 5_000, 1024
	paths := [...]string{"users", "groups", "apps", "logs", "policies", "zones", "idps", "authorizationServers", "domains", "features"}
	methods := [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"}
	for name, header := range map[string]func(i int) (method, host, path, token string){
		// A hundred orgs with a hundred endpoints each.
		"endpoint": func(i int) (string, string, string, string) {
			return methods[i/100%10], fmt.Sprintf("org%d", i%100), paths[i/1000], "one"
		},
		"bucket": func(i int) (string, string, string, string) { return http.MethodGet, "org", "users", fmt.Sprint(i) },
	} {
		t.Run(name, func(t *testing.T) {
			tr := rig.Over(t, &script.Fast{Status: 200}, nil)
			call := func(i int) {
				method, host, path, token := header(i)
				req := rig.Request(t, context.Background(), method, "https://"+host+".okta.com/api/v1/"+path, nil)
				req.Header.Set("Authorization", "SSWS "+token)
				rig.Send(t, tr, req).Text()
			}
			for i := range 100 { // every host
				call(i)
			}
			before := rig.HeapInUse()
			for i := 100; i < n; i++ {
				call(i)
			}
			each := float64(int64(rig.HeapInUse())-int64(before)) / (n - 100)
			t.Logf("%.0f bytes for each", each)
			if each > most {
				t.Errorf("each %s takes %.0f bytes, want %d at most", name, each, most)
			}
			snapshot := tr.Snapshot()
			if got := len(snapshot.Circuits) + len(snapshot.Buckets); got < n {
				t.Errorf("%d circuits and buckets are known, so nothing was measured", got)
			}
		})
	}
}

// TestEveryCaseHasACeiling fails when a case without one is added.
func TestEveryCaseHasACeiling(t *testing.T) {
	var held strings.Builder
	for _, most := range ceilings {
		held.WriteString(most.name + "\n")
	}
	for _, c := range append(costCases, limitedThenOK) {
		if !strings.Contains(held.String(), c.name+"\n") {
			t.Errorf("%s has no ceiling", c.name)
		}
	}
}
