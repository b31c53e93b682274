// This file holds the soak: many goroutines, calls of every outcome, and more
// paths, hosts and credentials than are remembered, all in virtual time.
// Afterwards nothing is left of it.

package soak_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

var fully = flag.Bool("soak", false, "run TestSoak in full: 200,000 calls of every outcome and a million paths")

const callers = 64

// TestSoak takes a few seconds. In full it takes two minutes, for 200,000 calls
// of mixed outcomes, and one to each of a million paths, 100,000 hosts and
// 100,000 credentials:
//
//	go test ./internal/soak -run '^TestSoak$' -soak -v
func TestSoak(t *testing.T) {
	type part struct {
		name string
		run  func(*testing.T, int)
		n    int
	}
	parts := []part{
		{"outcomes", runOutcomes, 5_000},
		{"paths", runPaths, 10_000},
		{"credentials", crowds["credentials"].run, 4_500},
		{"hosts", crowds["hosts"].run, 4_500},
	}
	if *fully {
		parts = []part{
			{"outcomes", runOutcomes, 200_000},
			{"paths", runPaths, 1_000_000},
		}
		for _, name := range slices.Sorted(maps.Keys(crowds)) {
			parts = append(parts, part{name, crowds[name].run, 100_000})
		}
	}
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, p := range parts {
		began := time.Now()
		rig.Virtual(t, p.name, func(t *testing.T) { p.run(t, p.n) })
		t.Logf("%s: %d in %s", p.name, p.n, time.Since(began).Round(time.Millisecond))
	}
}

// runOutcomes makes calls of every kind.
func runOutcomes(t *testing.T, calls int) {
	s := newSoak(t)
	s.run(calls / 4) // from here on all that is kept is there
	goroutines, heap := runtime.NumGoroutine(), rig.HeapInUse()
	began := time.Now()
	s.run(calls)
	grown := int64(rig.HeapInUse()) - int64(heap)
	t.Logf("%s of virtual time, %d requests sent, live heap %d KiB at its peak, %d KiB more at the end than at the start",
		time.Since(began).Round(time.Second), s.base.sends.Load(), (s.peak.Load()-int64(heap))>>10, grown>>10)

	// Many attempts may take a day: each of their timers that was not stopped
	// would still be there. Those of waits are the collector's once nobody waits.
	if grown > 512<<10 {
		t.Errorf("the heap has grown by %d KiB over %d calls", grown>>10, calls)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, before there were %d", n, goroutines)
	}
	rig.WantIdle(t, s.Transport)
	if n := s.spans.open.Load(); n != 0 {
		t.Errorf("%d spans were never ended", n)
	}
	sends, begun := s.base.sends.Load(), s.spans.calls.Load()
	if n := s.spans.attempts.Load(); n != sends {
		t.Errorf("%d spans of attempts, and %d requests were sent", n, sends)
	}
	if n, sum := s.measured(t); n != begun || sum != sends {
		t.Errorf("the metrics say %d calls with %d requests, want %d with %d", n, sum, begun, sends)
	}
	if s.base.idleClosed.Load() == 0 {
		t.Error("CloseIdleConnections never reached the base")
	}
	s.wantAllSeen()
	runtime.KeepAlive(s)
}

// spanCount counts spans and keeps none.
type spanCount struct{ calls, attempts, open atomic.Int64 }

func (c *spanCount) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	c.open.Add(1)
	if s.SpanKind() == trace.SpanKindClient {
		c.attempts.Add(1)
	} else {
		c.calls.Add(1)
	}
}
func (c *spanCount) OnEnd(sdktrace.ReadOnlySpan)      { c.open.Add(-1) }
func (c *spanCount) Shutdown(context.Context) error   { return nil }
func (c *spanCount) ForceFlush(context.Context) error { return nil }

// soak is a Transport under calls of every kind.
type soak struct {
	*oktaretry.Transport
	t      *testing.T
	base   base
	spans  spanCount
	reader *sdkmetric.ManualReader
	kinds  []*kind // each as often as its share
	peak   atomic.Int64

	mu     sync.Mutex
	seen   map[string]int
	failed int
}

