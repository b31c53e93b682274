// This file holds for which requests an endpoint's circuit is open. Okta answers some
// searches with 503 or 504 for ever while others, and the plain list, are answered well
// by the same path; and reads of one user can fail, of all others not. So a circuit that
// opens because some requests failed, between whose failures others succeeded, is open
// for those; the calls of others are let through. Where one request is all that failed,
// and of no other anything is known, others are tried.

package circuit

import (
	"maps"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry/internal/route"
)

// maxRequests is how many failing requests of an endpoint are told apart. Where more of
// them fail, it is not they.
const maxRequests = 16

// request is what is known of a request that failed within the window.
type request struct {
	share
	successes  window
	othersWell bool // another request succeeded since the first failure
}

// requests is what an endpoint's circuit knows of single ones.
type requests struct {
	watchUntil atomic.Int64              // counted from successes.born; successes are counted by request before
	offenders  atomic.Pointer[offenders] // for which the circuit is not closed; nil: for all

	byID map[uint64]*request // that failed within the window; at most maxRequests; under Breaker.mu
	many time.Time           // when there were too many; under Breaker.mu
}

// offenders are the requests for which an endpoint's circuit is not closed. Breaker.mu
// guards them.
type offenders struct {
	trials
	well    bool            // others succeeded; else they are on trial
	refused map[uint64]bool // at most maxRequests
	failed  map[uint64]int  // of the others: how often in a row each failed; at most maxRequests
	inRow   map[uint64]bool // of the others: those that failed since one succeeded; at most several
}

// requestFailed counts a failure while the circuit is closed.
func (b *Breaker) requestFailed(u *url.URL, now time.Time) {
	if u == nil || b.several {
		return
	}
	id := route.URLID(u)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.countRequest(id, now)
}

// countRequest counts a request's failure. The caller holds mu.
func (b *Breaker) countRequest(id uint64, now time.Time) {
	all := b.requests.Load()
	if all == nil {
		all = &requests{byID: make(map[uint64]*request)}
		b.requests.Store(all)
	}
	all.watchUntil.Store(int64(now.Sub(b.successes.born) + b.cfg.Window))
	if all.byID[id] == nil && !all.add(id, b.cfg, now) {
		return
	}
	all.byID[id].count(b.successes.ever(), now)
}

// add adds a request, after those that failed within the window no more are forgotten;
// false if there are too many.
func (r *requests) add(id uint64, cfg *Config, now time.Time) bool {
	r.forget(now)
	if len(r.byID) >= maxRequests {
		r.many = now
		return false
	}
	added := new(request)
	for _, w := range []*window{&added.inWindow, &added.successes} {
		w.step, w.born = cfg.bucketPeriod(), now
	}
	r.byID[id] = added
	return true
}

// reset forgets the requests, when the circuit's state changes.
func (r *requests) reset() {
	if r != nil {
		clear(r.byID)
		r.many = time.Time{}
	}
}

// offend sets what offenders returns.
func (b *Breaker) offend(o *offenders) {
	if b == nil {
		return
	}
	if r := b.requests.Load(); r != nil {
		r.offenders.Store(o)
	}
}

// offenders returns the requests for which the circuit is not closed, or its host's; nil:
// for all.
func (b *Breaker) offenders() *offenders {
	if r := b.requests.Load(); r != nil {
		return r.offenders.Load()
	}
	return nil
}

// CutOff takes that an attempt was cut off, which may be the network's fault, and reports
// whether it is the request's: others of the endpoint succeeded since it first failed.
func (b *Breaker) CutOff(u *url.URL, now time.Time) bool {
	if b == nil || b.several {
		return false
	}
	id := route.URLID(u)
	b.mu.Lock()
	defer b.mu.Unlock()
	if all := b.requests.Load(); all != nil {
		all.forget(now)
		if r := all.byID[id]; r != nil && r.othersWell {
			return true // and is counted as its failure
		}
	}
	b.countRequest(id, now)
	return false
}

// forget forgets those that failed within the window no more.
func (r *requests) forget(now time.Time) {
	maps.DeleteFunc(r.byID, func(_ uint64, r *request) bool { return r.inWindow.total(now) == 0 })
}

