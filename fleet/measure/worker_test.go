package measure

// This file holds a worker process: this test's own binary, started anew.

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/fleet"
	"github.com/oktaretry/oktaretry/fleet/internal/redistest"
)

// order is what a worker process is to do.
type order struct {
	Name    string
	URL     string // to call
	Pool    string // where to ask whether there is another call to make
	Redis   string // "": no store
	Workers int
	Rate    float64 // calls a second at most, 0: no ceiling
	Bucket  string
	Burst   int
}

// account is what became of its calls.
type account struct {
	OK, Failed int
	Error      string        // the first
	Slowest    time.Duration // what a call took that waited for nothing but Okta and the store
	Lost, Back int           // log lines about the store
	Clock      time.Time
}

const orderKey = "OKTARETRY_MEASURE_WORKER"

func TestMain(m *testing.M) {
	if text := os.Getenv(orderKey); text != "" {
		if err := work(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func work(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	policy := oktaretry.DefaultPolicy()
	if o.Rate > 0 {
		policy.Pace.BucketRates = map[string]float64{o.Bucket: o.Rate}
		policy.Pace.Burst = o.Burst
	}
	var lines changes
	opts := []oktaretry.Option{oktaretry.WithPolicy(policy), oktaretry.WithLogger(slog.New(&lines))}
	if o.Redis != "" {
		fleet.LogTo(nil)
		client := redistest.Client(o.Redis)
		defer client.Close()
		store, err := fleet.New(client)
		if err != nil {
			return err
		}
		opts = append(opts, oktaretry.WithShared(store))
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = o.Workers
	rt, err := oktaretry.NewTransport(base, opts...)
	if err != nil {
		return err
	}
	pool := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Workers}}

	bufio.NewReader(os.Stdin).ReadString('\n') // the start
	var ok, failed atomic.Int64
	var first atomic.Pointer[string]
	var mu sync.Mutex
	var quick []time.Duration
	var all sync.WaitGroup
	for range o.Workers {
		all.Go(func() {
			for more(pool, o.Pool) {
				ctx, rec := oktaretry.WithRecorder(context.Background())
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, o.URL, nil)
				req.Header.Set("Authorization", "SSWS the-token-of-the-fleet")
				req.Header.Set("Worker", o.Name)
				resp, err := rt.RoundTrip(req)
				if err == nil {
					io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if resp.StatusCode != http.StatusOK {
						err = fmt.Errorf("status %d", resp.StatusCode)
					}
				}
				if err != nil {
					failed.Add(1)
					text := err.Error()
					first.CompareAndSwap(nil, &text)
					continue
				}
				ok.Add(1)
				if out, _ := rec.Outcome(); out.Waited() == 0 && len(out.Attempts) == 1 {
					mu.Lock()
					quick = append(quick, out.Elapsed)
					mu.Unlock()
				}
			}
		})
	}
	all.Wait()
	a := account{OK: int(ok.Load()), Failed: int(failed.Load()), Lost: int(lines.lost.Load()), Back: int(lines.back.Load()), Clock: time.Now()}
	if e := first.Load(); e != nil {
		a.Error = *e
	}
	if len(quick) > 0 {
		a.Slowest = slices.Max(quick)
	}
	return json.NewEncoder(os.Stdout).Encode(a)
}

// more asks for the right to make another call.
func more(c *http.Client, url string) bool {
	resp, err := c.Get(url)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	left, _ := strconv.Atoi(string(text))
	return left > 0
}

// changes counts the log lines that say that the store is lost, or back.
type changes struct{ lost, back atomic.Int64 }

func (c *changes) Enabled(context.Context, slog.Level) bool { return true }
func (c *changes) Handle(_ context.Context, r slog.Record) error {
	switch r.Message {
	case "oktaretry: shared store lost, going on with local state":
		c.lost.Add(1)
	case "oktaretry: shared store back":
		c.back.Add(1)
	}
	return nil
}
func (c *changes) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c *changes) WithGroup(string) slog.Handler      { return c }
