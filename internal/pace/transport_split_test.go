// This file tests buckets that are several: through a Transport, against a fake
// Okta in virtual time.

package pace_test

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/oktatest"
)

const (
	usersURL  = rig.Org + "/api/v1/users"
	listURL   = usersURL + "?limit=5"
	searchURL = usersURL + "?search=profile.login+sw+%22a%22"
)

// oktaWith makes an org with one user, calls of 50 ms, and windows that open
// with their first call.
func oktaWith(opts ...oktatest.Option) *oktatest.Okta {
	return oktatest.New(append([]oktatest.Option{
		oktatest.WithUsers(1), oktatest.WithWindowLength(time.Minute), oktatest.WithLatency(50 * time.Millisecond),
	}, opts...)...)
}

// searches makes an org with 50 searches for users a minute, and 200 of all other
// calls there.
func searches() *oktatest.Okta {
	search := oktatest.BucketUserSearch
	search.Limit = 50
	return oktaWith(oktatest.WithBucket(search), oktatest.WithLimit("/api/v1/users", 200))
}

// job is calls by several workers that never pause.
type job struct {
	method, target string
	workers        int

	answered atomic.Int64
}

// run runs jobs for a time and returns how many answers each got.
func run(t *testing.T, rt http.RoundTripper, lasts time.Duration, jobs ...*job) (answers []int64) {
	t.Helper()
	ctx := rig.CancelAfter(t, lasts, nil) // no deadline, for which a call would leave the line early
	var all sync.WaitGroup
	for _, j := range jobs {
		j.answered.Store(0)
		for range j.workers {
			all.Go(func() {
				for {
					c := rig.Do(t, ctx, rt, j.method, j.target, "")
					if c.Err != nil {
						return // the time is over
					}
					c.Resp.Body.Close()
					j.answered.Add(1)
				}
			})
		}
	}
	all.Wait()
	for _, j := range jobs {
		answers = append(answers, j.answered.Load())
	}
	return answers
}

// splitLines returns the log lines about buckets that were split.
func splitLines(t *testing.T, r *recorders.Recorder) (lines []map[string]any) {
	t.Helper()
	for _, l := range r.Lines(t) {
		if l["msg"] == "oktaretry: bucket split" {
			lines = append(lines, l)
		}
	}
	return lines
}

func bucketNames(rt *oktaretry.Transport) (names []string) {
	for _, b := range rt.Snapshot().Buckets {
		names = append(names, b.Bucket)
	}
	return names
}

func TestSearchesAndTheListUseTheirWholeLimitsAfterOneWindow(t *testing.T) {
	for _, tt := range []struct{ listers, searchers int }{{10, 10}, {5, 50}, {20, 1}} {
		rig.Virtual(t, fmt.Sprintf("%d list and %d search", tt.listers, tt.searchers), func(t *testing.T) {
			list, search := &job{"GET", listURL, tt.listers, atomic.Int64{}}, &job{"GET", searchURL, tt.searchers, atomic.Int64{}}
			okta, r := searches(), recorders.New()
			rt := rig.Over(t, okta.Transport(), nil, r.Options()...)
			run(t, rt, time.Minute, list, search)
			got := run(t, rt, 2*time.Minute, list, search)
			if got[0] < 2*200*95/100 || got[1] < 2*50*95/100 {
				t.Errorf("%d lists and %d searches in two minutes, want 400 and 100", got[0], got[1])
			}
			if n := okta.Answered(429); n > 8 {
				t.Errorf("%d answers of 429, want a handful", n)
			}
			rig.Equal(t, "buckets", bucketNames(rt), []string{"/api/v1/users", "/api/v1/users (limit 200)", "/api/v1/users (limit 50)"})
			log := splitLines(t, r)
			if len(log) != 1 || log[0]["bucket"] != "/api/v1/users" ||
				log[0]["kinds"] != "GET /api/v1/users?limit: 200, GET /api/v1/users?search: 50" {
				t.Errorf("log %v, want one line with both kinds", log)
			}
			if values := r.Values(t, "oktaretry.bucket.limit"); values["/api/v1/users (limit 50) example.okta.com 443"] != 50 {
				t.Errorf("gauge of limits: %v", values)
			}
			runtime.KeepAlive(rt) // the gauges hold it weakly
		})
	}
}

