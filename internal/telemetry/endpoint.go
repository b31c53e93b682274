// This file holds what is said of an endpoint. It is made once for each, and not
// before it is asked for, so that saying it costs a call next to nothing.

package telemetry

import (
	"cmp"
	"net/url"
	"sync/atomic"

	"github.com/oktaretry/oktaretry/internal/route"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Endpoint is what is said of a host, method and path template. It is safe for
// concurrent use.
type Endpoint struct {
	Host, Method, Template string
	labels                 atomic.Pointer[labels]
}

// Where says where a request goes.
type Where struct {
	*Endpoint
	URL    *url.URL
	Bucket string
}

// labels never change, but for what they remember of themselves.
type labels struct {
	scheme      string
	callName    string
	attemptName string
	where       []attribute.KeyValue

	// Given when a span starts, where samplers see them.
	callStart    []trace.SpanStartOption
	attemptStart []trace.SpanStartOption

	ends     labelSets[callEnd]
	attempts labelSets[attemptEnd]
}

// callEnd is what tells the series of an endpoint's calls apart.
type callEnd struct{ class, stop string }

// attemptEnd is what tells the series of an endpoint's attempts apart.
type attemptEnd struct {
	status   int
	failure  string // error.type of an attempt that brought no answer
	protocol string
}

func (e *Endpoint) newLabels(u *url.URL) *labels {
	name := ShownMethod(e.Method) + " " + e.Template
	l := &labels{
		scheme: u.Scheme, callName: "oktaretry " + name, attemptName: name,
		where: append(serverAttributes(e.Host, route.Port(u)), methodAttribute(e.Method), semconv.URLTemplate(e.Template)),
	}
	where := l.where[:len(l.where):len(l.where)]
	full := semconv.URLFull(shownScheme(u.Scheme) + "://" + e.Host + e.Template)
	l.callStart = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindInternal), trace.WithAttributes(where...),
	}
	l.attemptStart = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(append(where, full)...),
	}
	return l
}

// labels returns what is said of the endpoint, called by a URL of this kind. It
// is made anew for another scheme, which changes the port.
func (w Where) labels() *labels {
	l := w.Endpoint.labels.Load()
	if l == nil || l.scheme != w.URL.Scheme {
		l = w.newLabels(w.URL)
		w.Endpoint.labels.Store(l)
	}
	return l
}

func (w Where) attributes() []attribute.KeyValue {
	where := w.labels().where
	return where[:len(where):len(where)]
}

// serverAttributes splits a host that may hold a port; port is the one it means
// if it does not.
func serverAttributes(host string, port int) []attribute.KeyValue {
	u := url.URL{Host: host}
	return []attribute.KeyValue{semconv.ServerAddress(cmp.Or(u.Hostname(), host)), semconv.ServerPort(port)}
}

// labelSets remembers the options of the few series that an endpoint has, in
// the order of their coming. It is safe for concurrent use.
type labelSets[K comparable] struct{ first atomic.Pointer[labelSet[K]] }

type labelSet[K comparable] struct {
	key     K
	options []metric.RecordOption
	next    *labelSet[K]
	count   int
}

// maxLabelSets bounds what a hostile server can fill, one status after the
// other. What is beyond is made anew each time.
const maxLabelSets = 64

// of returns the options of a key: those remembered, or made of attributes.
func (s *labelSets[K]) of(k K, attributes func() []attribute.KeyValue) []metric.RecordOption {
	first := s.first.Load()
	for set := first; set != nil; set = set.next {
		if set.key == k {
			return set.options
		}
	}
	set := &labelSet[K]{key: k, options: []metric.RecordOption{
		metric.WithAttributeSet(attribute.NewSet(attributes()...)),
	}, next: first}
	if first != nil {
		set.count = first.count + 1
	}
	if set.count < maxLabelSets {
		s.first.CompareAndSwap(first, set) // if another was quicker, the next time will do
	}
	return set.options
}
