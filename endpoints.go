// This file holds what is kept of hosts and endpoints between calls. Idle ones
// are forgotten.

package oktaretry

import (
	"cmp"
	"maps"
	"net/http"
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

// endpointKey identifies an endpoint. circuits is the user's name of its
// circuits; "" without WithCircuits.
type endpointKey struct{ host, circuits, method, template string }

// endpoint is what is kept of an endpoint.
type endpoint struct {
	key     endpointKey
	host    *host
	ofHost  *hostCircuit
	circuit *circuit.Breaker // nil: circuits are off; of unknown paths it never opens
	used    atomic.Int64     // Unix seconds of the last call
	labels  telemetry.Endpoint
	bucket  pace.Hint
}

// host is what the endpoints of a host share.
type host struct {
	port   int
	org    string         // the host that stands for all of its org
	budget *budget.Budget // nil: the budget is off
	spoken atomic.Int32   // the major version of HTTP of its last answer over a connection; 0: unknown
}

// speaks records the major version of HTTP of an answer.
func (h *host) speaks(major int) {
	if v := int32(major); h.spoken.Load() != v {
		h.spoken.Store(v)
	}
}

// hostCircuit is what the endpoints share whose circuits are of one host and name.
type hostCircuit struct {
	circuit *circuit.Breaker   // nil: circuits are off
	fleet   *circuit.FleetHost // nil: no store is shared
	part    *pace.StorePart    // of the store, for these circuits; nil: none is shared
}

// circuits returns the two that a call passes, the host's first.
func (e *endpoint) circuits() [2]*circuit.Breaker {
	return [2]*circuit.Breaker{e.ofHost.circuit, e.circuit}
}

// endpoints is the register of both, for one setting of breaker and budget. A new
// setting starts a new register. It is safe for concurrent use.
type endpoints struct {
	breaker Breaker
	budget  Budget
	store   *pace.StoreHealth // of the store that shares the circuits; nil: none does
	orgs    map[string]string // by host; nil: each is its own

	recent [recentEndpoints]atomic.Pointer[endpoint] // found without a lock

	mu      sync.RWMutex
	byKey   map[endpointKey]*endpoint
	hosts   map[string]*host
	ofHosts map[string]*hostCircuit // by circuitHost
	sweepAt int                     // the number of endpoints at which idle ones are looked for
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

func newEndpoints(b Breaker, budget Budget, store *pace.StoreHealth, orgs map[string]string) *endpoints {
	return &endpoints{
		breaker: b, budget: budget, store: store, orgs: orgs,
		byKey: make(map[endpointKey]*endpoint), hosts: make(map[string]*host), ofHosts: make(map[string]*hostCircuit),
		sweepAt: minSweep,
	}
}

// find returns an endpoint, new or known, by what its request names: a method,
// which is not empty, and a host in any letters. u is where it is sent.
func (r *endpoints) find(k endpointKey, u *url.URL, to *route.Route, now time.Time) *endpoint {
	// Endpoints of one program mostly fall on different places: those of different
	// templates, and those of one template and the usual methods. Finding them
	// without a lock and a map makes a GET 1.05 times as fast.
	recent := &r.recent[(to.Number+int(k.method[0])+5*len(k.method))%recentEndpoints]
	e := recent.Load()
	if e == nil || e.key != k {
		k.host, k.method = countedHost(k.host, u.Scheme), countedMethod(k.method)
		e = r.lookUp(k, u, to.Known, now, recent)
	}
	if s := now.Unix(); e.used.Load() != s {
		e.used.Store(s)
	}
	return e
}

// circuitHost is the host of a shared.CircuitID: circuits of another name are of
// another host, as a store sees it.
func circuitHost(host, name string) string {
	if name == "" {
		return host
	}
	return host + " " + name
}

// hostAndName is the reverse of circuitHost. No host holds a space.
func hostAndName(s string) (host, name string) {
	host, name, _ = strings.Cut(s, " ")
	return host, name
}

// countedHost returns a host in small letters, without a port that the scheme
// implies.
func countedHost(host, scheme string) string {
	host = strings.ToLower(host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return host
}

// countedMethod bounds the methods that are told apart, for any text can stand
// there: those that HTTP or the operator's telemetry names are, all others are one.
func countedMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions, http.MethodTrace, http.MethodConnect:
		return method
	}
	return telemetry.ShownMethod(method)
}

// lookUp finds or adds an endpoint, and remembers a known one as recent.
func (r *endpoints) lookUp(k endpointKey, u *url.URL, known bool, now time.Time, recent *atomic.Pointer[endpoint]) *endpoint {
	r.mu.RLock()
	e := r.byKey[k]
	if e != nil {
		recent.Store(e) // under the lock, so that a sweep has not forgotten it
	}
	r.mu.RUnlock()
	if e == nil {
		e = r.add(k, u, known, now)
	}
	return e
}

func (r *endpoints) add(k endpointKey, u *url.URL, known bool, now time.Time) *endpoint {
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
		r.hosts[k.host] = h
	}
	id := shared.CircuitID{Host: circuitHost(k.host, k.circuits)}
	c := r.ofHosts[id.Host]
	if c == nil {
		c = new(hostCircuit)
		if r.store != nil {
			c.fleet, c.part = circuit.NewFleetHost(now), r.store.Part()
		}
		c.circuit = circuit.New(id, (*circuit.Config)(&r.breaker), c.fleet)
		r.ofHosts[id.Host] = c
	}
	id.Method, id.Template = k.method, k.template
	e := &endpoint{
		key: k, host: h, ofHost: c, labels: telemetry.Endpoint{Host: k.host, Method: k.method, Template: k.template},
	}
	if cfg := (*circuit.Config)(&r.breaker); known {
		e.circuit = circuit.New(id, cfg, c.fleet)
	} else {
		e.circuit = circuit.NewSeveral(id, cfg)
	}
	c.circuit.Serve(e.circuit)
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
		r.forget(maxEndpoints/2, func(e *endpoint) bool { return e.circuit.Closed() && e.ofHost.circuit.Closed() })
		r.forget(maxEndpoints/2, func(*endpoint) bool { return true })
	}
	hosts, circuits := make(map[string]bool, len(r.hosts)), make(map[*hostCircuit]bool, len(r.ofHosts))
	for k, e := range r.byKey {
		hosts[k.host], circuits[e.ofHost] = true, true
	}
	maps.DeleteFunc(r.hosts, func(name string, _ *host) bool { return !hosts[name] })
	maps.DeleteFunc(r.ofHosts, func(_ string, c *hostCircuit) bool { return !circuits[c] })
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

