package cost_test

import "testing"

func measureAll(t *testing.T) {
	for _, c := range append(append(cases, loopback, cores, known), bySDK...) {
		s := c.series(nil)
		s.Run(t, turns, sliceLength)
		t.Log(c.name + ": " + c.summary(s, s.Ratio))
		for _, b := range s.Benches {
			o := s.Over(b.Name)
			t.Logf("   %-60s %8.0f ns %4.0f allocs %6.0f B", b.Name, o.NS, o.Allocs, o.Bytes)
		}
	}
}
