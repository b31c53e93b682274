// This file tests windows that open with their first call, at any moment of a
// second, while their resets name whole seconds.

package pace_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/rig"
)

// opening is a bucket whose windows last a minute from their first call.
type opening struct {
	limit int

	mu            sync.Mutex
	used, refused int
	ends          time.Time
}

func (o *opening) RoundTrip(req *http.Request) (*http.Response, error) {
	const way = 25 * time.Millisecond
	time.Sleep(way)
	status, left, ends := o.count(time.Now())
	resp := respond(req, status, o.limit, `{}`)
	resp.Header.Set("X-Rate-Limit-Remaining", strconv.Itoa(left))
	resp.Header.Set("X-Rate-Limit-Reset", strconv.FormatInt(ends.Unix(), 10))
	time.Sleep(way)
	return resp, nil
}

func (o *opening) count(now time.Time) (status, left int, ends time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !now.Before(o.ends) {
		o.ends, o.used = now.Add(time.Minute), 0
	}
	if o.used == o.limit {
		o.refused++
		return http.StatusTooManyRequests, 0, o.ends
	}
	o.used++
	return http.StatusOK, o.limit - o.used, o.ends
}

// A process that did not open a window itself once lost up to a second of each:
// four of them 4 s in four windows.
func TestWindowsThatOpenWithinASecondAreFollowedByTheNextAtOnce(t *testing.T) {
	const most = 2500 * time.Millisecond // of which 600 ms are the calls of the last window
	for _, tt := range []struct{ processes, workers, refusals int }{{1, 50, 4}, {4, 25, 40}} {
		for at := time.Duration(0); at < time.Second; at += 170 * time.Millisecond {
			rig.Virtual(t, fmt.Sprintf("%d processes, %s", tt.processes, at), func(t *testing.T) {
				const calls, limit = 3000, 600
				time.Sleep(at)
				okta := &opening{limit: limit}
				began := time.Now()
				var all sync.WaitGroup
				for range tt.processes {
					rt := rig.Over(t, okta, nil)
					all.Go(func() { runWorkers(t, rt, rig.UserURL, tt.workers, calls/tt.processes) })
				}
				all.Wait()
				if over := time.Since(began) - (calls/limit-1)*time.Minute; over > most {
					t.Errorf("took %s longer than the four windows before the last, want %s at most", over, most)
				}
				if okta.refused > tt.refusals {
					t.Errorf("%d refusals, want %d at most", okta.refused, tt.refusals)
				}
			})
		}
	}
}
