// This file lists the limits as they stand.

package oktatest

import "time"

// Quota is a limit as it stands: a bucket, or a Limit beside the buckets.
type Quota struct {
	Name     string
	Limit    int       // calls in a window; negative: any number; 0 where only InFlight counts
	InFlight int       // calls at a time; 0: any number
	Used     int       // places taken in the present window, by everybody
	Reset    time.Time // the end of the present window, by the fake's clock; zero if none is open
}

// Quotas lists the limits, those beside the buckets first.
func (o *Okta) Quotas() []Quota {
	l, now := o.limits, o.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Quota
	for _, s := range l.limits {
		q := quotaOf(&s.counter, now)
		if !s.windowed {
			q.Limit = 0
		}
		all = append(all, q)
	}
	for _, b := range l.buckets {
		all = append(all, quotaOf(b, now))
	}
	return all
}

func quotaOf(c *counter, now time.Time) Quota {
	q := Quota{Name: c.name, Limit: c.max, InFlight: c.inFlight}
	for key := range c.tallies {
		if t := c.at(key, now); t.used > 0 {
			q.Used += t.used
			if t.end.After(q.Reset) {
				q.Reset = t.end
			}
		}
	}
	return q
}
