// This file tests buckets that are several: through a Transport, against a fake
// Okta in virtual time.

package pace_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/oktatest"
)

const (
	listURL   = rig.Org + "/api/v1/users?limit=5"
	searchURL = rig.Org + "/api/v1/users?search=x"
)

// searchOkta makes an org that counts searches for users apart: 50 a minute, and
// 600 of all else there.
func searchOkta() *oktatest.Okta {
	search := oktatest.BucketUserSearch
	search.Limit = 50
	return oktatest.New(oktatest.WithUsers(1), oktatest.WithBucket(search), oktatest.WithLimit("/api/v1/users", 600),
		oktatest.WithWindowLength(time.Minute), oktatest.WithLatency(50*time.Millisecond))
}

// job is calls by several workers that never pause.
type job struct {
	method, target string
	workers        int

	succeeded atomic.Int64
}

// run runs jobs until the time is over.
func run(t *testing.T, rt http.RoundTripper, lasts time.Duration, jobs ...*job) {
	t.Helper()
	ctx := rig.CancelAfter(t, lasts, nil) // no deadline, for which a call would leave the line early
	var all sync.WaitGroup
	for _, j := range jobs {
		for range j.workers {
			all.Go(func() {
				for ctx.Err() == nil {
					c := rig.Do(t, ctx, rt, j.method, j.target, "")
					if c.Err != nil {
						return // the time is over
					}
					c.Resp.Body.Close()
					j.succeeded.Add(1)
				}
			})
		}
	}
	all.Wait()
}

func TestSearches(t *testing.T) {
	for _, workers := range [][2]int{{10, 10}, {1, 1}, {50, 5}, {5, 50}, {50, 50}, {20, 1}} {
		synctest.Test(t, func(t *testing.T) {
			okta := searchOkta()
			list := &job{method: "GET", target: listURL, workers: workers[0]}
			run(t, rig.Over(t, okta.Transport(), nil), 5*time.Minute, list)
			alone, r429 := list.succeeded.Load(), okta.Answered(429)

			okta = searchOkta()
			r := rig.NewRecorder()
			rt := rig.Over(t, okta.Transport(), nil, oktaretry.WithLogger(r.Logger), oktaretry.WithLogThreshold(time.Hour))
			list, search := &job{method: "GET", target: listURL, workers: workers[0]}, &job{method: "GET", target: searchURL, workers: workers[1]}

			run(t, rt, time.Minute, list, search)
			l1, s1 := list.succeeded.Load(), search.succeeded.Load()
			run(t, rt, 4*time.Minute, list, search)
			t.Log(workers, "alone", alone, r429, "list", list.succeeded.Load(), "search", search.succeeded.Load(), "429", okta.Answered(429), "first minute", l1, s1)
		})
	}
}
