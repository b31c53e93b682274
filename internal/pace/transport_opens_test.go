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
	share int // of one credential; 0: all

	mu            sync.Mutex
	used, refused int
	worst, inThis int // refusals: in the window that had most, and in this one
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
		o.ends, o.used, o.inThis = now.Add(time.Minute), 0, 0
	}
	if o.used == o.limit || o.used == o.share && o.share > 0 {
		o.refused++
		o.inThis++
		o.worst = max(o.worst, o.inThis)
		return http.StatusTooManyRequests, o.limit - o.used, o.ends
	}
	o.used++
	return http.StatusOK, o.limit - o.used, o.ends
}

// A process that did not open a window itself once lost up to a second of each:
// four of them 4 s in four windows.
func TestWindowsThatOpenWithinASecondAreFollowedByTheNextAtOnce(t *testing.T) {
	const most = 2100 * time.Millisecond // of which 200 ms are the calls of the last window
	for _, tt := range []struct{ processes, workers, refusals int }{{1, 50, 4}, {4, 25, 40}} {
		for at := time.Duration(0); at < time.Second; at += 330 * time.Millisecond {
			rig.Virtual(t, fmt.Sprintf("%d processes, %s", tt.processes, at), func(t *testing.T) {
				const calls, limit = 1000, 200
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

// After a window whose share was used up, many calls once went ahead into the next
// one, which the server had not begun yet. That a token's share is not half, as
// Okta's default is, takes the refusals of two windows to learn. The resets, in whole
// seconds, are early by the fraction at which windows open: by none, little or most.
func TestShareOfATokenCostsFewRefusalsWhereverInASecondWindowsOpen(t *testing.T) {
	for at := time.Duration(0); at < time.Second; at += 220 * time.Millisecond {
		for share, learned := range map[int]int{100: 0, 50: 1, 150: 1} {
			rig.Virtual(t, fmt.Sprintf("%d of 200, %s", share, at), func(t *testing.T) {
				time.Sleep(at)
				okta := &opening{limit: 200, share: share}
				rt := rig.Over(t, okta, nil)
				runWorkers(t, rt, rig.UserURL, 20, 3*learned*share)
				okta.worst, okta.inThis = 0, 0
				began := time.Now()
				runWorkers(t, rt, rig.UserURL, 20, 4*share)
				if okta.worst > 3 {
					t.Errorf("%d refusals in one window, want 3 at most", okta.worst)
				}
				if took := time.Since(began); took > 4*time.Minute+10*time.Second {
					t.Errorf("took %s, want the 4 windows that it needs", took)
				}
			})
		}
	}
}
