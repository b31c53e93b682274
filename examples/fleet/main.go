// Command fleet shows four processes that share one quota through Redis: they
// use all of it, meet no 429, and when one of them is killed the others take over
// its part. It needs no network, no org and no token, and ends within half a
// minute:
//
//	go run ./examples/fleet
//
// It starts a redis-server if one is installed. Without one the processes go on
// by what Okta's headers tell each of them, as they would if Redis died.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

const (
	workers = 4
	limit   = 60
	window  = 5 * time.Second
	windows = 4 // to watch
	bucket  = "GET /api/v1/users/{id}"
)

func main() {
	var err error
	if os.Getenv(workerKey) != "" {
		err = work(os.Stdin)
	} else {
		err = run(context.Background(), os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer) error {
	addr, stop, err := startRedis(ctx)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		fmt.Fprintln(w, "redis-server is not installed (apt-get install redis-server, or brew install redis):")
		fmt.Fprintln(w, "the processes go on with local state, each by what Okta's headers tell it.")
	case err != nil:
		return err
	default:
		defer stop()
		fmt.Fprintf(w, "redis-server at %s\n", addr)
	}
	org := oktatest.StartServer(oktatest.WithUsers(1), oktatest.WithLatency(30*time.Millisecond),
		oktatest.WithWindow(window, 0), oktatest.WithLimit(bucket, limit))
	defer org.Close()
	fmt.Fprintf(w, "a fake Okta at %s: %d calls in each window of %s\n\n", org.URL, limit, window)

	var crew []*exec.Cmd
	for i := range workers {
		cmd, err := startWorker(ctx, i+1, org.URL+"/api/v1/users/"+org.UserIDs()[0], addr)
		if err != nil {
			return err
		}
		defer end(cmd)
		crew = append(crew, cmd)
	}

	s := newScreen(w)
	begins := time.Now().Truncate(window).Add(window) // the first whole window
	over := begins.Add(windows * window)
	victim := begins.Add(windows / 2 * window).Add(-window / 2)
	for tick := time.NewTicker(250 * time.Millisecond); time.Now().Before(over.Add(250 * time.Millisecond)); <-tick.C {
		if !victim.IsZero() && time.Now().After(victim) {
			victim = time.Time{}
			crew[workers-1].Process.Kill()
			s.note(fmt.Sprintf("worker %d is killed (SIGKILL): from the next window on the others use its part", workers))
		}
		s.show(tallies(org, begins), time.Now())
	}
	refused := org.Answered(429)
	fmt.Fprintf(w, "\n%d calls answered, %d of them with 429.\n", org.Arrived(), refused)
	return nil
}

// tally is who used how much of a window.
type tally struct {
	begins  time.Time
	used    [workers]int
	refused int
}

func tallies(org *oktatest.Server, first time.Time) []tally {
	var all []tally
	for _, r := range org.RequestsTo(bucket) {
		n := int(r.Time.Truncate(window).Sub(first) / window)
		if r.Time.Before(first) || n >= windows {
			continue
		}
		for len(all) <= n {
			all = append(all, tally{begins: first.Add(time.Duration(len(all)) * window)})
		}
		switch i, _ := strconv.Atoi(r.Header.Get("Worker")); {
		case i < 1 || i > workers:
		case r.Status == 429:
			all[n].refused++
		default:
			all[n].used[i-1]++
		}
	}
	return all
}

// startRedis starts a redis-server that keeps nothing on disk.
func startRedis(ctx context.Context) (addr string, stop func(), err error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return "", nil, exec.ErrNotFound
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr = l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.CommandContext(ctx, path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", os.TempDir())
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	for range 100 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr, func() { end(cmd) }, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	end(cmd)
	return "", nil, errors.New("redis-server does not start")
}

func end(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}
