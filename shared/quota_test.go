// This file tests what processes that share a store do together: the quota they
// use, what they leave to others, who goes first.

package shared_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/shared"
)

func TestFleetUsesTheWholeQuotaWithoutA429(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []oktatest.Option
	}{
		{"windows that open with their first request", nil},
		{"windows on the full minute", []oktatest.Option{oktatest.WithWindow(time.Minute, 0)}},
		{"windows of 10 s from the middle of a second on", []oktatest.Option{oktatest.WithWindow(10*time.Second, 3500*time.Millisecond)}},
		{"Okta's clock 10 minutes behind", []oktatest.Option{oktatest.WithClockSkew(-10 * time.Minute)}},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			store := sharedtest.NewFaulty(t)
			all, okta, target := newProcesses(t, 4, 100, store, nil, tt.opts...)
			began := time.Now()
			runCalls(t, all, target, 10, 450)
			if n := okta.Answered(429); n > 0 {
				t.Errorf("%d answers of 429, want none", n)
			}
			length := time.Minute
			if len(tt.opts) > 0 && strings.HasPrefix(tt.name, "windows of 10 s") {
				length = 10 * time.Second
			}
			if took := time.Since(began); took > 4*length+5*time.Second {
				t.Errorf("it took %s: not all places were used", took)
			}
			if n := store.Asked("lease"); n > 450/2 {
				t.Errorf("the store was asked %d times for places of 450 calls", n)
			}
			for _, p := range all {
				if lines := p.storeLines(); len(lines) > 0 {
					t.Errorf("the store was lost: %s", lines)
				}
			}
		})
	}
}

func TestFleetLeavesAShareToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, okta, target := newProcesses(t, 4, 100, sharedtest.NewFaulty(t), func(p *oktaretry.Policy) { p.Pace.MaxUtilization = 0.7 })
		began := time.Now()
		runCalls(t, all, target, 10, 70)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the first 70 took %s", took)
		}
		if n := okta.Used(rig.UserBucket); n != 70 {
			t.Errorf("%d places are used", n)
		}
		runCalls(t, all, target, 1, 1)
		if took := time.Since(began); took < 50*time.Second {
			t.Errorf("the 71st call came after %s, into the same window", took)
		}
	})
}

// Another program takes places. One process learns it from its headers, and all
// heed it.
func TestHeadersCorrectTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, okta, target := newProcesses(t, 4, 100, sharedtest.NewFaulty(t), nil)
		runCalls(t, all, target, 2, 20)
		if n := okta.Consume(rig.UserBucket, 50); n != 50 {
			t.Fatalf("%d places were taken", n)
		}
		runCalls(t, all, target, 5, 130)
		if n := okta.Answered(429); n > 20 { // no more than were in flight
			t.Errorf("%d answers of 429 though the headers show the other program's calls", n)
		}
	})
}

func Test429InOneProcessHoldsTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, okta, target := newProcesses(t, 3, 100, sharedtest.NewFaulty(t), nil)
		runCalls(t, all, target, 1, 3)
		time.Sleep(5 * time.Second)
		okta.Script("GET /api/v1/users/{id}", oktatest.RateLimited(10*time.Second))
		first := make(chan rig.Call)
		go func() { first <- send(t, t.Context(), all[0], target) }()
		time.Sleep(time.Second)
		var wg sync.WaitGroup
		for _, p := range all[1:] {
			wg.Go(func() {
				c := send(t, t.Context(), p, target).Is(200)
				if c.Took < 8*time.Second {
					t.Errorf("a call of another process went after %s, though the bucket is held", c.Took)
				}
				if len(c.Outcome.Attempts) != 1 {
					t.Errorf("%d attempts", len(c.Outcome.Attempts))
				}
			})
		}
		wg.Wait()
		(<-first).Is(200)
	})
}

// Background calls of one process wait until interactive calls of another have
// gone, when there is not enough for both.
func TestInteractiveCallsOfOneProcessGoBeforeBackgroundCallsOfAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, _, target := newProcesses(t, 2, 20, sharedtest.NewFaulty(t), nil)
		runCalls(t, all, target, 2, 20) // the window is used up
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		for i := range 40 {
			p, ctx, name := all[0], oktaretry.WithPriority(t.Context(), oktaretry.PriorityBackground), "background"
			if i >= 20 {
				p, ctx, name = all[1], t.Context(), "interactive"
			}
			wg.Go(func() {
				send(t, ctx, p, target).Is(200)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, name)
			})
			synctest.Wait()
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		background := 0
		for _, name := range order[:20] {
			if name == "background" {
				background++
			}
		}
		if background > 2 { // the scout, and who had a place already
			t.Errorf("%d background calls went in the window that 20 interactive ones waited for: %v", background, order)
		}
	})
}

func TestLeasesOfADeadProcessReturnWithTheNextWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, okta, target := newProcesses(t, 2, 100, store, nil)
		runCalls(t, all, target, 2, 10)
		// It takes all that there is and is never heard of again.
		l, err := store.Memory.Lease(t.Context(), onlyBucket(t, store), shared.LeaseRequest{Holder: "dead", Interactive: 1000, MaxUtilization: 1})
		if err != nil || l.Places < 30 {
			t.Fatalf("%d places, %v", l.Places, err)
		}
		began := time.Now()
		runCalls(t, all, target, 10, 90-l.Places+100)
		if took := time.Since(began); took > 70*time.Second {
			t.Errorf("it took %s", took)
		}
		if n := okta.Answered(429); n > 0 {
			t.Errorf("%d answers of 429", n)
		}
	})
}

// onlyBucket returns the bucket that a store was asked for.
func onlyBucket(t *testing.T, s *sharedtest.Faulty) shared.Bucket {
	t.Helper()
	list := s.Buckets()
	if len(list) != 1 {
		t.Fatalf("the store knows of %d buckets", len(list))
	}
	return list[0]
}

func TestBucketsWithoutLimitsDontAskTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, _, target := newProcesses(t, 2, 100, store, nil, oktatest.WithLimit(rig.UserBucket, -1))
		runCalls(t, all, target, 5, 40) // ten quiet answers of each process show that there are none
		before := store.Asked("lease")
		runCalls(t, all, target, 5, 200)
		if n := store.Asked("lease") - before; n > 4 {
			t.Errorf("the store was asked %d times for places that need none", n)
		}
	})
}

// A worker that makes one call after the other has its places in batches, too.
func TestSingleWorkerLeasesInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, _, target := newProcesses(t, 1, 1000, store, nil)
		runCalls(t, all, target, 1, 300)
		if n := store.Asked("lease"); n > 60 {
			t.Errorf("the store was asked %d times for 300 calls", n)
		}
	})
}

func TestSmoothSpreadsTheCallsOfAFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all, okta, target := newProcesses(t, 4, 240, sharedtest.NewFaulty(t), func(p *oktaretry.Policy) { p.Pace.Smooth = true })
		runCalls(t, all, target, 1, 8)
		time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
		okta.Forget()
		began := time.Now()
		runCalls(t, all, target, 4, 120)
		if took := time.Since(began); took < 20*time.Second || took > 45*time.Second {
			t.Errorf("half of the quota took %s, want about half of the minute", took)
		}
	})
}

func TestCredentialsReachTheStoreAsKeyedHashes(t *testing.T) {
	jwt := func(claims string) string {
		return "Bearer eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	// In virtual time: in real time the store's 50 ms were over once on a busy machine.
	name := func(authorization string, opts ...oktaretry.SharedOption) (credential string) {
		synctest.Test(t, func(t *testing.T) {
			store := sharedtest.NewFaulty(t)
			okta := oktatest.New(oktatest.WithUsers(1))
			rt, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithShared(store, opts...))
			if err != nil {
				t.Fatal(err)
			}
			rig.Do(t, t.Context(), rt, "GET", rig.Org+"/api/v1/users/"+okta.UserIDs()[0], "", "Authorization", authorization).Is(200)
			b := onlyBucket(t, store)
			if b.Host != "example.okta.com" || b.Bucket != rig.UserBucket {
				t.Errorf("bucket %+v", b)
			}
			if token := strings.TrimPrefix(authorization, "SSWS "); token != "" && strings.Contains(b.Credential, token) {
				t.Errorf("the store gets %s", b.Credential)
			}
			credential = b.Credential
		})
		return credential
	}
	secret := func(s string) oktaretry.SharedOption { return oktaretry.SharedSecret([]byte(s)) }
	byTenant := oktaretry.SharedCredential(func(*http.Request) string { return "the client" })
	a := name("SSWS abc")
	for _, tt := range []struct {
		name  string
		got   string
		alike bool
		to    string
	}{
		{"the same token", name("SSWS abc"), true, a},
		{"another token", name("SSWS abd"), false, a},
		{"a secret", name("SSWS abc", secret("0123456789abcdef")), false, a},
		{"the same secret", name("SSWS abc", secret("0123456789abcdef")), true, name("SSWS abc", secret("0123456789abcdef"))},
		{"another secret", name("SSWS abc", secret("0123456789abcdef")), false, name("SSWS abc", secret("0123456789abcdeg"))},
		{"tokens of one client", name(jwt(`{"cid":"0oa1","iss":"i","jti":"1"}`)), true, name(jwt(`{"cid":"0oa1","iss":"i","jti":"2"}`))},
		{"tokens of two clients", name(jwt(`{"cid":"0oa1"}`)), false, name(jwt(`{"cid":"0oa2"}`))},
		{"JWTs without a client", name(jwt(`{"jti":"1"}`)), false, name(jwt(`{"jti":"2"}`))},
		{"what is no JWT", name("Bearer a.!.c"), false, name("Bearer a.?.c")},
		{"a name for the client", name("SSWS abc", byTenant), true, name("SSWS xyz", byTenant)},
		{"no credential", name(""), true, ""},
	} {
		if (tt.got == tt.to) != tt.alike {
			t.Errorf("%s: %q and %q", tt.name, tt.got, tt.to)
		}
	}
}

func TestSharedOptionsReportEveryFault(t *testing.T) {
	_, err := oktaretry.NewTransport(nil, oktaretry.WithShared(nil, nil, oktaretry.SharedTimeout(0),
		oktaretry.SharedSecret([]byte("short")), oktaretry.SharedCredential(nil)))
	for _, want := range []string{"WithShared: is nil", "option 1 is nil", "SharedTimeout", "SharedSecret", "SharedCredential"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// A call's own end is heeded while the store is asked, and counts for nothing
// against the store.
func TestCanceledCallIsNoFailureOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		all, okta, target := newProcesses(t, 1, 100, store, nil)
		runCalls(t, all, target, 1, 1)
		time.Sleep(time.Minute) // the next call must ask
		store.Takes.Store(int64(40 * time.Millisecond))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Millisecond, cancel)
		c := send(t, ctx, all[0], target).TookBetween(10*time.Millisecond, 10*time.Millisecond)
		if !errors.Is(c.Err, context.Canceled) {
			t.Errorf("error %v", c.Err)
		}
		n := okta.Arrived()
		time.Sleep(100 * time.Millisecond)
		runCalls(t, all, target, 1, 1)
		if okta.Arrived() != n+1 || len(all[0].storeLines()) > 0 {
			t.Errorf("%d requests, log %s", okta.Arrived()-n, all[0].storeLines())
		}
	})
}
