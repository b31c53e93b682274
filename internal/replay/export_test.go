// This file holds what the tests see of a capture.

package replay

// Captured returns how many bytes are kept and how many the buffer could hold.
func (b *Body) Captured() (kept, capacity int) {
	s := b.stream
	if s == nil {
		return 0, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.buf), cap(s.buf)
}

const Patience = patience
