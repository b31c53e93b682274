// This file tests the watch over a lost store: when it probes, and when it ends.

package pace_test

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
	"github.com/oktaretry/oktaretry/shared"
)

// losing makes a bucket lose the store at epoch, and returns its watch.
func losing(t *testing.T, g *pace.Governor) pace.LossWatch {
	t.Helper()
	call := enter(g, epoch, users)
	r := mustRequest(t, call, epoch)
	r.Failed()
	w, after, ok := r.WatchLoss()
	r.Permit.Failed(epoch)
	if !ok || after <= 0 {
		t.Fatal("nobody watches")
	}
	if _, _, ok = r.WatchLoss(); ok || call.LossUnwatched() {
		t.Fatal("two watch")
	}
	mustGo(t, call, epoch)
	call.Done(epoch, limits(600, 599, time.Minute))
	return w
}

func TestWatchEndsOnceTheStoreIsBackOrItsBucketIsIdle(t *testing.T) {
	for _, tt := range []struct {
		name  string
		back  bool
		at    time.Duration
		again bool
	}{
		{"lost, and in use", false, 5 * time.Second, true},
		{"lost, and idle", false, 11 * time.Second, false},
		{"back", true, 5 * time.Second, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := withStore()
			w := losing(t, g)
			probe, _ := w.Probe(after(time.Second), true)
			if probe == nil {
				t.Fatal("the store is not probed")
			}
			if tt.back {
				probe.Answered(after(time.Second), shared.Lease{})
				probe.Permit.Succeeded(after(time.Second))
			} else {
				probe.Failed()
				probe.Permit.Failed(after(time.Second))
			}
			if probe, again := w.Probe(after(tt.at), false); probe != nil || again > 0 != tt.again {
				t.Errorf("the next probe is %v, and then again after %s; want a next one: %t", probe, again, tt.again)
			}
			call := enter(g, after(tt.at), users)
			if call.LossUnwatched() == (tt.again || tt.back) {
				t.Errorf("a call is to watch: %t", call.LossUnwatched())
			}
		})
	}
}

// What a request reports is not reported again: none may be made only to be dropped.
func TestWatchMakesNoRequestWhileNoneMayBeSent(t *testing.T) {
	g := withStore()
	w := losing(t, g)
	if probe, again := w.Probe(after(time.Second), false); probe != nil || again <= 0 {
		t.Fatalf("the probe is %v, and then again after %s", probe, again)
	}
	probe, _ := w.Probe(after(2*time.Second), true)
	if probe == nil || probe.Request.Seen.Remaining != 599 {
		t.Fatalf("the probe is %+v, want one that tells of the call", probe)
	}
	if other, again := w.Probe(after(2*time.Second), true); other != nil || again <= 0 {
		t.Errorf("beside the probe another is %v, and then again after %s", other, again)
	}
}
