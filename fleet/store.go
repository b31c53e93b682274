// This file holds the store: what it asks Redis, and what it makes of the
// answers. The rules are in the scripts.

package fleet

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/oktaretry/oktaretry/shared"
)

var (
	//go:embed lua/lease.lua
	leaseText string
	//go:embed lua/circuit.lua
	circuitText string

	leaseScript   = redis.NewScript(leaseText)
	circuitScript = redis.NewScript(circuitText)
)

// Store is an [shared.Store] on Redis. It is safe for concurrent use, holds
// nothing but the client, and needs no closing; the client is the user's. [New] makes
// it: the zero value and nil answer every question with an error.
type Store struct {
	client redis.UniversalClient
	reload func(context.Context) // has the client look where the slots are; nil: there is none
	prefix string
}

// reloader is a client of a Redis Cluster. By itself it learns that a master died only
// from another one's redirect, or within a minute.
type reloader interface{ ReloadState(context.Context) }

var _ shared.Store = (*Store)(nil)

// Option configures a [Store].
type Option interface{ apply(*Store) error }

type optionFunc func(*Store) error

func (f optionFunc) apply(s *Store) error { return f(s) }

// defaultPrefix is what keys begin with.
const defaultPrefix = "oktaretry:"

// WithPrefix sets what all keys begin with; "oktaretry:" without it. Fleets that
// call one org share a prefix. It must not hold braces, which say by what a
// Redis Cluster spreads keys.
func WithPrefix(prefix string) Option {
	return optionFunc(func(s *Store) error {
		s.prefix = prefix
		if strings.ContainsAny(prefix, "{}") || len(prefix) > 128 {
			return fmt.Errorf("fleet: WithPrefix: %q: must hold no braces and 128 bytes at most", prefix)
		}
		return nil
	})
}

// New returns a Store that asks through client, which may be of a single server,
// of a Redis Cluster or of Sentinels. It does not ask the server yet: a server
// that is down must not keep a program from starting. It reports everything that
// is wrong with the options at once.
func New(client redis.UniversalClient, opts ...Option) (*Store, error) {
	s := &Store{client: client, prefix: defaultPrefix}
	var bad []error
	if client == nil || isNilPointer(client) {
		bad = append(bad, errors.New("fleet: the client is nil"))
	}
	for i, o := range opts {
		if o == nil {
			bad = append(bad, fmt.Errorf("fleet: option %d is nil", i+1))
			continue
		}
		bad = append(bad, o.apply(s))
	}
	if err := errors.Join(bad...); err != nil {
		return nil, err
	}
	if cluster, ok := client.(reloader); ok {
		s.reload = cluster.ReloadState
	}
	return s, nil
}

// run runs a script. After an error a client of a cluster looks, in the background,
// where the slots are now.
func (s *Store) run(ctx context.Context, script *redis.Script, keys []string, args ...any) *redis.Cmd {
	cmd := script.Run(ctx, s.client, keys, args...)
	if cmd.Err() != nil && s.reload != nil {
		s.reload(context.WithoutCancel(ctx))
	}
	return cmd
}

// isNilPointer reports whether an interface holds a pointer that is nil, which it
// hides from a comparison.
func isNilPointer(v any) bool {
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}

var errZero = errors.New("fleet: a zero Store has no client: make one with New")

func (s *Store) isZero() bool { return s == nil || s.client == nil }

// Lease implements [shared.Store].
func (s *Store) Lease(ctx context.Context, b shared.Bucket, r shared.LeaseRequest) (shared.Lease, error) {
	if s.isZero() {
		return shared.Lease{}, errZero
	}
	sum := sha256.Sum256([]byte(b.Host + "\x00" + b.Bucket + "\x00" + b.Credential))
	key := s.prefix + "{" + hex.EncodeToString(sum[:12]) + "}:"
	answer, err := s.run(ctx, leaseScript, []string{key + "window", key + "holders"},
		r.Holder, b.Host+" "+b.Bucket,
		r.Seen.ID, r.Seen.Limit, r.Seen.Remaining, r.Seen.Ends.Microseconds(),
		digit(r.Late), digit(r.Unbound), r.LastWindowID, r.Refused.Microseconds(),
		r.ScoutsEnded, r.Returned, r.Taken, r.Unused, r.InFlight,
		r.Interactive, r.Background, r.Prefetch, r.MaxUtilization, r.Age.Microseconds(),
	).Int64Slice()
	if err != nil {
		return shared.Lease{}, err
	}
	if len(answer) != 11 {
		return shared.Lease{}, fmt.Errorf("fleet: an answer of %d parts, want 11", len(answer))
	}
	l := shared.Lease{
		Places: int(answer[0]), Lasts: micros(answer[1]), Retry: micros(answer[2]),
		Unbound: answer[7] == 1, Held: answer[8] == 1, Sharers: int(answer[9]), ReturnUnused: answer[10] == 1,
	}
	if answer[3] != 0 {
		l.Window = shared.Window{
			ID: answer[3], Limit: int(answer[4]), Remaining: int(answer[5]), Ends: micros(answer[6]),
		}
	}
	return l, nil
}

