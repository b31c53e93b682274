package measure

// This file runs one scenario: it starts Okta, Redis and the worker processes,
// lets happen to them what the scenario says, and counts.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/fleet/internal/redistest"
	"github.com/oktaretry/oktaretry/oktatest"
)

// size is how large a measurement is.
type size struct {
	processes, workers, calls int
	limit                     int
	window                    time.Duration
}

const bucket = "GET /api/v1/users/{id}"

// scenario is what is done to a fleet.
type scenario struct {
	name    string
	store   bool
	shares  bool                   // each process keeps to its part of the quota by itself
	skew    bool                   // the clocks of processes are 10 minutes apart
	during  func(*run, *testing.T) // what happens meanwhile
	trouble bool                   // the store is lost for a time
}

// run is a scenario as it runs.
type run struct {
	size
	okta    *oktatest.Server
	redis   *redistest.Server
	workers []*exec.Cmd
	began   time.Time
	over    chan struct{}
	killed  time.Time // when processes were
	outages []outage
	dead    map[int]bool
}

type outage struct{ from, to time.Time }

// result is what came of it.
type result struct {
	scenario
	took, optimum time.Duration
	calls         int // that succeeded
	failed        int
	refused       int // 429s, in the first window
	refusedLater  int
	during        int // of those, while the store was lost or a second later
	answersDuring int
	commands      float64 // a call
	slowest       time.Duration
	lost, back    int
	firstError    string
	afterKill     []int // places used in each whole window after processes were killed
	clocks        time.Duration
}

// at waits until a share of the scenario's time at best is over; false when it
// is over altogether.
func (r *run) at(share float64) bool {
	select {
	case <-time.After(time.Until(r.began.Add(time.Duration(share * float64(r.best()))))):
		return true
	case <-r.over:
		return false
	}
}

// best is how long the calls take at best.
func (r *run) best() time.Duration {
	return r.windowOf(r.began).Add(time.Duration((r.calls-1)/r.limit) * r.window).Sub(r.began)
}

// windowOf is when the window began around a time. Windows are whole seconds
// from the full minute on.
func (r *run) windowOf(t time.Time) time.Time { return t.Truncate(r.window) }

// measure runs a scenario.
func measure(t *testing.T, z size, s scenario, worker string) result {
	t.Helper()
	r := &run{size: z, over: make(chan struct{}), dead: map[int]bool{}}
	r.okta = oktatest.StartServer(oktatest.WithUsers(1), oktatest.WithLatency(50*time.Millisecond),
		oktatest.WithWindow(z.window, 0), oktatest.WithLimit(bucket, z.limit))
	defer r.okta.Close()
	var left atomic.Int64
	left.Store(int64(z.calls))
	pool := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, left.Add(-1)+1) }))
	defer pool.Close()
	o := order{
		URL: r.okta.URL + "/api/v1/users/" + r.okta.UserIDs()[0], Pool: pool.URL, Workers: z.workers, Bucket: bucket,
	}
	if s.store {
		var err error
		r.redis, err = redistest.Start()
		if errors.Is(err, redistest.ErrMissing) && os.Getenv("CI") == "" {
			t.Skip(err)
		} else if err != nil {
			t.Fatal(err)
		}
		defer func() { r.redis.Stop() }()
		o.Redis = r.redis.Addr
	}
	if s.shares {
		o.Rate = float64(z.limit) / z.window.Seconds() / float64(z.processes)
		o.Burst = 1
	}

	accounts := make([]account, z.processes)
	var all sync.WaitGroup
	var starts []io.WriteCloser
	for i := range z.processes {
		o.Name = fmt.Sprint(i)
		text, _ := json.Marshal(o)
		cmd := exec.Command(worker)
		cmd.Env = append(os.Environ(), orderKey+"="+string(text))
		if s.skew {
			cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", skewKey, (i%3-1)*600))
		}
		cmd.Stderr = os.Stderr
		in, _ := cmd.StdinPipe()
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Process.Kill()
		starts = append(starts, in)
		r.workers = append(r.workers, cmd)
		all.Go(func() {
			json.NewDecoder(out).Decode(&accounts[i])
			cmd.Wait()
		})
	}
	// A little into a window, so that the first one counts as well.
	time.Sleep(time.Until(r.windowOf(time.Now()).Add(r.window + r.window/10)))
	r.began = time.Now()
	for _, in := range starts {
		io.WriteString(in, "go\n")
	}
	finished := make(chan struct{})
	if s.during != nil {
		go func() { defer close(finished); s.during(r, t) }()
	} else {
		close(finished)
	}
	all.Wait()
	close(r.over)
	<-finished
	return r.count(t, s, accounts)
}

// count adds up what Okta's journal says and what the processes say.
func (r *run) count(t *testing.T, s scenario, accounts []account) result {
	res := result{scenario: s, optimum: r.best()}
	first := r.windowOf(r.began)
	perWindow := map[time.Time]int{}
	last := r.began
	for _, q := range r.okta.Requests() {
		if q.Time.After(last) {
			last = q.Time
		}
		w := r.windowOf(q.Time)
		if q.Status == http.StatusOK {
			perWindow[w]++
		}
		lost := slices.ContainsFunc(r.outages, func(o outage) bool {
			return q.Time.After(o.from) && q.Time.Before(o.to.Add(3*time.Second))
		})
		if lost {
			res.answersDuring++
		}
		if q.Status == http.StatusTooManyRequests {
			switch {
			case w.Equal(first):
				res.refused++
			default:
				res.refusedLater++
			}
			if lost {
				res.during++
			}
		}
	}
	res.took = last.Sub(r.began)
	var early, late time.Time
	for i, a := range accounts {
		if r.dead[i] {
			continue
		}
		res.calls += a.OK
		res.failed += a.Failed
		res.lost += a.Lost
		res.back += a.Back
		res.slowest = max(res.slowest, a.Slowest)
		if a.Error != "" {
			res.firstError = a.Error
		}
		if early.IsZero() || a.Clock.Before(early) {
			early = a.Clock
		}
		if a.Clock.After(late) {
			late = a.Clock
		}
	}
	res.clocks = late.Sub(early)
	if !r.killed.IsZero() {
		for w := r.windowOf(r.killed).Add(r.window); w.Add(r.window).Before(last); w = w.Add(r.window) {
			res.afterKill = append(res.afterKill, perWindow[w])
		}
	}
	if r.redis != nil {
		n, err := redistest.Commands(t.Context(), r.redis.Addr)
		if err != nil {
			t.Error(err)
		}
		res.commands = float64(n) / float64(max(res.calls, 1))
	}
	return res
}
