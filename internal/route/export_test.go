// This file opens the table to tests.

package route

import (
	"iter"
	"strings"
)

// Templates yields each known template once, in no useful order.
func Templates() iter.Seq[string] {
	return func(yield func(string) bool) {
		seen := map[string]bool{}
		for i := range states {
			t := states[i].end
			if strings.HasSuffix(t, "/*") || seen[t] {
				continue
			}
			seen[t] = true
			if !yield(t) {
				return
			}
		}
	}
}

// Buckets yields each bucket name.
func Buckets() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, b := range buckets {
			if !yield(b.name) {
				return
			}
		}
	}
}
