// This file measures Match.

package route_test

import (
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/internal/route"
)

var sink route.Route

func BenchmarkMatch(b *testing.B) {
	for _, bb := range []struct{ name, path string }{
		{"Users", "/api/v1/users"},
		{"FactorVerify", "/api/v1/users/00ub0oNGTSWTBKOLGLNR/factors/opf3hkfocI4JTLAju0g4/verify"},
		{"Deepest", "/api/v1/groups/00g1/roles/grp1/targets/catalog/apps/salesforce/0oa1"},
		{"Token", "/oauth2/default/v1/token"},
		{"Unknown", "/api/v1/users/00u1/novelty"},
		{"64KiB", "/api/v1/users" + strings.Repeat("/me", 21_000)},
		{"64KiBSegment", "/api/v1/users/" + strings.Repeat("x", 64<<10)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sink = route.Match("POST", bb.path)
			}
		})
	}
}
