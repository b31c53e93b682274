// This file holds a Transport's side of a store that processes share: the options,
// and the requests to the store. Package shared is what a store implements.

package oktaretry

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/internal/ask"
	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/identity"
	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/telemetry"
	"github.com/oktaretry/oktaretry/shared"
)

// SharedOption configures [WithShared].
type SharedOption interface{ applyShared(*sharedConfig) error }

type sharedOption func(*sharedConfig) error

func (f sharedOption) applyShared(c *sharedConfig) error { return f(c) }

type sharedConfig struct {
	store    shared.Store
	timeout  time.Duration
	secret   []byte
	identity func(*http.Request) string
}

// defaultSharedTimeout is the longest that a call waits for the store.
const defaultSharedTimeout = 50 * time.Millisecond

// WithShared shares rate limits and circuits with other processes through a
// store. Default: each process learns from Okta's headers by itself, which suffices
// unless many processes compete for one bucket; docs/fleet.md has figures.
//
// No call fails because of the store, or waits longer than [SharedTimeout] for an
// answer of it. After an error or a late answer the store counts as lost: calls
// proceed by what their process knows, and the store is tried again at intervals that
// grow to a second, also while all calls wait. One log line and the metric
// oktaretry.shared.changes report the loss, and again the return. Places are leased in
// small batches, so most calls need no request to the store.
//
// [Pace].MaxUtilization holds for the fleet as a whole: the lowest of the active
// processes counts. MaxInFlight, MaxRate and BucketRates hold for each process.
// Interactive calls precede background calls across processes, too: the latter
// lease no place that an interactive call is known to wait for. Places that a
// process has leased already may go to its background calls.
//
// The calls themselves send the requests to the store, each in a goroutine that
// ends with the answer, or at the latest when the store returns from a context that
// has ended. A bucket that is idle for half a second returns its places by itself, and
// one that calls have used in the last 10 s has a lost store probed. [Transport.Close]
// returns places at once, and ends the probes. Only the store needs closing.
//
// A circuit that another process reports open is believed where calls of this process
// fail as well, or where it has seen nothing lately and two processes report it: the
// network of one may be what is broken. Errors of dialing and of TLS are never reported.
func WithShared(store shared.Store, opts ...SharedOption) Option {
	return optionFunc(func(c *config) error {
		s := &sharedConfig{store: store, timeout: defaultSharedTimeout}
		bad := []error{notNil("WithShared", store == nil || isNilPointer(store))}
		for i, o := range opts {
			if o == nil {
				bad = append(bad, fmt.Errorf("oktaretry: WithShared: option %d is nil", i+1))
				continue
			}
			bad = append(bad, o.applyShared(s))
		}
		c.sharing = s
		return errors.Join(bad...)
	})
}

// SharedTimeout sets the longest that a call waits for each answer of the store;
// above 0, at most 1 min. A store that takes longer counts as lost. Default: 50 ms.
func SharedTimeout(d time.Duration) SharedOption {
	return sharedOption(func(c *sharedConfig) error {
		c.timeout = d
		if d <= 0 || d > time.Minute {
			return fmt.Errorf("oktaretry: SharedTimeout: %v: must be above 0 and at most a minute", d)
		}
		return nil
	})
}

// SharedSecret sets the key of the hash (HMAC-SHA-256) that identifies a credential
// to the store. It must be the same in all processes of a fleet, and 16 bytes or
// longer. Default: the credential itself is the key. No unguessable credential can
// be found from its hash then, but whoever has a credential can compute its hash.
func SharedSecret(secret []byte) SharedOption {
	return sharedOption(func(c *sharedConfig) error {
		c.secret = append([]byte(nil), secret...)
		if len(secret) < 16 {
			return fmt.Errorf("oktaretry: SharedSecret: %d bytes: must be 16 at least", len(secret))
		}
		return nil
	})
}

// SharedCredential sets a function that names the credential of a request; the name
// is hashed before it leaves the process. All processes must give one credential the
// same name. Name the client here if tokens are opaque, or if a proxy adds the
// credential. The function must be fast and safe for concurrent use, and must not
// change or keep the request. Default: the Authorization header, or the client of an
// access token that is a JWT, for each process fetches a token of its own and Okta
// counts by client.
func SharedCredential(name func(*http.Request) string) SharedOption {
	return sharedOption(func(c *sharedConfig) error {
		c.identity = name
		return notNil("SharedCredential", name == nil)
	})
}

// sharing is a Transport's side of a store. It is safe for concurrent use.
type sharing struct {
	store     shared.Store
	identity  func(*http.Request) string // nil: the Authorization header
	secret    []byte                     // nil: the identity itself is the key
	questions ask.Questions
	health    pace.StoreHealth
	holder    string // this process, for the store
	wakeLines func() // of the governor: calls in line may go on without the store
	claims    atomic.Uint64
	telemetry telemetry.Store
	lostAt    atomic.Pointer[time.Time]    // the last loss; nil: none
	failed    atomic.Pointer[failedAsking] // the last request that failed; nil: none
}

