// This file tests how often a lost store is probed.

package pace_test

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// Of a cluster that has lost some of its slots, requests for the others bring the
// store back, and the next request for a lost one loses it again: once twenty times a
// second, with two log lines and a timeout each.
func TestStoreThatComesAndGoesIsProbedLessAndLess(t *testing.T) {
	h, now := new(pace.StoreHealth), epoch
	loss := func() time.Duration {
		if !h.Failed(pace.Permit{}, now) {
			t.Fatal("it is lost already")
		}
		began := now
		for {
			now = now.Add(time.Millisecond)
			if p, ok := h.Try(now); ok {
				if !h.Succeeded(p) {
					t.Fatal("it is not back")
				}
				return now.Sub(began)
			}
		}
	}
	if wait := loss(); wait > 70*time.Millisecond {
		t.Errorf("after the first loss it is probed after %s", wait)
	}
	for range 6 {
		now = now.Add(100 * time.Millisecond)
		loss()
	}
	now = now.Add(100 * time.Millisecond)
	if wait := loss(); wait < 1500*time.Millisecond {
		t.Errorf("after the eighth loss in a row it is probed after %s", wait)
	}
	now = now.Add(5 * time.Second)
	if wait := loss(); wait > 70*time.Millisecond {
		t.Errorf("after it worked for long it is probed after %s", wait)
	}
}

func TestLostStoreIsProbedByOneCallAtATime(t *testing.T) {
	var h pace.StoreHealth
	if h.Due(epoch) || !h.Works() || h.Succeeded(pace.Permit{}) {
		t.Fatal("a new store is lost, or comes back")
	}
	early, _ := h.Try(epoch) // before the loss
	h.Failed(early, epoch)
	if h.Works() || h.Due(epoch) {
		t.Fatal("a store that failed works, or is probed at once")
	}
	if _, ok := h.Try(epoch); ok {
		t.Error("a permit before the probe is due")
	}
	now := after(100 * time.Millisecond)
	if !h.Due(now) {
		t.Fatal("no probe is due")
	}
	probe, ok := h.Try(now)
	if _, again := h.Try(now); !ok || again || h.Due(now) {
		t.Fatal("want a permit for one probe")
	}
	if h.Succeeded(early) || h.Works() {
		t.Error("an answer to a request from before the loss brought the store back")
	}
	if h.Failed(probe, now) {
		t.Error("a probe that fails counts as a loss")
	}
	probe, ok = h.Try(now.Add(time.Second))
	if !ok || !h.Succeeded(probe) || !h.Works() {
		t.Error("a probe that is answered does not bring the store back")
	}
}
