// This file starts a master, its replica and the sentinels that watch them.

package redistest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// MasterName is what sentinels call the master.
const MasterName = "okta"

// Watched is a master with a replica, watched by three sentinels that notice its death
// after a second.
type Watched struct{ Nodes, Sentinels []*Server }

// NewWatched starts a master with a replica and sentinels, all of which stop when the
// test ends. Where redis-server is not installed the test is skipped, but in CI it fails.
func NewWatched(t testing.TB) *Watched {
	t.Helper()
	w, err := StartWatched(t.Context())
	Need(t, err)
	t.Cleanup(w.Stop)
	return w
}

// StartWatched starts a master with a replica and three sentinels, and waits until they
// know each other.
func StartWatched(ctx context.Context) (*Watched, error) {
	w := &Watched{}
	if err := w.start(); err != nil {
		w.Stop()
		return nil, err
	}
	if err := Until(ctx, func() error { return w.Steady(ctx) }); err != nil {
		w.Stop()
		return nil, err
	}
	return w, nil
}

// Steady returns nil when all sentinels know each other, the master and its replica.
func (w *Watched) Steady(ctx context.Context) error {
	for _, s := range w.Sentinels {
		if err := knowsAll(ctx, s.Addr); err != nil {
			return err
		}
	}
	return nil
}

// Promote has the replica take the place of the master.
func (w *Watched) Promote(ctx context.Context, _ *Server) error {
	c := redis.NewSentinelClient(&redis.Options{Addr: w.Sentinels[0].Addr})
	defer c.Close()
	return c.Failover(ctx, MasterName).Err()
}

func (w *Watched) start() error {
	master, err := Start()
	if err != nil {
		return err
	}
	w.Nodes = append(w.Nodes, master)
	replica, err := Start("--replicaof", "127.0.0.1 "+strconv.Itoa(master.Port()), "--repl-diskless-sync-delay", "0")
	if err != nil {
		return err
	}
	w.Nodes = append(w.Nodes, replica)
	for range 3 {
		s, err := started(Server{binary: program(), args: []string{"--sentinel"}, config: fmt.Sprintf(
			"sentinel monitor %[1]s 127.0.0.1 %[2]d 2\nsentinel down-after-milliseconds %[1]s 1000\nsentinel failover-timeout %[1]s 5000\n",
			MasterName, master.Port())})
		if err != nil {
			return err
		}
		w.Sentinels = append(w.Sentinels, s)
		if err := hurry(s.Addr); err != nil {
			return err
		}
	}
	return nil
}

// hurry has a sentinel look at what it watches more often than each 10 s; a sentinel
// older than Redis 7 cannot.
func hurry(sentinel string) error {
	c := redis.NewClient(&redis.Options{Addr: sentinel})
	defer c.Close()
	err := c.Do(context.Background(), "SENTINEL", "DEBUG", "info-period", 500, "publish-period", 300).Err()
	if redis.HasErrorPrefix(err, "ERR") {
		return nil
	}
	return err
}

// knowsAll returns nil when a sentinel knows the other two and the replica.
func knowsAll(ctx context.Context, sentinel string) error {
	c := redis.NewSentinelClient(&redis.Options{Addr: sentinel})
	defer c.Close()
	m, err := c.Master(ctx, MasterName).Result()
	switch {
	case err != nil:
		return err
	case m["num-other-sentinels"] != "2" || m["num-slaves"] != "1" || m["flags"] != "master":
		return errors.New("a sentinel does not know all others")
	}
	replicas, err := c.Replicas(ctx, MasterName).Result()
	if err == nil && (len(replicas) != 1 || replicas[0]["master-link-status"] != "ok") {
		err = errors.New("the replica is not in step")
	}
	return err
}

// Addrs returns the addresses of the sentinels.
func (w *Watched) Addrs() (all []string) {
	for _, s := range w.Sentinels {
		all = append(all, s.Addr)
	}
	return all
}

// Stop stops all servers.
func (w *Watched) Stop() {
	for _, s := range append(w.Nodes, w.Sentinels...) {
		s.Stop()
	}
}

// Master returns the node that all sentinels take for the master; ok is false while
// they do not agree, or it does not serve as one yet.
func (w *Watched) Master(ctx context.Context) (master *Server, ok bool) {
	addr := ""
	for _, s := range w.Sentinels {
		c := redis.NewSentinelClient(&redis.Options{Addr: s.Addr})
		found, err := c.GetMasterAddrByName(ctx, MasterName).Result()
		c.Close()
		if err != nil || len(found) != 2 || addr != "" && addr != found[0]+":"+found[1] {
			return nil, false
		}
		addr = found[0] + ":" + found[1]
	}
	for _, s := range w.Nodes {
		if s.Addr == addr {
			return s, true
		}
	}
	return nil, false
}

// FailoverClient returns a client with the settings that package fleet advises.
func FailoverClient(sentinels []string, edit ...func(*redis.FailoverOptions)) *redis.Client {
	o := &redis.FailoverOptions{
		MasterName: MasterName, SentinelAddrs: sentinels, ContextTimeoutEnabled: true, MaxRetries: -1,
		DialTimeout: time.Second, ReadTimeout: time.Second, DialerRetries: 1,
	}
	for _, f := range edit {
		f(o)
	}
	return redis.NewFailoverClient(o)
}
