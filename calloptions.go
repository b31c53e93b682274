// This file holds the options of single calls, which their context carries.

package oktaretry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Priority orders the calls that wait for the same rate limit.
type Priority uint8

const (
	// PriorityInteractive is for calls that a person waits for. It is the default.
	PriorityInteractive Priority = iota
	// PriorityBackground is for syncs and jobs: interactive calls precede them.
	PriorityBackground
)

// callOptions are the options of a context's calls.
type callOptions struct {
	recorder   *Recorder
	idempotent bool
	noRetry    bool
	priority   Priority
	rules      callRules
	err        error // of the options; the call fails with it

	attemptTimeout override[time.Duration]
}

type callKey struct{}

// callOptionsOf returns the options of ctx, read-only.
func callOptionsOf(ctx context.Context) *callOptions {
	if o, ok := ctx.Value(callKey{}).(*callOptions); ok {
		return o
	}
	return &noCallOptions
}

var noCallOptions callOptions

// withCallOptions returns ctx with a changed copy of its options. They share one
// value, so that a call looks up one.
func withCallOptions(ctx context.Context, change func(*callOptions)) context.Context {
	o := *callOptionsOf(ctx)
	change(&o)
	return context.WithValue(ctx, callKey{}, &o)
}

// WithIdempotent declares the calls of ctx idempotent, whatever their method: they
// are sent again after errors too. Default: only GET, HEAD, OPTIONS, TRACE, PUT and
// DELETE are idempotent, requests with an Idempotency-Key or X-Idempotency-Key
// header, and polls.
func WithIdempotent(ctx context.Context) context.Context {
	return withCallOptions(ctx, func(o *callOptions) { o.idempotent = true })
}

// WithNoRetry limits the calls of ctx to one attempt, whose answer is returned as
// it is; pacing and circuits still apply. A 429 is returned as a [*RateLimitError]
// all the same, unless Policy.ReturnRateLimited is set.
func WithNoRetry(ctx context.Context) context.Context {
	return withCallOptions(ctx, func(o *callOptions) { o.noRetry = true })
}

// WithPriority sets the priority of the calls of ctx among those that wait for the
// same rate limit. An unknown priority fails the call. Default:
// [PriorityInteractive].
func WithPriority(ctx context.Context, p Priority) context.Context {
	return withCallOptions(ctx, func(o *callOptions) {
		if p > PriorityBackground {
			o.err = errors.Join(o.err, fmt.Errorf("oktaretry: WithPriority: there is no priority %d", p))
		}
		o.priority = p
	})
}

// WithMaxAttempts sets [Rule.MaxAttempts] for the calls of ctx, whichever rule
// judges an answer; polls count too. 0: no cap of this kind. A negative number fails
// the call, with an error that names the option. Answers that the policy does not
// send again stay final.
//
//	ctx = oktaretry.WithMaxAttempts(ctx, 2) // one resend, then Okta's answer
func WithMaxAttempts(ctx context.Context, n int) context.Context {
	return withCallOptions(ctx, func(o *callOptions) {
		if n < 0 {
			o.err = errors.Join(o.err, fmt.Errorf("oktaretry: WithMaxAttempts: is %d, want 0 (no cap) or more", n))
		}
		o.rules.maxAttempts = override[int]{n, true}
	})
}

// WithMaxElapsed sets [Rule.MaxElapsed] for the calls of ctx, whichever rule judges
// an answer. 0: no cap of this kind; the context's deadline always counts. A negative
// duration fails the call, with an error that names the option.
//
//	ctx = oktaretry.WithMaxElapsed(ctx, time.Hour) // a nightly job can wait out any rate limit
func WithMaxElapsed(ctx context.Context, d time.Duration) context.Context {
	return withCallOptions(ctx, func(o *callOptions) {
		o.checkDuration("WithMaxElapsed", "no cap", d)
		o.rules.maxElapsed = override[time.Duration]{d, true}
	})
}

// WithAttemptTimeout bounds each attempt of the calls of ctx to d, until its response
// headers arrive, in place of [Policy.AttemptTimeout]. It holds as it is: for requests
// that would not be repeated too, without regard to the deadline, and after a timeout.
// Only a circuit's probe has less, see [Breaker].ProbeTimeout. 0: no bound. A negative duration fails the call, with an error that names the option.
//
//	ctx = oktaretry.WithAttemptTimeout(ctx, 5*time.Second) // a person waits
func WithAttemptTimeout(ctx context.Context, d time.Duration) context.Context {
	return withCallOptions(ctx, func(o *callOptions) {
		o.checkDuration("WithAttemptTimeout", "no bound", d)
		o.attemptTimeout = override[time.Duration]{d, true}
	})
}

func (o *callOptions) checkDuration(option, zero string, d time.Duration) {
	if d < 0 {
		o.err = errors.Join(o.err, fmt.Errorf("oktaretry: %s: is %s, want 0 (%s) or more", option, d, zero))
	}
}

// WithRule sets a rule for the calls of ctx, which takes precedence over those of
// the policy. The key is an error code ("E0000009", "server_error"), a status for
// answers without a code of the catalogue ("408"), or the name of a class
// ("server-error"); a rule for a code or a status takes precedence over one for a
// class. An invalid key or rule fails the call, with an error that names it.
func WithRule(ctx context.Context, key string, r Rule) context.Context {
	return withCallOptions(ctx, func(o *callOptions) {
		var bad problems
		if class, ok := classNamed(key); ok {
			bad.rule("WithRule["+key+"]", r, class)
		} else {
			bad.codeRule("WithRule["+key+"]", key, r)
		}
		o.err = errors.Join(o.err, bad.join())
		o.rules.byKey = cloneRules(o.rules.byKey)
		o.rules.byKey[key] = r
	})
}