func newSoak(t *testing.T) *soak {
	s := &soak{t: t, reader: sdkmetric.NewManualReader(), seen: make(map[string]int)}
	for _, k := range kinds() {
		s.kinds = append(s.kinds, slices.Repeat([]*kind{&k}, k.share)...)
	}
	s.Transport = rig.Over(t, &s.base, nil,
		oktaretry.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&s.spans))),
		oktaretry.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader),
			sdkmetric.WithCardinalityLimit(50), sdkmetric.WithExemplarFilter(exemplar.AlwaysOffFilter))), // else they hold the most
		oktaretry.WithPropagators(propagation.TraceContext{}),
		oktaretry.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))),
		oktaretry.WithPrepareRetry(hook))
	return s
}

// policies are what the soak changes between. But for the last one, circuits
// and budget live on.
func (s *soak) policies() []oktaretry.Policy {
	all := slices.Repeat([]oktaretry.Policy{oktaretry.DefaultPolicy()}, 7)
	for i := range all {
		p := &all[i]
		p.AttemptTimeout = 24 * time.Hour
		switch i % 3 {
		case 1:
			p.AttemptTimeout, p.PollFactors, p.Pace = 5*time.Second, true, oktaretry.Pace{MaxRate: 8, Burst: 4}
		case 2:
			p.AttemptTimeout, p.ReturnRateLimited, p.MaxCapture = 5*time.Second, true, 16
		}
	}
	last := &all[len(all)-1]
	last.Breaker.Disabled, last.Budget = true, oktaretry.Budget{Ratio: 0.1, Reserve: 0.1, TTL: 10 * time.Second}
	return all
}

// run makes so many calls while the Transport is looked at and changed.
func (s *soak) run(calls int) {
	ctx, cancel := context.WithCancel(context.Background())
	var workers, others sync.WaitGroup
	every := func(d time.Duration, f func(i int)) {
		others.Go(func() {
			for i := 0; script.Sleep(ctx, d) == nil; i++ {
				f(i)
			}
		})
	}
	policies := s.policies()
	every(5*time.Second, func(i int) {
		if err := s.SetPolicy(policies[i%len(policies)]); err != nil {
			s.t.Error(err)
		}
	})
	every(2*time.Second, func(int) { s.watch() })
	every(7*time.Second, func(int) { s.CloseIdleConnections() })
	for worker := range callers {
		r := rand.New(rand.NewPCG(uint64(worker), uint64(calls)))
		workers.Go(func() {
			for n := range calls / callers {
				k := s.kinds[r.IntN(len(s.kinds))]
				if n == 0 { // all at once, to a bucket of which nothing is known
					k = s.kinds[0]
				}
				s.one(k, r)
				time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
			}
		})
	}
	workers.Wait()
	cancel()
	others.Wait()
	if err := s.SetPolicy(policies[0]); err != nil {
		s.t.Error(err)
	}
	synctest.Wait()
}

func (s *soak) watch() {
	snapshot := s.Snapshot()
	raise(&s.peak, liveHeap())
	for _, b := range snapshot.Buckets {
		if b.InFlight < 0 || b.Waiting < 0 || b.InFlight+b.Waiting > callers {
			s.fail("snapshot: %d calls in flight and %d waiting", b.InFlight, b.Waiting)
		}
		if b.Waiting > 0 {
			s.saw("bucket with a line")
		}
		if !b.HeldUntil.IsZero() {
			s.saw("bucket held")
		}
	}
	for _, c := range snapshot.Circuits {
		s.saw("circuit " + c.State)
	}
}

