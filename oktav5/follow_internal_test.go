package oktav5

import (
	"context"
	"net/http"
	"net/url"
	"runtime"
	"testing"
	"time"
)

func TestUnmark(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]struct {
		id   uint64
		rest string
		ok   bool
	}{
		"":                 {0, "", false},
		"after=1&limit=25": {0, "after=1&limit=25", false},
		"oktaretry-call=7": {7, "", true},
		"after=a%2Bb&limit=25&oktaretry-call=7&q=x": {7, "after=a%2Bb&limit=25&q=x", true},
		"oktaretry-call=x&limit=25":                 {0, "limit=25", true},
		"search=oktaretry-call=7":                   {0, "search=oktaretry-call=7", false},
		"oktaretry-call=7&oktaretry-call=8":         {8, "", true},
	} {
		if id, rest, ok := unmark(query); id != want.id || rest != want.rest || ok != want.ok {
			t.Errorf("%q: %d, %q, %v; want %+v", query, id, rest, ok, want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestRequestOfTheCallerStaysAsItIs(t *testing.T) {
	t.Parallel()
	f := newFollower(t.Context(), roundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{Request: req, Header: http.Header{"Link": {`<https://x/api>; rel="next"`}}}, nil
	}))
	req := &http.Request{URL: &url.URL{Path: "/api", RawQuery: "limit=1&oktaretry-call=99"}, Header: http.Header{}}
	resp, err := f.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if req.URL.RawQuery != "limit=1&oktaretry-call=99" {
		t.Errorf("the request's query became %q", req.URL.RawQuery)
	}
	if got := resp.Request.URL.RawQuery; got != "limit=1&oktaretry-call=1" {
		t.Errorf("the response's request has the query %q", got)
	}
}

// TestCallsWithoutAResponseAreForgotten, so that a client's memory is bounded by the
// responses that its callers keep.
func TestCallsWithoutAResponseAreForgotten(t *testing.T) {
	t.Parallel()
	f := newFollower(context.Background(), nil)
	kept := f.mark(&http.Request{URL: new(url.URL)}, t.Context())
	for range 100 {
		f.mark(&http.Request{URL: new(url.URL)}, t.Context())
	}
	left := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.calls)
	}
	for left() > 1 { // the test's own time limit ends what never ends
		runtime.GC()
		time.Sleep(time.Millisecond) // cleanups run in a goroutine of their own
	}
	if c := callOf(&http.Response{Request: kept}); c == nil || f.find(1) != c {
		t.Error("the call whose response is kept is forgotten")
	}
}