// failedAsking is a request to the store that failed.
type failedAsking struct {
	op, kind string
	at       time.Time
}

func newSharing(c config) (*sharing, error) {
	report, err := telemetry.NewStore(c.telemetry())
	if err != nil {
		return nil, err
	}
	return &sharing{
		store: c.sharing.store, identity: c.sharing.identity, secret: c.sharing.secret,
		questions: ask.Questions{Timeout: c.sharing.timeout}, holder: rand.Text()[:16] + ".", telemetry: report,
	}, nil
}

// The operations of a store, as metrics and logs show them.
const (
	opLease    = "lease"
	opCircuits = "circuits"
	opProbe    = "probe"
	opReport   = "report"
)

// permit returns a permit for one request to a part of the store. It must be used.
func (s *sharing) permit(part *pace.StorePart, now time.Time) (pace.Permit, bool) {
	if s.questions.Saturated() {
		return pace.Permit{}, false
	}
	return part.Try(now)
}

// put sends the store one request, within its timeout. answered runs once, with the
// request's error, possibly after put has returned.
func (s *sharing) put(ctx context.Context, op string, p pace.Permit, question func(context.Context) error, answered func(error)) {
	s.questions.Put(ctx, question, func(took time.Duration, err error) {
		answered(err) // first, for a log handler may panic
		now := time.Now()
		lost := err != nil && p.Failed(now)
		back := err == nil && p.Succeeded(now)
		kind, text := "", ""
		if err != nil {
			kind, text = ask.Kind(err), shownText(err.Error())
			s.failed.Store(&failedAsking{op, kind, now})
		}
		if lost {
			s.lostAt.Store(&now)
		}
		s.telemetry.Asked(ctx, op, took, kind)
		if lost || back {
			s.wakeLines()
			s.telemetry.Changed(ctx, lost, op, kind, text)
		}
	})
}

// lease sends a bucket's request to the store.
func (s *sharing) lease(ctx context.Context, b shared.Bucket, e *pace.StoreRequest) {
	var lease shared.Lease
	s.put(ctx, opLease, e.Permit, func(ctx context.Context) error {
		got, err := s.store.Lease(ctx, b, e.Request)
		if err == nil && e.Inconsistent(time.Now(), &got) {
			err = ask.ErrInconsistent
		}
		lease = got
		return err
	}, func(err error) {
		if err != nil {
			e.Failed()
			if w, after, ok := e.WatchLoss(); ok {
				s.probeLost(w, after)
			}
			return
		}
		e.Answered(time.Now(), lease)
		if after, ok := e.Watch(); ok {
			s.returnSpare(e, after)
		}
	})
}

// returnSpare has the places of e's bucket returned once it is idle.
func (s *sharing) returnSpare(e *pace.StoreRequest, after time.Duration) {
	time.AfterFunc(after, func() {
		give, again := e.Spare(time.Now())
		if again > 0 {
			s.returnSpare(e, again)
		}
		s.putAlone(give)
	})
}

// probeLost has the lost store probed for a bucket while that is in use.
func (s *sharing) probeLost(w pace.LossWatch, after time.Duration) {
	time.AfterFunc(after, func() {
		probe, again := w.Probe(time.Now(), !s.questions.Saturated())
		s.putAlone(probe)
		if again > 0 {
			s.probeLost(w, again)
		}
	})
}

// putAlone sends e, which may be nil, to the store in a goroutine in which no call waits.
func (s *sharing) putAlone(e *pace.StoreRequest) {
	// A panic of a log handler would end the program.
	ask.Recovered(context.Background(), func(ctx context.Context) error {
		s.withoutCall(ctx, e)
		return nil
	})
}

// withoutCall sends the store e, which may be nil, and which no call makes.
func (s *sharing) withoutCall(ctx context.Context, e *pace.StoreRequest) {
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.questions.Timeout)
	defer cancel()
	s.lease(ctx, e.Named(), e)
}

// close returns all places and probes that this process has and does not use. Requests
// are sent one after the other until ctx ends, or the store is lost.
func (s *sharing) close(ctx context.Context, requests []*pace.StoreRequest, r *endpoints) error {
	for i, e := range requests {
		if ctx.Err() != nil || !s.health.Works() {
			for _, e := range requests[i:] {
				e.Withdraw()
			}
			break
		}
		s.withoutCall(ctx, e)
	}
	r.eachCircuit(func(b *circuit.Breaker) {
		part := r.partOf(b)
		if report := b.GiveUpProbe(); report != nil && part != nil && ctx.Err() == nil && part.Works() {
			now := time.Now()
			s.report(ctx, part, b, report, &now)
		}
	})
	return ctx.Err()
}

