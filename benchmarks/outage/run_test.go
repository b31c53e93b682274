package outage_test

// This file runs one scenario once with one client, in virtual time.

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The endpoints that the workers call.
const (
	getUser     = "GET /api/v1/users/{id}"
	listUsers   = "GET /api/v1/users"
	getGroup    = "GET /api/v1/groups/{id}"
	createUser  = "POST /api/v1/users"
	createGroup = "POST /api/v1/groups"
)

// mix is what one call after the other goes to: a fifth are POSTs.
var mix = []string{getUser, listUsers, getGroup, createUser, getUser, listUsers, getUser, getGroup, createGroup, getUser}

const period = time.Second // a worker begins a call so often, unless it still is in one

// client makes one call to an endpoint and reports whether it ended well.
type client func(ctx context.Context, endpoint string) error

// record is what happened to one call. Times are since the start.
type record struct {
	post         bool
	began, ended time.Duration
	ok, cut      bool // cut: the end of the run was its end

	hits    []time.Duration // of its attempts
	reached int             // attempts of which the server may have read something
}

// run is what happened to all calls, and when requests came.
type run struct {
	scenario scenario
	calls    []*record
	hits     []time.Duration
}

// play runs a scenario with one client for all workers.
func (s scenario) play(t *testing.T, seed uint64, c contender) run {
	r := run{scenario: s}
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(seed, 7))
		time.Sleep(rand.N(time.Minute)) // the rate limit's windows don't begin with the run
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), s.length())
		defer cancel()
		srv := &server{start: start, trouble: start.Add(s.before), fates: s.fates(s), random: random}
		call := c.client(http.RoundTripper(srv))
		each := make([][]*record, s.workers)
		var all sync.WaitGroup
		for i := range s.workers {
			first := period*time.Duration(i)/time.Duration(s.workers) + time.Duration(random.Int64N(int64(period)/int64(s.workers)))
			all.Go(func() { each[i] = s.work(ctx, start, first, i, call) })
		}
		all.Wait()
		for _, calls := range each {
			r.calls = append(r.calls, calls...)
		}
		r.hits = srv.hits
	})
	return r
}

// work begins a call each second, from first on. A call that takes longer
// costs the worker the seconds that it misses; it never catches up. Unless
// nobody waits: then a call begins each second whatever became of those before.
func (s scenario) work(ctx context.Context, start time.Time, first time.Duration, nth int, call client) (calls []*record) {
	var open sync.WaitGroup
	defer open.Wait()
	for next := first; ; next += period {
		if missed := time.Since(start) - next; missed > 0 {
			next += (missed + period - 1) / period * period
		}
		if sleep(ctx, next-time.Since(start)) != nil {
			return calls
		}
		endpoint := cmp.Or(s.only, mix[(nth+len(calls))%len(mix)])
		r := &record{post: endpoint == createUser || endpoint == createGroup, began: time.Since(start)}
		calls = append(calls, r)
		if s.nobodyWaits {
			open.Go(func() { s.call(ctx, start, r, endpoint, call) })
		} else {
			s.call(ctx, start, r, endpoint, call)
		}
	}
}

func (s scenario) call(ctx context.Context, start time.Time, r *record, endpoint string, call client) {
	own := context.WithValue(ctx, recordKey{}, r)
	if s.patience > 0 {
		limited, cancel := context.WithTimeout(own, s.patience)
		defer cancel()
		own = limited
	}
	r.ok = call(own, endpoint) == nil
	r.ended, r.cut = time.Since(start), ctx.Err() != nil
}
