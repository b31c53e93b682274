// This file holds what the tests see of the governor's memory.

package pace

// Buckets returns how many buckets and hosts are remembered.
func (g *Governor) Buckets() (buckets, hosts int) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.buckets), len(g.hosts)
}

// LineForSlots returns how many buckets stand in the line for a slot of a host.
func (g *Governor) LineForSlots(name string) int {
	g.mu.RLock()
	h := g.hosts[name]
	g.mu.RUnlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiting)
}
