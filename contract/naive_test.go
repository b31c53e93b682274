// This file holds the retry loop that everybody writes once: it repeats whatever
// failed, and breaks most of the contract.

package contract_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

type naive struct {
	base    http.RoundTripper
	discard func(*http.Response)
	pause   func(context.Context, time.Duration) error
	prepare func(*http.Request, int) *http.Request
}

// looped returns a naive loop, changed by change if that is not nil.
func looped(change func(*naive)) wrap {
	return func(base http.RoundTripper) http.RoundTripper {
		n := &naive{
			base:    base,
			discard: func(resp *http.Response) { io.Copy(io.Discard, resp.Body); resp.Body.Close() },
			pause: func(ctx context.Context, d time.Duration) error {
				select {
				case <-time.After(d):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			},
			prepare: func(req *http.Request, _ int) *http.Request { return req },
		}
		if change != nil {
			change(n)
		}
		return n
	}
}

func (n *naive) RoundTrip(req *http.Request) (*http.Response, error) {
	for i := 1; ; i++ {
		resp, err := n.base.RoundTrip(n.prepare(req, i))
		if i == 4 || err == nil && resp.StatusCode != 429 && resp.StatusCode < 500 || errors.Is(err, context.Canceled) {
			return resp, err
		}
		wait := time.Second
		if err == nil {
			if s, e := strconv.Atoi(resp.Header.Get("Retry-After")); e == nil {
				wait = time.Duration(s) * time.Second
			}
			n.discard(resp)
		}
		if err := n.pause(req.Context(), wait); err != nil {
			return nil, err
		}
	}
}
