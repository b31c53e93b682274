// This file holds a call's way through its bucket: it waits, is sent and reports
// its answer, or leaves.

package pace

import "time"

// Ticket is one call's way through its bucket. Its methods are for one goroutine.
// The zero Ticket is ready for [Governor.Enter].
type Ticket struct {
	governor *Governor // by Enter
	call     Call      // by Enter
	bucket   *bucket   // nil: not entered, or done with; by the call's own goroutine
	waiter   waiter    // its place in the line; under bucket.mu
	part     *part     // of the bucket that it entered, which was split; nil: the whole; by enterPart

	// The last answer of Ready; by Ready.
	behind bool          // others go first, as far as is known
	nap    time.Duration // how long to sleep before asking again; 0: as long as the wait

	reopened bool // the call was the first to ask after a hold; by gate, under bucket.mu

	// The call in flight; by Ready, under bucket.mu.
	inFlight  bool
	number    uint64  // of the bucket's calls, in the order in which they were sent
	entry     entry   // into the window
	place     place   // of the lease
	epoch     *epoch  // of the bucket's slots
	hostEpoch *epoch  // of the host's slots; under host.mu
	end       slotEnd // what the call shows about the host's slots; by Done
}

// End is what the end of a call changed.
type End struct {
	// Held reports that the call's refusal holds the bucket: the line makes the
	// call wait. Else the call is to wait by itself.
	Held bool
	// Request is to be put to the shared store now; nil: none.
	Request *StoreRequest
	// Limit is the bucket's limit by the call's answer, and Before the one that was
	// known until then; both are -1 if unknown.
	Limit, Before int
	// HeldUntil is until when the call's refusal has closed the bucket, which was open
	// or closed for less; zero if it has not.
	HeldUntil time.Time
	// Split is the kinds of calls that are counted apart and their limits, if the call's
	// answer has split its bucket.
	Split string
}

// Ready returns 0 when the call may be sent: it then counts as in flight. Else it
// returns how long the wait is, and what the call, or the line before it, waits
// for. The wait is an estimate and errs on the short side. Ask again after
// [Ticket.Nap] of it, or at once on a value from [Ticket.Wake].
func (t *Ticket) Ready(now time.Time) (time.Duration, Reason) {
	if s := t.bucket.split.Load(); s != nil && t.part == nil {
		t.enterPart(s, now)
	}
	b := t.bucket
	cfg := b.cfg.Load()
	b.mu.Lock()
	wait, why := b.ready(t, now, cfg)
	b.mu.Unlock()
	// The call may have been woken for a slot that it did not take, or not for the
	// only one.
	b.host.passOn(cfg.MaxInFlight)
	return wait, why
}

// Wake yields a value when Ready should be asked again. It is nil, which
// blocks for ever, while the ticket is not in line.
func (t *Ticket) Wake() <-chan struct{} { return t.waiter.wake }

// Nap returns how long to sleep at most before asking again, when Ready has
// returned wait. A call behind others is woken once it is the first, and asks
// before that only to learn whether a longer wait still fits.
func (t *Ticket) Nap(wait time.Duration) time.Duration {
	switch {
	case t.behind:
		return max(wait, patience)
	case t.nap > 0:
		return t.nap
	}
	return wait
}

// Observe records an answer's Date, see [Clock.Observe].
func (t *Ticket) Observe(sent, arrived time.Time, date int64) {
	t.bucket.host.clock.Observe(sent, arrived, date)
}

