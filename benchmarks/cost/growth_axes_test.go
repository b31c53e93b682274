package cost_test

// This file holds what grows, as data, and the calls that are made then.

import (
	"fmt"
	"math"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/benchmarks/internal/meter"
	"github.com/oktaretry/oktaretry/benchmarks/internal/peers"
	"github.com/oktaretry/oktaretry/benchmarks/internal/traffic"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// axis is what grows.
type axis struct {
	name  string // "goroutines"
	words string // what they do, for the document
	why   string // it grows at all
	steps []int
	bench func(n int) *meter.Bench
}

var axes = []axis{
	{
		name: "goroutines", words: "which call one endpoint, all of them in flight at once",
		why:   "Each has a stack of its own, which is grown once and then out of the processor's caches most of the time.",
		steps: []int{1, 10, 100, 1000, 10_000},
		bench: goroutines,
	},
	{
		name: "endpoints", words: "and as many buckets, called in turn, so that each is the one that was used longest ago",
		why:   "Beyond the caches a call waits for memory; beyond 16,384 buckets and 32,768 endpoints, which is all that is kept, each is met anew.",
		steps: []int{1, 10, 100, 1000, 10_000, 100_000},
		bench: endpoints,
	},
	{
		name: "waiters", words: "in the line of one bucket of 100 calls a minute, by call that was let go, in virtual time",
		why:   "Who waits behind others sleeps until it is the first, so a long line wakes nobody but its front.",
		steps: []int{1, 10, 100, 1000},
		bench: waiters,
	},
}

// most is what a call may cost at a step, in calls at the first one: nothing may
// grow faster than a logarithm.
func most(n int) float64 { return 1 + math.Log2(float64(n)) }

func benchName(n int) string { return strconv.Itoa(n) }

// patient is this library, whose calls wait for as long as it takes.
func patient(base http.RoundTripper) http.RoundTripper {
	policy := oktaretry.DefaultPolicy()
	policy.RateLimited.MaxElapsed = 0 // the last one of 1,000 waits for ten minutes
	return peers.OktaretryWith(base, policy)
}

// goroutines call until all calls are made. The base lets the others run before
// it answers, so that all of them are in flight.
func goroutines(n int) *meter.Bench {
	return &meter.Bench{Name: benchName(n), Least: 8 * n, Make: func(t *testing.T) func(int) {
		tr := patient(yielding{&script.Fast{Status: 200, Body: script.UserBody, Limit: 1 << 24}})
		traffic.Visit(tr, traffic.Requests(1), 1)
		callers := make([][]*http.Request, n)
		for i := range callers {
			callers[i] = traffic.Requests(1)
		}
		return func(calls int) {
			var left atomic.Int64
			left.Store(int64(calls))
			var all sync.WaitGroup
			for _, requests := range callers {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						traffic.Visit(tr, requests, 1)
					}
				})
			}
			all.Wait()
		}
	}}
}

type yielding struct{ base http.RoundTripper }

func (y yielding) RoundTrip(req *http.Request) (*http.Response, error) {
	runtime.Gosched()
	return y.base.RoundTrip(req)
}

// endpoints are called in turn: beyond what is kept, each is met anew.
func endpoints(n int) *meter.Bench {
	return &meter.Bench{Name: benchName(n), Make: func(t *testing.T) func(int) {
		tr := patient(&script.Fast{Status: 200, Body: script.UserBody})
		requests := traffic.Requests(n)
		traffic.Visit(tr, requests, 2*n)
		at := 0
		return func(calls int) {
			for calls > 0 {
				some := min(calls, n-at)
				traffic.Visit(tr, requests[at:at+some], some)
				calls -= some
				at = (at + some) % n
			}
		}
	}}
}

// waiters share a bucket of which all places are taken for most of the time.
func waiters(n int) *meter.Bench {
	return &meter.Bench{Name: benchName(n), Virtual: true, Least: 2 * n, Make: func(t *testing.T) func(int) {
		tr := patient(new(windows))
		return func(calls int) {
			var left atomic.Int64
			left.Store(int64(calls))
			var all sync.WaitGroup
			for range n {
				all.Go(func() {
					requests := traffic.Requests(1)
					for left.Add(-1) >= 0 {
						traffic.Visit(tr, requests, 1)
					}
				})
			}
			all.Wait()
		}
	}}
}

// windows is a base with 100 places a minute, which refuses beyond that.
type windows struct {
	mu   sync.Mutex
	ends time.Time
	left int
}

const places = 100

func (w *windows) RoundTrip(req *http.Request) (*http.Response, error) {
	time.Sleep(50 * time.Millisecond)
	now := time.Now()
	w.mu.Lock()
	if !now.Before(w.ends) {
		w.ends, w.left = now.Truncate(time.Minute).Add(time.Minute), places
	}
	w.left--
	left, reset := w.left, w.ends.Unix()
	w.mu.Unlock()
	status := http.StatusOK
	if left < 0 {
		status, left = http.StatusTooManyRequests, 0
	}
	return &http.Response{
		StatusCode: status, Body: http.NoBody, Request: req,
		Header: http.Header{
			"Date": {now.UTC().Format(http.TimeFormat)}, "X-Rate-Limit-Limit": {strconv.Itoa(places)},
			"X-Rate-Limit-Remaining": {strconv.Itoa(left)}, "X-Rate-Limit-Reset": {fmt.Sprint(reset)},
		},
	}, nil
}