// requestSucceeded counts a success while the circuit is closed.
func (b *Breaker) requestSucceeded(u *url.URL, now time.Time) {
	all := b.requests.Load()
	if all == nil || u == nil || int64(now.Sub(b.successes.born)) >= all.watchUntil.Load() {
		return // as nearly always
	}
	id := route.URLID(u)
	b.mu.Lock()
	defer b.mu.Unlock()
	for other, r := range all.byID {
		if other == id {
			r.successes.add(now)
		} else {
			r.othersWell = true
		}
	}
}

// blamed returns the requests for which an endpoint's circuit that opens now is open,
// for without their failures it would stay closed; nil: it is open for all.
func (b *Breaker) blamed(now time.Time) *offenders {
	if b == nil || b.requests.Load() == nil {
		return nil
	}
	successes, after, several := b.successes.total(now), b.successes.ever(), b.cfg.several()
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.requests.Load()
	if now.Sub(all.many) < b.cfg.Window {
		return nil
	}
	all.forget(now)
	few := len(all.byID) < several
	o := &offenders{refused: map[uint64]bool{}, failed: map[uint64]int{}, inRow: map[uint64]bool{}}
	failures, inStreak := 0, 0 // of requests that are not to blame
	for id, r := range all.byID {
		n, well := r.inWindow.total(now), r.successes.total(now)
		if n > 1 && b.reaches(n, well) && (r.othersWell || few) {
			o.refused[id], o.well = true, o.well || r.othersWell
			successes -= well
			continue
		}
		failures += n
		if r.after == after {
			inStreak += r.inStreak
		}
	}
	if len(o.refused) == 0 || inStreak >= several || failures >= several && b.reaches(failures, successes) {
		return nil
	}
	return o
}

// othersWell reports whether an endpoint fails by some of its requests only, beside which
// others are well.
func (b *Breaker) othersWell(now time.Time) bool {
	o := b.blamed(now)
	return o != nil && o.well
}

// narrowly reports whether the circuit is not closed for some requests, beside which
// others were well.
func (b *Breaker) narrowly() bool {
	o := b.offenders()
	if o == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return o.well
}

// sparesRequest reports whether the circuit, which is not closed, is so for others.
func (b *Breaker) sparesRequest(u *url.URL) bool {
	if b == nil {
		return false
	}
	o := b.offenders()
	if o == nil || u == nil {
		return false
	}
	id := route.URLID(u)
	b.mu.Lock()
	defer b.mu.Unlock()
	return o.spare(id, b.cfg)
}

func (o *offenders) spare(id uint64, cfg *Config) bool {
	return !o.refused[id] && (o.well || o.out < cfg.several())
}

// passRequest lets a call through if the circuit is open for others, and reports whether
// it is. The permit's report ends a trial.
func (b *Breaker) passRequest(p *Permit) bool {
	o := b.offenders()
	if o == nil || p.of.url == nil {
		return false
	}
	id := route.URLID(p.of.url)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !o.spare(id, b.cfg) {
		return false
	}
	if !o.well {
		o.out++
		p.trial = &o.trials
	}
	return true
}

// hearRequest takes what came of an attempt while the circuit is not closed, or was not
// when the attempt began.
func (b *Breaker) hearRequest(p *Permit, v Verdict) {
	o := b.offenders()
	if o == nil || p.of.url == nil || v != Healthy && v != Failed {
		return
	}
	id := route.URLID(p.of.url)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case o.refused[id]: // its probe decides
	case v == Healthy:
		o.well = true
		clear(o.inRow)
		delete(o.failed, id)
	case o.fail(id, b.cfg.several()):
		b.offend(nil) // all that is called fails
		b.opened.Store(!b.Closed())
	}
}

// fail counts a failure of another request than those refused, and reports whether as
// many of them as several failed in a row.
func (o *offenders) fail(id uint64, several int) bool {
	o.inRow[id] = true
	if len(o.inRow) >= several {
		return true
	}
	if n, known := o.failed[id]; known || len(o.failed) < maxRequests {
		o.failed[id] = n + 1
	}
	if o.failed[id] >= several && len(o.refused) < maxRequests {
		o.refused[id] = true
		delete(o.failed, id)
		delete(o.inRow, id)
	}
	return false
}
