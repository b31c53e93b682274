// This file tests the limits of calls in flight through a Transport, whose calls
// return to their line after a refusal, against a base that refuses as Okta does.

package pace_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
)

// crowd is calls that Okta counts together while they are in flight.
type crowd struct{ allowed, inFlight atomic.Int64 }

func allow(n int64) *crowd {
	c := new(crowd)
	c.allowed.Store(n)
	return c
}

func (c *crowd) enter() bool {
	for {
		n := c.inFlight.Load()
		if n >= c.allowed.Load() {
			return false
		}
		if c.inFlight.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// backend answers the calls to one endpoint.
type backend struct {
	crowd   *crowd        // nil: any number may be in flight
	takes   time.Duration // an accepted call
	refuses time.Duration // a refused one

	accepted, refused atomic.Int64
}

// backends are found by the last segment of a call's path.
type backends map[string]*backend

// reorder is by how much calls overtake each other on their way to Okta.
const reorder = 2 * time.Millisecond

func (b backends) RoundTrip(req *http.Request) (*http.Response, error) {
	to := b[path.Base(req.URL.Path)]
	way := rand.N(reorder)
	time.Sleep(way)
	if to.crowd != nil && !to.crowd.enter() {
		time.Sleep(to.refuses - way)
		to.refused.Add(1)
		return respond(req, http.StatusTooManyRequests, 0, `{"errorCode":"E0000047"}`), nil
	}
	time.Sleep(to.takes - way)
	if to.crowd != nil {
		to.crowd.inFlight.Add(-1)
	}
	to.accepted.Add(1)
	return respond(req, http.StatusOK, 1<<20, `{}`), nil
}

// respond makes an answer with that limit, of which almost all is left.
func respond(req *http.Request, status, limit int, body string) *http.Response {
	now := time.Now()
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, Request: req,
		Header: http.Header{
			"Date":                   {now.UTC().Format(http.TimeFormat)},
			"X-Rate-Limit-Limit":     {strconv.Itoa(limit)},
			"X-Rate-Limit-Remaining": {strconv.Itoa(max(limit-1, 0))},
			"X-Rate-Limit-Reset":     {strconv.FormatInt(now.Truncate(time.Minute).Add(time.Minute).Unix(), 10)},
		},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

const (
	usersPath     = "/api/v1/users"
	groupsPath    = "/api/v1/groups"
	authorizePath = "/oauth2/default/v1/authorize"
	tokenPath     = "/oauth2/default/v1/token"
)

// client is a Transport over backends, and the calls made with it.
type client struct {
	t  *testing.T
	rt *oktaretry.Transport
	wg sync.WaitGroup
}

func newClient(t *testing.T, b backends) *client {
	t.Helper()
	rt, err := oktaretry.NewTransport(b)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t: t, rt: rt}
}

// call makes one call, which has to succeed.
func (c *client) call(path string) {
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, "https://acme.okta.com"+path, nil)
	if err != nil {
		c.t.Error(err)
		return
	}
	resp, err := c.rt.RoundTrip(req)
	if err != nil {
		c.t.Error(err)
		return
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		c.t.Errorf("GET %s: %s", path, resp.Status)
	}
}

// work has so many workers make one call after the other until then.
func (c *client) work(workers int, path string, until time.Time) {
	for range workers {
		c.wg.Go(func() {
			for time.Now().Before(until) && !c.t.Failed() {
				c.call(path)
			}
		})
	}
}

func TestNarrowLimitCostsOtherBucketsNothing(t *testing.T) {
	const lasts = 15 * time.Second
	type load struct {
		path           string
		workers        int
		allowed        int64
		takes, refuses time.Duration
	}
	authorize := load{authorizePath, 12, 5, 400 * time.Millisecond, 20 * time.Millisecond}
	token := load{tokenPath, 10, 7, 300 * time.Millisecond, 5 * time.Millisecond}
	few, slow := authorize, token
	few.workers, slow.refuses = 6, token.takes
	many := token
	many.workers, many.refuses = 40, 50*time.Millisecond

	for _, tt := range []struct {
		name   string
		narrow []load
	}{
		{"one worker too many", []load{few}},
		{"many too many", []load{authorize}},
		{"quick refusals", []load{token}},
		{"refusals as slow as answers", []load{slow}},
		{"a crowd", []load{many}},
		{"two narrow limits", []load{authorize, token}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wide := &backend{takes: 200 * time.Millisecond}
				b := backends{path.Base(usersPath): wide}
				for _, n := range tt.narrow {
					b[path.Base(n.path)] = &backend{crowd: allow(n.allowed), takes: n.takes, refuses: n.refuses}
				}
				c := newClient(t, b)
				until := time.Now().Add(lasts)
				c.work(40, usersPath, until)
				for _, n := range tt.narrow {
					c.work(n.workers, n.path, until)
				}
				c.wg.Wait()
				if n, want := wide.accepted.Load(), 40*int64(lasts/wide.takes); n < want*95/100 {
					t.Errorf("%d calls where nothing is refused, want about %d", n, want)
				}
				for _, n := range tt.narrow {
					got, want := b[path.Base(n.path)], n.allowed*int64(lasts/n.takes)
					if a := got.accepted.Load(); a < want*9/10 {
						t.Errorf("%s: %d calls, want about %d", n.path, a, want)
					}
					if r, most := got.refused.Load(), int64(n.workers)+2*int64(lasts/time.Second); r > most {
						t.Errorf("%s: %d refusals, want %d at most", n.path, r, most)
					}
				}
			})
		})
	}
}

