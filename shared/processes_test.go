// This file holds the processes of these tests: Transports over one fake Okta,
// with one store.

package shared_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/gotest"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/shared"
)

func TestMain(m *testing.M) { os.Exit(gotest.Main(m)) }

// process is one of a fleet.
type process struct {
	*oktaretry.Transport
	log *bytes.Buffer // slog's handlers lock
}

// storeLines returns the log lines about the store.
func (p process) storeLines() (lines []string) {
	for line := range strings.Lines(p.log.String()) {
		if strings.Contains(line, "shared store") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// send makes a call of a process, all of which have one token.
func send(t testing.TB, ctx context.Context, p process, target string) rig.Call {
	return rig.Do(t, ctx, p, "GET", target, "", "Authorization", "SSWS the-token")
}

// newProcesses makes n processes over one fake Okta with one user, whose calls
// take 50 ms and of which limit may come in a minute.
func newProcesses(t *testing.T, n, limit int, store shared.Store, edit func(*oktaretry.Policy), opts ...oktatest.Option) ([]process, *oktatest.Okta, string) {
	t.Helper()
	okta := oktatest.New(append([]oktatest.Option{
		oktatest.WithUsers(1), oktatest.WithLimit(rig.UserBucket, limit), oktatest.WithLatency(50 * time.Millisecond),
	}, opts...)...)
	p := oktaretry.DefaultPolicy()
	if edit != nil {
		edit(&p)
	}
	var all []process
	for range n {
		log := new(bytes.Buffer)
		settings := []oktaretry.Option{oktaretry.WithPolicy(p), oktaretry.WithLogger(slog.New(slog.NewTextHandler(log, nil)))}
		if store != nil {
			settings = append(settings, oktaretry.WithShared(store))
		}
		rt, err := oktaretry.NewTransport(okta.Transport(), settings...)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, process{rt, log})
	}
	return all, okta, rig.Org + "/api/v1/users/" + okta.UserIDs()[0]
}

// runCalls makes calls by so many workers of each process, and checks that each
// succeeds.
func runCalls(t *testing.T, all []process, target string, workers, calls int) []rig.Call {
	t.Helper()
	var mu sync.Mutex
	var done []rig.Call
	left := calls
	var wg sync.WaitGroup
	for _, p := range all {
		for range workers {
			wg.Go(func() {
				for {
					mu.Lock()
					left--
					more := left >= 0
					mu.Unlock()
					if !more {
						return
					}
					c := send(t, t.Context(), p, target).Is(200)
					mu.Lock()
					done = append(done, c)
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	return done
}
