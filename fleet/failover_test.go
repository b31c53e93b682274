// This file tests what calls notice when a master of a Redis Cluster, or one that
// sentinels watch, is killed, paused, emptied or replaced while they go on.

package fleet_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/oktaretry/oktaretry/fleet"
	"github.com/oktaretry/oktaretry/fleet/internal/redistest"
	"github.com/oktaretry/oktaretry/shared"
)

// tokens is how many tokens calls have, each of which has a bucket of its own: enough
// that each of three masters has several.
const tokens = 12

// traffic makes calls with so many tokens until stop is called, and checks that each
// succeeds in time.
func (p *process) traffic(t *testing.T, tokens int) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := w; ; i += 4 {
				select {
				case <-done:
					return
				default:
					p.call(t, "SSWS token-"+strconv.Itoa(i%tokens))
				}
			}
		})
	}
	return func() {
		close(done)
		wg.Wait()
	}
}

func (p *process) call(t *testing.T, token string) {
	req, err := http.NewRequest(http.MethodGet, p.target, nil)
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Authorization", token)
	began := time.Now()
	resp, err := p.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if took := time.Since(began); resp.StatusCode != http.StatusOK || took > bound {
		t.Errorf("status %d after %s", resp.StatusCode, took)
	}
}

// storeLines returns the log lines about the store.
func (p *process) storeLines() (lost, back int) {
	text := p.log.String()
	return strings.Count(text, "shared store lost"), strings.Count(text, "shared store back")
}

// whole returns nil when the log says that the store is back as often as lost.
func (p *process) whole() error {
	if lost, back := p.storeLines(); lost != back {
		return fmt.Errorf("lost %d times and back %d", lost, back)
	}
	return nil
}

// change is what happens to a master.
type change struct {
	name  string
	ill   func(ctx context.Context, master *redistest.Server) error
	after func(ctx context.Context, master *redistest.Server) error // when another has its place
	moves bool                                                      // another takes its place
	lost  bool                                                      // calls notice
}

func flush(ctx context.Context, s *redistest.Server) error {
	admin := redistest.Client(s.Addr)
	defer admin.Close()
	return admin.FlushAll(ctx).Err()
}

func kill(_ context.Context, s *redistest.Server) error   { s.Kill(); return nil }
func pause(_ context.Context, s *redistest.Server) error  { s.Pause(); return nil }
func resume(_ context.Context, s *redistest.Server) error { s.Resume(); return nil }

// servers are a cluster, or a master that sentinels watch.
type servers struct {
	master func(context.Context) (*redistest.Server, bool)
	steady func(context.Context) error // nil when every master has its replica
	serves func(context.Context) error // nil when every master has answered a question
}

// survives has something happen to the master in mid-traffic.
func (s servers) survives(t *testing.T, p *process, c change) {
	ctx := t.Context()
	until(t, "all servers are in step", func() error { return s.steady(ctx) })
	old, ok := s.master(ctx)
	if !ok {
		t.Fatal("there is no master")
	}
	stop := p.traffic(t, tokens)
	defer stop()
	until(t, "the store is used", func() error { return s.serves(ctx) })
	before, _ := p.storeLines()
	if err := c.ill(ctx, old); err != nil {
		t.Fatal(err)
	}
	if c.lost {
		until(t, "the loss is noticed", func() error {
			if lost, _ := p.storeLines(); lost == before {
				return errors.New("the store is not lost")
			}
			return nil
		})
	}
	if c.moves {
		until(t, "another is promoted", func() error {
			if now, ok := s.master(ctx); !ok || now == old {
				return errors.New("no other master")
			}
			return nil
		})
	}
	promoted := time.Now()
	until(t, "the new master is used", func() error { return s.serves(ctx) })
	until(t, "the store is back", p.whole)
	took := time.Since(promoted)
	lost, _ := p.storeLines()
	t.Logf("back %s after the promotion, lost %d times", took.Round(time.Millisecond), lost-before)
	if took > 20*time.Second { // 3 s on a machine that is not busy; go-redis by itself takes a minute
		t.Errorf("the store is back %s after the promotion", took)
	}
	if lost-before > 4 {
		t.Errorf("the log says %d times that the store is lost:\n%s", lost-before, p.log.String())
	}
	if c.after != nil {
		if err := c.after(ctx, old); err != nil {
			t.Fatal(err)
		}
	}
}

