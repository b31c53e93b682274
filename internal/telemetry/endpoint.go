// This file holds the attributes of an endpoint. They are made once for each, when
// first used, so that a call's reports cost next to nothing.

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

// Endpoint is a host, method and path template, with their attributes. It is safe
// for concurrent use.
type Endpoint struct {
	Host, Method, Template string
	labels                 atomic.Pointer[labels]
}

// Where is the destination of a request.
type Where struct {
	*Endpoint
	URL    *url.URL
	Bucket string
}

// labels are the attributes of an endpoint. Only their caches change.
type labels struct {
	scheme      string
	callName    string
	attemptName string
	where       []attribute.KeyValue

	// These are set when a span starts, where samplers see them.
	callStart    []trace.SpanStartOption
	attemptStart []trace.SpanStartOption

	ends     labelSets[callEnd]
	attempts labelSets[attemptEnd]
}

// callEnd identifies a series of an endpoint's calls.
type callEnd struct{ class, stop string }

// attemptEnd identifies a series of an endpoint's attempts.
type attemptEnd struct {
	status   int
	failure  string // error.type of an attempt without an answer
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

// labels returns the attributes of the endpoint. They are made anew for a URL of
// another scheme, which changes the port.
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

// serverAttributes returns the attributes of a host, which may contain a port, and
// of the port that it stands for.
func serverAttributes(host string, port int) []attribute.KeyValue {
	u := url.URL{Host: host}
	return []attribute.KeyValue{semconv.ServerAddress(cmp.Or(u.Hostname(), host)), semconv.ServerPort(port)}
}

// labelSets caches the options of the few series that an endpoint has, the newest
// first. It is safe for concurrent use.
type labelSets[K comparable] struct{ first atomic.Pointer[labelSet[K]] }

type labelSet[K comparable] struct {
	key     K
	options []metric.RecordOption
	next    *labelSet[K]
	count   int
}

// maxLabelSets bounds the memory that a hostile server can fill with one status
// after the other. Options beyond it are made each time.
const maxLabelSets = 64

// of returns the options of a key: the cached ones, or new ones of attributes.
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
		s.first.CompareAndSwap(first, set) // if another was added meanwhile, this one is cached at its next use
	}
	return set.options
}
