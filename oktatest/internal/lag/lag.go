// Package lag lets reads be late: it draws which reads are, and how late, and it keeps
// what entries were before recent writes, so that a late read can be answered.
package lag

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Reads are a kind of reads that can be late.
type Reads struct {
	Match  func(method string, segs []string) bool
	Chance float64       // that one of them is late, in [0, 1]
	UpTo   time.Duration // how late at most; a late read is anything up to that
}

// Lag draws how late reads are. The nil Lag is never late. It is safe for concurrent use.
type Lag struct {
	seed  uint64
	reads []Reads

	mu    sync.Mutex
	drawn map[string]uint64 // reads so far, by what was read
}

// maxDrawn bounds the memory of what was read: beyond it all counts begin anew.
const maxDrawn = 10_000

// New returns a Lag that draws from a seed. The first kind that matches a read decides.
func New(seed uint64, reads []Reads) *Lag {
	return &Lag{seed: seed, reads: reads, drawn: map[string]uint64{}}
}

// Longest is how late a read can be.
func (l *Lag) Longest() time.Duration {
	var longest time.Duration
	if l != nil {
		for _, r := range l.reads {
			longest = max(longest, r.UpTo)
		}
	}
	return longest
}

// Behind draws how late a read is; 0 means up to date. what identifies the read: its path and
// query. The n-th read of the same thing is always as late as the seed has it, whatever else is
// read meanwhile.
func (l *Lag) Behind(method string, segs []string, what string) time.Duration {
	if l == nil {
		return 0
	}
	i := slices.IndexFunc(l.reads, func(r Reads) bool { return r.Match(method, segs) })
	if i < 0 {
		return 0
	}
	first, second := l.draw(strconv.Itoa(i) + " " + what)
	if r := l.reads[i]; first < r.Chance {
		return time.Duration((1 - second) * float64(r.UpTo)) // never 0
	}
	return 0
}

// draw returns two numbers in [0, 1) for the next read of a thing.
func (l *Lag) draw(what string) (first, second float64) {
	l.mu.Lock()
	if len(l.drawn) >= maxDrawn {
		clear(l.drawn)
	}
	l.drawn[what]++
	n := l.drawn[what]
	l.mu.Unlock()
	h := fnv.New64a()
	h.Write(binary.LittleEndian.AppendUint64(nil, l.seed))
	h.Write([]byte(what))
	x := h.Sum64() + n*0x9e3779b97f4a7c15
	return unit(scatter(x)), unit(scatter(x + 0x5851f42d4c957f2d))
}

// scatter is splitmix64's last step.
func scatter(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func unit(x uint64) float64 { return float64(x>>11) / (1 << 53) }

// History keeps what entries of a table were before they were written, for as long as a late
// read may ask. The table's lock guards it.
type History[K comparable, V any] struct {
	changes []change[K, V]
}

type change[K comparable, V any] struct {
	at     time.Time
	key    K
	before V
	was    bool // false: there was no such entry
}

// Wrote records that an entry has been written now. was is false for one that is new. What is
// older than keep is forgotten; a keep of 0 records nothing.
func (h *History[K, V]) Wrote(now time.Time, keep time.Duration, key K, before V, was bool) {
	old := 0
	for old < len(h.changes) && (keep <= 0 || now.Sub(h.changes[old].at) > keep) {
		old++
	}
	h.changes = slices.Delete(h.changes, 0, old)
	if keep > 0 {
		h.changes = append(h.changes, change[K, V]{now, key, before, was})
	}
}

// Was is what an entry was at a time in the past.
type Was[V any] struct {
	Value V
	There bool
}

// At returns the entries that have been written after t, as they were at t.
func (h *History[K, V]) At(t time.Time) map[K]Was[V] {
	past := map[K]Was[V]{}
	for _, c := range slices.Backward(h.changes) {
		if !c.at.After(t) {
			break
		}
		past[c.key] = Was[V]{c.before, c.was}
	}
	return past
}

// Forget drops the changes of an entry: all reads see it as it is.
func (h *History[K, V]) Forget(key K) {
	h.changes = slices.DeleteFunc(h.changes, func(c change[K, V]) bool { return c.key == key })
}
