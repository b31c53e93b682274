// This file holds the lab in which a case runs: its virtual time, its bounds, and
// the end of everything that it has set up.

package contract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	virtualBound = 6 * time.Hour   // longer than the sum of all waits of any case
	lingering    = 5 * time.Minute // goroutines may outlive their call by a timeout
	maxSends     = 200             // more are a loop without end
)

// realBound ends stacks that spin, or that wait for something outside of the bubble.
var realBound = 30 * time.Second

// A lab is the environment of one case. It is in a bubble and ends with the case.
type lab struct {
	wrap func(http.RoundTripper) http.RoundTripper
	ctx  context.Context // of the calls; ends with the case
	over chan struct{}   // closed when the case is over, which ends whatever blocks

	mu     sync.Mutex
	doing  string // for the error of a hang
	closes []func()
	bodies []*answerBody
}

// experiment runs check in a bubble. left reports whether goroutines remained in it
// after the end.
func experiment(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper, check func(*lab) error) (left bool, err error) {
	type result struct {
		err  error
		left bool
	}
	finding := make(chan error, 1)
	ended := make(chan result, 1)
	go func() {
		r := result{err: errors.New("the case was ended from within: by runtime.Goexit, t.FailNow or a data race")}
		defer func() {
			v := recover()
			select {
			case r.err = <-finding:
				r.left = v != nil
			default:
				if v != nil {
					r.err = fmt.Errorf("the case could not run: %v", v)
				}
			}
			ended <- r
		}()
		synctest.Test(t, func(*testing.T) { finding <- run(wrap, check) })
	}()
	select {
	case r := <-ended:
		return r.left, r.err
	case <-time.After(realBound):
		return true, fmt.Errorf("no end after %v of real time: it spins, holds a lock for ever or waits for something outside", realBound)
	}
}

// run runs one case, in the bubble.
func run(wrap func(http.RoundTripper) http.RoundTripper, check func(*lab) error) error {
	ctx, cancel := context.WithCancel(context.Background())
	l := &lab{wrap: wrap, ctx: ctx, over: make(chan struct{})}
	done := make(chan error, 1)
	go func() {
		err := errors.New("the stack ended the goroutine of its caller")
		defer func() { done <- err }()
		if p := catch(func() { err = check(l) }); p != nil {
			err = p
		}
	}()
	var err error
	select {
	case err = <-done:
	case <-time.After(virtualBound):
		l.mu.Lock()
		err = fmt.Errorf("%s: hangs: no end after %v of virtual time", l.doing, virtualBound)
		l.mu.Unlock()
	}
	cancel()
	close(l.over)
	for _, end := range l.closes {
		end()
	}
	time.Sleep(lingering)
	return err
}

// panicError is a panic of the stack.
type panicError struct{ value any }

func (p *panicError) Error() string { return fmt.Sprintf("it panics: %v", p.value) }

// catch returns a panic of f as an error.
func catch(f func()) (p *panicError) {
	defer func() {
		if v := recover(); v != nil {
			p = &panicError{v}
		}
	}()
	f()
	return nil
}

// atEnd registers f to be called at the end of the case.
func (l *lab) atEnd(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closes = append(l.closes, f)
}

// now records what is being done, for the error of a hang.
func (l *lab) now(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.doing = fmt.Sprintf(format, args...)
}

// settle waits until all goroutines of the bubble are blocked. The records of bases
// and handlers may then be read.
func (l *lab) settle() { synctest.Wait() }

// stack returns the stack over a base.
func (l *lab) stack(base http.RoundTripper) http.RoundTripper { return l.wrap(base) }

// wrapper is stack for a case that does not apply to a stack that is its base.
func (l *lab) wrapper(base http.RoundTripper) (http.RoundTripper, error) {
	rt := l.wrap(base)
	if rt == base {
		return nil, errNoWrapper
	}
	return rt, nil
}

// target has a path of Okta's, so that transports for Okta know it.
const target = "http://okta.example/api/v1/users"

// request returns a request with a body, or none.
func (l *lab) request(method string, body io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(l.ctx, method, target, body)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "SSWS secret")
	return req
}

// answer is a response whose body was read and closed.
type answer struct {
	*http.Response
	body string
}

// call sends req, reads the answer to its end and closes it. A panic, a response
// together with an error, and neither of them are returned as errors.
func (l *lab) call(rt http.RoundTripper, req *http.Request) (a *answer, err error) {
	l.now("%s %s", req.Method, req.URL)
	resp, err := l.send(rt, req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var b strings.Builder
	if p := catch(func() { _, err = io.Copy(&b, resp.Body) }); p != nil {
		return nil, p
	}
	if err != nil {
		return nil, fmt.Errorf("reading the body of a %d: %w", resp.StatusCode, err)
	}
	return &answer{resp, b.String()}, nil
}

// send is call without reading.
func (l *lab) send(rt http.RoundTripper, req *http.Request) (resp *http.Response, err error) {
	if p := catch(func() { resp, err = rt.RoundTrip(req) }); p != nil {
		return nil, p
	}
	switch {
	case resp != nil && err != nil:
		if resp.Body != nil {
			resp.Body.Close()
		}
		return nil, &bothError{resp.StatusCode, err}
	case resp == nil && err == nil:
		return nil, errNeither
	case resp != nil && resp.Body == nil:
		return nil, errNilBody
	}
	return resp, err
}

var (
	errNeither = errors.New("neither a response nor an error")
	errNilBody = errors.New("a response whose Body is nil")
)

// bothError is a response and an error together.
type bothError struct {
	status int
	err    error
}

func (e *bothError) Error() string {
	return fmt.Sprintf("a response (%d) and an error (%v) together", e.status, e.err)
}
func (e *bothError) Unwrap() error { return e.err }

// findings are the breaches that a case found.
type findings []string

func (f *findings) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

func (f findings) err() error {
	if len(f) == 0 {
		return nil
	}
	return errors.New(strings.Join(f, "; "))
}
