// This file gives requests the context that the SDK has lost. Its Next sends with
// the client's context instead of the call's, and nothing in that request leads
// back to the call, but its URL: Next makes that of the next link and the query of
// the response's request. So that query gets a mark, which is taken off again before
// the next page is sent. Okta never sees it, and the response's headers stay as they
// are.

package oktav6

import (
	"context"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"weak"
)

// follower is the RoundTripper between the SDK and the transport.
type follower struct {
	transport http.RoundTripper
	tokens    context.Context // of token calls

	mu    sync.Mutex
	last  uint64
	calls map[uint64]weak.Pointer[call] // those that a response can still go on with
}

// call is what the next page needs of the call before. Its response keeps it alive,
// by the context of the response's request.
type call struct{ ctx context.Context }

type callKey struct{}

func newFollower(ctx context.Context, transport http.RoundTripper) *follower {
	return &follower{
		transport: transport,
		tokens:    context.WithoutCancel(ctx),
		calls:     map[uint64]weak.Pointer[call]{},
	}
}

// RoundTrip sends req with the context of its call.
func (f *follower) RoundTrip(req *http.Request) (*http.Response, error) {
	if id, query, ok := unmark(req.URL.RawQuery); ok {
		ctx := req.Context()
		if c := f.find(id); c != nil {
			ctx = c.ctx
		}
		req = withQuery(req.WithContext(ctx), query)
	} else if req.Context() == context.Background() && strings.HasSuffix(req.URL.Path, "/oauth2/v1/token") {
		req = req.WithContext(f.tokens)
	}
	resp, err := f.transport.RoundTrip(req)
	if err == nil && resp.Request != nil && hasNext(resp.Header["Link"]) {
		resp.Request = f.mark(resp.Request, req.Context())
	}
	return resp, err
}

// CloseIdleConnections closes those of the transport.
func (f *follower) CloseIdleConnections() {
	if c, ok := f.transport.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// mark returns a copy of shown, a response's request, from which the next page's
// request leads back to ctx.
func (f *follower) mark(shown *http.Request, ctx context.Context) *http.Request {
	c := &call{ctx}
	f.mu.Lock()
	f.last++
	id := f.last
	f.calls[id] = weak.Make(c)
	f.mu.Unlock()
	runtime.AddCleanup(c, f.forget, id)

	query := markParameter + strconv.FormatUint(id, 10)
	if rest := shown.URL.RawQuery; rest != "" {
		query = rest + "&" + query
	}
	return withQuery(shown.WithContext(context.WithValue(shown.Context(), callKey{}, c)), query)
}

func (f *follower) find(id uint64) *call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[id].Value()
}

func (f *follower) forget(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.calls, id)
}

// callOf returns what the page after resp needs; nil if resp is not a follower's, or
// the last.
func callOf(resp *http.Response) *call {
	if resp == nil || resp.Request == nil {
		return nil
	}
	c, _ := resp.Request.Context().Value(callKey{}).(*call)
	return c
}

const markParameter = "oktaretry-call="

// unmark returns the mark of a query, and the query without it.
func unmark(query string) (id uint64, rest string, ok bool) {
	if !strings.Contains(query, markParameter) {
		return 0, query, false
	}
	var kept []string
	for parameter := range strings.SplitSeq(query, "&") {
		value, marked := strings.CutPrefix(parameter, markParameter)
		if !marked {
			kept = append(kept, parameter)
			continue
		}
		id, _ = strconv.ParseUint(value, 10, 64)
		ok = true
	}
	return id, strings.Join(kept, "&"), ok
}

// withQuery gives req, a copy already, a URL of its own with that query.
func withQuery(req *http.Request, query string) *http.Request {
	u := new(url.URL)
	*u = *req.URL
	u.RawQuery = query
	req.URL = u
	return req
}

func hasNext(links []string) bool {
	for _, link := range links {
		if strings.Contains(link, `rel="next"`) {
			return true
		}
	}
	return false
}
