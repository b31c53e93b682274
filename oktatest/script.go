// This file holds scripts: answers laid out in advance for the next matching
// requests.

package oktatest

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Step is what happens to one request. Steps are made by this package:
// answers by Code, OAuthError, Challenge, Status, EdgePage, RateLimited and
// ConcurrencyLimited; Pass and Func; the faults Hang, Reset, EOF, EOFMidHeaders,
// EOFMidBody and Refused; and the ways of putting them together: Delay, Gzip,
// CutBody, StallBody, SlowBody, Early, Times and Always.
//
// A Step is a value and can be used in any number of scripts.
type Step interface {
	// check returns what makes the step impossible.
	check() error
	// reply makes the answer, without sending it.
	reply(c *call) *reply
}

// Script is what is left of the steps given to one call of Okta.Script.
type Script struct {
	pattern pattern

	mu    sync.Mutex
	steps []counted
}

type counted struct {
	step Step
	left int // negative: for ever
}

// Script lays out answers for the next requests that match the pattern. Each
// step answers one request, in the order of arrival; when all are used up,
// requests are answered normally again.
//
// The pattern is a method and a path: "GET /api/v1/users/{id}", where {…}
// stands for any one segment; without a method ("/api/v1/users") any method is
// meant; a path that ends in /* means everything below; "*" means every
// request. HEAD counts as GET.
//
// Several scripts may match one request: the one laid out first answers, as
// long as it has steps left. A scripted answer takes a place in the request's
// bucket and limits and carries the bucket's headers, even if no place is left;
// Pass leaves the decision to them.
//
// Script panics if the pattern or a step makes no sense: a nil step, a code
// that Okta does not have and for which no status was given.
func (o *Okta) Script(pattern string, steps ...Step) *Script {
	s := &Script{pattern: mustPattern(pattern)}
	for i, step := range steps {
		err := fmt.Errorf("is nil")
		if step != nil {
			err = step.check()
		}
		if err != nil {
			panic(fmt.Sprintf("oktatest: Script(%q): step %d: %v", pattern, i+1, err))
		}
		if t, ok := step.(times); ok {
			s.steps = append(s.steps, counted{t.Step, t.n})
		} else {
			s.steps = append(s.steps, counted{step, 1})
		}
	}
	o.scripts.mu.Lock()
	defer o.scripts.mu.Unlock()
	o.scripts.list = append(o.scripts.list, s)
	return s
}

// ClearScripts drops all scripts; requests are answered normally from then on.
func (o *Okta) ClearScripts() {
	o.scripts.mu.Lock()
	defer o.scripts.mu.Unlock()
	o.scripts.list = nil
}

// Left is the number of requests that the script is still waiting for: 0 when
// it has been played to its end. An Always step counts as none.
func (s *Script) Left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.steps {
		n += max(0, c.left)
	}
	return n
}

// next takes the step due; nil if there is none.
func (s *Script) next() Step {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.steps) > 0 && s.steps[0].left == 0 {
		s.steps = s.steps[1:]
	}
	if len(s.steps) == 0 {
		return nil
	}
	c := &s.steps[0]
	if c.left > 0 {
		c.left--
	}
	return c.step
}

type scriptBook struct {
	mu   sync.Mutex
	list []*Script
}

// next takes the step due for a request; nil if no script matches.
func (b *scriptBook) next(method string, segs []string) Step {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.list {
		if s.pattern.Match(method, segs) {
			if step := s.next(); step != nil {
				return step
			}
		}
	}
	return nil
}

// stage is where on its way a trouble meets a call.
type stage int

const (
	atEdge stage = iota // before the limits, where proxies stand
	inside              // in the API's place, once a place is taken
)

// trouble changes how calls are answered, as a Day does.
type trouble interface {
	// meet answers a call, or has next answer it.
	meet(c *call, at stage, next func(*call) *reply) *reply
}

// troubleBook holds the troubles of the present, in the order in which they meet
// a call.
type troubleBook struct{ list atomic.Pointer[[]trouble] }

// change replaces the list by what f makes of it. f must not change its argument.
func (b *troubleBook) change(f func([]trouble) []trouble) {
	for {
		old := b.list.Load()
		var list []trouble
		if old != nil {
			list = *old
		}
		if list = f(list); b.list.CompareAndSwap(old, &list) {
			return
		}
	}
}

// meet answers a call by the troubles that there are at a stage, and else by next.
func (b *troubleBook) meet(c *call, at stage, next func(*call) *reply) *reply {
	list := b.list.Load()
	if list == nil {
		return next(c)
	}
	for _, t := range slices.Backward(*list) {
		inner := next
		next = func(c *call) *reply { return t.meet(c, at, inner) }
	}
	return next(c)
}

// Pass answers normally: it lets a request through between other steps.
var Pass Step = pass{}

type pass struct{}

func (pass) check() error { return nil }
func (pass) reply(c *call) *reply {
	if next := c.next; next != nil {
		return next(c)
	}
	return c.o.normal(c)
}

// Func hands the request to a handler of the caller's. The body has been read
// for the journal and can be read again; the answer's request id and Date are
// set already, and may be changed. The handler runs with no lock held; in
// memory its answer is passed on once it has returned.
func Func(h http.HandlerFunc) Step { return handlerStep{h} }

type handlerStep struct{ h http.HandlerFunc }

func (s handlerStep) check() error {
	if s.h == nil {
		return fmt.Errorf("Func(nil)")
	}
	return nil
}
func (s handlerStep) reply(c *call) *reply { return &reply{handler: s.h} }

// Times repeats a step: it answers the next n requests.
func Times(n int, step Step) Step { return times{step, n} }

// Always repeats a step for ever: the steps after it are never reached.
func Always(step Step) Step { return times{step, -1} }

type times struct {
	Step
	n int
}

func (t times) check() error {
	if t.n == 0 || t.n < -1 {
		return fmt.Errorf("Times(%d): a step must be repeated at least once", t.n)
	}
	if _, nested := t.Step.(times); nested {
		return fmt.Errorf("Times and Always cannot be nested")
	}
	return wrapped{step: t.Step}.check()
}

// Delay waits before the step, in addition to the fake's latency, or until the
// caller has gone.
func Delay(d time.Duration, step Step) Step {
	return wrapped{step: step, before: func(c *call) { c.wait(d) }}
}

// Early answers without reading the request's body first. The journal then has
// no body for the request, and Func gets the body as it arrives.
func Early(step Step) Step { return wrapped{step: step, early: true} }

// wrapped changes what another step does.
type wrapped struct {
	step   Step
	before func(*call)
	after  func(*reply)
	early  bool
}

func (s wrapped) check() error {
	switch inner := s.step.(type) {
	case nil:
		return fmt.Errorf("wraps a nil step")
	case times:
		return fmt.Errorf("Times and Always must be outermost")
	case handlerStep:
		if s.after != nil {
			return fmt.Errorf("Func writes its own answer, which cannot be changed")
		}
		return inner.check()
	default:
		return inner.check()
	}
}

func (s wrapped) reply(c *call) *reply {
	if s.before != nil {
		s.before(c)
	}
	r := s.step.reply(c)
	if s.after != nil {
		s.after(r)
	}
	return r
}

func isEarly(s Step) bool {
	w, ok := s.(wrapped)
	return ok && (w.early || isEarly(w.step))
}

func isRefused(s Step) bool {
	if w, ok := s.(wrapped); ok {
		return isRefused(w.step)
	}
	f, ok := s.(faultStep)
	return ok && f.fault == faultRefused
}
