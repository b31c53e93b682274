// This file holds what many processes share, as an interface: places of a
// bucket's window, and circuits. Module fleet implements it on Redis.

package oktaretry

import (
	"errors"
	"fmt"
	"net/http"
	"time"

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
func WithShared(store shared.Store, opts ...SharedOption) Option {
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
