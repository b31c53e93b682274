// This file keeps what is known by a token.

package signin

// memorySize is how many Puts a Memory remembers.
const memorySize = 10_000

// Memory keeps the values of its last 10,000 Puts, by their keys. The zero Memory is empty. It is
// not safe for concurrent use.
type Memory[T any] struct {
	values map[string]*kept[T]
	ring   []put // in order; the value of some has been put again or deleted since
	next   int   // where the ring is overwritten once it is full
	puts   int
}

// kept is a value, and which Put it came by.
type kept[T any] struct {
	value T
	by    int
}

// put is a Put.
type put struct {
	key    string
	number int
}

// Put keeps a value, in the place of the one of the same key, if there is one.
func (m *Memory[T]) Put(key string, v T) {
	if m.values == nil {
		m.values = map[string]*kept[T]{}
	}
	m.puts++
	m.values[key] = &kept[T]{v, m.puts}
	if len(m.ring) < memorySize {
		m.ring = append(m.ring, put{key, m.puts})
		return
	}
	old := m.ring[m.next]
	if x := m.values[old.key]; x != nil && x.by == old.number {
		delete(m.values, old.key)
	}
	m.ring[m.next] = put{key, m.puts}
	m.next = (m.next + 1) % memorySize
}

// Get returns the value of a key.
func (m *Memory[T]) Get(key string) (v T, ok bool) {
	if x := m.values[key]; x != nil {
		return x.value, true
	}
	return v, false
}

// Delete drops the value of a key.
func (m *Memory[T]) Delete(key string) { delete(m.values, key) }

// DeleteFunc drops the values of which drop is true.
func (m *Memory[T]) DeleteFunc(drop func(T) bool) {
	for key, x := range m.values {
		if drop(x.value) {
			delete(m.values, key)
		}
	}
}
