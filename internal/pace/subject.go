// This file tells the refusals of a bucket apart by the URLs that were refused: in
// most buckets the URL names the one user, app or group that a limit may be of.

package pace

import (
	"net/url"
	"slices"
	"time"

	"github.com/oktaretry/oktaretry/internal/route"
)

// subject is a path and query of which calls were refused.
type subject struct {
	id    uint64    // see route.URLID
	times int       // since one of its calls was accepted
	inRow bool      // since any call was accepted
	at    time.Time // of the last refusal
	until time.Time // the time that it named, a minute later at most
}

// subjects are those refused lately, the oldest first.
type subjects []subject

const (
	// wideOfMany is how many subjects are refused in a row in a bucket whose refusals
	// are known to be of single ones, until they are taken for the bucket's.
	wideOfMany = 10
	// mostSubjects is how many are remembered.
	mostSubjects = 24
	// asideFirst and asideThen are how long a refused subject's other calls let those
	// of others find out what the refusal meant: after the first in a row, and after more.
	asideFirst = 250 * time.Millisecond
	asideThen  = 2500 * time.Millisecond
)

// find returns the subject of a URL; nil if none of its calls was refused.
func (s subjects) find(u *url.URL) *subject {
	if len(s) == 0 || u == nil {
		return nil
	}
	return s.of(route.URLID(u))
}

func (s subjects) of(id uint64) *subject {
	if i := slices.IndexFunc(s, func(x subject) bool { return x.id == id }); i >= 0 {
		return &s[i]
	}
	return nil
}

// refused records a refusal.
func (s *subjects) refused(u *url.URL, now, until time.Time) {
	if u == nil {
		return
	}
	x := subject{id: route.URLID(u)}
	if known := s.of(x.id); known != nil {
		x = *known
		s.forget(x.id)
	} else if len(*s) == mostSubjects {
		*s = slices.Delete(*s, 0, 1)
	}
	x.times, x.inRow, x.at, x.until = x.times+1, true, now, until
	if longest := now.Add(longestHold); until.After(longest) {
		x.until = longest
	}
	*s = append(*s, x)
}

func (s *subjects) forget(id uint64) {
	*s = slices.DeleteFunc(*s, func(x subject) bool { return x.id == id })
}

// inRow returns how many subjects were refused since a call was accepted.
func (s subjects) inRow() (n int) {
	for i := range s {
		if s[i].inRow {
			n++
		}
	}
	return n
}

// endRow begins a new row.
func (s subjects) endRow() {
	for i := range s {
		s[i].inRow = false
	}
}

// aside returns how long a call waits beside the line because calls of its subject were
// refused: while it is in doubt what that meant, those of other subjects find out, and
// once it is known to concern single subjects, it waits for the time that was named.
func (r *refusals) aside(u *url.URL, now time.Time) (time.Duration, Reason) {
	if r == nil || r.narrow || len(r.of) == 0 {
		return 0, NoReason
	}
	known := r.bySubject && now.Before(r.narrowUntil)
	if !known && !r.inDoubt {
		return 0, NoReason
	}
	s := r.of.find(u)
	switch {
	case s == nil, known && s.times < 2:
		return 0, NoReason
	case known:
		return s.until.Sub(now), Held
	}
	last := &r.of[len(r.of)-1] // whoever's: one that was refused before finds out little
	end := last.at.Add(asideFirst)
	switch {
	case r.inRow > 1:
		end = last.at.Add(asideThen)
	case last.until.Before(end) && !last.until.IsZero():
		end = last.until // what the refusal meant is over then
	}
	return end.Sub(now), Answers
}

// wakeAsides has the calls beside the line ask again.
func (r *refusals) wakeAsides() {
	if r != nil && r.asides != nil {
		r.asides.wakeAll()
	}
}
