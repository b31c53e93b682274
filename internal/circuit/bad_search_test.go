// This file tests that one bad request is no outage. Okta answers some searches
// with 503 or 504 for ever while all else is well (release notes of 2022:
// OKTA-535035, OKTA-503711, OKTA-504265). A page with such a search is reloaded
// now and then; logins go on beside it.

package circuit_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
)

// badSearch is a page with bad searches, and the logins' reads beside it.
type badSearch struct {
	name    string
	tabs    int           // that reload the page
	every   time.Duration // how often each does
	reads   time.Duration // the distance of the reads
	begin   time.Duration // of the reads
	paths   []string      // of the searches, by tab
	read    string        // its URL
	answers script.Step   // of the searches
	down    time.Duration // how long all of Okta is down at first
	well    time.Duration // how long the searches are well at first
	shared  bool          // searches and reads are of two processes with one store
}

// badText is what a bad search is for.
const badText = "profile.name+xx+1"

// run runs the page for two minutes, or for half a minute after an outage, and returns
// the reads that a circuit refused once Okta was up, and when the first read ended well
// after that.
func (s badSearch) run(t *testing.T) (refused, well int, first time.Duration) {
	began := time.Now()
	base := script.New(t)
	base.Choose(func(req *http.Request) script.Step {
		switch {
		case time.Since(began) < s.down:
			return script.Bare(503).Takes(20 * time.Millisecond)
		case strings.HasSuffix(req.URL.RawQuery, badText) && time.Since(began) >= s.well:
			return s.answers
		}
		return script.OK().Takes(50 * time.Millisecond)
	})
	page := rig.Over(t, base, nil)
	login := page
	if s.shared {
		store := sharedtest.NewMemory()
		page, login = rig.Over(t, base, nil, oktaretry.WithShared(store)), rig.Over(t, base, nil, oktaretry.WithShared(store))
	}
	lasts := 2 * time.Minute
	if s.down > 0 {
		lasts = s.down + 30*time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	for tab := range s.tabs {
		all.Go(func() {
			search := rig.Request(t, ctx, http.MethodGet, s.paths[tab%len(s.paths)]+"?search="+badText, nil)
			for ; ctx.Err() == nil; time.Sleep(s.every) {
				if resp, err := page.RoundTrip(search); err == nil {
					resp.Body.Close()
				}
			}
		})
	}
	time.Sleep(s.begin)
	for first = -1; ctx.Err() == nil; time.Sleep(s.reads) {
		inOutage := time.Since(began) < s.down
		c := rig.Get(t, login, s.read)
		var open *oktaretry.CircuitOpenError
		at := time.Since(began) - s.down
		switch {
		case at < 0:
		case inOutage && c.Err == nil && c.Resp.StatusCode == 503:
			// It met the outage, and a circuit opened before it went again.
		case errors.As(c.Err, &open):
			refused++
		case c.Err == nil && c.Resp.StatusCode == 200:
			well++
			if first < 0 {
				first = at
			}
		default:
			t.Errorf("a read ended with %v, %v", c.Resp, c.Err)
		}
	}
	return refused, well, first
}

// headersLate is the error of an http.Transport whose ResponseHeaderTimeout is over.
type headersLate struct{}

func (headersLate) Error() string { return "net/http: timeout awaiting response headers" }
func (headersLate) Timeout() bool { return true }

var (
	groupsURL = "/api/v1/groups"
	timesOut  = script.Bare(504).Takes(300 * time.Millisecond)
)

func TestOneBadSearchRefusesNoRead(t *testing.T) {
	usual := badSearch{
		tabs: 6, every: 5 * time.Second, reads: 2 * time.Second, paths: []string{groupsURL}, read: rig.UserURL, answers: timesOut,
	}
	list, another := rig.Org+groupsURL, rig.Org+groupsURL+"?search=profile.name+eq+1"
	with := func(name string, edit func(*badSearch)) badSearch {
		s := usual
		s.name = name
		edit(&s)
		return s
	}
	for _, s := range []badSearch{
		with("3 tabs", func(s *badSearch) { s.tabs = 3 }),
		with("6 tabs", func(*badSearch) {}),
		with("60 tabs", func(s *badSearch) { s.tabs = 60 }),
		with("6 tabs, reloaded 10 times a second", func(s *badSearch) { s.every = 100 * time.Millisecond }),
		with("reads 10 a second", func(s *badSearch) { s.reads = 100 * time.Millisecond }),
		with("a read every 20 s", func(s *badSearch) { s.reads = 20 * time.Second }),
		with("a read every 40 s", func(s *badSearch) { s.reads = 40 * time.Second }),
		with("reads begin after a minute", func(s *badSearch) { s.begin = time.Minute }),
		with("503s", func(s *badSearch) { s.answers = script.Bare(503).Takes(50 * time.Millisecond) }),
		with("502s at once", func(s *badSearch) { s.answers = script.Bare(502) }),
		with("a search that hangs", func(s *badSearch) { s.tabs, s.answers = 60, script.Hang() }),
		with("a search whose connection is reset", func(s *badSearch) { s.every, s.answers = time.Second, script.Fail(script.Reset) }),
		with("a search whose stream is reset, over HTTP/2", func(s *badSearch) {
			s.every, s.answers = time.Second, script.Fail(errors.New("stream error: stream ID 5; INTERNAL_ERROR; received from peer"))
		}),
		with("a search whose connection ends", func(s *badSearch) { s.every, s.answers = time.Second, script.Fail(io.ErrUnexpectedEOF) }),
		with("a search that meets the base's own time limit", func(s *badSearch) {
			s.tabs, s.answers = 60, script.Fail(headersLate{}).Takes(time.Second)
		}),
		with("another template", func(s *badSearch) { s.paths = []string{"/api/v1/users"} }),
		with("two searches", func(s *badSearch) { s.paths = []string{groupsURL, "/api/v1/users"} }),
		with("four searches, 60 tabs", func(s *badSearch) {
			s.tabs, s.paths = 60, []string{groupsURL, "/api/v1/users", "/api/v1/apps", "/api/v1/groups/rules"}
		}),
		// Whose many successes of before are missing at once.
		with("two searches that turn bad, a read every 8 s", func(s *badSearch) {
			s.every, s.reads, s.well, s.paths = 100*time.Millisecond, 8*time.Second, 20*time.Second, []string{groupsURL, "/api/v1/users"}
		}),
		with("six searches that turn bad, a read every 8 s", func(s *badSearch) {
			s.every, s.reads, s.well = 100*time.Millisecond, 8*time.Second, 20*time.Second
			s.paths = []string{groupsURL, "/api/v1/users", "/api/v1/apps", "/api/v1/groups/rules", "/api/v1/zones", "/api/v1/policies"}
		}),
		with("the list of its path", func(s *badSearch) { s.read = list }),
		with("another search of its path", func(s *badSearch) { s.read = another }),
		with("another search, 60 tabs", func(s *badSearch) { s.tabs, s.read = 60, another }),
		with("another search, reloaded 10 times a second", func(s *badSearch) { s.every, s.read = 100*time.Millisecond, another }),
		with("another search every 20 s", func(s *badSearch) { s.every, s.reads, s.read = 100*time.Millisecond, 20*time.Second, another }),
		with("another search, begun after a minute", func(s *badSearch) { s.every, s.begin, s.read = 100*time.Millisecond, time.Minute, another }),
		with("another search, a search that hangs", func(s *badSearch) { s.tabs, s.answers, s.read = 60, script.Hang(), another }),
		with("another search, a search that turns bad", func(s *badSearch) {
			s.every, s.well, s.read = 100*time.Millisecond, 20*time.Second, another
		}),
		with("another search, bad searches of two paths", func(s *badSearch) {
			s.every, s.read, s.paths = 100*time.Millisecond, another, []string{groupsURL, "/api/v1/users"}
		}),
		with("another search, a search whose connection is reset", func(s *badSearch) {
			s.tabs, s.every, s.reads = 12, 100*time.Millisecond, time.Second // 20 at once would open the host's circuit
			s.answers, s.read = script.Fail(script.Reset), another
		}),
		with("another search, one store", func(s *badSearch) { s.every, s.read, s.shared = 100*time.Millisecond, another, true }),
		with("one store", func(s *badSearch) { s.shared = true }),
		with("one store, reads 10 a second", func(s *badSearch) { s.shared, s.reads = true, 100*time.Millisecond }),
	} {
		rig.Virtual(t, s.name, func(t *testing.T) {
			if refused, well, _ := s.run(t); refused > 0 || well == 0 {
				t.Errorf("%d of %d reads were refused, want none", refused, refused+well)
			}
		})
	}
}

// When Okta is back from an outage, the search is still bad, and may be the probe
// each time.
func TestBadSearchDoesNotKeepTheHostsCircuitOpenAfterAnOutage(t *testing.T) {
	for _, shared := range []bool{false, true} {
		for down := 30 * time.Second; down < 35*time.Second; down += time.Second {
			synctest.Test(t, func(t *testing.T) {
				s := badSearch{
					tabs: 20, every: 100 * time.Millisecond, reads: 500 * time.Millisecond, paths: []string{groupsURL}, read: rig.UserURL,
					answers: timesOut, down: down, shared: shared,
				}
				// The last probe of the outage failed when a search went out as the next: that
				// fails, too, after 300 ms, and the circuit is open for 5 s more. The next probe
				// can be a search again, and the read comes by 500 ms later, and takes 50 ms.
				most := 6200 * time.Millisecond
				if shared {
					most = 12 * time.Second
				}
				if refused, _, first := s.run(t); first < 0 || first > most || refused > int(most/s.reads) {
					t.Errorf("down for %s, shared %t: the first read ended well %s later, and %d were refused; want within %s",
						down, shared, first, refused, most)
				}
			})
		}
	}
}