func TestErrorAndOutcomeNameThePartOfABucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		okta := searches()
		rt := rig.Over(t, okta.Transport(), func(p *oktaretry.Policy) { p.RateLimited.Action = oktaretry.FailFast })
		for range 6 {
			rig.Get(t, rt, listURL).Is(200)
			rig.Get(t, rt, searchURL).Is(200)
		}
		okta.Consume(oktatest.BucketUserSearch.Name, 44)
		const part = "/api/v1/users (limit 50)"
		c := rig.Get(t, rt, searchURL)
		if e := rig.Failure[*oktaretry.RateLimitError](c); e.Bucket != part || e.ClientSide || c.Outcome.Bucket != part {
			t.Errorf("refused by Okta: error %q and outcome %q, want %q", e.Bucket, c.Outcome.Bucket, part)
		}
		c = rig.Get(t, rt, searchURL)
		if e := rig.Failure[*oktaretry.RateLimitError](c); e.Bucket != part || !e.ClientSide || c.Outcome.Bucket != part {
			t.Errorf("refused by the line: error %q and outcome %q, want %q", e.Bucket, c.Outcome.Bucket, part)
		}
		if c := rig.Get(t, rt, listURL).Is(200); c.Outcome.Bucket != "/api/v1/users (limit 200)" {
			t.Errorf("the list's outcome has bucket %q", c.Outcome.Bucket)
		}
	})
}

func TestReadsOfAnAppAreSplitFromItsWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		okta := oktaWith(oktatest.WithBucket(oktatest.BucketAppReads), oktatest.WithLimit("PUT /api/v1/apps/{id}", 100))
		rt := rig.Over(t, okta.Transport(), nil)
		get, put := &job{"GET", rig.AppURL, 10, atomic.Int64{}}, &job{"PUT", rig.AppURL, 5, atomic.Int64{}}
		remove := &job{"DELETE", rig.AppURL, 5, atomic.Int64{}}
		run(t, rt, time.Minute, get, put, remove)
		got := run(t, rt, 2*time.Minute, get, put, remove)
		if got[0] < 2*500*95/100 || got[1]+got[2] < 2*100*95/100 || got[1] < 50 || got[2] < 50 {
			t.Errorf("GET, PUT and DELETE were answered %d times in two minutes, want 1000 of GET and 200 of both others", got)
		}
		if n := okta.Answered(429); n > 8 {
			t.Errorf("%d answers of 429, want a handful", n)
		}
	})
}

func TestNewLimitOfAnOrgSplitsNoBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		okta, r := oktaWith(oktatest.WithLimit("/api/v1/users", 120)), recorders.New()
		rt := rig.Over(t, okta.Transport(), nil, r.Options()...)
		jobs := []*job{{"GET", listURL, 5, atomic.Int64{}}, {"GET", searchURL, 5, atomic.Int64{}}, {"GET", usersURL, 5, atomic.Int64{}}}
		for _, limit := range []int{120, 60, 240, 120} {
			okta.SetLimit("/api/v1/users", limit)
			run(t, rt, 90*time.Second, jobs...)
		}
		rig.Equal(t, "buckets", bucketNames(rt), []string{"/api/v1/users"})
		if log := splitLines(t, r); len(log) > 0 {
			t.Errorf("log %v", log)
		}
	})
}

func TestBucketThatTheUserNamesIsNotSplit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := rig.Over(t, searches().Transport(), nil, oktaretry.WithBuckets(func(*http.Request) string { return "mine" }))
		for range 10 {
			rig.Get(t, rt, listURL).Is(200)
			rig.Get(t, rt, searchURL).Is(200)
		}
		rig.Equal(t, "buckets", bucketNames(rt), []string{"mine"})
	})
}

func TestProcessesShareThePartsOfABucketByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		okta, store := searches(), sharedtest.NewMemory()
		list, search := &job{"GET", listURL, 5, atomic.Int64{}}, &job{"GET", searchURL, 5, atomic.Int64{}}
		var all sync.WaitGroup
		var got [2][]int64
		for i := range got {
			rt := rig.Over(t, okta.Transport(), nil, oktaretry.WithShared(store))
			jobs := []*job{{"GET", listURL, list.workers, atomic.Int64{}}, {"GET", searchURL, search.workers, atomic.Int64{}}}
			all.Go(func() {
				run(t, rt, time.Minute, jobs...)
				got[i] = run(t, rt, 2*time.Minute, jobs...)
			})
		}
		all.Wait()
		if lists, found := got[0][0]+got[1][0], got[0][1]+got[1][1]; lists < 2*200*95/100 || found < 2*50*95/100 {
			t.Errorf("%d lists and %d searches in two minutes, want 400 and 100", lists, found)
		}
		if n := okta.Answered(429); n > 16 {
			t.Errorf("%d answers of 429, want a handful for each", n)
		}
		var names []string
		for _, b := range store.Buckets() {
			names = append(names, b.Bucket)
		}
		slices.Sort(names)
		rig.Equal(t, "buckets of the store", names, []string{"/api/v1/users", "/api/v1/users (limit 200)", "/api/v1/users (limit 50)"})
	})
}
