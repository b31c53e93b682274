// This file measures many fleets on one Redis Cluster as their processes grow, and one
// process that calls many orgs.

package measure

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/fleet"
	"github.com/oktaretry/oktaretry/fleet/internal/redistest"
	"github.com/oktaretry/oktaretry/oktatest"
)

var scale = flag.Bool("scale", false, "measure up to 500 processes in 20 fleets on a Redis Cluster, and one process with 10,000 orgs: some five minutes; with -update, write docs/fleet.md and docs/img/fleet.svg")

const (
	fleets      = 20
	scaleLimit  = 300
	scaleWindow = 6 * time.Second
	scaleCalls  = 2 * scaleLimit // of each fleet: the first window's and one more
)

// step is what so many processes met.
type step struct {
	processes int
	calls     int
	commands  float64       // to Redis, a call
	refused   int           // 429s
	over      time.Duration // the optimum
	cpu       float64       // of all nodes of the Cluster: the share of one core
}

func TestScale(t *testing.T) {
	if !*scale || raceEnabled {
		t.Skip("measures real servers in real time: run it with -scale")
	}
	fleet.LogTo(nil)
	cluster := redistest.NewCluster(t)
	var steps []step
	for _, n := range []int{1, 2, 5, 20, 100, 500} {
		s := grow(t, cluster, n)
		t.Logf("%+v", s)
		steps = append(steps, s)
		if s.refused > s.calls/50 {
			t.Errorf("%d processes met %d 429s", n, s.refused)
		}
	}
	one, many := spread(t, 1), spread(t, 10_000)
	t.Logf("%+v\n%+v", one, many)
	if *update {
		rewrite(t, "scale", scaleTable(steps))
		rewrite(t, "orgs", orgsTable(one, many))
		if err := os.WriteFile("../../docs/img/fleet.svg", []byte(curves(steps)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// grow measures n processes, which are spread over up to 20 fleets of one org each.
func grow(t *testing.T, cluster *redistest.Cluster, n int) step {
	okta := oktatest.New(oktatest.WithUsers(1), oktatest.WithLatency(20*time.Millisecond),
		oktatest.WithWindow(scaleWindow, 0), oktatest.WithLimit(bucket, scaleLimit), oktatest.WithLimitPerCredential(), oktatest.WithJournal(0))
	var left [fleets]atomic.Int64
	for i := range min(n, fleets) {
		left[i].Store(scaleCalls)
	}
	var processes []*oktaretry.Transport
	for range n {
		client := redistest.ClusterClient(cluster.Addrs(), func(o *redis.ClusterOptions) { o.PoolSize = 4 })
		defer client.Close()
		client.Ping(t.Context()) // connected, as a process is that has run for a while
		processes = append(processes, scaleProcess(t, okta, client))
	}
	commands, cpu := load(t, cluster)
	loaded := time.Now()
	time.Sleep(time.Until(time.Now().Truncate(scaleWindow).Add(scaleWindow + scaleWindow/10)))
	began := time.Now()
	var all sync.WaitGroup
	for i, p := range processes {
		of := i % fleets
		// A fleet has some 100 workers, however many processes it has.
		for range max(100*min(n, fleets)/n, 1) {
			all.Go(func() {
				for left[of].Add(-1) >= 0 {
					scaleCall(t, p, fmt.Sprintf("https://org-%d.okta.com/api/v1/users/%s", of, okta.UserIDs()[0]), fmt.Sprintf("SSWS fleet-%d", of))
				}
			})
		}
	}
	all.Wait()
	took := time.Since(began)
	for _, p := range processes {
		p.Close(t.Context())
	}
	commandsAfter, cpuAfter := load(t, cluster)
	calls := min(n, fleets) * scaleCalls
	best := began.Truncate(scaleWindow).Add(scaleWindow).Sub(began)
	return step{
		processes: n, calls: calls, commands: float64(commandsAfter-commands) / float64(calls), refused: okta.Answered(http.StatusTooManyRequests),
		over: took - best, cpu: (cpuAfter - cpu) / time.Since(loaded).Seconds(),
	}
}

// scaleProcess returns a process that is patient with Redis, for all processes and
// servers share the cores of one machine.
func scaleProcess(t *testing.T, okta *oktatest.Okta, client redis.UniversalClient) *oktaretry.Transport {
	store, err := fleet.New(client)
	if err != nil {
		t.Fatal(err)
	}
	p, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithShared(store, oktaretry.SharedTimeout(2*time.Second)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func scaleCall(t *testing.T, p *oktaretry.Transport, url, token string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Authorization", token)
	resp, err := p.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// load returns how many scripts the nodes have run, and for how many seconds they have
// used a core.
func load(t *testing.T, cluster *redistest.Cluster) (commands int, cpu float64) {
	for _, addr := range cluster.Addrs() {
		n, err := redistest.Commands(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		seconds, err := redistest.CPU(t.Context(), addr)
		if err != nil {
			t.Fatal(err)
		}
		commands, cpu = commands+n, cpu+seconds
	}
	return commands, cpu
}

// reach is what so many orgs cost one process.
type reach struct {
	orgs    int
	bytes   float64 // of the heap, for each
	perCall time.Duration
	keys    int64
}

// spread measures one process that calls so many orgs in turn.
func spread(t *testing.T, orgs int) reach {
	server := redistest.New(t)
	client := redistest.Client(server.Addr)
	defer client.Close()
	okta := oktatest.New(oktatest.WithUsers(1), oktatest.WithLimit(bucket, 1_000_000), oktatest.WithJournal(0))
	p := scaleProcess(t, okta, client)
	var urls []string
	for i := range orgs {
		urls = append(urls, fmt.Sprintf("https://org-%05d.okta.com/api/v1/users/%s", i, okta.UserIDs()[0]))
	}
	scaleCall(t, p, "https://another.okta.com/api/v1/users/"+okta.UserIDs()[0], "SSWS the-token")
	before := heap()
	for _, url := range urls {
		scaleCall(t, p, url, "SSWS the-token")
	}
	r := reach{orgs: orgs, bytes: (heap() - before) / float64(orgs), keys: client.DBSize(t.Context()).Val()}
	const calls = 10_000
	began := time.Now()
	for i := range calls {
		scaleCall(t, p, urls[i%orgs], "SSWS the-token")
	}
	r.perCall = time.Since(began) / calls
	runtime.KeepAlive(p)
	return r
}

func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// rewrite puts text between the marks of that name in docs/fleet.md.
func rewrite(t *testing.T, name, text string) {
	const path = "../../docs/fleet.md"
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	from, to := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	head, rest, _ := strings.Cut(string(doc), from)
	_, tail, found := strings.Cut(rest, to)
	if !found {
		t.Fatalf("docs/fleet.md has no %s and %s", from, to)
	}
	if err := os.WriteFile(path, []byte(head+from+text+to+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

func scaleTable(steps []step) string {
	var b strings.Builder
	b.WriteString("| processes | in fleets | calls | 429s | Redis commands a call | CPU of all six servers | over the optimum |\n|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range steps {
		fmt.Fprintf(&b, "| %d | %d | %d | %d | %.2f | %.0f %% of a core | %.1f s |\n",
			s.processes, min(s.processes, fleets), s.calls, s.refused, s.commands, 100*s.cpu, s.over.Seconds())
	}
	return b.String()
}

func orgsTable(one, many reach) string {
	return fmt.Sprintf("| | 1 org | 10,000 orgs |\n|---|--:|--:|\n| memory of the process, each org | n/a | %.1f KB |\n| time of a call, to that with 1 org | 1 | %.1f |\n| keys in Redis, each org | %d | %.1f |\n",
		many.bytes/1000, float64(many.perCall)/float64(one.perCall), one.keys/2, float64(many.keys)/float64(many.orgs+1))
}
