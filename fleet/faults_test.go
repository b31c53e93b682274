package fleet_test

// This file tests what calls notice of a real redis-server that is killed,
// paused, emptied, full, read-only, locked or replaced by something else.

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/fleet"
	"github.com/oktaretry/oktaretry/fleet/internal/redistest"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/shared"
)

// TestMain lets more tests run at once than there are cores, for they wait; with many
// more, a question of one would take longer than its patience on a busy machine.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "8") // unless -parallel is given
	os.Exit(m.Run())
}

// process is one Transport over a fake Okta in memory, with a real store.
type process struct {
	*oktaretry.Transport
	okta   *oktatest.Okta
	target string
	log    lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newProcess(t *testing.T, client redis.UniversalClient) *process {
	t.Helper()
	store, err := fleet.New(client)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{okta: oktatest.New(oktatest.WithUsers(1), oktatest.WithLatency(20*time.Millisecond),
		oktatest.WithLimit("GET /api/v1/users/{id}", 100_000))}
	p.target = "https://acme.okta.com/api/v1/users/" + p.okta.UserIDs()[0]
	p.Transport, err = oktaretry.NewTransport(p.okta.Transport(), oktaretry.WithShared(store, oktaretry.SharedTimeout(patience)),
		oktaretry.WithLogger(slog.New(slog.NewTextHandler(&p.log, nil))))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	// patience with the store is twenty times the default's, lest a store on a busy
	// machine count as lost.
	patience = time.Second
	// bound is what a call may take: patience, twice, and much more for a busy machine.
	// What has no end without the patience takes thirty times as long.
	bound = 10 * patience
)

// callsUntil makes calls until f returns nil, and checks that each succeeds in time.
func (p *process) callsUntil(t *testing.T, what string, f func() error) {
	t.Helper()
	stop := p.traffic(t, 1)
	defer stop()
	until(t, what, f)
}

// loses makes calls until the log says that the store is lost, and on until two probes of
// it have failed: it is said once.
func (p *process) loses(t *testing.T) {
	t.Helper()
	p.callsUntil(t, "the loss is noticed", func() error {
		if lost, _ := p.storeLines(); lost == 0 {
			return errors.New("the store is not lost")
		}
		return nil
	})
	stop := p.traffic(t, 1)
	time.Sleep(250 * time.Millisecond)
	stop()
	p.says(t, 1, 0)
}

// regains makes calls until the log says that the store is back, which is said once.
func (p *process) regains(t *testing.T) {
	t.Helper()
	began := time.Now()
	p.callsUntil(t, "the store is back", p.whole)
	// Probes are 1.25 s apart at most; a part that fails for 10 s would be forgotten.
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the store is back after %s", took)
	}
	p.says(t, 1, 1)
}

// uses makes calls until the server at addr has run a script for them.
func (p *process) uses(t *testing.T, addr string) {
	t.Helper()
	p.callsUntil(t, "the store is used", func() error {
		return used(func(context.Context) []string { return []string{addr} })(t.Context())
	})
}

// says checks how often the log says that the store is lost, and back.
func (p *process) says(t *testing.T, lost, back int) {
	t.Helper()
	text := p.log.String()
	if l, b := strings.Count(text, "shared store lost"), strings.Count(text, "shared store back"); l != lost || b != back {
		t.Errorf("the log says %d times that the store is lost and %d times that it is back, want %d and %d:\n%s", l, b, lost, back, text)
	}
}

// withoutEnd takes go-redis's own bounds off what waits for a server: the transport's
// patience must do.
func withoutEnd(o *redis.Options) { o.ReadTimeout, o.WriteTimeout = 30*bound, 30*bound }

