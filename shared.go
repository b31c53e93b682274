// This file holds what many processes share, as an interface: places of a
// bucket's window, and circuits. Module fleet implements it on Redis.

package oktaretry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Shared is what the processes of a fleet share: the places of each bucket's
// window, so that together they use the whole quota and meet no 429, and the
// state of circuits, so that one probe is sent for all of them. Module
// github.com/oktaretry/oktaretry/fleet implements it on Redis.
//
// Times are durations from now: the store's clock counts, for those of
// processes may be minutes apart. A window is named by the reset that Okta's
// headers give, in seconds on Okta's clock, which is the same for all.
//
// An error means that the store is lost: calls go on at once by what their
// process knows, and the store is asked again, by one call at a time, after
// 50 ms and then ever more seldom up to every 2 s. So does an answer that
// takes longer than [SharedTimeout], makes no sense, or panics. An
// implementation should end when its context does. It must be safe for
// concurrent use, each operation must be atomic among all processes, and
// nothing that it keeps may outlive its use for ever. A store that cannot serve
// one operation should fail the others, too: it is back when any succeeds.
//
// No operation is repeated, and none relies on the one before: a request whose
// answer was lost costs some places for a moment at most.
type Shared interface {
	// Lease takes note of what a process knows of a bucket and hands out places
	// of its window.
	Lease(ctx context.Context, b SharedBucket, r LeaseRequest) (Lease, error)

	// Circuits returns the circuits of a host that are not closed.
	Circuits(ctx context.Context, host string) ([]SharedCircuit, error)

	// Probe asks for the one probe that a circuit lets out in the whole fleet
	// once its time is over, for as long as ttl. If the process that got it dies,
	// another gets it after that.
	Probe(ctx context.Context, id CircuitID, holder string, ttl time.Duration) (SharedCircuit, error)

	// Report takes note of what became of a circuit, and returns how it stands.
	Report(ctx context.Context, id CircuitID, r CircuitReport) (SharedCircuit, error)
}

// SharedBucket names a bucket for all processes.
type SharedBucket struct {
	Host       string
	Bucket     string
	Credential string // a keyed hash, see [SharedSecret]; never the credential itself
}

// SharedWindow is a window of a bucket as Okta's headers describe it.
type SharedWindow struct {
	ID        int64 // its reset in seconds on Okta's clock, give or take one; 0: nothing is known
	Limit     int
	Remaining int           // the least that a header said
	Ends      time.Duration // from now; less than 0 when it is over
}

// LeaseRequest is what a process tells of a bucket, and asks for.
type LeaseRequest struct {
	Holder string // who asks; several of one process may
	// Seen is what headers said; it never stems from the store. Its ID is 0 when
	// there is nothing to say.
	Seen SharedWindow
	// Age is how long ago the last of the calls was sent whose answers are in Seen.
	Age time.Duration
	// Late says that Okta has been seen to open the next window only up to a
	// second after the reset that it names, so no call should go at once.
	Late    bool
	Unbound bool          // answers carry no limits: the bucket has none
	Told    int64         // the ID of the window that the store told the holder of last
	Refused time.Duration // after a 429: nobody should go before
	Back    int           // scouts that have ended since the last request, whatever they found

	Returned int // places of the window in Told that the holder has had and will not use
	Taken    int // calls of the window in Seen that went without a place, while the store was lost
	Unused   int // places that it has and may use
	InFlight int // its calls that Seen may not count yet

	Interactive int // calls that wait, of [PriorityInteractive]
	Background  int // calls that wait, of [PriorityBackground]
	Ahead       int // places wanted for calls that will come soon, after all others
	// MaxUtilization is the share of the window that the fleet may use; above 0,
	// at most 1.
	MaxUtilization float64
}

// Lease is the store's answer.
type Lease struct {
	Places int           // how many calls may go, no more than were asked for
	Lasts  time.Duration // for how long, from the asking on; at most a minute
	Retry  time.Duration // when Places is 0: no place will come before, as far as is known
	// Window is what is known of the window that runs. Its ID is 0 when it is
	// unknown: Places are then for scouts, whose answers will tell.
	Window  SharedWindow
	Unbound bool // the bucket has no limits
	Held    bool // a 429 stops the bucket until Retry is over
	Sharers int  // how many holders use the bucket
	Wanted  bool // the window runs out: give back what is not needed
}

// SharedCircuit is how a circuit stands for all processes.
type SharedCircuit struct {
	CircuitID
	State SharedState
	Wait  time.Duration // open: until a probe may go; half-open: until the present one is overdue
	Yours bool          // half-open: who asked is to send the probe
}