// refreshCircuits requests the fleet's circuits of an endpoint's host if the last
// list is too old. One call does; the others proceed.
func (s *sharing) refreshCircuits(ctx context.Context, e *endpoint, r *endpoints, now *time.Time) {
	fleet, part, name := e.ofHost.fleet, e.ofHost.part, circuitHost(e.key.host, e.key.circuits)
	if e.circuit == nil || !fleet.ListDue(*now) {
		return
	}
	p, ok := s.permit(part, *now)
	if !ok {
		return
	}
	if !fleet.ClaimList(*now) && part.Works() {
		return
	}
	var list []shared.Circuit
	s.put(ctx, opCircuits, p, func(ctx context.Context) error {
		got, err := s.store.Circuits(ctx, name)
		if err == nil && !circuit.ConsistentList(name, got) {
			err = ask.ErrInconsistent
		}
		list = got
		return err
	}, func(err error) {
		if err == nil {
			fleet.Listed(time.Now(), list, r.circuitOf)
		}
	})
	*now = time.Now()
}

// allow requests a permit of a circuit: of the fleet's if that is known not to be
// closed, and always of this process's own.
func (s *sharing) allow(ctx context.Context, part *pace.StorePart, b *circuit.Breaker, of circuit.Party, now *time.Time) (circuit.Permit, time.Duration, bool) {
	if s == nil || b == nil {
		return b.Allow(of, *now)
	}
	switch wait, known := b.FleetRefusesFor(of, *now); {
	case !known:
		return b.Allow(of, *now)
	case wait > 0:
		return circuit.Permit{}, wait, false
	}
	r, retryAfter := b.RequestProbe(of, s.holder+strconv.FormatUint(s.claims.Add(1), 36), *now)
	if r == nil {
		return circuit.Permit{}, retryAfter, false
	}
	defer r.Release()
	var answer shared.Circuit
	if !r.Granted {
		p, ok := s.permit(part, *now) // last: a permit must be used
		if !ok {
			return b.Allow(of, *now)
		}
		answer, ok = s.probe(ctx, b, r, p)
		*now = time.Now()
		if !ok {
			return b.Allow(of, *now)
		}
	}
	permit, retryAfter, ok := r.Answered(*now, answer)
	if !ok && (answer.Yours || r.Granted) {
		s.report(ctx, part, b, r.Inconclusive(), now)
	}
	return permit, retryAfter, ok
}

// probe requests the fleet's probe of a circuit from the store. It is false if there
// is no answer, or if ctx ended before.
func (s *sharing) probe(ctx context.Context, b *circuit.Breaker, r *circuit.ProbeRequest, p pace.Permit) (shared.Circuit, bool) {
	var (
		mu   sync.Mutex
		got  *shared.Circuit
		left bool // the call that would send the probe has ended
	)
	s.put(ctx, opProbe, p, func(ctx context.Context) error {
		c, err := s.store.Probe(ctx, b.ID(), r.Holder, r.TTL)
		switch {
		case err != nil:
			return err
		case !circuit.Consistent(c):
			return ask.ErrInconsistent
		}
		mu.Lock()
		defer mu.Unlock()
		if got = &c; left && c.Yours {
			go s.abandonProbe(b, r)
		}
		return nil
	}, func(error) {})
	mu.Lock()
	defer mu.Unlock()
	if left = got == nil; left {
		return shared.Circuit{}, false
	}
	return *got, true
}

// abandonProbe frees a probe that was granted too late for its call.
func (s *sharing) abandonProbe(b *circuit.Breaker, r *circuit.ProbeRequest) {
	ctx, cancel := context.WithTimeout(context.Background(), s.questions.Timeout)
	defer cancel()
	ask.Recovered(ctx, func(ctx context.Context) error {
		report := r.Inconclusive()
		report.Process = s.holder
		_, err := s.store.Report(ctx, b.ID(), *report)
		return err
	})
}

// report reports a circuit's event to the store. A canceled call does not wait for
// the answer.
func (s *sharing) report(ctx context.Context, part *pace.StorePart, b *circuit.Breaker, r *shared.Report, now *time.Time) {
	p, ok := s.permit(part, time.Now())
	if !ok {
		return
	}
	var got shared.Circuit
	r.Process = s.holder
	s.put(ctx, opReport, p, func(ctx context.Context) error {
		c, err := s.store.Report(ctx, b.ID(), *r)
		if err == nil && !circuit.Consistent(c) {
			err = ask.ErrInconsistent
		}
		got = c
		return err
	}, func(err error) {
		if err == nil {
			b.Reported(r, got)
		}
	})
	*now = time.Now()
}

// credential returns a hash that identifies the request's credential and caller in
// all processes and does not reveal them.
func (s *sharing) credential(req *http.Request, caller string) string {
	var name string
	if s.identity != nil {
		name = s.identity(req)
	} else {
		name = identity.Client(req.Header.Get("Authorization"))
	}
	if caller != "" {
		name += "\x00" + caller
	}
	if name == "" {
		return ""
	}
	key := s.secret
	if key == nil {
		key = []byte(name)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("oktaretry: credential of a bucket\x00" + name))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