func TestRedisDiesAndComesBack(t *testing.T) {
	t.Parallel() // it waits for most of its time
	for _, tt := range []struct {
		name     string
		ill      func(*redistest.Server)
		recovers func(*testing.T, *redistest.Server)
	}{
		{"killed, and restarted empty", (*redistest.Server).Kill, func(t *testing.T, s *redistest.Server) {
			if err := s.Restart(); err != nil {
				t.Fatal(err)
			}
		}},
		{"paused", (*redistest.Server).Pause, func(_ *testing.T, s *redistest.Server) { s.Resume() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.New(t)
			client := redistest.Client(server.Addr, withoutEnd)
			defer client.Close()
			p := newProcess(t, client)
			p.uses(t, server.Addr)
			tt.ill(server)
			p.loses(t)
			tt.recovers(t, server)
			p.regains(t)
			p.uses(t, server.Addr)
		})
	}
}

func TestRedisThatAnswersErrors(t *testing.T) {
	t.Parallel() // it waits for most of its time
	for _, tt := range []struct {
		name string
		args []string
		edit func(*redis.Options)
		ill  func(*testing.T, *redis.Client)
		well func(*testing.T, *redis.Client)
		word string
	}{
		{name: "wrong credentials", args: []string{"--requirepass", "right"}, edit: func(o *redis.Options) { o.Password = "wrong" }, word: "WRONGPASS"},
		{name: "no credentials", args: []string{"--requirepass", "right"}, word: "unauthenticated"},
		{name: "full", args: []string{"--maxmemory", "3mb", "--maxmemory-policy", "noeviction"}, ill: func(t *testing.T, c *redis.Client) {
			for i := range 10_000 {
				if c.Set(t.Context(), "filler"+strconv.Itoa(i), strings.Repeat("x", 10_000), 0).Err() != nil {
					return
				}
			}
			t.Fatal("it never got full")
		}, well: func(t *testing.T, c *redis.Client) { c.FlushAll(t.Context()) }, word: "OOM"},
		{name: "a replica of a dead master", ill: func(t *testing.T, c *redis.Client) {
			c.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1")
		}, well: func(t *testing.T, c *redis.Client) { c.Do(t.Context(), "REPLICAOF", "NO", "ONE") }, word: "READONLY"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.New(t, tt.args...)
			var edits []func(*redis.Options)
			if tt.edit != nil {
				edits = append(edits, tt.edit)
			}
			client := redistest.Client(server.Addr, edits...)
			defer client.Close()
			if tt.ill != nil {
				tt.ill(t, client)
			}
			p := newProcess(t, client)
			p.loses(t)
			if !strings.Contains(p.log.String(), tt.word) {
				t.Errorf("no %s in the log:\n%s", tt.word, p.log.String())
			}
			if tt.well != nil {
				tt.well(t, client)
				p.regains(t)
			}
		})
	}
}

// What listens there is no Redis, or is one that talks nonsense.
func TestServerThatTalksNonsense(t *testing.T) {
	t.Parallel() // it waits for most of its time
	for name, answer := range map[string]string{
		"HTTP":               "HTTP/1.1 400 Bad Request\r\n\r\n",
		"garbage":            "\x00\xff\x17garbage\r\n\r\n",
		"answers all OK":     "+OK\r\n",
		"answers all with 7": ":7\r\n",
		"huge lengths":       "*2147483647\r\n$2147483647\r\n",
		"closes":             "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						defer c.Close()
						buffer := make([]byte, 4096)
						for answer != "" {
							if _, err := c.Read(buffer); err != nil {
								return
							}
							if _, err := io.WriteString(c, answer); err != nil {
								return
							}
						}
					}()
				}
			}()
			client := redistest.Client(l.Addr().String())
			defer client.Close()
			newProcess(t, client).loses(t)
		})
	}
}

