// This file holds the cases about the time between two attempts.

package contract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

var waitCases = []Case{{
	Name:  "Retry-After is kept: never early, and not much late",
	Why:   "a resend that comes early is a second 429, and on many servers a longer wait",
	check: keepsRetryAfter,
}, {
	Name:  "a wait ends at once when the context is cancelled",
	Why:   "a request handler whose client has left, or a program that shuts down, must not sit out somebody's backoff",
	check: cancelEndsWait,
}, {
	Name:  "the error of a cancelled wait matches context.Canceled",
	Why:   "callers distinguish their own cancellation from a failure by errors.Is",
	check: cancelIsNamed,
}, {
	Name:    "a wait that cannot fit before the deadline is not begun",
	Why:     "it can only end in a timeout: the caller could have had the answer, and the time",
	Feature: true,
	check:   noWaitInVain,
}, {
	Name:    "a closed Request.Cancel ends the call, in flight and in a wait",
	Why:     "older programs know no other way to leave, and net/http obeys it",
	Feature: true,
	check:   obeysCancel,
}, {
	Name:  "a redirect of a poll does not post the challenge again",
	Why:   "http.Client follows a 307 by sending the request again: a second push on somebody's phone, or a secret for another host",
	check: pollStaysAPoll,
}}

func keepsRetryAfter(l *lab) error {
	b := l.base(limited(7*time.Second), status(200))
	l.call(l.stack(b), l.request("GET", nil))
	sends := b.all()
	if len(sends) < 2 {
		return errors.New("a GET that was answered with 429 is not sent again")
	}
	switch d := sends[1].at.Sub(sends[0].at); {
	case d < 7*time.Second:
		return errors.New("asked to wait for 7s, it resent earlier")
	case d > time.Minute:
		return errors.New("asked to wait for 7s, it resent after more than a minute")
	}
	return nil
}

// leave answers a call with a wait of a minute and cancels it a moment later. after is
// how long the call outlived its context.
func leave(l *lab) (after time.Duration, err error) {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	var left time.Time
	b := l.base(func(req *http.Request) (*http.Response, error) {
		time.AfterFunc(time.Microsecond, func() {
			if left.IsZero() {
				left = time.Now()
			}
			cancel()
		})
		return limited(time.Minute)(req)
	})
	rt := l.stack(b)
	_, err = l.call(rt, l.request("GET", nil).WithContext(ctx))
	ended := time.Now()
	l.settle()
	if left.IsZero() {
		return 0, errNotWaiting
	}
	return ended.Sub(left), err
}

// errNotWaiting is the error of a stack that returned the 429 before the caller left.
var errNotWaiting = fmt.Errorf("%w, does not wait for a minute", ErrNotApplicable)

func cancelEndsWait(l *lab) error {
	after, err := leave(l)
	if errors.Is(err, errNotWaiting) {
		return err
	}
	if after > time.Millisecond {
		return fmt.Errorf("the call ended %v after its context", after)
	}
	return nil
}

func cancelIsNamed(l *lab) error {
	_, err := leave(l)
	switch {
	case errors.Is(err, errNotWaiting):
		return err
	case !errors.Is(err, context.Canceled):
		return fmt.Errorf("the error is %q", fmt.Sprint(err))
	}
	return nil
}

func noWaitInVain(l *lab) error {
	ctx, cancel := context.WithTimeout(l.ctx, 10*time.Second)
	defer cancel()
	began := time.Now()
	b := l.base(limited(time.Minute))
	l.call(l.stack(b), l.request("GET", nil).WithContext(ctx))
	switch d := time.Since(began); {
	case d >= 10*time.Second:
		return errors.New("asked to wait for a minute with 10s left, it waited for the deadline")
	case b.count() > 1:
		return errNotWaiting
	}
	return nil
}

func obeysCancel(l *lab) error {
	var found findings
	inFlight := func(req *http.Request) (*http.Response, error) {
		select {
		//lint:ignore SA1019 net/http looks there, too
		case <-req.Cancel:
			return nil, errors.New("net/http: request canceled")
		case <-req.Context().Done():
			return nil, context.Cause(req.Context())
		case <-time.After(time.Hour):
			return nil, errReset
		}
	}
	for _, where := range []string{"in flight", "in a wait"} {
		step := map[string]step{"in flight": inFlight, "in a wait": limited(time.Minute)}[where]
		cancel := make(chan struct{})
		var left time.Time
		b := l.base(func(req *http.Request) (*http.Response, error) {
			if left.IsZero() {
				left = time.Now().Add(time.Microsecond)
				time.AfterFunc(time.Microsecond, func() { close(cancel) })
			}
			return step(req)
		})
		req := l.request("GET", nil)
		//lint:ignore SA1019 the case is about it
		req.Cancel = cancel
		_, err := l.call(l.stack(b), req)
		switch after := time.Since(left); {
		case after < 0: // it does not wait, and was not cancelled
		case after > time.Millisecond:
			found.add("%s: the call ended %v after it", where, after.Round(time.Second))
		case err == nil:
			found.add("%s: the call ended without an error", where)
		}
	}
	return found.err()
}

// errNotPolling is the error of a stack that leaves polls to its caller.
var errNotPolling = fmt.Errorf("%w, does not poll", ErrNotApplicable)

func pollStaysAPoll(l *lab) error {
	var found findings
	polls := 0
	for _, target := range []string{"/poll/2", "http://elsewhere.example/poll/2"} {
		for _, code := range []int{307, 308} {
			challenges, strays := 0, 0
			w := l.serve(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Host != "okta.example":
					strays++
				case r.Method == "POST":
					challenges++
					w.Header().Set("Content-Type", "application/json")
					w.Header().Set("Location", "/poll/1")
					w.WriteHeader(http.StatusAccepted)
					io.WriteString(w, `{"errorCode":"E0000070","errorSummary":"Waiting for acknowledgement"}`)
				case r.URL.Path == "/poll/1":
					polls++
					w.Header().Set("Location", target)
					w.WriteHeader(code)
				}
			})
			req := l.request("POST", strings.NewReader(`{"passCode":"secret"}`))
			if resp, err := (&http.Client{Transport: l.stack(w)}).Do(req); err == nil {
				resp.Body.Close()
			}
			l.settle()
			if challenges > 1 {
				found.add("a poll answered with %d: the challenge was posted %s", code, times(challenges))
			}
			if strays > 0 {
				found.add("a poll answered with %d: another host got a request", code)
			}
		}
	}
	if polls == 0 {
		return errNotPolling
	}
	return found.err()
}
