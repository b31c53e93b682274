package telemetry

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
)

// A hostile server can answer with one status after the other, for ever.
func TestAnEndpointRemembersABoundedNumberOfSeries(t *testing.T) {
	var s labelSets[int]
	for round := range 2 {
		for i := range 10 * maxLabelSets {
			made := false
			options := s.of(i, func() []attribute.KeyValue { made = true; return []attribute.KeyValue{attribute.Int("i", i)} })
			if len(options) != 1 {
				t.Fatalf("%d options for %d", len(options), i)
			}
			if remembered := round == 1 && i < maxLabelSets; made == remembered {
				t.Errorf("round %d: %d was made: %v", round, i, made)
			}
		}
	}
	n := 0
	for set := s.first.Load(); set != nil; set = set.next {
		n++
	}
	if n != maxLabelSets {
		t.Errorf("%d are remembered, want %d", n, maxLabelSets)
	}
}