// A failover, as far as one machine shows it: the old master becomes a replica
// and the client is led to the new one.
func TestFailover(t *testing.T) {
	t.Parallel() // it waits for most of its time
	master, replica := redistest.New(t), redistest.New(t)
	ctx := t.Context()
	admin := redistest.Client(replica.Addr)
	defer admin.Close()
	if err := admin.Do(ctx, "REPLICAOF", "127.0.0.1", strconv.Itoa(master.Port())).Err(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	addr := master.Addr
	client := redistest.Client(master.Addr, func(o *redis.Options) {
		o.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}
	})
	defer client.Close()
	p := newProcess(t, client)
	p.uses(t, master.Addr)
	master.Kill()
	p.loses(t)
	if err := admin.Do(ctx, "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	addr = replica.Addr
	mu.Unlock()
	p.regains(t)
	p.uses(t, replica.Addr)
}

func TestScriptsAreFlushedWhileCallsGo(t *testing.T) {
	t.Parallel() // it waits for most of its time
	server := redistest.New(t)
	client := redistest.Client(server.Addr)
	defer client.Close()
	p := newProcess(t, client)
	stop := p.traffic(t, tokens)
	for range 5 {
		client.ScriptFlush(t.Context())
		before, err := redistest.Commands(t.Context(), server.Addr)
		if err != nil {
			t.Fatal(err)
		}
		until(t, "a script is run", func() error {
			if now, err := redistest.Commands(t.Context(), server.Addr); err != nil || now == before {
				return fmt.Errorf("%d scripts, %v", now, err)
			}
			return nil
		})
	}
	stop()
	p.says(t, 0, 0)
}

// A call that waits since another process has all places is told that the store is
// dead, and so are those behind it and those that come later.
func TestCallsThatWaitAreToldOfTheLossAtOnce(t *testing.T) {
	t.Parallel() // it waits for most of its time
	for name, ill := range map[string]func(*redistest.Server){
		"killed": (*redistest.Server).Kill,
		"paused": (*redistest.Server).Pause,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.New(t)
			client := redistest.Client(server.Addr, withoutEnd)
			defer client.Close()
			p := newProcess(t, client)
			const limit = 30
			p.okta.SetLimit("GET /api/v1/users/{id}", limit)
			p.call(t, "") // it knows the window now
			waits := make(chan struct{})
			go takePlaces(t, client, limit-1, waits)
			<-waits
			sent := p.okta.Arrived()
			done := make(chan time.Time, 3)
			for range cap(done) {
				go func() {
					p.call(t, "")
					done <- time.Now()
				}()
			}
			until(t, "the calls wait", func() error {
				if b := p.Snapshot().Buckets; len(b) != 1 || b[0].Waiting != cap(done) {
					return fmt.Errorf("buckets %+v", b)
				}
				return nil
			})
			time.Sleep(100 * time.Millisecond)
			if n := p.okta.Arrived(); n != sent {
				t.Fatalf("%d calls had a place", n-sent)
			}
			ill(server)
			dead := time.Now()
			for range cap(done) {
				at := <-done
				t.Logf("a call that waited went on %s after the loss", at.Sub(dead).Round(time.Millisecond))
				if took := at.Sub(dead); took > bound {
					t.Errorf("it waited for %s more", took)
				}
			}
			p.says(t, 1, 0)
			late := time.Now()
			p.call(t, "")
			t.Logf("a later call took %s", time.Since(late).Round(time.Millisecond))
		})
	}
}

// takePlaces leases so many places of the bucket that process's calls go to, as a busy
// process would, and keeps them until the store is lost. It closes have when it has them.
func takePlaces(t *testing.T, client redis.UniversalClient, places int, have chan struct{}) {
	store, err := fleet.New(client)
	if err != nil {
		t.Error(err)
	}
	bucket := shared.Bucket{Host: "acme.okta.com", Bucket: "GET /api/v1/users/{id}"}
	for has := 0; ; time.Sleep(50 * time.Millisecond) {
		lease, err := store.Lease(t.Context(), bucket, shared.LeaseRequest{Holder: "other", Unused: has, Interactive: 30, MaxUtilization: 1})
		if err != nil {
			return
		}
		if has += lease.Places; has == places && have != nil {
			close(have)
			have = nil
		}
	}
}
