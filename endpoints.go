// This file holds what is kept of hosts and endpoints between calls. Idle ones
// are forgotten.

package oktaretry

import (
	"cmp"
	"maps"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/internal/budget"
	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/internal/route"
	"github.com/oktaretry/oktaretry/internal/telemetry"
	"github.com/oktaretry/oktaretry/shared"
)

// endpointKey is a host, method and path template. All unknown methods are one,
// by the word that is shown for them.
type endpointKey struct{ host, method, template string }

// endpoint is what is kept of an endpoint.
type endpoint struct {
	key     endpointKey
	host    *host
	circuit *circuit.Breaker // nil: circuits are off
	used    atomic.Int64     // Unix seconds of the last call
	labels  telemetry.Endpoint
	bucket  pace.Hint
}

// host is what the endpoints of a host share.
type host struct {
	port    int
	org     string             // the host that stands for all of its org
	circuit *circuit.Breaker   // nil: circuits are off
	budget  *budget.Budget     // nil: the budget is off
	fleet   *circuit.FleetHost // nil: no store is shared
	spoken  atomic.Int32       // the major version of HTTP of its last answer over a connection; 0: unknown
}

// speaks records the major version of HTTP of an answer.
func (h *host) speaks(major int) {
	if v := int32(major); h.spoken.Load() != v {
		h.spoken.Store(v)
	}
}

// circuits returns the two that a call passes, the host's first.
func (e *endpoint) circuits() [2]*circuit.Breaker {
	return [2]*circuit.Breaker{e.host.circuit, e.circuit}
}

// refusesFor returns how long from now a circuit certainly refuses calls, and
// which of the two.
func (e *endpoint) refusesFor(now time.Time) (time.Duration, Scope) {
	byHost, byEndpoint := e.host.circuit.RefusesFor(now), e.circuit.RefusesFor(now)
	if byHost >= byEndpoint {
		return byHost, TripsHost
	}
	return byEndpoint, TripsEndpoint
}

// endpoints is the register of both, for one setting of breaker and budget. A new
// setting starts a new register. It is safe for concurrent use.
type endpoints struct {
	breaker Breaker
	budget  Budget
	shared  bool              // the circuits are shared through a store
	orgs    map[string]string // by host; nil: each is its own

	recent [recentEndpoints]atomic.Pointer[endpoint] // found without a lock

	mu      sync.RWMutex
	byKey   map[endpointKey]*endpoint
	hosts   map[string]*host
	sweepAt int // the number of endpoints at which idle ones are looked for
}

// Templates are a fixed set, so only a program that calls many hosts, or makes up
// methods, ever gets near these.
const (
	minSweep     = 1 << 12
	maxEndpoints = 1 << 15
	idle         = 15 * time.Minute
)

// recentEndpoints is a power of two, and more than most programs call.
const recentEndpoints = 1 << 8

func newEndpoints(b Breaker, budget Budget, shared bool, orgs map[string]string) *endpoints {
	return &endpoints{
		breaker: b, budget: budget, shared: shared, orgs: orgs,
		byKey: make(map[endpointKey]*endpoint), hosts: make(map[string]*host), sweepAt: minSweep,
	}
}

// find returns the endpoint of a method, which is not empty, a URL and its route,
// new or known.
func (r *endpoints) find(method string, u *url.URL, to *route.Route, now time.Time) *endpoint {
	// Endpoints of one program mostly fall on different places: those of different
	// templates, and those of one template and the usual methods. Finding them
	// without a lock and a map makes a GET 1.05 times as fast.
	recent := &r.recent[(to.Number+int(method[0])+5*len(method))%recentEndpoints]
	e := recent.Load()
	if e == nil || e.key != (endpointKey{u.Host, method, to.Template}) {
		e = r.lookUp(endpointKey{hostOf(u), telemetry.ShownMethod(method), to.Template}, u, now, recent)
	}
	if s := now.Unix(); e.used.Load() != s {
		e.used.Store(s)
	}
	return e
}

// hostOf returns the host of a URL, without a port that its scheme implies.
func hostOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return host
}

// lookUp finds or adds an endpoint, and remembers a known one as recent.
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
		h = &host{port: route.Port(u), org: cmp.Or(r.orgs[k.host], k.host), budget: budget.New(budget.Config(r.budget))}
		if r.shared {
			h.fleet = circuit.NewFleetHost(now)
		}
		h.circuit = circuit.New(shared.CircuitID{Host: k.host}, (*circuit.Config)(&r.breaker), h.fleet)
		r.hosts[k.host] = h
	}
	e := &endpoint{
		key: k, host: h, labels: telemetry.Endpoint{Host: k.host, Method: k.method, Template: k.template},
		circuit: circuit.New(shared.CircuitID{Host: k.host, Method: k.method, Template: k.template}, (*circuit.Config)(&r.breaker), h.fleet),
	}
	e.used.Store(now.Unix())
	r.byKey[k] = e
	return e
}

// sweep forgets idle endpoints and, if too many are left, others; and the hosts
// without endpoints. The next sweep follows when their number has doubled, so
// that its cost for each new endpoint stays constant. The caller holds mu.
func (r *endpoints) sweep(now time.Time) {
	for i := range r.recent {
		r.recent[i].Store(nil)
	}
	keep := max(idle, r.breaker.Window+r.breaker.OpenFor)
	r.forget(0, func(e *endpoint) bool { return now.Unix()-e.used.Load() >= int64(keep/time.Second) })
	if len(r.byKey) >= maxEndpoints {
		// All of them are in use, so half go, those with an open circuit last.
		r.forget(maxEndpoints/2, func(e *endpoint) bool { return e.circuit.Closed() && e.host.circuit.Closed() })
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

// forget deletes endpoints matching drop until len(byKey) <= keep. The caller
// holds mu.
func (r *endpoints) forget(keep int, drop func(*endpoint) bool) {
	for k, e := range r.byKey {
		if len(r.byKey) <= keep {
			return
		}
		if drop(e) {
			delete(r.byKey, k)
		}
	}
}

// eachCircuit calls f for every circuit, without the register's lock.
func (r *endpoints) eachCircuit(f func(*circuit.Breaker)) {
	r.mu.RLock()
	all := make([]*circuit.Breaker, 0, len(r.byKey)+len(r.hosts))
	for _, h := range r.hosts {
		all = append(all, h.circuit)
	}
	for _, e := range r.byKey {
		all = append(all, e.circuit)
	}
	r.mu.RUnlock()
	for _, b := range all {
		if b != nil {
			f(b)
		}
	}
}

// circuitOf returns the circuit of id; nil where there is none.
func (r *endpoints) circuitOf(id shared.CircuitID) *circuit.Breaker {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if id.OfHost() {
		if h := r.hosts[id.Host]; h != nil {
			return h.circuit
		}
		return nil
	}
	if e := r.byKey[endpointKey{id.Host, id.Method, id.Template}]; e != nil {
		return e.circuit
	}
	return nil
}

// allHosts returns the hosts by name.
func (r *endpoints) allHosts() map[string]*host {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return maps.Clone(r.hosts)
}

// port returns the port of a host; that of HTTPS where the host is not known.
func (r *endpoints) port(name string) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if h := r.hosts[name]; h != nil {
		return h.port
	}
	return route.Port(&url.URL{Host: name})
}
