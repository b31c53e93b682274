// This file holds what is kept for each host and endpoint between calls, and
// forgets those that are idle.

package oktaretry

import (
	"maps"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/route"
	"github.com/oktaretry/oktaretry/internal/telemetry"
)

// endpointKey is a host, method and path template. Methods that nobody knows
// are one, by what stands for them where they are shown.
type endpointKey struct{ host, method, template string }

// endpoint is what is kept for an endpoint.
type endpoint struct {
	key    endpointKey
	host   *host
	guard  guard
	used   atomic.Int64 // Unix seconds of the last call
	told   telemetry.Endpoint
	bucket pace.Hint
}

// host is what the endpoints of a host share.
type host struct {
	port   int
	guard  guard
	budget *budget // nil when the budget is off
	shared sharedHost
}

// endpoints is the register of both, for one setting of breaker and budget. A
// new setting starts a new register.
type endpoints struct {
	breaker Breaker
	budget  Budget

	recent [recentEndpoints]atomic.Pointer[endpoint] // found without a lock

	mu      sync.RWMutex
	byKey   map[endpointKey]*endpoint
	hosts   map[string]*host
	sweepAt int
}

// Templates are a fixed set, so only a program that talks to many hosts, or
// makes up methods, ever gets near these.
const (
	minSweep     = 1 << 12
	maxEndpoints = 1 << 15
	idle         = 15 * time.Minute
)

// recentEndpoints is a power of two, and more than most programs call.
const recentEndpoints = 1 << 8

func newEndpoints(breaker Breaker, budget Budget) *endpoints {
	return &endpoints{
		breaker: breaker, budget: budget,
		byKey: make(map[endpointKey]*endpoint), hosts: make(map[string]*host), sweepAt: minSweep,
	}
}

// find returns the endpoint that a method, which is not empty, a URL and its
// route lead to, new or known.
func (r *endpoints) find(method string, u *url.URL, to *route.Route, now time.Time) *endpoint {
	// Endpoints of one program fall on different places, mostly: those of
	// different templates, and those of one template and the usual methods.
	recent := &r.recent[(to.Number+int(method[0])+5*len(method))%recentEndpoints]
	e := recent.Load()
	if e == nil || e.key != (endpointKey{u.Host, method, to.Template}) {
		e = r.lookUp(endpointKey{strings.ToLower(u.Host), telemetry.ShownMethod(method), to.Template}, u, now, recent)
	}
	if s := now.Unix(); e.used.Load() != s {
		e.used.Store(s)
	}
	return e
}

// lookUp finds or makes an endpoint and notes it as a recent one.
func (r *endpoints) lookUp(k endpointKey, u *url.URL, now time.Time, recent *atomic.Pointer[endpoint]) *endpoint {
	r.mu.RLock()
	e := r.byKey[k]
	if e != nil {
		recent.Store(e) // under the lock, so that a sweep has not forgotten it
	}
	r.mu.RUnlock()
	if e == nil {
		e = r.add(k, u, now)
	}
	return e
}

func (r *endpoints) add(k endpointKey, u *url.URL, now time.Time) *endpoint {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.byKey[k]; e != nil {
		return e
	}
	if len(r.byKey) >= r.sweepAt {
		r.sweep(now)
	}
	h := r.hosts[k.host]
	if h == nil {
		h = &host{port: telemetry.ServerPort(u), budget: newBudget(r.budget), guard: newGuard(CircuitID{Scope: TripsHost, Host: k.host}, &r.breaker)}
		r.hosts[k.host] = h
	}
	e := &endpoint{key: k, host: h, told: telemetry.Endpoint{Host: k.host, Method: k.method, Template: k.template}, guard: newGuard(CircuitID{TripsEndpoint, k.host, k.method, k.template}, &r.breaker)}
	e.used.Store(now.Unix())
	r.byKey[k] = e
	return e
}

// sweep forgets idle endpoints and, if too many are left, any others; and the
// hosts that none is left of. The next sweep comes when their number has
// doubled, so that its cost for each new endpoint stays constant. The caller
// holds mu.
func (r *endpoints) sweep(now time.Time) {
	for i := range r.recent { // who looks them up again finds out whether they are still there
		r.recent[i].Store(nil)
	}
	keep := max(idle, r.breaker.Window+r.breaker.OpenFor)
	r.forget(0, func(e *endpoint) bool { return now.Unix()-e.used.Load() >= int64(keep/time.Second) })
	if len(r.byKey) >= maxEndpoints {
		// All of them are in use, so half go, those with an open circuit last.
		r.forget(maxEndpoints/2, func(e *endpoint) bool { return e.guard.Closed() && e.host.guard.Closed() })
		r.forget(maxEndpoints/2, func(*endpoint) bool { return true })
	}
	inUse := make(map[string]bool, len(r.hosts))
	for k := range r.byKey {
		inUse[k.host] = true
	}
	for name := range r.hosts {
		if !inUse[name] {
			delete(r.hosts, name)
		}
	}
	r.sweepAt = max(minSweep, 2*len(r.byKey))
}

// forget drops endpoints of which which is true, until only left are left.
func (r *endpoints) forget(left int, which func(*endpoint) bool) {
	for k, e := range r.byKey {
		if len(r.byKey) <= left {
			return
		}
		if which(e) {
			delete(r.byKey, k)
		}
	}
}

// guards calls f for every circuit, outside the register's lock.
func (r *endpoints) guards(f func(*guard)) {
	r.mu.RLock()
	all := make([]*guard, 0, len(r.byKey)+len(r.hosts))
	for _, h := range r.hosts {
		all = append(all, &h.guard)
	}
	for _, e := range r.byKey {
		all = append(all, &e.guard)
	}
	r.mu.RUnlock()
	for _, c := range all {
		if c.Breaker != nil {
			f(c)
		}
	}
}

// allHosts returns the hosts by name.
func (r *endpoints) allHosts() map[string]*host {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.hosts)
}

// port returns the port of a host; that of HTTPS when the host is not known
// here.
func (r *endpoints) port(name string) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if h := r.hosts[name]; h != nil {
		return h.port
	}
	return telemetry.ServerPort(&url.URL{Host: name})
}
