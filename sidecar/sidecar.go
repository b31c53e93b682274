// This file is the proxy: a request's way to Okta and its answer's way back.

package sidecar

import (
	"context"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/sidecar/internal/rewrite"
)

// Sidecar is a reverse proxy for one or several Okta orgs. It is an [http.Handler] that
// can be served by any server; [Sidecar.Run] also refuses on the wire what a handler
// never gets to see. It is safe for concurrent use.
type Sidecar struct {
	config    Config
	transport *oktaretry.Transport
	proxy     *httputil.ReverseProxy
	orgs      map[string]*org // by host, in lower case
	names     map[string]bool // of the first org, in lower case and without a port
	first     *org
	auth      *secretFile // nil: none is demanded
	metrics   *metrics
	draining  atomic.Bool
}

// org is an Org that has been checked.
type org struct {
	url        *url.URL
	origin     string
	credential Credential
}

// New returns a Sidecar, or everything that is wrong with its settings.
func New(c Config) (*Sidecar, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c = c.withDefaults()
	s := &Sidecar{config: c, orgs: map[string]*org{}, names: map[string]bool{"localhost": true}}
	for _, n := range c.Names {
		n = strings.ToLower(n)
		s.names[n] = true
		s.names[strings.Trim(n, "[]")] = true // an IPv6 address, as in a URL
	}
	for _, o := range c.Orgs {
		u, _ := o.parse() // checked by validate
		added := &org{url: u, origin: u.Scheme + "://" + u.Host, credential: o.Credential}
		s.orgs[u.Host] = added
		for _, n := range o.Names {
			s.orgs[strings.ToLower(n)] = added
		}
		if s.first == nil {
			s.first = added
		}
	}
	if c.AuthTokenFile != "" {
		var err error
		if s.auth, err = newSecretFile(c.AuthTokenFile, c.Logger); err != nil {
			return nil, err
		}
	}
	var err error
	if s.metrics, err = newMetrics(c.Meters); err != nil {
		return nil, err
	}
	if s.transport, err = s.newTransport(); err != nil {
		return nil, err
	}
	s.proxy = &httputil.ReverseProxy{
		Rewrite:        s.rewrite,
		Transport:      &renewer{s.transport, s.orgs},
		ModifyResponse: s.modifyResponse,
		ErrorHandler:   s.fail,
		BufferPool:     &copyBuffers,
		ErrorLog:       log.New(&discreetLog{s.config.Logger, "proxy"}, "", 0),
	}
	return s, nil
}

// newTransport returns the transport that all orgs share. A token is fetched through it,
// too, and presented below it: to each attempt the one that is valid then.
func (s *Sidecar) newTransport() (*oktaretry.Transport, error) {
	base := s.config.Base
	if base == nil {
		base = newBase()
	}
	held := &presenter{base: base, credentials: map[string]Credential{}}
	for _, o := range s.orgs {
		if o.credential != nil {
			held.credentials[o.url.Host] = o.credential
		}
	}
	if len(held.credentials) > 0 {
		base = held
	}
	t, err := oktaretry.NewTransport(base, s.config.Options...)
	if err != nil {
		return nil, err
	}
	for _, o := range s.orgs {
		if o.credential != nil {
			o.credential.attach(t.Client(), o.origin, s.config.Logger)
		}
	}
	return t, nil
}

// newBase returns a transport that keeps as many connections as a proxy needs, and none
// of them until Okta closes it after 5 s.
func newBase() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns = 0 // no bound but that of each host
	t.MaxIdleConnsPerHost = 256
	t.IdleConnTimeout = 4 * time.Second
	t.ReadBufferSize = 16 << 10
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext
	return t
}

// Transport returns the transport that the Sidecar sends through: for SetPolicy and
// Snapshot.
func (s *Sidecar) Transport() *oktaretry.Transport { return s.transport }

// Reload reads the files of tokens again now, if they have changed. They are looked at
// every second anyway, while they are in use.
func (s *Sidecar) Reload() {
	if s.auth != nil {
		s.auth.check()
	}
	for _, o := range s.orgs {
		if t, ok := o.credential.(apiToken); ok {
			t.file.check()
		}
	}
}

// ServeHTTP implements [http.Handler].
func (s *Sidecar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{}
	if refused := s.admit(c, r); refused != nil {
		abandonBody(http.NewResponseController(w))
		s.refuse(w, r, refused)
		return
	}
	s.metrics.active.Add(r.Context(), 1)
	defer s.metrics.active.Add(r.Context(), -1)
	ctx := context.WithValue(r.Context(), callKey{}, c)
	if c.background {
		ctx = oktaretry.WithPriority(ctx, oktaretry.PriorityBackground)
	}
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	if r.Body != nil && r.Body != http.NoBody {
		control := http.NewResponseController(w)
		control.EnableFullDuplex() // else net/http reads the whole body before it answers
		c.body = newClientBody(r.Body, control, s.config.StallTimeout)
		r.Body = c.body
		defer c.body.abandon()
	}
	s.proxy.ServeHTTP(w, r.WithContext(ctx))
}

// call is what a request's way back needs to know of its way there.
type call struct {
	org        *org
	links      rewrite.Links
	background bool
	timeout    time.Duration // 0: none
	body       *clientBody   // nil: none
}

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// copyBuffers are those that bodies are copied with.
var copyBuffers = bufferPool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}

type bufferPool struct{ sync.Pool }

func (p *bufferPool) Get() []byte  { return p.Pool.Get().(*[32 << 10]byte)[:] }
func (p *bufferPool) Put(b []byte) { p.Pool.Put((*[32 << 10]byte)(b)) }
