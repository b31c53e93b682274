// This file holds the cases about the time between two attempts.

package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
