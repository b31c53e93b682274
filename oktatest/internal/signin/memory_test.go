package signin

import (
	"strconv"
	"testing"
)

func TestMemoryKeepsWhatWasPutLast(t *testing.T) {
	var m Memory[int]
	m.Put("old", 1)
	m.Put("in use", 1)
	m.Put("gone", 1)
	m.Delete("gone")
	for i := range 2 * memorySize {
		m.Put("other "+strconv.Itoa(i), i)
		if i%5000 != 0 {
			continue
		}
		if _, ok := m.Get("in use"); !ok {
			t.Fatalf("what is in use is forgotten after %d more", i)
		}
		m.Put("in use", i)
	}
	if v, ok := m.Get("in use"); v != 15_000 || !ok {
		t.Errorf("what is put again and again is %d, %t, want 15000", v, ok)
	}
	for _, key := range []string{"old", "gone", "other 0"} {
		if v, ok := m.Get(key); ok {
			t.Errorf("%s is still there: %d", key, v)
		}
	}
	if n := len(m.values); n > memorySize || n < memorySize-10 || len(m.ring) != memorySize {
		t.Errorf("%d values in a ring of %d, want at most %d", n, len(m.ring), memorySize)
	}
}
