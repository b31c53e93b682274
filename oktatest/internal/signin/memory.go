// This file keeps what is known by a token.

package signin

// memorySize is how many values a Memory holds.
const memorySize = 10_000

// Memory keeps the last 10,000 values that were put into it, by their keys. The zero Memory is
// empty. It is not safe for concurrent use.
type Memory[T any] struct {
	values map[string]T
	ring   []string // keys, in order of their first Put; some may be deleted since
	next   int      // where the ring is overwritten once it is full
}

// Put keeps a value, in the place of the one of the same key, if there is one.
func (m *Memory[T]) Put(key string, v T) {
	if m.values == nil {
		m.values = map[string]T{}
	}
	_, known := m.values[key]
	m.values[key] = v
	switch {
	case known:
	case len(m.ring) < memorySize:
		m.ring = append(m.ring, key)
	default:
		delete(m.values, m.ring[m.next])
		m.ring[m.next] = key
		m.next = (m.next + 1) % memorySize
	}
}

// Get returns the value of a key.
func (m *Memory[T]) Get(key string) (v T, ok bool) {
	v, ok = m.values[key]
	return v, ok
}

// Delete drops the value of a key.
func (m *Memory[T]) Delete(key string) { delete(m.values, key) }

// DeleteFunc drops the values of which drop is true.
func (m *Memory[T]) DeleteFunc(drop func(T) bool) {
	for key, v := range m.values {
		if drop(v) {
			delete(m.values, key)
		}
	}
}