// one makes one call of a kind, with a body and an end at random.
func (s *soak) one(k *kind, r *rand.Rand) {
	c := &call{kind: k, rand: r}
	c.fail = func(format string, args ...any) { s.fail(k.name+": "+format, args...) }

	ctx := context.WithValue(context.Background(), callKey{}, c)
	var recorder *oktaretry.Recorder
	if r.IntN(8) > 0 {
		ctx, recorder = oktaretry.WithRecorder(ctx)
	}
	if r.IntN(3) == 0 {
		ctx = oktaretry.WithPriority(ctx, oktaretry.PriorityBackground)
	}
	if k.context != nil {
		ctx = k.context(ctx)
	}
	cancel := context.CancelFunc(func() {})
	switch end := r.IntN(16); {
	case k.ends > 0, end == 0:
		ctx, cancel = context.WithCancel(ctx)
		defer time.AfterFunc(rand.N(max(k.ends, 2*time.Second)), cancel).Stop()
	case end == 1:
		c.expires = true
		ctx, cancel = context.WithTimeout(ctx, rand.N(4*time.Second))
	}
	defer cancel()
	c.ctx = ctx
	defer context.AfterFunc(ctx, func() { c.ended.Store(time.Now().UnixNano()) })()

	var body io.Reader
	way := r.IntN(3)
	if k.method == http.MethodGet || way == 0 && !k.body {
		s.saw("body none")
	} else {
		c.content = make([]byte, 1+r.IntN(2000))
		for i := range c.content {
			c.content[i] = byte(r.Uint32())
		}
		body = c.body(time.Duration(r.IntN(6)) * time.Millisecond)
	}
	host, credential := k.host, r.IntN(12)
	if name, many := strings.CutSuffix(k.host, "*"); many {
		host, credential = fmt.Sprint(name, r.IntN(40)), 0
	}
	req := rig.Request(s.t, ctx, k.method, "https://"+host+".example"+k.path, body)
	req.Header.Set("Authorization", fmt.Sprint("SSWS token-", credential))
	if body != nil && way == 1 {
		s.saw("body by GetBody")
		req.ContentLength = int64(len(c.content))
		req.GetBody = func() (io.ReadCloser, error) { return c.body(0), nil }
	} else if body != nil {
		s.saw("body captured")
	}

	var (
		resp *http.Response
		err  error
	)
	target, fields := req.URL.String(), len(req.Header)
	panicked := rig.Panicked(func() { resp, err = s.RoundTrip(req) })
	if end := c.ended.Load(); end > 0 && time.Since(time.Unix(0, end)) > 100*time.Millisecond {
		c.fail("returned %s after its context had ended", time.Since(time.Unix(0, end)))
	}
	if req.URL.String() != target || len(req.Header) != fields || req.Method != k.method {
		c.fail("the caller's request was changed")
	}
	s.check(c, resp, err, panicked)
	s.checkOutcome(c, recorder, resp, err)
	if resp != nil {
		c.read(resp)
	}
	c.early.Wait()
	c.checkReleased()
}

// measured returns how many calls the metrics have seen, with how many
// requests.
func (s *soak) measured(t *testing.T) (calls, sends int64) {
	var all metricdata.ResourceMetrics
	if err := s.reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if h, ok := m.Data.(metricdata.Histogram[int64]); ok && m.Name == "oktaretry.call.attempts" {
			for _, p := range h.DataPoints {
				calls, sends = calls+int64(p.Count), sends+p.Sum
			}
		}
	}
	return calls, sends
}

func (s *soak) saw(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[what]++
}

// fail reports what is wrong, a few times.
func (s *soak) fail(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed++; s.failed <= 20 {
		s.t.Errorf(format, args...)
	}
}

// wantAllSeen checks that each way for a call to end, and to get there, was
// gone.
func (s *soak) wantAllSeen() {
	want := []string{
		"panic", "attempt poll", "bucket held", "bucket with a line", "body none", "body by GetBody", "body captured",
		"circuit closed", "circuit open", "circuit half-open",
		"status 200", "status 202", "status 404", "status 413", "status 429", "status 500", "status 503",
		"error rate limit", "error rate limit, client-side", "error circuit open", "error pending", "error context",
		"error hook", "error timeout", "error network",
	}
	for stop := oktaretry.StopNone; stop <= oktaretry.StopInvalid; stop++ {
		want = append(want, "stop "+stop.String())
	}
	for class := oktaretry.ClassSuccess; class <= oktaretry.ClassNetwork; class++ {
		want = append(want, "class "+class.String())
	}
	for wait := oktaretry.WaitRateLimit; wait <= oktaretry.WaitPoll; wait++ {
		want = append(want, "wait "+wait.String())
	}
	for _, what := range want {
		if s.seen[what] == 0 {
			s.t.Errorf("%s never occurred", what)
		}
	}
	for _, what := range slices.Sorted(maps.Keys(s.seen)) {
		s.t.Logf("%8d %s", s.seen[what], what)
	}
	if s.failed > 20 {
		s.t.Errorf("and %d more failures", s.failed-20)
	}
}
