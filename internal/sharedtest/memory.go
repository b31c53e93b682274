// Package sharedtest is a store in memory, for tests. Its rules are those of the
// scripts in module fleet, whose tests compare the two; so its fields have the names
// that the scripts use.
//
// This file holds the store itself.
package sharedtest

import (
	"sync"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

// Memory is a store for the Transports of one process. It is safe for
// concurrent use.
type Memory struct {
	// Now is the store's clock. It must be set before the store is used.
	Now func() time.Time

	mu       sync.Mutex
	asked    map[string]int // requests by operation; under mu, as all below
	buckets  map[shared.Bucket]*bucket
	circuits map[shared.CircuitID]*circuit // those that are not closed
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	m := &Memory{Now: time.Now}
	m.Flush()
	return m
}

// Flush empties the store, as its restart would.
func (m *Memory) Flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = make(map[string]int)
	m.buckets = make(map[shared.Bucket]*bucket)
	m.circuits = make(map[shared.CircuitID]*circuit)
}

// Asked returns the number of requests for an operation, "lease", "circuits",
// "probe" or "report"; for "", of all requests.
func (m *Memory) Asked(operation string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if operation != "" {
		return m.asked[operation]
	}
	n := 0
	for _, k := range m.asked {
		n += k
	}
	return n
}

// Buckets returns the buckets that the store knows.
func (m *Memory) Buckets() (list []shared.Bucket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for b := range m.buckets {
		list = append(list, b)
	}
	return list
}
