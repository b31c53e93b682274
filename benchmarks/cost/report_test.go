package cost_test

import "testing"

func measureAll(t *testing.T) {
	for _, c := range append(append(cases, loopback, cores, known), bySDK...) {
		s := c.series(nil)
		s.run(t, turns, sliceLength)
		t.Log(c.name + ": " + c.summary(s, s.ratio))
		for _, b := range s.benches {
			o := s.over(b.name)
			t.Logf("   %-60s %8.0f ns %4.0f allocs %6.0f B", b.name, o.ns, o.allocs, o.bytes)
		}
	}
}