// until waits for f to return nil.
func until(t *testing.T, what string, f func() error) {
	t.Helper()
	if err := redistest.Until(t.Context(), f); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// used returns a function that returns nil once each of the servers has run a script.
func used(addrs func(context.Context) []string) func(context.Context) error {
	return func(ctx context.Context) error {
		before := map[string]int{}
		return redistest.Until(ctx, func() error {
			for _, addr := range addrs(ctx) {
				now, err := redistest.Commands(ctx, addr)
				if err != nil {
					return err
				}
				if was, seen := before[addr]; !seen {
					before[addr] = now
					return errors.New(addr + " is new")
				} else if now <= was {
					return errors.New(addr + " is not used")
				}
			}
			return nil
		})
	}
}

var full = flag.Bool("full", false, "fail clusters and sentinels over, for some 20 s, and compare stores in many more courses of events")

// inFull leaves a test to one of the runs of these tests.
func inFull(t *testing.T) {
	t.Helper()
	if !*full {
		t.Skip("left out, for it takes some 20 s: run it with -full")
	}
}

func TestClusterChangesItsMastersInMidTraffic(t *testing.T) {
	inFull(t)
	t.Parallel()         // it waits for most of its time
	var log lockedBuffer // of go-redis, in all tests that run now
	fleet.LogTo(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer logging.Enable()
	defer func() {
		if strings.Contains(log.String(), "NOPERM") {
			t.Errorf("go-redis lacks a right:\n%s", log.String())
		}
	}()
	cluster := redistest.NewCluster(t)
	user, rules := documentedRights(t)
	password := ""
	rules = append(rules, "+cluster|slots", "+command")
	for _, addr := range cluster.Addrs() {
		password = addUser(t, addr, user, rules...)
	}
	client := redistest.ClusterClient(cluster.Addrs(), func(o *redis.ClusterOptions) { o.Username, o.Password = user, password })
	defer client.Close()
	p := newProcess(t, client)
	s := servers{
		master: func(ctx context.Context) (*redistest.Server, bool) { return cluster.MasterOf(ctx, "a key") },
		steady: cluster.Steady,
		serves: used(cluster.Masters),
	}
	restartWithUser := func(_ context.Context, s *redistest.Server) error {
		if err := s.Restart(); err != nil {
			return err
		}
		addUser(t, s.Addr, user, rules...)
		return nil
	}
	for _, c := range []change{
		{name: "promote", ill: cluster.Promote, moves: true},
		{name: "empty", ill: flush},
		{name: "kill", ill: kill, after: restartWithUser, moves: true, lost: true},
		{name: "pause", ill: pause, after: resume, moves: true, lost: true},
	} {
		t.Run(c.name, func(t *testing.T) { s.survives(t, p, c) })
	}
}

func TestSentinelsChangeTheMasterInMidTraffic(t *testing.T) {
	inFull(t)
	t.Parallel() // it waits for most of its time
	watched := redistest.NewWatched(t)
	user, rules := documentedRights(t)
	password := ""
	for _, node := range watched.Nodes {
		password = addUser(t, node.Addr, user, rules...)
	}
	client := redistest.FailoverClient(watched.Addrs(), func(o *redis.FailoverOptions) { o.Username, o.Password = user, password })
	defer client.Close()
	p := newProcess(t, client)
	s := servers{
		master: watched.Master,
		steady: watched.Steady,
		serves: used(func(ctx context.Context) []string {
			if master, ok := watched.Master(ctx); ok {
				return []string{master.Addr}
			}
			return []string{"no master"}
		}),
	}
	restartWithUser := func(_ context.Context, s *redistest.Server) error {
		if err := s.Restart(); err != nil {
			return err
		}
		addUser(t, s.Addr, user, rules...)
		return nil
	}
	for _, c := range []change{
		{name: "promote", ill: watched.Promote, moves: true},
		{name: "empty", ill: flush},
		{name: "kill", ill: kill, after: restartWithUser, moves: true, lost: true},
		{name: "pause", ill: pause, after: resume, moves: true, lost: true},
	} {
		t.Run(c.name, func(t *testing.T) { s.survives(t, p, c) })
	}
}

// reloading is a client of a cluster, as far as fleet knows.
type reloading struct {
	redis.UniversalClient
	reloads int
}

func (r *reloading) ReloadState(context.Context) { r.reloads++ }

// Only go-redis knows where the slots are, and looks once a minute by itself.
func TestStoreAsksForTheSlotsAfterAnError(t *testing.T) {
	client := &reloading{UniversalClient: redistest.Client("127.0.0.1:1", onceDialled)}
	defer client.Close()
	store, err := fleet.New(client)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Lease(t.Context(), shared.Bucket{}, shared.LeaseRequest{Holder: "a"}); err == nil {
		t.Fatal("nothing listens there")
	}
	if client.reloads != 1 {
		t.Errorf("%d reloads, want 1", client.reloads)
	}
}
