// This file holds a worker process: this program, started anew.

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/fleet"
)

// workerKey holds a worker's number, the URL to call and the address of Redis.
const workerKey = "OKTARETRY_EXAMPLE_WORKER"

func startWorker(ctx context.Context, number int, url, redisAddr string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s %s", workerKey, number, url, redisAddr))
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // it ends when this process does, however that ends
		return nil, err
	}
	return cmd, cmd.Start()
}

// work makes calls, five at a time, until its standard input ends.
func work(until io.Reader) error {
	number, rest, _ := strings.Cut(os.Getenv(workerKey), " ")
	url, redisAddr, _ := strings.Cut(rest, " ")
	var opts []oktaretry.Option
	if redisAddr != "" {
		fleet.LogTo(slog.Default()) // which drops DEBUG: oktaretry says itself that Redis is lost
		client := redis.NewClient(&redis.Options{Addr: redisAddr, ContextTimeoutEnabled: true, MaxRetries: -1})
		defer client.Close()
		store, err := fleet.New(client)
		if err != nil {
			return err
		}
		opts = append(opts, oktaretry.WithShared(store))
	}
	transport, err := oktaretry.NewTransport(nil, opts...)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	var calls sync.WaitGroup
	for range 5 {
		calls.Go(func() {
			for ctx.Err() == nil {
				req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
				if err != nil {
					return
				}
				req.Header.Set("Authorization", "SSWS a-token")
				req.Header.Set("Worker", number)
				resp, err := transport.RoundTrip(req)
				if err != nil {
					continue
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	io.Copy(io.Discard, until)
	stop()
	calls.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return transport.Close(ctx) // the others may use what it leased, at once
}