// The limit of a host that two endpoints once met must not last: their own limits
// do, and calls that come later meet none.
func TestCallsThatComeAfterTwoNarrowLimitsWereMetAreNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wide := &backend{takes: 200 * time.Millisecond}
		c := newClient(t, backends{
			path.Base(usersPath):     wide,
			path.Base(authorizePath): {crowd: allow(5), takes: 400 * time.Millisecond, refuses: 20 * time.Millisecond},
			path.Base(tokenPath):     {crowd: allow(7), takes: 300 * time.Millisecond, refuses: 20 * time.Millisecond},
		})
		until := time.Now().Add(30 * time.Second)
		c.work(12, authorizePath, until)
		c.work(12, tokenPath, until)
		time.Sleep(15 * time.Second)
		c.work(80, usersPath, until)
		c.wg.Wait()
		if n, want := wide.accepted.Load(), 80*int64(15*time.Second/wide.takes); n < want*95/100 {
			t.Errorf("%d calls where nothing is refused, want about %d", n, want)
		}
	})
}

// Refusals were once judged by what was in flight when they arrived: a burst cut
// the limit down to one.
func TestBurstBeyondTheLimitIsDoneAtThePaceOfTheLimit(t *testing.T) {
	const most = 1800 * time.Millisecond
	burst := func(t *testing.T, takes, refuses time.Duration, known bool) {
		synctest.Test(t, func(t *testing.T) {
			users := &backend{crowd: allow(75), takes: takes, refuses: refuses}
			c := newClient(t, backends{path.Base(usersPath): users})
			within := 3*takes + refuses + 100*time.Millisecond // 75, 75 and 50
			if known {
				c.call(usersPath)
			} else { // a few calls find the window out, and the others follow in steps
				within += takes + 100*time.Millisecond
			}
			began := time.Now()
			for range 200 {
				c.wg.Go(func() { c.call(usersPath) })
			}
			c.wg.Wait()
			if took := time.Since(began); took > min(within, most) {
				t.Errorf("known %v, %s a call, refused after %s: it took %s, want %s at most", known, takes, refuses, took, min(within, most))
			}
			if n := users.refused.Load(); n > 130 {
				t.Errorf("known %v, %s a call, refused after %s: %d refusals, want 125 and few more", known, takes, refuses, n)
			}
		})
	}
	for _, takes := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond, 400 * time.Millisecond} {
		for _, refuses := range []time.Duration{5 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 200 * time.Millisecond} {
			burst(t, takes, refuses, true)
			burst(t, takes, refuses, false)
		}
		burst(t, takes, takes, true)
	}
}

func TestLimitOfTheHostIsSharedByItsBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lasts, takes = 20 * time.Second, 100 * time.Millisecond
		org := allow(75)
		users := &backend{crowd: org, takes: takes, refuses: 20 * time.Millisecond}
		groups := &backend{crowd: org, takes: takes, refuses: 20 * time.Millisecond}
		c := newClient(t, backends{path.Base(usersPath): users, path.Base(groupsPath): groups})
		until := time.Now().Add(lasts)
		c.work(100, usersPath, until)
		c.work(100, groupsPath, until)
		c.wg.Wait()
		a, b, best := users.accepted.Load(), groups.accepted.Load(), 75*int64(lasts/takes)
		if a+b < best*97/100 {
			t.Errorf("%d calls together, want about %d", a+b, best)
		}
		if min(a, b) < best/4 {
			t.Errorf("%d calls of one bucket and %d of the other, want about half each", a, b)
		}
		if n := users.refused.Load() + groups.refused.Load(); n > best/50 {
			t.Errorf("%d refusals of %d calls, want 2 %% at most", n, a+b)
		}
	})
}

func TestHostIsBackAtWorkSecondsAfterItsLimitIsRaised(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const takes = 100 * time.Millisecond
		org := allow(10)
		users := &backend{crowd: org, takes: takes, refuses: 20 * time.Millisecond}
		groups := &backend{crowd: org, takes: takes, refuses: 20 * time.Millisecond}
		c := newClient(t, backends{path.Base(usersPath): users, path.Base(groupsPath): groups})
		began := time.Now()
		c.work(50, usersPath, began.Add(23*time.Second))
		c.work(50, groupsPath, began.Add(23*time.Second))
		time.Sleep(10 * time.Second)
		org.allowed.Store(75)
		time.Sleep(8 * time.Second)
		before := users.accepted.Load() + groups.accepted.Load()
		time.Sleep(5 * time.Second)
		n, best := users.accepted.Load()+groups.accepted.Load()-before, 75*int64(5*time.Second/takes)
		if n < best*9/10 {
			t.Errorf("%d calls in 5 s with 75 slots, want about %d", n, best)
		}
		c.wg.Wait()
	})
}
