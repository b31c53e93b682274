// This file holds the volume of the soak: calls that are each the only one of
// their path, host or credential, so that all that is kept of them must be let
// go.

package soak_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// runPaths sends one call to each of so many paths.
func runPaths(t *testing.T, n int) {
	heap := rig.HeapInUse()
	ctx, recorder := oktaretry.WithRecorder(context.Background())
	starts := []string{"/api/v1/users/", "/api/v1/apps/a/users/", "/oauth2/v1/", "/", "/api/v1/users/%2F", "/api/v1//"}
	v := newVolume(t, 0, func(i int) *http.Request {
		return rig.Request(t, ctx, http.MethodGet, fmt.Sprintf("%s%d/%[2]d", starts[i%len(starts)], i), nil)
	})
	v.run(n, 0)
	v.report(heap)
	if grown := int64(rig.HeapInUse()) - int64(heap); grown > 4<<20 {
		t.Errorf("%d paths hold %d KiB", n, grown>>10)
	}
	if s := v.Snapshot(); len(s.Buckets) > len(starts)+1 || len(s.Circuits) > 2*len(starts)+1 {
		t.Errorf("%d buckets and %d circuits for %d kinds of path", len(s.Buckets), len(s.Circuits), len(starts))
	}
	if n := len(recorder.Outcomes()); n != 1000 {
		t.Errorf("the recorder keeps %d outcomes, want 1000", n)
	}
	runtime.KeepAlive(v)
}

// crowd is so many callers that come once. They come a second apart, and
// then only those of the last quarter of an hour are of use; or at once.
type crowd struct {
	request           func(t *testing.T, i int) *http.Request
	limited           int // one in so many is told to wait for 50 minutes; 0: none
	pause             time.Duration
	buckets, circuits int64 // that are remembered at a time, at most
	heap              int64 // that they hold in the end, at most
}

// The bounds are those of internal/pace and endpoints.go, whose registers grow
// to twice of what was worth keeping when they were swept last.
var crowds = map[string]crowd{
	"credentials":         {byCredential, 4, callers * time.Second, 3_000, 2, 8 << 20},
	"hosts":               {byHost, 0, callers * time.Second, 2_048, 2 * 4_096, 24 << 20},
	"credentials at once": {byCredential, 4, 0, 1 << 15, 2, 24 << 20},
	"hosts at once":       {byHost, 0, 0, 1 << 15, 2 * 1 << 16, 256 << 20},
}

func (c crowd) run(t *testing.T, n int) {
	heap := rig.HeapInUse()
	v := newVolume(t, c.limited, func(i int) *http.Request { return c.request(t, i) })
	v.run(n, c.pause)
	v.report(heap)
	if b := v.buckets.Load(); b > c.buckets {
		t.Errorf("%d buckets at a time, want %d at most", b, c.buckets)
	}
	if n := v.circuits.Load(); n > c.circuits {
		t.Errorf("%d circuits at a time, want %d at most", n, c.circuits)
	}
	v.wantGone(heap, c.heap)
}

func byCredential(t *testing.T, i int) *http.Request {
	req := rig.Request(t, t.Context(), http.MethodGet, "/api/v1/logs", nil)
	req.Header.Set("Authorization", fmt.Sprint("SSWS ", i))
	return req
}

// byHost asks a host of its own, some by a method of its own.
func byHost(t *testing.T, i int) *http.Request {
	method := http.MethodGet
	if i%16 == 0 {
		method = fmt.Sprint("M", i)
	}
	return rig.Request(t, t.Context(), method, fmt.Sprintf("https://org%d.example/api/v1/users/%[1]d", i), nil)
}

// volume makes many calls that are each the only one of their kind.
type volume struct {
	*oktaretry.Transport
	t                       *testing.T
	request                 func(int) *http.Request
	sends                   atomic.Int64
	buckets, circuits, peak atomic.Int64 // the most there were
}

func newVolume(t *testing.T, limited int, request func(i int) *http.Request) *volume {
	v := &volume{t: t, request: request}
	notFound := script.Code(404, "E0000007")
	closed := script.Limited(script.Set("Retry-After", "3000"))
	v.Transport = rig.Over(t, script.Func(func(req *http.Request) (*http.Response, error) {
		switch i := int(v.sends.Add(1)); {
		case limited > 0 && i%limited == 0:
			return closed.Respond(req)
		case i%16 == 1:
			return notFound.Respond(req)
		}
		return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
	}), nil)
	return v
}

// run makes n calls; each goroutine stands still for pause after each.
func (v *volume) run(n int, pause time.Duration) {
	var (
		next    atomic.Int64
		workers sync.WaitGroup
	)
	for range callers {
		workers.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				resp, err := v.RoundTrip(v.request(i))
				var limited *oktaretry.RateLimitError
				switch {
				case err == nil:
					resp.Body.Close()
				case resp != nil, !errors.As(err, &limited), limited.ClientSide:
					v.t.Errorf("call %d: response %t, error %v", i, resp != nil, err)
				}
				if i%max(n/40, 1) == 0 {
					v.watch()
				}
				time.Sleep(pause)
			}
		})
	}
	workers.Wait()
	v.watch()
	if sends := v.sends.Load(); sends != int64(n) {
		v.t.Errorf("%d requests were sent, want %d", sends, n)
	}
	rig.WantIdle(v.t, v.Transport)
}

func (v *volume) watch() {
	s := v.Snapshot()
	raise(&v.buckets, int64(len(s.Buckets)))
	raise(&v.circuits, int64(len(s.Circuits)))
	raise(&v.peak, liveHeap())
}

func (v *volume) report(heap uint64) {
	v.t.Logf("%d buckets and %d circuits at a time, live heap %d KiB at its peak, %d KiB at the end",
		v.buckets.Load(), v.circuits.Load(), (v.peak.Load()-int64(heap))>>10, (int64(rig.HeapInUse())-int64(heap))>>10)
}

// wantGone checks that the Transport holds no more than so much, and nothing
// but the Transport holds anything.
func (v *volume) wantGone(heap uint64, most int64) {
	if grown := int64(rig.HeapInUse()) - int64(heap); grown > most {
		v.t.Errorf("the Transport holds %d KiB, want %d at most", grown>>10, most>>10)
	}
	runtime.KeepAlive(v.Transport)
	v.Transport = nil
	if grown := int64(rig.HeapInUse()) - int64(heap); grown > 1<<20 {
		v.t.Errorf("%d KiB are held without the Transport", grown>>10)
	}
}

func raise(most *atomic.Int64, n int64) {
	for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
	}
}

// liveHeap is what the last collection found to be alive.
func liveHeap() int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
