// This file measures throughput, latency and memory, and holds the proxy to its targets.

package sidecar

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/benchmarks/internal/docfile"
)

var (
	full   = flag.Bool("full", false, "measure, for some minutes, on a machine that does little else")
	turns  = flag.Int("turns", 9, "how many turns each proxy takes")
	update = flag.Bool("update", false, "do as -full, and write the table into docs/sidecar.md")
)

const (
	command     = "go test ./benchmarks/sidecar -run TestOverhead -update -v"
	document    = "../../docs/sidecar.md"
	connections = 64
	turnTime    = time.Second

	minThroughput = 0.7 // of the bare ReverseProxy's
	maxAdded      = time.Millisecond
	soakCalls     = 200_000
	maxGrowth     = 1.15
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		play(role)
		return
	}
	os.Exit(m.Run())
}

func TestOverhead(t *testing.T) {
	if !*full && !*update {
		t.Skip("measuring takes minutes and a quiet machine: -full")
	}
	origin, pid := startRole(t, "origin", "")
	contenders := contendersFor(t, origin, pid)
	var table strings.Builder
	fmt.Fprintf(&table, "| proxy | body | calls a second, of the bare one's | CPU of its process a call, of the bare one's | p50 at quarter load | p99 at quarter load | p99 added to the bare one's |\n|---|---|---|---|---|---|---|\n")
	for _, size := range []string{"1 KB", "100 KB"} {
		measure(t, contenders, size)
		for i := range contenders {
			c, bare := &contenders[i], &contenders[bareIndex]
			ratio, added := median(ratios(c.rates, bare.rates)), c.p99()-bare.p99()
			fmt.Fprintf(&table, "| %s | %s | %.2f | %.2f | %s | %s | %s |\n", c.name, size, ratio, median(c.cpu)/median(bare.cpu), c.p50(), c.p99(), added)
			if c.name == proxyName && ratio < minThroughput {
				t.Errorf("%s: %.2f of the bare ReverseProxy's throughput, want %.2f", size, ratio, minThroughput)
			}
			if c.name == proxyName && added > maxAdded {
				t.Errorf("%s: p99 is %s above the bare ReverseProxy's, want %s at most", size, added, maxAdded)
			}
		}
	}
	fmt.Fprintf(&table, "\n%s\n", soak(t, origin))
	t.Logf("\n%s", table.String())
	if *update {
		write(t, table.String())
	}
}

// measure has the contenders take turns: first as fast as they can, then at a quarter of
// what the bare one can.
func measure(t *testing.T, contenders []contender, size string) {
	path := map[string]string{"1 KB": "/api/v1/users/00u1", "100 KB": "/api/v1/users"}[size]
	for i := range contenders {
		contenders[i].rates, contenders[i].cpu, contenders[i].times = nil, nil, nil
		load(t, contenders[i].addr, path, turnTime/2, 0)
	}
	for range *turns {
		for i := range contenders {
			c := &contenders[i]
			before := cpuTicks(t, c.pid)
			done, _ := load(t, c.addr, path, turnTime, 0)
			c.cpu = append(c.cpu, float64(cpuTicks(t, c.pid)-before)/float64(done))
			c.rates = append(c.rates, float64(done)/turnTime.Seconds())
		}
	}
	quarter := median(contenders[bareIndex].rates) / 4
	for range *turns {
		for i := range contenders {
			c := &contenders[i]
			_, times := load(t, c.addr, path, turnTime, quarter)
			slices.Sort(times)
			c.times = append(c.times, times)
		}
	}
}

// soak sends many calls through a proxy and reports its memory.
func soak(t *testing.T, origin string) string {
	addr, pid := startProxy(t, origin)
	memory := func() int { return residentKB(t, pid) }
	var marks []int
	for range 4 {
		for sent := 0; sent < soakCalls/4; {
			done, _ := load(t, addr, "/api/v1/users/00u1", turnTime, 0)
			sent += done
		}
		marks = append(marks, memory())
	}
	if growth := float64(marks[3]) / float64(marks[0]); growth > maxGrowth {
		t.Errorf("after %d calls: %.2f × the memory after a quarter of them, want %.2f at most", soakCalls, growth, maxGrowth)
	}
	return fmt.Sprintf("Memory of the process after 50,000, 100,000, 150,000 and 200,000 calls: %d, %d, %d and %d MiB.",
		marks[0]>>10, marks[1]>>10, marks[2]>>10, marks[3]>>10)
}

func write(t *testing.T, table string) {
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf("<!-- Written by %s. -->\n\n%s\n", command, table)
	changed, err := docfile.Between(string(text), "overhead", body)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(document, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ratios are those of the turns that two contenders took one after the other.
func ratios(a, b []float64) []float64 {
	all := make([]float64, len(a))
	for i := range a {
		all[i] = a[i] / b[i]
	}
	return all
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
