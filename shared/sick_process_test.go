// This file tests that a process whose own network is broken stops nobody else's calls.

package shared_test

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/fault"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/shared"
)

// broken is a process's own trouble: an error, or a bare status for one endpoint. The
// store hears of no error of connecting, of others and of a status: one of each kind
// suffices where two processes have it, unless all are asked for.
type broken struct {
	name   string
	err    error
	status int
	first  bool // of its kind
}

var troubles = []broken{
	{name: "connections are reset", err: &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, first: true},
	{name: "connections end", err: io.ErrUnexpectedEOF},
	{name: "connections are refused", err: &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, first: true},
	{name: "no route", err: &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}},
	{name: "names are not found for now", err: &net.DNSError{Err: "server misbehaving", Name: "example.okta.com", IsTemporary: true}},
	{name: "something else answers TLS", err: tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}},
	{name: "TLS takes too long", err: errors.New("net/http: TLS handshake timeout")},
	{name: "its proxy is overloaded", status: http.StatusServiceUnavailable, first: true},
	{name: "its proxy has a bad gateway", status: http.StatusBadGateway},
}

// network is a process's way to Okta, which answers after 20 ms.
type network struct {
	trouble atomic.Pointer[broken] // nil: none
	sent    atomic.Int64
}

func (n *network) RoundTrip(req *http.Request) (*http.Response, error) {
	n.sent.Add(1)
	time.Sleep(20 * time.Millisecond)
	resp := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: req, ProtoMajor: 1, ProtoMinor: 1}
	if b := n.trouble.Load(); b != nil {
		resp.StatusCode = b.status
		if b.err != nil {
			return nil, b.err
		}
	}
	return resp, nil
}

// fleetOf returns processes with a network each and one store.
func fleetOf(t *testing.T, n int, store shared.Store) (networks []*network, all []*oktaretry.Transport) {
	for range n {
		net := new(network)
		rt, err := oktaretry.NewTransport(net, oktaretry.WithShared(store))
		if err != nil {
			t.Fatal(err)
		}
		networks, all = append(networks, net), append(all, rt)
	}
	return networks, all
}

// calls makes so many calls of a process, with a pause between them, and returns how
// many failed.
func calls(t *testing.T, p *oktaretry.Transport, n int, pause time.Duration) (failed int) {
	paths := []string{"/oauth2/v1/keys", "/oauth2/default/v1/keys", "/api/v1/users/me"}
	for i := range n {
		req, _ := http.NewRequestWithContext(oktaretry.WithNoRetry(t.Context()), http.MethodGet, rig.Org+paths[i%3], nil)
		resp, err := p.RoundTrip(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			failed++
		}
		if err == nil {
			resp.Body.Close()
		}
		time.Sleep(pause)
	}
	return failed
}

var full = flag.Bool("full", false, "let two processes have each trouble, not only the first of each kind")

func TestSickProcessesStopNobodyElse(t *testing.T) {
	for _, trouble := range troubles {
		for _, sick := range []int{1, 2} {
			if sick > 1 && !trouble.first && !*full {
				continue
			}
			rig.Virtual(t, fmt.Sprintf("%s, for %d of 10", trouble.name, sick), func(t *testing.T) {
				networks, all := fleetOf(t, 10, sharedtest.NewFaulty(t))
				failed := make([]int, 10)
				var wg sync.WaitGroup
				for i, p := range all {
					wg.Go(func() {
						failed[i] = calls(t, p, 20, 100*time.Millisecond) // all is well
						if i < sick {
							networks[i].trouble.Store(&trouble)
						}
						failed[i] = calls(t, p, 300, 100*time.Millisecond)
					})
				}
				wg.Wait()
				for i, n := range failed {
					if i >= sick && n > 0 {
						t.Errorf("%d of 300 calls of the healthy process %d failed", n, i)
					}
					if i < sick && n < 290 {
						t.Errorf("%d of 300 calls of the sick process %d failed", n, i)
					}
				}
			})
		}
	}
}

// They have seen nothing of Okta yet when they hear of it.
func TestSickProcessStopsNobodyWhoComesLater(t *testing.T) {
	for _, trouble := range troubles {
		rig.Virtual(t, trouble.name, func(t *testing.T) {
			networks, all := fleetOf(t, 10, sharedtest.NewFaulty(t))
			networks[0].trouble.Store(&trouble)
			var wg sync.WaitGroup
			wg.Go(func() { calls(t, all[0], 600, 100*time.Millisecond) })
			for i := 1; i < 10; i++ {
				wg.Go(func() {
					time.Sleep(time.Duration(i) * 3 * time.Second)
					for range 3 { // and rest between
						if n := calls(t, all[i], 20, 10*time.Millisecond); n > 0 {
							t.Errorf("%d of 20 calls of the healthy process %d failed", n, i)
						}
						time.Sleep(7 * time.Second)
					}
				})
			}
			wg.Wait()
		})
	}
}

// That no connection can be made is told to nobody, not even by two of them; what came
// over a connection is.
func TestErrorsOfConnectingAreNotReported(t *testing.T) {
	for _, trouble := range troubles {
		rig.Virtual(t, trouble.name, func(t *testing.T) {
			store := sharedtest.NewFaulty(t)
			networks, all := fleetOf(t, 2, store)
			for i, p := range all {
				networks[i].trouble.Store(&trouble)
				calls(t, p, 60, 50*time.Millisecond)
				if got := rig.Circuits(p, "open"); len(got) == 0 {
					t.Error("no circuit is open")
				}
			}
			local := trouble.err != nil && fault.Connecting(trouble.err)
			if n := store.Asked("report"); (n == 0) != local {
				t.Errorf("%d reports reached the store", n)
			}
		})
	}
}

// What all see, all keep from, and one probe after another goes out for all of them:
// the calls that reach the host meanwhile are few.
func TestOutageThatAllSeeIsSharedByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		networks, all := fleetOf(t, 10, sharedtest.NewFaulty(t))
		start := time.Now()
		var wg sync.WaitGroup
		late := make([]time.Duration, 10) // the latest failure
		for i, p := range all {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 7 * time.Millisecond)
				for time.Since(start) < 90*time.Second {
					if calls(t, p, 1, 100*time.Millisecond) > 0 {
						late[i] = time.Since(start)
					}
				}
			})
		}
		time.Sleep(5 * time.Second)
		for _, n := range networks {
			n.trouble.Store(&troubles[0])
			n.sent.Store(0)
		}
		time.Sleep(time.Minute)
		var sent int64
		for _, n := range networks {
			sent += n.sent.Load()
			n.trouble.Store(nil)
		}
		if sent > 10*20+15 {
			t.Errorf("%d calls reached the host in its outage, want 20 of each process, which make sure, and the probes of a minute", sent)
		}
		wg.Wait()
		for i, d := range late {
			if d > 72*time.Second {
				t.Errorf("process %d was refused until %s after the outage, OpenFor is 5 s", i, d-65*time.Second)
			}
		}
	})
}
