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

// run reads a page, and then 23 at once; Okta answers 10 in a window. From the first
// page on it is known how long its window lasts.
func run(ctx context.Context, w io.Writer, base http.RoundTripper, url string) error {
	p := &progress{lines: make(map[string]*line)}
	transport, err := oktaretry.NewTransport(base, oktaretry.WithObserver(oktaretry.Observer{
		WaitStart: p.waitStart, WaitEnd: p.waitEnd, CallEnd: p.callEnd,
	}))
	if err != nil {
		return err
	}
	var pages, printer sync.WaitGroup
	done := make(chan struct{})
	printer.Go(func() { p.print(w, done) })
	read(ctx, transport.Client(), url+"/api/v1/users?limit=1")
	for range 23 {
		pages.Go(func() { read(ctx, transport.Client(), url+"/api/v1/users?limit=1") })
	}
	pages.Wait()
	close(done)
	printer.Wait()
	fmt.Fprintf(w, "done: %d of 24 pages\n", p.pages)
	return nil
}

func read(ctx context.Context, client *http.Client, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
	}
}

// progress is what is known of a sync. Calls run at once, so it has a lock.
type progress struct {
	mu    sync.Mutex
	lines map[string]*line // by template
	pages int
}

// line is the calls that wait at one endpoint, and when the last of them goes on.
type line struct {
	calls int
	until time.Time
}

func (p *progress) waitStart(_ context.Context, e oktaretry.WaitStart) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lines[e.Template]
	if l == nil {
		l = new(line)
		p.lines[e.Template] = l
	}
	l.calls++
	if until := time.Now().Add(e.AtMost); until.After(l.until) {
		l.until = until
	}
}

func (p *progress) waitEnd(_ context.Context, e oktaretry.WaitEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines[e.Template].calls--
}

func (p *progress) callEnd(_ context.Context, o oktaretry.Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o.Stop == oktaretry.StopSuccess {
		p.pages++
	}
}

// print prints twice a second what is waited for.
func (p *progress) print(w io.Writer, done <-chan struct{}) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		for template, l := range p.lines {
			if l.calls > 0 {
				fmt.Fprintf(w, "waiting for %s: %.1f s, %d calls in line, %d pages read\n",
					template, max(time.Until(l.until).Seconds(), 0), l.calls, p.pages)
			}
		}
		p.mu.Unlock()
	}
}
