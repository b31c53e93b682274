// This file holds the options of single calls, which their context carries.

package oktaretry

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
	rules      map[string]Rule
	err        error // of the options; the call fails with it
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

// WithRule sets a rule for the calls of ctx, which takes precedence over those of
// the policy. The key is an error code ("E0000009", "server_error") or the name of a
// class ("server-error"); a rule for a code takes precedence over one for its class.
// An invalid key or rule fails the call, with an error that names it.
func WithRule(ctx context.Context, key string, r Rule) context.Context {
	return withCallOptions(ctx, func(o *callOptions) {
		var bad problems
		if class, ok := classNamed(key); ok {
			bad.rule("WithRule["+key+"]", r, class, 0)
		} else {
			bad.codeRule("WithRule["+key+"]", key, r)
		}
		o.err = errors.Join(o.err, errors.Join(bad...))
		o.rules = maps.Clone(o.rules)
		if o.rules == nil {
			o.rules = make(map[string]Rule)
		}
		o.rules[key] = r
	})
}

// classNamed returns the class of a name.
func classNamed(name string) (Class, bool) {
	for class := ClassRateLimited; class <= ClassNetwork; class++ {
		if class.String() == name {
			return class, true
		}
	}
	return 0, false
}
