// Command progress shows what a sync is doing while it waits: an Observer prints a
// line whenever calls wait for a rate limit. It needs no network and no org, and ends
// in some seconds:
//
//	go run ./examples/progress
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

func main() {
	org := oktatest.StartServer(oktatest.WithUsers(30),
		oktatest.WithLimit("/api/v1/users", 10), oktatest.WithWindowLength(3*time.Second))
	defer org.Close()
	if err := run(context.Background(), os.Stdout, nil, org.URL); err != nil {
		log.Fatal(err)
	}
}

// run reads 24 pages at once, of which Okta answers 10 in a window.
func run(ctx context.Context, w io.Writer, base http.RoundTripper, url string) error {
	p := &progress{w: w, began: time.Now(), waiting: make(map[string]int)}
	transport, err := oktaretry.NewTransport(base, oktaretry.WithObserver(p.observer()))
	if err != nil {
		return err
	}
	var pages sync.WaitGroup
	for range 24 {
		pages.Go(func() {
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/users?limit=1", nil)
			if resp, err := transport.RoundTrip(req); err == nil {
				resp.Body.Close()
			}
		})
	}
	pages.Wait()
	p.print("done: %d of %d pages read", p.read, p.ended)
	return nil
}

// progress prints what calls wait for, at most once for each second in which one begins
// to. Calls run at once, so it has a lock.
type progress struct {
	mu          sync.Mutex
	w           io.Writer
	began       time.Time
	waiting     map[string]int // calls, by template
	printed     time.Time
	read, ended int
}

func (p *progress) observer() oktaretry.Observer {
	return oktaretry.Observer{
		WaitStart: func(_ context.Context, e oktaretry.WaitStart) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.waiting[e.Template]++
		},
		WaitEnd: func(_ context.Context, e oktaretry.WaitEnd) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.waiting[e.Template]--
		},
		BucketChange: func(_ context.Context, e oktaretry.BucketChange) {
			p.print("%s: %v, limit %d", e.Bucket, e.Kind, e.Limit)
		},
		CallEnd: func(_ context.Context, o oktaretry.Outcome) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.ended++; o.Err == nil {
				p.read++
			}
		},
	}
}
