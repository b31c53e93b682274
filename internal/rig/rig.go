// Package rig is what the tests of this module share: a Transport over a
// script, calls whose results check themselves, and virtual time. The script
// itself, and bodies that count their use, are in package script; a recorder of
// telemetry is in package recorders.
//
//	tr, base := rig.New(t, nil, script.Down(), script.OK())
//	rig.Get(t, tr, rig.UserURL).Is(200).Stopped(oktaretry.StopSuccess)
//	base.WantSent(2)
//
// It imports the module's root: tests of the packages below it use it from
// their external test packages.
package rig

import (
	"net/http"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// The tests' org. Its endpoints are in buckets of their own.
const (
	Org     = "https://example.okta.com"
	UserURL = Org + "/api/v1/users/00u1"
	AppURL  = Org + "/api/v1/apps/0oa1"
)

// Spread is the most that the spreading of waiters adds to the wait of a call
// that waits alone.
const Spread = 10 * time.Millisecond

// OwnSpread is the most that the default rules add to a wait that an answer names,
// where the call has it for itself: half of the first backoff of a rate limit.
const OwnSpread = 500 * time.Millisecond

// New returns a Transport over a script that fails the test when it is over.
// edit changes DefaultPolicy; nil changes nothing.
func New(t testing.TB, edit func(*oktaretry.Policy), steps ...script.Step) (*oktaretry.Transport, *script.Base) {
	t.Helper()
	base := script.New(t, steps...)
	return Over(t, base, edit), base
}

// Repeat is New with a script whose last step repeats.
func Repeat(t testing.TB, edit func(*oktaretry.Policy), steps ...script.Step) (*oktaretry.Transport, *script.Base) {
	t.Helper()
	base := script.Repeat(t, steps...)
	return Over(t, base, edit), base
}

// Over returns a Transport over base. edit changes DefaultPolicy; nil changes
// nothing.
func Over(t testing.TB, base http.RoundTripper, edit func(*oktaretry.Policy), opts ...oktaretry.Option) *oktaretry.Transport {
	t.Helper()
	p := oktaretry.DefaultPolicy()
	if edit != nil {
		edit(&p)
	}
	tr, err := oktaretry.NewTransport(base, append([]oktaretry.Option{oktaretry.WithPolicy(p)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// Virtual runs a subtest in virtual time. What it leaves running fails it.
func Virtual(t *testing.T, name string, f func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// Panicked runs f and returns what it panicked with, or nil.
func Panicked(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

// Equal checks that got is want, deeply.
func Equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %v\nwant %v", what, got, want)
	}
}
