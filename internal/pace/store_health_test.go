// This file tests how often a lost store is probed, and when it counts as back.

package pace_test

import (
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// lose fails a request of a part.
func lose(t *testing.T, part *pace.StorePart, now time.Time) (lost bool) {
	t.Helper()
	p, ok := part.Try(now)
	if !ok {
		t.Fatal("no permit")
	}
	return p.Failed(now)
}

// whenProbed returns when a part is probed next, with the permit for it.
func whenProbed(t *testing.T, part *pace.StorePart, now time.Time) (time.Time, pace.Permit) {
	t.Helper()
	for range 5000 {
		now = now.Add(time.Millisecond)
		if p, ok := part.Try(now); ok {
			return now, p
		}
	}
	t.Fatal("it is never probed")
	return now, pace.Permit{}
}

// It answers one request and fails the next: once twenty times a second, with two log
// lines and a timeout each.
func TestStoreThatComesAndGoesIsProbedLessAndLess(t *testing.T) {
	part, now := new(pace.StoreHealth).Part(), epoch
	loss := func() time.Duration {
		began := now
		if !lose(t, part, now) {
			t.Fatal("it is lost already")
		}
		at, p := whenProbed(t, part, now)
		if now = at; !p.Succeeded(now) {
			t.Fatal("it is not back")
		}
		return now.Sub(began)
	}
	if wait := loss(); wait > 70*time.Millisecond {
		t.Errorf("after the first loss it is probed after %s", wait)
	}
	for range 6 {
		now = now.Add(100 * time.Millisecond)
		loss()
	}
	now = now.Add(100 * time.Millisecond)
	if wait := loss(); wait < 750*time.Millisecond || wait > 1250*time.Millisecond {
		t.Errorf("after the eighth loss in a row it is probed after %s", wait)
	}
	now = now.Add(5 * time.Second)
	if wait := loss(); wait > 70*time.Millisecond {
		t.Errorf("after it worked for long it is probed after %s", wait)
	}
}

// A request that hung while the store was lost, and was found to be back, lost it again.
func TestFailureFromBeforeAnOutageThatIsOverProvesNothing(t *testing.T) {
	h := new(pace.StoreHealth)
	part := h.Part()
	hung, ok := part.Try(epoch)
	if !ok || !lose(t, part, epoch) {
		t.Fatal("a new store is lost")
	}
	now, probe := whenProbed(t, part, epoch)
	if !probe.Succeeded(now) {
		t.Fatal("it is not back")
	}
	if hung.Failed(now) || !part.Works() || !h.Works() {
		t.Error("the store is lost by a request from before its last outage")
	}
	if !lose(t, part, now) {
		t.Error("a request from after the outage does not lose the store")
	}
}

func TestLostStoreIsProbedByOneCallAtATime(t *testing.T) {
	h := new(pace.StoreHealth)
	part, other := h.Part(), h.Part()
	early, ok := part.Try(epoch) // before the loss
	if !ok || !part.Works() || early.Probes() || early.Succeeded(epoch) {
		t.Fatal("a new store is lost, or comes back")
	}
	early, _ = part.Try(epoch)
	early2, _ := part.Try(epoch)
	early.Failed(epoch)
	if part.Works() || other.Works() {
		t.Fatal("a store that failed works")
	}
	if _, ok := part.Try(epoch); ok {
		t.Error("a permit before the probe is due")
	}
	now := after(100 * time.Millisecond)
	probe, ok := part.Try(now)
	_, again := part.Try(now)
	_, elsewhere := other.Try(now)
	if !ok || again || elsewhere || !probe.Probes() {
		t.Fatal("want a permit for one probe")
	}
	if early2.Succeeded(now) || part.Works() {
		t.Error("an answer to a request from before the loss brought the store back")
	}
	if probe.Failed(now) {
		t.Error("a probe that fails counts as a loss")
	}
	probe, ok = part.Try(now.Add(time.Second))
	if !ok || !probe.Succeeded(now.Add(time.Second)) || !part.Works() || !other.Works() {
		t.Error("a probe that is answered does not bring the store back")
	}
}

// One server of a cluster is lost. What the others answer brings the rest back, and not
// its part: nothing says that the store is back before that.
func TestPartOfAStoreStaysLostUntilItAnswersItself(t *testing.T) {
	h := new(pace.StoreHealth)
	dead, well := h.Part(), h.Part()
	if !lose(t, dead, epoch) {
		t.Error("no loss")
	}
	now, p := whenProbed(t, well, epoch)
	if p.Succeeded(now) {
		t.Error("the store is back by what another part answered")
	}
	if !well.Works() || dead.Works() {
		t.Fatal("want the one part, and not the other")
	}
	probes := 0
	for range 100 { // ten seconds
		if p, ok := dead.Try(now); ok {
			if probes++; p.Failed(now) {
				t.Error("the store is lost again")
			}
		}
		if p, ok := well.Try(now); !ok || p.Succeeded(now) {
			t.Error("the other part does not work on, or comes back")
		}
		now = now.Add(100 * time.Millisecond)
	}
	if probes < 8 || probes > 14 {
		t.Errorf("the dead part was probed %d times in ten seconds, want once a second", probes)
	}
	now, p = whenProbed(t, dead, now)
	if !p.Succeeded(now) || !dead.Works() {
		t.Error("the store is not back when the part is")
	}
}

// Nobody asks for the bucket any more whose request failed.
func TestStoreIsBackWithoutPartsThatNobodyAsks(t *testing.T) {
	h := new(pace.StoreHealth)
	lose(t, h.Part(), epoch)
	well := h.Part()
	now, p := whenProbed(t, well, epoch)
	if p.Succeeded(now) {
		t.Error("it is back at once")
	}
	p, ok := well.Try(now.Add(20 * time.Second))
	if !ok || !p.Succeeded(now.Add(20*time.Second)) {
		t.Error("it is not back")
	}
}

// Each failed probe of a long loss may be another bucket's.
func TestLongLossKeepsFewParts(t *testing.T) {
	var h pace.StoreHealth
	now := epoch
	lose(t, h.Part(), now)
	for range 100 {
		now = now.Add(2 * time.Second)
		lose(t, h.Part(), now)
	}
	if n := h.LostParts(); n > 6 {
		t.Errorf("%d parts are kept", n)
	}
}
