// This file holds the options of single calls, which travel in their context.

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
	// PriorityInteractive is for calls that a person waits for. The default.
	PriorityInteractive Priority = iota
	// PriorityBackground is for syncs and jobs: they let interactive calls go
	// first.
	PriorityBackground
)

// callOptions is what a context says about its calls.
type callOptions struct {
	recorder   *Recorder
	idempotent bool
	noRetry    bool
	priority   Priority
	rules      map[string]Rule
	err        error // what is wrong with the options; the call fails with it
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

// withCallOptions returns ctx with a changed copy of its options, so that all
// of them cost one look-up a call.
func withCallOptions(ctx context.Context, change func(*callOptions)) context.Context {
	o := *callOptionsOf(ctx)
	change(&o)
	return context.WithValue(ctx, callKey{}, &o)
}

// WithIdempotent says that the calls of ctx may be repeated whatever their
// method: doing the work twice does no harm.
func WithIdempotent(ctx context.Context) context.Context {
	return withCallOptions(ctx, func(o *callOptions) { o.idempotent = true })
}

// WithNoRetry has the calls of ctx sent once and their answer handed back as
// it is; pacing and circuits still apply. A 429 comes back as a
// [*RateLimitError] all the same, unless Policy.ReturnRateLimited is set.
func WithNoRetry(ctx context.Context) context.Context {
	return withCallOptions(ctx, func(o *callOptions) { o.noRetry = true })
}

// WithPriority orders the calls of ctx among those that wait for the same rate
// limit. An unknown priority fails the call.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return withCallOptions(ctx, func(o *callOptions) {
		if p > PriorityBackground {
			o.err = errors.Join(o.err, fmt.Errorf("oktaretry: WithPriority: there is no priority %d", p))
		}
		o.priority = p
	})
}

// WithRule sets a rule for the calls of ctx, before those of the policy. The
// key is an error code ("E0000009", "server_error") or a class by name
// ("server-error"); a rule for a code comes before one for its class. A bad
// key or rule fails the call, with an error that names it.
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

// classNamed returns the class of a name that WithRule takes.
func classNamed(name string) (Class, bool) {
	for class := ClassRateLimited; class <= ClassNetwork; class++ {
		if class.String() == name {
			return class, true
		}
	}
	return 0, false
}
