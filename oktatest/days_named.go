// This file lists the bad days by name.

package oktatest

import "time"

// namedDays are all days, as they are by default.
var namedDays = []Day{
	BrokenBodies(),
	ClockSkew(5 * time.Minute),
	ConcurrencyStorm(),
	DoubledResets(),
	EdgeOutage(5 * time.Minute),
	ErrorSpells(),
	GatewayNotFound(),
	InlineHookTimeout(),
	MissingFeature("/governance/*", "/api/v1/logStreams", "/api/v1/logStreams/*"),
	PolicyLocks(),
	QuotaEaten(0.9),
	ReadOnly(),
	SlowAnswers(2 * time.Second),
	SMSRoadblock(),
	TelephonyDown(),
	TokenRefusals(),
	UserLockedOut("user00000@example.com"),
}

// DayNames are the names of all bad days, in order. The slice is the caller's.
func DayNames() (names []string) {
	for _, d := range namedDays {
		names = append(names, d.name)
	}
	return names
}

// DayNamed finds a bad day by its name ("edge-outage"), as its function's
// comment describes it by default; On, From, For, Chance and Seed change it.
func DayNamed(name string) (Day, bool) {
	for _, d := range namedDays {
		if d.name == name {
			return d, true
		}
	}
	return Day{}, false
}
