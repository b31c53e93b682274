// This file starts a Redis Cluster: masters, each with one replica.

package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster of masters with one replica each, whose death is noticed
// after a second.
type Cluster struct{ Nodes []*Server }

// NewCluster starts three masters and three replicas that stop when the test ends.
// Where redis-server is not installed the test is skipped, but in CI it fails.
func NewCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	c, err := StartCluster(t.Context(), 3, args...)
	Need(t, err)
	t.Cleanup(c.Stop)
	return c
}

// StartCluster starts so many masters, with a replica each, and waits until all of them
// agree about it.
func StartCluster(ctx context.Context, masters int, args ...string) (*Cluster, error) {
	c := &Cluster{}
	for range 2 * masters {
		bus, err := freeAddr() // by itself it would take a port that is too high for one
		if err != nil {
			return nil, err
		}
		_, port, _ := net.SplitHostPort(bus)
		s, err := Start(append([]string{"--cluster-enabled", "yes", "--cluster-port", port, "--cluster-node-timeout", "1000",
			"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"}, args...)...)
		if err != nil {
			c.Stop()
			return nil, err
		}
		c.Nodes = append(c.Nodes, s)
	}
	if err := c.form(ctx, masters); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// Addrs returns the addresses of all nodes.
func (c *Cluster) Addrs() (all []string) {
	for _, s := range c.Nodes {
		all = append(all, s.Addr)
	}
	return all
}

// Stop stops all nodes.
func (c *Cluster) Stop() {
	for _, s := range c.Nodes {
		s.Stop()
	}
}

// form makes a cluster of the nodes, of which the first are to be masters.
func (c *Cluster) form(ctx context.Context, masters int) error {
	var admins []*redis.Client
	for _, s := range c.Nodes {
		admin := Client(s.Addr)
		defer admin.Close()
		admins = append(admins, admin)
	}
	for i, admin := range admins {
		bus := admin.ConfigGet(ctx, "cluster-port").Val()["cluster-port"]
		if err := admin.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
			return err
		}
		if err := admins[0].Do(ctx, "CLUSTER", "MEET", "127.0.0.1", c.Nodes[i].Port(), bus).Err(); err != nil {
			return err
		}
		if i < masters {
			if err := admin.ClusterAddSlotsRange(ctx, i*16384/masters, (i+1)*16384/masters-1).Err(); err != nil {
				return err
			}
		}
	}
	for i := masters; i < len(admins); i++ {
		id, err := admins[i-masters].ClusterMyID(ctx).Result()
		if err != nil {
			return err
		}
		err = Until(ctx, func() error { return admins[i].ClusterReplicate(ctx, id).Err() }) // once it has heard of it
		if err != nil {
			return err
		}
	}
	return Until(ctx, func() error { return c.Steady(ctx) })
}

// Steady returns nil when all nodes find that the cluster is complete.
func (c *Cluster) Steady(ctx context.Context) error {
	for _, s := range c.Nodes {
		if err := agrees(ctx, s.Addr, len(c.Nodes)); err != nil {
			return err
		}
	}
	return nil
}

// agrees returns nil when a node finds that its cluster of n is complete.
func agrees(ctx context.Context, node string, n int) error {
	admin := Client(node)
	defer admin.Close()
	info := admin.ClusterInfo(ctx).Val()
	if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", n)) {
		return errors.New("the cluster is incomplete: " + info)
	}
	slots, err := slotsOf(ctx, admin)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		if len(slot.Nodes) != 2 {
			return fmt.Errorf("no replica: %v", slots)
		}
	}
	if info := admin.Info(ctx, "replication").Val(); strings.Contains(info, "master_link_status:down") {
		return errors.New("a replica is not in step: " + info)
	}
	return nil
}

// Masters returns the addresses of the nodes that are masters of slots by what most
// of them say.
func (c *Cluster) Masters(ctx context.Context) []string {
	votes := map[string]int{}
	for _, s := range c.Nodes {
		admin := adminOf(s.Addr)
		slots, _ := slotsOf(ctx, admin)
		admin.Close()
		for _, slot := range slots {
			votes[slot.Nodes[0].Addr]++
		}
	}
	var all []string
	for addr, n := range votes {
		if n > len(c.Nodes)/2 {
			all = append(all, addr)
		}
	}
	return all
}

// Promote has a replica of a master take its place.
func (c *Cluster) Promote(ctx context.Context, master *Server) error {
	admin := adminOf(master.Addr)
	defer admin.Close()
	slots, err := slotsOf(ctx, admin)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		if slot.Nodes[0].Addr == master.Addr && len(slot.Nodes) > 1 {
			replica := adminOf(slot.Nodes[1].Addr)
			defer replica.Close()
			return replica.ClusterFailover(ctx).Err()
		}
	}
	return errors.New(master.Addr + " is the master of nothing, or has no replica")
}

// slotsOf returns which slots are on which nodes, the master first, as a node sees it.
func slotsOf(ctx context.Context, node *redis.Client) ([]redis.ClusterSlot, error) {
	//lint:ignore SA1019 Redis 6 lacks CLUSTER SHARDS, which names a dead master beside the new one, too.
	return node.ClusterSlots(ctx).Result()
}

// adminOf returns a client that gives up soon, for the node may be paused or dead.
func adminOf(node string) *redis.Client {
	return Client(node, func(o *redis.Options) { o.ReadTimeout, o.DialerRetries = 300*time.Millisecond, 1 })
}

// MasterOf returns the node that all others take for the master of a key's slot; ok is
// false while they do not agree. Nodes that don't answer have no say.
func (c *Cluster) MasterOf(ctx context.Context, key string) (master *Server, ok bool) {
	addr := ""
	for _, s := range c.Nodes {
		found, err := masterOf(ctx, s.Addr, key)
		switch {
		case err != nil:
		case found == "" || addr != "" && found != addr:
			return nil, false
		default:
			addr = found
		}
	}
	for _, s := range c.Nodes {
		if s.Addr == addr {
			return s, true
		}
	}
	return nil, false
}

// masterOf returns what one node takes for the master of a key's slot.
func masterOf(ctx context.Context, node, key string) (string, error) {
	admin := adminOf(node)
	defer admin.Close()
	slot, err := admin.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		return "", err
	}
	ranges, err := slotsOf(ctx, admin)
	if err != nil {
		return "", err
	}
	for _, r := range ranges {
		if int64(r.Start) <= slot && slot <= int64(r.End) {
			return r.Nodes[0].Addr, nil
		}
	}
	return "", nil
}

// ClusterClient returns a client with the settings that package fleet advises.
func ClusterClient(addrs []string, edit ...func(*redis.ClusterOptions)) *redis.ClusterClient {
	o := &redis.ClusterOptions{
		Addrs: addrs, ContextTimeoutEnabled: true,
		DialTimeout: time.Second, ReadTimeout: time.Second, DialerRetries: 1,
	}
	for _, f := range edit {
		f(o)
	}
	return redis.NewClusterClient(o)
}

// Until calls f until it returns nil; it returns f's last error after half a minute.
func Until(ctx context.Context, f func() error) error {
	began := time.Now()
	for {
		err := f()
		if err == nil || time.Since(began) > 30*time.Second || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
