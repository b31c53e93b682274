// This file holds what telemetry says of an endpoint. It is made once for each,
// and not before it is asked for, so that saying it costs a call next to nothing.

package oktaretry

import (
	"net/url"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// labels is what telemetry says of an endpoint. It never changes, but for what
// it remembers of itself.
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
type callEnd struct {
	class Class
	stop  StopReason
}

// attemptEnd is what tells the series of an endpoint's attempts apart.
type attemptEnd struct {
	status   int
	failure  string // error.type of an attempt that brought no answer
	protocol string
}

func newLabels(k endpointKey, u *url.URL) *labels {
	name := shownMethod(k.method) + " " + k.template
	l := &labels{
		scheme: u.Scheme, callName: "oktaretry " + name, attemptName: name,
		where: append(serverAttributes(k.host, serverPort(u)), methodAttribute(k.method), semconv.URLTemplate(k.template)),
	}
	where := l.where[:len(l.where):len(l.where)]
	full := semconv.URLFull(shownScheme(u.Scheme) + "://" + k.host + k.template)
	l.callStart = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindInternal), trace.WithAttributes(where...),
	}
	l.attemptStart = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(append(where, full)...),
	}
	return l
}

// labels returns what telemetry says of the endpoint, called by a URL of this
// kind. It is made anew for another scheme, which changes the port.
func (e *endpoint) labels(u *url.URL) *labels {
	l := e.told.Load()
	if l == nil || l.scheme != u.Scheme {
		l = newLabels(e.key, u)
		e.told.Store(l)
	}
	return l
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