// SharedState is the state of a circuit that is shared.
type SharedState uint8

const (
	SharedClosed   SharedState = iota
	SharedOpen                 // no call goes
	SharedHalfOpen             // one probe goes
)

// CircuitReport is what became of a circuit.
type CircuitReport struct {
	Holder string // of the probe, see [Shared].Probe; anybody may say that a circuit has opened
	Event  CircuitEvent
	// OpenFor is how long a circuit that has opened refuses calls.
	OpenFor time.Duration
	// Needed is how many probes must succeed, one after the other, to close it.
	Needed int
}

// CircuitEvent is what a [CircuitReport] tells.
type CircuitEvent uint8

const (
	CircuitOpened    CircuitEvent = iota // it opened, or its probe failed
	ProbeSucceeded                       // the holder's probe succeeded
	ProbeWithoutWord                     // the holder's probe ended without saying anything: another may go
)

// SharedOption configures [WithShared].
type SharedOption interface{ applyShared(*sharedConfig) error }

type sharedOption func(*sharedConfig) error

func (f sharedOption) applyShared(c *sharedConfig) error { return f(c) }

type sharedConfig struct {
	store    Shared
	timeout  time.Duration
	secret   []byte
	identity func(*http.Request) string
}

// defaultSharedTimeout is what a call waits for the store at most.
const defaultSharedTimeout = 50 * time.Millisecond

// WithShared shares rate limits and circuits with other processes through a
// store. Without it each process learns from Okta's headers by itself, which is
// enough unless many processes compete for one bucket; the README has figures.
//
// Places come in small batches, so most calls don't ask the store. No call fails
// because of it, or waits for an answer of it longer than [SharedTimeout]; the
// first that does not come in time is the last that is waited for. When the store
// is lost, calls go on by what their process knows, one log line and the metric
// oktaretry.shared.changes say so, and again when it is back.
//
// [Pace].MaxUtilization holds for the fleet as a whole, by the lowest share that
// a process which is at work is told. MaxInFlight, MaxRate and BucketRates hold
// for each process.
// Interactive calls go before background calls across processes, too, in that
// the latter get no place that an interactive call is known to wait for; a few
// places that a process has leased already may go to its background calls.
//
// The store is asked by the calls themselves, each time in a goroutine that ends
// with the answer, or at the latest when the store gives up on a context that
// has ended. There is nothing to close but the store.
func WithShared(store Shared, opts ...SharedOption) Option {
	return optionFunc(func(c *config) error {
		s := &sharedConfig{store: store, timeout: defaultSharedTimeout}
		bad := []error{notNil("WithShared", store == nil)}
		for i, o := range opts {
			if o == nil {
				bad = append(bad, fmt.Errorf("oktaretry: WithShared: option %d is nil", i+1))
				continue
			}
			bad = append(bad, o.applyShared(s))
		}
		c.shared = s
		return errors.Join(bad...)
	})
}

// SharedTimeout sets how long a call waits for the store at most, each time that
// it asks; 50 ms without it. A store that takes longer counts as lost.
func SharedTimeout(d time.Duration) SharedOption {
	return sharedOption(func(c *sharedConfig) error {
		c.timeout = d
		if d <= 0 || d > time.Minute {
			return fmt.Errorf("oktaretry: SharedTimeout: %v: must be above 0 and at most a minute", d)
		}
		return nil
	})
}

// SharedSecret sets the key of the hash (HMAC-SHA-256) by which the store tells
// credentials apart. All processes of a fleet need the same; 16 bytes at least.
// Without it the hash is keyed by the credential itself, which all processes
// have in common: nobody finds an unguessable credential by its hash, but who
// holds a credential can find its hash.
func SharedSecret(secret []byte) SharedOption {
	return sharedOption(func(c *sharedConfig) error {
		c.secret = append([]byte(nil), secret...)
		if len(secret) < 16 {
			return fmt.Errorf("oktaretry: SharedSecret: %d bytes: must be 16 at least", len(secret))
		}
		return nil
	})
}

// SharedCredential sets what tells the credentials of a request apart, which the
// processes must agree on; it is hashed like one. Without it the Authorization
// header does, and of an access token that is a JWT its client: each process
// fetches a token of its own, and Okta counts by client. For opaque tokens, or
// where a proxy adds the credential, name the client here. The function must be
// fast and safe for concurrent use, and neither change nor keep the request.
func SharedCredential(name func(*http.Request) string) SharedOption {
	return sharedOption(func(c *sharedConfig) error {
		c.identity = name
		return notNil("SharedCredential", name == nil)
	})
}
