// This file finds out that a bucket is several: its answers alternate between
// limits, and the kind of a call decides which limit it meets.

package pace

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Kind is what the server may count apart within a bucket. It is read only where a
// bucket's answers were seen to name several limits.
type Kind interface {
	KindID() uint64   // calls of one kind have the same
	KindName() string // for a log
}

// split is what is known of the limits within a bucket, from the first accepted
// call on that names another limit than the one known.
//
// A new limit of all calls must not split the bucket, though answers overtake each
// other while it comes into force. So only what is certain counts: a turn begins
// with an answer to a call that was sent after the turn before had begun. A new
// limit of all calls makes one turn. A bucket is split once two kinds have kept to a
// limit each, and one of them in turns before and after the other's first. A kind
// that meets several limits itself is in no part: each change doubles how long it
// must keep to the next one.
type split struct {
	whole Key         // never changed
	open  atomic.Bool // calls enter the parts; by Ticket.splitBucket

	mu    sync.Mutex // guards all below; no lock is taken under it
	turn  int        // how often the limit has changed from one answer to the next
	limit int        // of this turn's answers
	since time.Time  // when this turn's first answer arrived
	kinds []*kind    // at most maxKinds
	parts []*part    // at most maxParts; none until the bucket is split
}

// kind is what is known of the calls of one kind. split.mu guards it.
type kind struct {
	id      uint64
	name    string
	seen    Seen // in the last answer
	seenAt  time.Time
	answers int // in a row that named this limit
	first   int // the turns of the first and of the last of them
	last    int
	changes int // of the limit, since it was steady
}

// part is a part of a bucket that was split: a bucket of its own.
type part struct {
	of    *split
	key   Key
	limit int
	seed  Seen // the last answer that named its limit, when it was made
	hint  Hint

	// Calls that the whole had sent before may be counted in this part: the answer to
	// each will show. Both are written under the whole's bucket.mu.
	sentBefore uint64       // how many there were ever; by flyInto
	out        atomic.Int32 // of them, those that are not answered; by flyInto and landed
}

// inWhole returns how many calls in flight in the whole may be counted in the part.
func (p *part) inWhole() int {
	if p == nil {
		return 0
	}
	return int(p.out.Load())
}

const (
	// maxKinds and maxParts bound the memory, and the names, that a hostile server
	// can fill. Calls beyond them stay in the bucket.
	maxKinds = 16
	maxParts = 16
	// settled is how many answers in a row show that a limit is a kind's own;
	// maxChanges how often that doubles at most.
	settled    = 3
	maxChanges = 5
	// steady is how many answers in a row make the changes of a kind's limit count
	// no more.
	steady = 1 << 8
	// suspicion is how long a bucket whose answers alternate no more is watched.
	suspicion = time.Hour
)

// observe records the limit in the answer to an accepted call. It returns the parts
// that are new with it. over reports that the bucket need be watched no more.
func (s *split) observe(k Kind, sentAt, now time.Time, seen Seen) (added []*part, over bool) {
	id := k.KindID()
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.find(id)
	turn := s.turn
	if seen.Limit != s.limit {
		if turn == 0 || sentAt.After(s.since) {
			turn++
			s.turn, s.limit, s.since = turn, seen.Limit, now
		} else { // it may have been counted before the answer that began the turn
			if of == nil || of.seen.Limit != seen.Limit {
				return nil, false
			}
			turn = of.last
		}
	}
	if of == nil {
		of = s.add(id, k, now)
	}
	if of != nil {
		of.record(seen, turn, now)
	}
	if s.parts == nil && !s.isSplit() {
		return nil, now.Sub(s.since) >= suspicion
	}
	return s.addParts(), false
}

// find returns the kind of an ID; nil if it is not known.
func (s *split) find(id uint64) *kind {
	if i := slices.IndexFunc(s.kinds, func(k *kind) bool { return k.id == id }); i >= 0 {
		return s.kinds[i]
	}
	return nil
}

// add returns a new kind, in the place of an idle one if there are too many; nil if
// none is idle.
func (s *split) add(id uint64, k Kind, now time.Time) *kind {
	if len(s.kinds) < maxKinds {
		s.kinds = append(s.kinds, &kind{id: id, name: k.KindName()})
		return s.kinds[len(s.kinds)-1]
	}
	oldest := slices.MinFunc(s.kinds, func(a, b *kind) int { return a.seenAt.Compare(b.seenAt) })
	if now.Sub(oldest.seenAt) < idle {
		return nil
	}
	*oldest = kind{id: id, name: k.KindName()}
	return oldest
}

// record records an answer.
func (k *kind) record(seen Seen, turn int, now time.Time) {
	if k.answers > 0 && seen.Limit != k.seen.Limit {
		k.answers, k.changes = 0, min(k.changes+1, maxChanges)
	}
	if k.answers++; k.answers == 1 {
		k.first = turn
	}
	if k.answers >= steady {
		k.changes = 0
	}
	k.seen, k.seenAt, k.last = seen, now, turn
}

// isSettled reports whether the kind's limit is its own.
func (k *kind) isSettled() bool { return k.answers >= settled<<k.changes }

// isSplit reports whether two kinds have each a limit of their own.
func (s *split) isSplit() bool {
	for _, a := range s.kinds {
		for _, b := range s.kinds {
			if a.seen.Limit != b.seen.Limit && a.first < b.first && b.first < a.last && a.isSettled() && b.isSettled() {
				return true
			}
		}
	}
	return false
}

// addParts makes the parts for the limits of settled kinds that have none yet.
func (s *split) addParts() (added []*part) {
	for _, k := range s.kinds {
		if !k.isSettled() || s.partFor(k) != nil || len(s.parts) >= maxParts {
			continue
		}
		p := &part{of: s, key: s.whole, limit: k.seen.Limit, seed: k.seen}
		p.key.Bucket += " (limit " + strconv.Itoa(p.limit) + ")" // by the limit, which all processes see alike
		s.parts, added = append(s.parts, p), append(added, p)
	}
	return added
}

// partFor returns the part for a kind's limit; nil if there is none.
func (s *split) partFor(k *kind) *part {
	if i := slices.IndexFunc(s.parts, func(p *part) bool { return p.limit == k.seen.Limit }); i >= 0 {
		return s.parts[i]
	}
	return nil
}

// landed counts the end of a call that was in flight in the whole. It returns the parts
// that it was the last one for which may be counted in them.
func (s *split) landed(number uint64) (last []*part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.parts {
		if number <= p.sentBefore && p.out.Add(-1) == 0 {
			last = append(last, p)
		}
	}
	return last
}

// partOf returns the part that calls of a kind enter; nil if that is not known.
func (s *split) partOf(k Kind) *part {
	if k == nil || !s.open.Load() {
		return nil
	}
	id := k.KindID()
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.find(id); k != nil && k.isSettled() {
		return s.partFor(k)
	}
	return nil
}

// String returns the kinds that are in parts, with their limits.
func (s *split) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, k := range s.kinds {
		if k.isSettled() && s.partFor(k) != nil {
			list = append(list, k.name+": "+strconv.Itoa(k.seen.Limit))
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
