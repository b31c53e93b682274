// This file holds the API: the cases, and two ways to run them.

package contract

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// ErrNotApplicable is matched by the error of a case that does not apply to a
// stack: it needs a retry and the stack does not retry, or it needs a wrapper and
// the stack is its base.
var ErrNotApplicable = errors.New("n/a")

var (
	errNoRetry   = fmt.Errorf("%w, does not retry", ErrNotApplicable)
	errNoWrapper = fmt.Errorf("%w, wraps nothing", ErrNotApplicable)
)

// A Case is one behaviour that a stack has or lacks.
type Case struct {
	Name string // the behaviour, as a sentence
	List string // "RoundTripper", "Resending" or "Waiting"
	Why  string // what goes wrong without it, in one line

	// NeedsRetry marks a case that does not apply to a stack without retries.
	NeedsRetry bool

	// Feature marks a behaviour that a good transport may lack.
	Feature bool

	check func(*lab) error
	leaks bool // the case fails if goroutines outlive it
}

// The values of [Case.List].
const (
	listRoundTripper = "RoundTripper"
	listResending    = "Resending"
	listWaiting      = "Waiting"
)

// Cases returns all cases in the order of their lists. The slice is the
// caller's.
func Cases() []Case {
	return slices.Concat(
		in(listRoundTripper, requestCases, streamCases, answerCases, discardCases, wholeCases),
		in(listResending, resendCases, methodCases, terminalCases),
		in(listWaiting, waitCases),
	)
}

func in(list string, groups ...[]Case) []Case {
	all := slices.Concat(groups...)
	for i := range all {
		all[i].List = list
		all[i].NeedsRetry = all[i].NeedsRetry || list != listRoundTripper
	}
	return all
}

// Run checks the transport that wrap makes of a base against the contract, each case
// as a subtest of its name. Cases that do not apply, and features that the transport
// lacks, are skipped with the reason.
//
// wrap is called for each case, in a bubble of [testing/synctest]; the transports
// that it returns should share no channel and no timer.
func Run(t *testing.T, wrap func(base http.RoundTripper) http.RoundTripper) {
	t.Helper()
	for _, c := range Cases() {
		t.Run(c.List+"/"+c.Name, func(t *testing.T) {
			err := c.Check(t, wrap)
			switch {
			case err == nil:
			case errors.Is(err, ErrNotApplicable):
				t.Skip(err)
			case c.Feature:
				t.Skipf("a feature that this stack lacks: %v", err)
			default:
				t.Errorf("%v\nwhy it matters: %s", err, c.Why)
			}
		})
	}
}

// Check returns nil if the transport that wrap makes of a base has the behaviour, an
// error that matches [ErrNotApplicable] if the case does not apply to it, and else
// an error that describes what it did instead. It never fails t; with -race, a data
// race in the stack does.
//
// Check must not be called in a bubble of [testing/synctest]: it makes its own.
func (c Case) Check(t *testing.T, wrap func(base http.RoundTripper) http.RoundTripper) error {
	t.Helper()
	if c.NeedsRetry {
		if _, err := experiment(t, wrap, retriesAtAll); err != nil {
			return err
		}
	}
	left, err := experiment(t, wrap, c.check)
	if err == nil && left && c.leaks {
		return errors.New("goroutines are left, minutes after the last call ended and the base was closed")
	}
	return err
}

// retriesAtAll returns nil if a GET is sent again after a 503.
func retriesAtAll(l *lab) error {
	b := l.base(status(503), status(200))
	if _, err := l.call(l.stack(b), l.request("GET", nil)); b.count() < 2 {
		if p := (*panicError)(nil); errors.As(err, &p) {
			return err
		}
		return errNoRetry
	}
	return nil
}
