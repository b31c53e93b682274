// This file is what a test sees of the system log.

package oktatest

import "github.com/oktaretry/oktaretry/oktatest/internal/syslog"

// WithSystemLog sets how many events the system log keeps, GET /api/v1/logs: the last n.
// Default: 10,000, some 10 MB. With 0 the log stays empty.
func WithSystemLog(n int) Option {
	require(n >= 0, "WithSystemLog(%d): must not be negative", n)
	return func(c *config) { c.logSize = n }
}

// AddLogEvent adds an event to the system log, beside those that requests cause: a login, say,
// or a type that the fake does not know. The attributes are those of Okta's LogEvent, by their
// names ("actor", "target", "severity" …); they take the place of the defaults. The event is of
// now, and comes after all that a poller has seen.
func (o *Okta) AddLogEvent(eventType string, attributes map[string]any) {
	require(eventType != "", "AddLogEvent: an event needs a type")
	o.log.Record(o.now(), syslog.Event{Type: eventType, Extra: attributes})
}