// Until returns how long after now the window ends whose reset a refusal names;
// false when that reset is not plausible. It is the reset less the Date, or where no
// answer had one less the local clock's present second. So it is never early, for the
// second may just have begun, and adds no more than a second, for it may just end.
//
// The server may cut the fraction off its reset, too, and end the window up to a second
// after it. So a second is added, or less if the window is known to end sooner, where
// the server is known to do so, where it just did, and from the second refusal on of a
// bucket that has accepted nothing. Elsewhere a single scout finds out, and if it meets
// the old window, window.late adds the second from then on.
func (t *Ticket) Until(reset int64, now time.Time) (time.Duration, bool) {
	b := t.bucket
	wait, sharp, ok := b.host.clock.Until(reset, now)
	if !ok {
		return 0, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &b.window
	if wait > 0 && !w.late && (w.accepted || sharp || b.refusals == nil) {
		if !b.host.clock.isKnown() {
			wait += time.Duration(now.Nanosecond())
		}
		return wait, true
	}
	if end := w.lateEnd(now.Add(wait)).Sub(now); end > 0 && isSameWindow(reset, w.id) {
		return end, true
	}
	wait += time.Second
	return wait, wait > 0
}

// FirstRefusal reports whether no call to the host was refused before, and notes that
// one is now.
func (t *Ticket) FirstRefusal() bool { return !t.bucket.host.refusedOnce.Swap(true) }

// Done ends a call that was sent and reports what its answer carried. It does
// nothing for a ticket that is not in flight.
func (t *Ticket) Done(now time.Time, seen Seen) End {
	if !t.inFlight {
		return End{}
	}
	b := t.bucket
	shown := seen
	if s := b.split.Load(); s != nil && t.part == nil {
		shown = t.reportToPart(s, now, seen)
	}
	b.mu.Lock()
	landed := b.landed(t)
	known, held := b.window.limit, b.heldUntil
	result := b.done(t, now, shown)
	result.Before, result.Limit = known, b.window.limit
	if b.heldUntil.After(held) && b.heldUntil.After(now) {
		result.HeldUntil = b.heldUntil
	}
	b.mu.Unlock()
	t.wakeParts(landed, now)
	result.Split = t.compare(now, seen, known)
	t.release(now)
	return result
}

// Reopened reports, once, whether the call was the first to ask for its turn after its
// bucket had been closed by a refusal.
func (t *Ticket) Reopened() bool {
	was := t.reopened
	t.reopened = false
	return was
}

// Leave ends a call that was not sent. It does nothing for a ticket that is done
// with.
func (t *Ticket) Leave(now time.Time) {
	b := t.bucket
	if b == nil {
		return
	}
	b.mu.Lock()
	landed := b.landed(t)
	b.left(t)
	b.mu.Unlock()
	t.wakeParts(landed, now)
	t.release(now)
}

// release gives up the call's slot, if it has one, and the ticket's reference to
// its bucket.
func (t *Ticket) release(now time.Time) {
	b := t.bucket
	if t.inFlight {
		b.host.release(now, t)
	}
	b.host.passOn(b.cfg.Load().MaxInFlight)
	t.bucket, t.inFlight = nil, false
	b.release()
}

// Mark is a moment of a call's wait, from which [Mark.Until] counts.
type Mark struct {
	bucket *bucket // nil: the call waits beside the line, whatever this waits for
	at     time.Time
	why    Reason // what Ready returned
	spent  [reasons]time.Duration
}

// Mark returns the present moment of a wait for why, as Ready has just returned it.
func (t *Ticket) Mark(now time.Time, why Reason) Mark {
	b := t.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.waiter.isAside {
		return Mark{at: now, why: why}
	}
	return Mark{b, now, why, b.blockedBy.until(now)}
}

// Until returns how long the call has waited for what since the mark, by Reason. The
// sum is exactly the time since the mark.
func (m *Mark) Until(now time.Time) (waited [reasons]time.Duration) {
	if m.bucket == nil {
		waited[m.why] = now.Sub(m.at)
		return waited
	}
	m.bucket.mu.Lock()
	spent := m.bucket.blockedBy.until(now)
	m.bucket.mu.Unlock()
	left := now.Sub(m.at)
	for r := Held; r < reasons && left > 0; r++ {
		if r != m.why {
			waited[r] = max(min(spent[r]-m.spent[r], left), 0)
			left -= waited[r]
		}
	}
	waited[m.why] = left
	return waited
}
