// This file holds a call's way through a bucket that is split: from the whole, which
// every call enters first, to the part that its kind is counted in.

package pace

import "time"

// enterPart moves a call that is not in flight from the whole bucket to the part
// that its kind is counted in, if that is known. Calls that wait in line are woken
// when the bucket is split, and move in the order in which they ask.
func (t *Ticket) enterPart(s *split, now time.Time) {
	p := s.partOf(t.call.Kind)
	if p == nil {
		return
	}
	b := t.bucket
	part := t.findPart(p, now)
	b.mu.Lock()
	b.usedAt = now // else the whole, and with it what is known of its parts, would count as idle
	if b.leaveLine(&t.waiter) {
		b.line.wakeFirst()
	}
	b.mu.Unlock()
	b.release()
	t.bucket, t.part = part, p
}

// reportToPart reports the answer to a call that was sent before its kind had a part
// to that part, and returns what it shows to the whole.
func (t *Ticket) reportToPart(s *split, now time.Time, seen Seen) Seen {
	p := s.partOf(t.call.Kind)
	if p == nil {
		return seen
	}
	if seen.Limit == p.limit {
		t.adopt(p, now, seen)
	}
	return Seen{Limit: -1, Remaining: -1, Answered: seen.Answered, Slots: seen.Slots, Refused: seen.Slots}
}

// compare records which limit an accepted call met, where the bucket's answers name
// several; known is the one that was known before. It returns the kinds and their
// limits if that splits the bucket, else "".
func (t *Ticket) compare(now time.Time, seen Seen, known int) string {
	if t.call.Kind == nil || t.call.Narrow || !seen.Accepted || !seen.hasLimits() {
		return "" // where single users are limited, headers may name their limits
	}
	seen.Limit = min(seen.Limit, most)
	s := t.bucket.split.Load()
	if t.part != nil {
		s = t.part.of
	}
	switch {
	case s != nil:
	case known <= 0 || seen.Limit == known:
		return ""
	default:
		s = &split{whole: t.bucket.key}
		t.bucket.split.CompareAndSwap(nil, s) // if another call was faster, this answer is lost
	}
	added, over := s.observe(t.call.Kind, t.entry.sentAt, now, seen)
	switch {
	case over:
		t.bucket.split.CompareAndSwap(s, nil)
		return ""
	case len(added) == 0:
		return ""
	}
	for _, p := range added {
		if t.part == nil {
			t.bucket.flyInto(p)
		}
		t.adopt(p, now, p.seed)
	}
	if !s.open.Swap(true) { // so t is in the whole
		t.bucket.startOver()
	}
	return s.String()
}

// adopt records in a part what the answer to a call showed that was sent from the
// whole.
func (t *Ticket) adopt(p *part, now time.Time, seen Seen) {
	b := t.findPart(p, now)
	defer b.release()
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &b.window
	isNew := w.id == 0
	w.learn(seen, b.lastReset.of(seen.Reset, &b.host.clock, now), entry{sentAt: t.entry.sentAt}, now)
	if isNew {
		w.used, w.ours = 0, 0 // whose calls used the window before is not known
	}
	if seen.Refused && !seen.Slots && !seen.Hold.IsZero() {
		b.hold(seen.Hold, now)
	}
	b.line.wakeFirst()
}

// flyInto counts the calls that are in flight in the whole in a part that is new: the
// answers that are known were got before theirs.
func (b *bucket) flyInto(p *part) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.sentBefore = b.sent
	p.out.Store(int32(b.inFlight))
}

// landed ends what [bucket.flyInto] began, for a call that is in flight or leaves. The
// caller holds mu, and wakes the parts.
func (b *bucket) landed(t *Ticket) (last []*part) {
	s := b.split.Load()
	if s == nil || t.part != nil || !t.inFlight {
		return nil
	}
	return s.landed(t.number)
}

// wakeParts has the first of the line of each part ask again.
func (t *Ticket) wakeParts(parts []*part, now time.Time) {
	for _, p := range parts {
		b := t.findPart(p, now)
		b.mu.Lock()
		b.line.wakeFirst()
		b.mu.Unlock()
		b.release()
	}
}

// startOver forgets what the calls of all kinds showed together, once the bucket is
// split: only those of unknown kinds are left in it. The others are woken to enter
// their parts.
func (b *bucket) startOver() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.window = window{limit: -1, left: -1, mayBurst: b.window.mayBurst, late: b.window.late}
	if b.refusals != nil {
		b.refusals.reset() // its scouts are still to return
	}
	b.heldUntil, b.nextAt = time.Time{}, time.Time{}
	b.wakeAll()
}

// findPart finds or makes the bucket that a part is, and retains it.
func (t *Ticket) findPart(p *part, now time.Time) *bucket {
	b := t.governor.find(p.key, t.call.Traits, now, &p.hint)
	if b.split.Load() != p.of { // it is new, or older than what is known of the whole
		b.split.Store(p.of)
	}
	return b
}

// name is the bucket's name in the user's settings, which hold for each part of a
// bucket that was split.
func (b *bucket) name() string {
	if s := b.split.Load(); s != nil {
		return s.whole.Bucket
	}
	return b.key.Bucket
}

// Bucket returns the name of the bucket, or of the part of one, that the call is in.
func (t *Ticket) Bucket() string { return t.bucket.key.Bucket }

// Bucket returns the name of the bucket, or of the part of one, that the request is
// about.
func (r *StoreRequest) Bucket() string { return r.bucket.key.Bucket }
