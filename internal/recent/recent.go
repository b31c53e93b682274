// Package recent keeps the last few of many values. Values alike can count as one,
// so that a thousand of a kind don't displace the others.
package recent

import (
	"slices"
	"sync"
)

// Log holds the last values that were added. The zero Log is ready for use and holds
// Cap of them. It is safe for concurrent use.
type Log[K comparable, V any] struct {
	mu    sync.Mutex
	marks []mark[K] // beside entries: a search reads these alone
	all   []Entry[V]
	adds  uint64
}

// Cap is how many entries a Log holds.
const Cap = 100

// Entry is a value, the last of Times values alike.
type Entry[V any] struct {
	Value V
	Times int
}

type mark[K comparable] struct {
	key K
	add uint64 // the number of the latest addition
}

// Add adds a value. It takes the place of the one with the same key, if there is
// one, and else of the oldest, if there are Cap. A value with the zero key is like no
// other. Add allocates nothing once there are Cap entries, or one of that key.
func (l *Log[K, V]) Add(key K, v V) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.adds++
	var none K
	at, oldest := -1, 0
	for i, m := range l.marks {
		if m.key == key && key != none {
			at = i
			break
		}
		if m.add < l.marks[oldest].add {
			oldest = i
		}
	}
	switch {
	case at >= 0:
		l.all[at].Value = v
		l.all[at].Times++
		l.marks[at].add = l.adds
	case len(l.all) < Cap:
		l.all, l.marks = append(l.all, Entry[V]{v, 1}), append(l.marks, mark[K]{key, l.adds})
	default:
		l.all[oldest], l.marks[oldest] = Entry[V]{v, 1}, mark[K]{key, l.adds}
	}
}

// Entries returns a copy of the entries, the latest first.
func (l *Log[K, V]) Entries() []Entry[V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	order := make([]int, len(l.all))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if l.marks[a].add > l.marks[b].add {
			return -1
		}
		return 1
	})
	entries := make([]Entry[V], len(l.all))
	for i, at := range order {
		entries[i] = l.all[at]
	}
	return entries
}