// eachCircuit calls f for every circuit that can open, without the register's lock.
func (r *endpoints) eachCircuit(f func(*circuit.Breaker)) {
	r.mu.RLock()
	all := make([]*circuit.Breaker, 0, len(r.byKey)+len(r.ofHosts))
	for _, c := range r.ofHosts {
		all = append(all, c.circuit)
	}
	for _, e := range r.byKey {
		all = append(all, e.circuit)
	}
	r.mu.RUnlock()
	for _, b := range all {
		if b != nil && !b.Several() {
			f(b)
		}
	}
}

// circuitOf returns the circuit of id; nil where there is none.
func (r *endpoints) circuitOf(id shared.CircuitID) *circuit.Breaker {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if id.OfHost() {
		if c := r.ofHosts[id.Host]; c != nil {
			return c.circuit
		}
		return nil
	}
	host, name := hostAndName(id.Host)
	if e := r.byKey[endpointKey{host, name, id.Method, id.Template}]; e != nil && !e.circuit.Several() {
		return e.circuit
	}
	return nil
}

// partOf returns the part of the store that the circuits of b's host are.
func (r *endpoints) partOf(b *circuit.Breaker) *pace.StorePart {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if c := r.ofHosts[b.ID().Host]; c != nil {
		return c.part
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