// Circuits implements [shared.Store].
func (s *Store) Circuits(ctx context.Context, host string) ([]shared.Circuit, error) {
	if s.isZero() {
		return nil, errZero
	}
	answer, err := s.run(ctx, circuitScript, s.circuits(host), "list", "").Slice()
	if err != nil {
		return nil, err
	}
	list := make([]shared.Circuit, 0, len(answer))
	for _, item := range answer {
		parts, ok := item.([]any)
		if !ok || len(parts) != 4 {
			return nil, errMalformed
		}
		field, ok1 := parts[0].(string)
		state, ok2 := parts[1].(int64)
		wait, ok3 := parts[2].(int64)
		reporters, ok4 := parts[3].(int64)
		if !ok1 || !ok2 || !ok3 || !ok4 {
			return nil, errMalformed
		}
		list = append(list, shared.Circuit{CircuitID: circuitID(host, field), State: stateOf(state), Wait: micros(wait), Reporters: int(reporters)})
	}
	return list, nil
}

// Probe implements [shared.Store].
func (s *Store) Probe(ctx context.Context, id shared.CircuitID, holder string, ttl time.Duration) (shared.Circuit, error) {
	return s.circuit(ctx, id, "probe", holder, ttl.Microseconds(), 0, "")
}

// Report implements [shared.Store].
func (s *Store) Report(ctx context.Context, id shared.CircuitID, r shared.Report) (shared.Circuit, error) {
	what := "over"
	switch r.Event {
	case shared.Opened:
		what = "opened"
	case shared.ProbeSucceeded:
		what = "succeeded"
	}
	return s.circuit(ctx, id, what, r.Holder, r.OpenFor.Microseconds(), r.Needed, strings.ReplaceAll(r.Process, ":", "_"))
}

func (s *Store) circuit(ctx context.Context, id shared.CircuitID, what, holder string, d int64, needed int, process string) (shared.Circuit, error) {
	if s.isZero() {
		return shared.Circuit{}, errZero
	}
	answer, err := s.run(ctx, circuitScript, s.circuits(id.Host), what, circuitField(id), holder, d, needed, process).Int64Slice()
	if err != nil {
		return shared.Circuit{}, err
	}
	if len(answer) != 4 {
		return shared.Circuit{}, errMalformed
	}
	return shared.Circuit{CircuitID: id, State: stateOf(answer[0]), Wait: micros(answer[1]), Yours: answer[2] == 1, Reporters: int(answer[3])}, nil
}

var errMalformed = errors.New("fleet: a malformed answer")

// circuits is the key of a host's circuits.
func (s *Store) circuits(host string) []string {
	return []string{s.prefix + "{" + strings.NewReplacer("{", "_", "}", "_").Replace(host) + "}:circuits"}
}

// circuitField names a circuit within its host; the host's own is "".
func circuitField(id shared.CircuitID) string {
	if id.OfHost() {
		return ""
	}
	return id.Method + " " + id.Template
}

func circuitID(host, field string) shared.CircuitID {
	if field == "" {
		return shared.CircuitID{Host: host}
	}
	method, template, _ := strings.Cut(field, " ")
	return shared.CircuitID{Host: host, Method: method, Template: template}
}

// stateOf is the state of a number that a script answers. One that it never
// answers stays one that is none.
func stateOf(n int64) shared.State {
	if n < 0 || n > int64(shared.HalfOpen) {
		return shared.HalfOpen + 1
	}
	return shared.State(n)
}

// micros is a duration in microseconds. What overflows stays what is absurd.
func micros(n int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Microsecond)
	if n > most || n < -most {
		return -1
	}
	return time.Duration(n) * time.Microsecond
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}
