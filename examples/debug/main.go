// Command debug shows the page of package debug while a program calls a fake Okta on
// this machine that has a bad day: a quota that is used up, an endpoint that fails, a
// deadline that is too near.
//
//	go run ./examples/debug          # ends by itself, in some seconds
//	go run ./examples/debug -serve   # goes on, to be looked at
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/debug"
	"github.com/oktaretry/oktaretry/oktatest"
)

func main() {
	serve := flag.Bool("serve", false, "go on until interrupted")
	addr := flag.String("addr", "127.0.0.1:6061", "where -serve serves the page")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if !*serve {
		*addr = "127.0.0.1:0"
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 8*time.Second)
		defer cancel()
	}
	if err := run(ctx, os.Stdout, *addr); err != nil {
		log.Fatal(err)
	}
}

// run lives the day until ctx ends, and then prints what the page shows in JSON.
func run(ctx context.Context, w io.Writer, addr string) error {
	org := startOrg()
	defer org.Close()
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(policy()))
	if err != nil {
		return err
	}

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/oktaretry", debug.Handler(transport)) // beside net/http/pprof
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(listener)
	defer server.Close()
	page := "http://" + listener.Addr().String() + "/debug/oktaretry"
	fmt.Fprintf(w, "The page: %s\n", page)

	live(ctx, org, transport)

	resp, err := http.Get(page + "?format=json")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	fmt.Fprintln(w, "\nThe same as JSON, in the end:")
	_, err = io.Copy(w, resp.Body)
	return err
}

// startOrg starts a fake Okta with small limits. Its windows are short: nobody wants to
// wait for a minute.
func startOrg() *oktatest.Server {
	org := oktatest.StartServer(
		oktatest.WithUsers(40), oktatest.WithGroups(3), oktatest.WithWindowLength(12*time.Second),
		oktatest.WithLimit("GET /api/v1/users/{id}", 120), oktatest.WithLimit("GET /api/v1/users", 12),
		oktatest.WithLatency(60*time.Millisecond))
	org.Script("GET /api/v1/apps", oktatest.Always(oktatest.Code("E0000009").WithStatus(http.StatusServiceUnavailable)))
	org.Script("POST /api/v1/groups", oktatest.Times(3, oktatest.Code("E0000009")))
	return org
}

// policy is the default one in a hurry.
func policy() oktaretry.Policy {
	p := oktaretry.DefaultPolicy()
	p.ServerError.InitialWait = 200 * time.Millisecond
	p.Breaker.MinCalls = 4
	p.Breaker.OpenFor = 10 * time.Second
	return p
}

// live is the program: workers that call Okta until ctx ends.
func live(ctx context.Context, org *oktatest.Server, transport *oktaretry.Transport) {
	client := transport.Client()
	call := func(ctx context.Context, method, path, token string) {
		req, err := http.NewRequestWithContext(ctx, method, org.URL+path, nil)
		if err != nil {
			return
		}
		req.Header.Set("Authorization", "SSWS "+token)
		if resp, err := client.Do(req); err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
	var workers sync.WaitGroup
	work := func(every time.Duration, do func(n int)) {
		workers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				do(n)
				select {
				case <-ctx.Done():
				case <-time.After(every):
				}
			}
		})
	}
	ids := org.UserIDs()
	for i := range 4 { // a sync that reads users
		work(100*time.Millisecond, func(n int) {
			call(ctx, http.MethodGet, "/api/v1/users/"+ids[(4*n+i)%len(ids)], "sync")
		})
	}
	for range 3 { // a report that lists them, faster than its quota allows
		work(50*time.Millisecond, func(int) { call(ctx, http.MethodGet, "/api/v1/users?limit=10", "report") })
	}
	// An endpoint that fails: its circuit opens.
	work(700*time.Millisecond, func(int) { call(ctx, http.MethodGet, "/api/v1/apps", "sync") })
	// A failed POST is not sent again.
	work(time.Second, func(n int) {
		if n < 3 {
			call(ctx, http.MethodPost, "/api/v1/groups", "sync")
		}
	})
	// Another program uses the same quota.
	work(300*time.Millisecond, func(int) { org.Consume("GET /api/v1/users/{id}", 3) })
	// Somebody waits for an answer, and not for long.
	work(2*time.Second, func(int) {
		hurried, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		call(hurried, http.MethodGet, "/api/v1/users?search=x", "report")
	})
	workers.Wait()
}
