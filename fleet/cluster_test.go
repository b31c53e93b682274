package fleet_test

// This file tests the store on a Redis Cluster, of one node: that all keys of a
// script lie in one slot, which a cluster insists on.

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/oktaretry/oktaretry/fleet"
	"github.com/oktaretry/oktaretry/fleet/internal/redistest"
	"github.com/oktaretry/oktaretry/shared"
)

func TestCluster(t *testing.T) {
	t.Parallel() // it waits for most of its time
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bus := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	server := redistest.New(t, "--cluster-enabled", "yes", "--cluster-port", bus)
	ctx := t.Context()
	admin := redistest.Client(server.Addr)
	defer admin.Close()
	if err := admin.Do(ctx, "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if strings.Contains(admin.ClusterInfo(ctx).Val(), "cluster_state:ok") {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.Addr}, ContextTimeoutEnabled: true, ReadOnly: true})
	defer client.Close()
	store, err := fleet.New(client)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"GET /api/v1/users/{id}", "/api/v1/logs", "{odd}{names}"} {
		b := shared.Bucket{Host: "acme.okta.com", Bucket: name}
		lease, err := store.Lease(ctx, b, shared.LeaseRequest{Holder: "a", Interactive: 1, MaxUtilization: 1})
		if err != nil || lease.Places != 1 {
			t.Errorf("%s: %d places, %v", name, lease.Places, err)
		}
	}
	id := shared.CircuitID{Host: "{acme}.okta.com"}
	if _, err := store.Report(ctx, id, shared.Report{OpenFor: time.Minute}); err != nil {
		t.Error(err)
	}
	if list, err := store.Circuits(ctx, id.Host); err != nil || len(list) != 1 || list[0].CircuitID != id {
		t.Errorf("circuits %+v, %v", list, err)
	}
}
