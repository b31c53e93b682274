// This file is what a test sees of group rules.

package oktatest

import "time"

// WithRuleLock sets how long a change of group rules takes (create, update, delete, activate,
// deactivate). Another that arrives meanwhile is refused with 423 E0000239 and changes nothing;
// sent again, it succeeds. At Okta that heals within a second. Default: 50 ms; with 0, changes
// take no time and none is refused.
func WithRuleLock(d time.Duration) Option {
	require(d >= 0, "WithRuleLock(%v): must not be negative", d)
	return func(c *config) { c.ruleLock = d }
}
