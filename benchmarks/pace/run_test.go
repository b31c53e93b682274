package pace_test

// This file runs one scenario once, in virtual time, and takes the measure.

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

const (
	org      = "https://example.okta.com"
	endpoint = "GET /api/v1/users"

	// A job that takes longer than this is not done.
	longest = 30 * time.Minute
)

// result is what came of one run.
type result struct {
	optimum, took time.Duration
	notDone       bool // it took too long, and was ended

	done, failed  int // calls
	refused       int // 429s to the job
	late          int // of them, to calls sent when an answer had told the limit
	settledCalls  int // attempts sent after settling
	settledRefuse int // of them, refused

	others, othersRefused int // the other app's calls

	doneAt, refusedAt []time.Duration // when, since the start
	err               error           // of the first call that failed
}

func (r result) over() time.Duration    { return r.took - r.optimum }
func (r result) refusedShare() float64  { return share(r.refused, r.done+r.failed) }
func (r result) settledShare() float64  { return share(r.settledRefuse, r.settledCalls) }
func (r result) othersShare() float64   { return share(r.othersRefused, r.others) }
func (r result) ofBest() float64        { return r.optimum.Seconds() / r.took.Seconds() }
func share(part, whole int) (s float64) { return float64(part) / float64(max(whole, 1)) }

// run plays a scenario with a client for each of its processes.
func (s scenario) run(t *testing.T, set setting, p peer) (r result) {
	synctest.Test(t, func(t *testing.T) {
		random := newRandom(set.seed)
		okta := oktatest.New(s.options(set, random)...)
		ctx, cancel := context.WithCancel(t.Context())
		time.Sleep(time.Duration(random.Int64N(int64(time.Second)))) // jobs don't start with the second

		start := time.Now()
		r.optimum = s.optimum(set.offset, start)
		tooLong := time.AfterFunc(longest, cancel)
		var world sync.WaitGroup
		if s.others > 0 {
			world.Go(func() { r.others, r.othersRefused = otherApp(ctx, okta, s.window/time.Duration(s.others), random) })
		}
		if drop := s.dropsAt(set.offset, start); !drop.IsZero() {
			world.Go(func() {
				if sleep(ctx, time.Until(drop)) {
					okta.SetLimit(endpoint, s.dropTo)
				}
			})
		}
		log := &journal{base: okta.Transport(), start: start}
		s.job(ctx, p, log)
		r.took = time.Since(start)
		r.notDone = !tooLong.Stop()
		cancel()
		world.Wait()
		log.fill(&r, s.calls)
	})
	return r
}

func (s scenario) options(set setting, random *random) []oktatest.Option {
	opts := []oktatest.Option{
		oktatest.WithUsers(0), oktatest.WithJournal(0),
		oktatest.WithClockSkew(s.skew), oktatest.WithLatency(latency), oktatest.WithoutLimits(),
	}
	if s.limit > 0 {
		windows := oktatest.WithWindow(s.window, set.offset%s.window)
		if s.opens {
			windows = oktatest.WithWindowLength(s.window)
		}
		opts = append(opts, windows, oktatest.WithLimit(endpoint, s.limit))
	}
	if s.concurrency > 0 {
		opts = append(opts, oktatest.WithConcurrencyLimit(s.concurrency))
	}
	if s.reordered {
		const least = 10 * time.Millisecond
		opts = append(opts, oktatest.WithLatencyFunc(func(*http.Request) time.Duration {
			return least + time.Duration(random.Int64N(int64(4*latency-2*least)))
		}))
	}
	return opts
}

// job makes the calls and returns when all are through.
func (s scenario) job(ctx context.Context, p peer, log *journal) {
	var workers sync.WaitGroup
	for process := range s.processes {
		call := p.client(log, fmt.Sprintf("process%d", process), s)
		var left atomic.Int64
		left.Store(int64(s.calls / s.processes))
		for range s.workers {
			workers.Go(func() {
				for left.Add(-1) >= 0 && ctx.Err() == nil {
					if err := call(ctx); err == nil {
						log.done()
					} else {
						log.fail(err)
					}
				}
			})
		}
	}
	workers.Wait()
}

// otherApp makes calls at random times until ctx ends, with nothing but
// net/http.
func otherApp(ctx context.Context, okta *oktatest.Okta, mean time.Duration, random *random) (calls, refused int) {
	call := plain(okta.Transport(), "another")
	var all sync.WaitGroup
	var n, no atomic.Int64
	for sleep(ctx, time.Duration(random.ExpFloat64()*float64(mean))) {
		all.Go(func() {
			n.Add(1)
			if call(context.WithoutCancel(ctx)) != nil {
				no.Add(1)
			}
		})
	}
	all.Wait()
	return int(n.Load()), int(no.Load())
}

// journal is the base of a job's transports. It writes down what goes through,
// and what the workers report.
type journal struct {
	base  http.RoundTripper
	start time.Time

	mu       sync.Mutex
	told     time.Time // when the first answer had told the limit
	attempts []attempt
	doneAt   []time.Duration
	failed   int
	err      error // the first one
}

type attempt struct {
	sent, answered time.Duration
	refused, late  bool
}

func (j *journal) RoundTrip(req *http.Request) (*http.Response, error) {
	sent := time.Now()
	resp, err := j.base.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	a := attempt{sent: sent.Sub(j.start), answered: time.Since(j.start), refused: resp.StatusCode == http.StatusTooManyRequests}
	a.late = a.refused && !j.told.IsZero() && sent.After(j.told)
	j.attempts = append(j.attempts, a)
	if j.told.IsZero() && resp.Header.Get("X-Rate-Limit-Limit") != "" {
		j.told = time.Now()
	}
	return resp, nil
}

func (j *journal) done() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.doneAt = append(j.doneAt, time.Since(j.start))
}

func (j *journal) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failed++
	if j.err == nil {
		j.err = err
	}
}

// fill adds what was written down to the result of a job of so many calls.
func (j *journal) fill(r *result, calls int) {
	r.done, r.doneAt = len(j.doneAt), j.doneAt
	r.failed = calls - r.done // those that were never begun included
	r.err = j.err
	for _, a := range j.attempts {
		if a.sent >= settling {
			r.settledCalls++
		}
		if !a.refused {
			continue
		}
		r.refused++
		r.refusedAt = append(r.refusedAt, a.answered)
		if a.late {
			r.late++
		}
		if a.sent >= settling {
			r.settledRefuse++
		}
	}
}

// sleep waits and reports whether ctx is still alive then.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// random is a seeded source for many goroutines.
type random struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newRandom(seed uint64) *random { return &random{r: rand.New(rand.NewPCG(seed, 4))} }

func (r *random) Int64N(n int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.r.Int64N(n)
}

func (r *random) ExpFloat64() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.r.ExpFloat64()
}
