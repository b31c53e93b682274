package fleet_test

// This file tests the scripts: that they do what the store in memory does, to
// which the simulations of internal/pace hold, and what Redis asks of them.

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/oktaretry/oktaretry/fleet"
	"github.com/oktaretry/oktaretry/fleet/internal/redistest"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/shared"
)

// newStore returns a store on a server of its own, for a test that runs beside others.
func newStore(t *testing.T, opts ...fleet.Option) (*fleet.Store, *redis.Client) {
	t.Helper()
	t.Parallel() // half of its time it waits for the server's answers
	return newStoreOn(t, redistest.Any(t), opts...)
}

func newStoreOn(t *testing.T, addr string, opts ...fleet.Option) (*fleet.Store, *redis.Client) {
	t.Helper()
	client := redistest.Client(addr)
	t.Cleanup(func() { client.Close() })
	s, err := fleet.New(client, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s, client
}

// seeds returns how many courses of events are compared: a third of them without -full.
func seeds() uint64 {
	if *full {
		return 60
	}
	return 20
}

// tolerance is what both stores' durations may differ by: the time between two questions.
const tolerance = 300 * time.Millisecond

// compare has both stores go through random courses of events, one for each seed. A
// difference counts if the course took no longer than is tolerated: a busy machine may
// else have let a second of one store's pass, so the course is repeated.
func compare(t *testing.T, course func(seed uint64) error) {
	t.Helper()
	for seed := range seeds() {
		var err error
		for range 50 {
			began := time.Now()
			if err = course(seed); err == nil || time.Since(began) < tolerance {
				break
			}
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// Random courses of events, in which nothing depends on milliseconds: both
// stores must hand out the same places and tell of the same window.
func TestScriptsDoWhatTheStoreInMemoryDoes(t *testing.T) {
	s, client := newStore(t)
	compare(t, func(seed uint64) error {
		client.FlushAll(t.Context())
		m := sharedtest.NewMemory()
		random := rand.New(rand.NewPCG(seed, 3))
		b := shared.Bucket{Host: "acme.okta.com", Bucket: "GET /api/v1/users/{id}", Credential: "c"}
		limit := []int{5, 40, 600, 3000}[random.IntN(4)]
		id, remaining := int64(1_700_000_000), limit
		told := map[string]int64{}
		has := map[string]int{}
		utilization := []float64{1, 0.7, 0.001}[random.IntN(3)]
		for step := range 120 {
			holder := string(rune('a' + random.IntN(6)))
			if random.IntN(40) == 0 {
				id += 60
				remaining = limit
			}
			remaining = max(remaining-random.IntN(10), 0)
			r := shared.LeaseRequest{
				Holder: holder, LastWindowID: told[holder], MaxUtilization: utilization * []float64{1, 0.9}[holder[0]%2],
				Unused: random.IntN(has[holder] + 1), InFlight: random.IntN(5), ScoutsEnded: random.IntN(3) / 2,
				Interactive: random.IntN(30) * random.IntN(2), Background: random.IntN(30) * random.IntN(2), Prefetch: random.IntN(10),
			}
			r.Returned = (has[holder] - r.Unused) * random.IntN(2)
			r.Age = time.Minute * time.Duration(random.IntN(2))
			r.Taken = random.IntN(20) / 18
			switch random.IntN(12) {
			case 0:
				r.Refused = time.Hour * time.Duration(random.IntN(2)) / 3600
			case 1:
				r.Late = true
			case 2:
				r.Unbound = random.IntN(10) == 0
			}
			if random.IntN(4) > 0 {
				seen := id - int64(random.IntN(2)) - 60*int64(random.IntN(8)/7)
				r.Seen = shared.Window{ID: seen, Limit: limit, Remaining: min(remaining+random.IntN(4), limit),
					Ends: []time.Duration{-time.Second, 50 * time.Second, time.Hour}[random.IntN(3)]}
			}
			want, err1 := m.Lease(t.Context(), b, r)
			got, err2 := s.Lease(t.Context(), b, r)
			if err1 != nil || err2 != nil {
				return errors.Join(err1, err2)
			}
			told[holder] = want.Window.ID
			has[holder] = r.Unused + want.Places
			near(&got.Retry, want.Retry)
			near(&got.Lasts, want.Lasts)
			near(&got.Window.Ends, want.Window.Ends)
			if got != want {
				return fmt.Errorf("step %d: to %+v\nRedis  says %+v\nmemory says %+v", step, r, got, want)
			}
		}
		return nil
	})
}

// near makes d equal to a duration from which it differs by no more than what
// lies between two questions.
func near(d *time.Duration, want time.Duration) {
	if diff := *d - want; diff < tolerance && diff > -tolerance {
		*d = want
	}
}

func TestCircuitScriptsDoWhatTheStoreInMemoryDoes(t *testing.T) {
	s, client := newStore(t)
	compare(t, func(seed uint64) error {
		client.FlushAll(t.Context())
		m := sharedtest.NewMemory()
		random := rand.New(rand.NewPCG(seed, 4))
		ids := []shared.CircuitID{
			{Host: "acme.okta.com:8443"},
			{Host: "acme.okta.com:8443", Method: "GET", Template: "/api/v1/users/{userId}"},
		}
		for step := range 60 {
			id := ids[random.IntN(2)]
			holder := fmt.Sprintf("p%d.x", random.IntN(3))
			var want, got shared.Circuit
			var err1, err2 error
			what := random.IntN(5)
			if what < 2 {
				ttl := time.Minute * time.Duration(random.IntN(4)) / 3 // 0: overdue at once
				want, err1 = m.Probe(t.Context(), id, holder, ttl)
				got, err2 = s.Probe(t.Context(), id, holder, ttl)
			} else {
				r := shared.Report{Holder: holder, Process: holder[:2], Event: shared.Event(random.IntN(3)), Needed: 1 + random.IntN(2)}
				if random.IntN(3) == 0 {
					r.OpenFor = time.Minute
				}
				want, err1 = m.Report(t.Context(), id, r)
				got, err2 = s.Report(t.Context(), id, r)
			}
			if err1 != nil || err2 != nil {
				return errors.Join(err1, err2)
			}
			near(&got.Wait, want.Wait)
			if got != want {
				return fmt.Errorf("step %d: Redis says %+v, memory %+v", step, got, want)
			}
			a, _ := m.Circuits(t.Context(), ids[0].Host)
			b, err := s.Circuits(t.Context(), ids[0].Host)
			if err != nil || len(a) != len(b) {
				return fmt.Errorf("step %d: Redis lists %+v, memory %+v: %v", step, b, a, err)
			}
			for _, c := range b {
				for _, d := range a {
					if near(&c.Wait, d.Wait); c.CircuitID == d.CircuitID && c != d {
						return fmt.Errorf("Redis lists %+v, memory %+v", c, d)
					}
				}
			}
		}
		return nil
	})
}

func TestEveryKeyExpiresAndHasTheHashTagOfItsScript(t *testing.T) {
	s, client := newStore(t, fleet.WithPrefix("acme:"))
	ctx := t.Context()
	b := shared.Bucket{Host: "acme.okta.com", Bucket: "GET /api/v1/users/{id}", Credential: "0123456789abcdef"}
	s.Lease(ctx, b, shared.LeaseRequest{Holder: "a", Interactive: 1, MaxUtilization: 1})
	id := shared.CircuitID{Host: "acme.okta.com"}
	s.Report(ctx, id, shared.Report{OpenFor: time.Minute})
	s.Probe(ctx, id, "a", time.Minute)
	keys := client.Keys(ctx, "*").Val()
	if len(keys) != 3 {
		t.Errorf("keys %q, want 3", keys)
	}
	tags := map[string]int{}
	for _, k := range keys {
		if ttl := client.TTL(ctx, k).Val(); ttl < 14*time.Minute || ttl > 17*time.Minute {
			t.Errorf("%s expires in %s", k, ttl)
		}
		rest, found := strings.CutPrefix(k, "acme:{")
		tag, _, closed := strings.Cut(rest, "}:")
		if !found || !closed || tag == "" || strings.Contains(tag, b.Credential) {
			t.Errorf("key %s", k)
		}
		tags[tag]++
		for _, value := range client.HGetAll(ctx, k).Val() {
			if strings.Contains(value, b.Credential) {
				t.Errorf("%s holds the credential's hash", k)
			}
		}
	}
	if len(tags) != 2 || tags["acme.okta.com"] != 1 {
		t.Errorf("hash tags %v, want one for the bucket's two keys and one for the host", tags)
	}
}

func TestScriptsSurviveAFlushOfScripts(t *testing.T) {
	s, client := newStore(t)
	b := shared.Bucket{Host: "h", Bucket: "b"}
	for range 3 {
		if _, err := s.Lease(t.Context(), b, shared.LeaseRequest{Holder: "a", Interactive: 1, MaxUtilization: 1}); err != nil {
			t.Fatal(err)
		}
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLostPlacesComeBackWithTheNextWindowAtTheLatest(t *testing.T) {
	addr, pass := redistest.Clocked(t)
	s, _ := newStoreOn(t, addr)
	b := shared.Bucket{Host: "h", Bucket: "b"}
	ask := func(holder string, id int64, remaining, wants int) shared.Lease {
		l, err := s.Lease(t.Context(), b, shared.LeaseRequest{
			Holder: holder, Interactive: wants, MaxUtilization: 1, LastWindowID: id,
			Seen: shared.Window{ID: id, Limit: 10, Remaining: remaining, Ends: time.Minute},
		})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := ask("dies", 1000, 10, 10); l.Places != 10 {
		t.Fatalf("%d places, want 10", l.Places)
	}
	if l := ask("lives", 1000, 10, 10); l.Places != 0 || l.Retry > time.Second {
		t.Errorf("%d places, retry in %s; want none yet, and to ask again soon", l.Places, l.Retry)
	}
	if l := ask("lives", 1060, 10, 10); l.Places != 0 {
		t.Errorf("%d places at once, though ten calls may be under way into this window", l.Places)
	}
	pass(sharedtest.Lasts + sharedtest.Grace - time.Millisecond)
	if l := ask("lives", 1060, 10, 10); l.Places != 0 {
		t.Errorf("%d places while those calls may still be under way", l.Places)
	}
	pass(time.Millisecond)
	if l := ask("lives", 1060, 10, 10); l.Places != 10 {
		t.Errorf("%d places of the next window, want all 10", l.Places)
	}
}

func TestAShareOfTheWindowIsNeverLeased(t *testing.T) {
	s, _ := newStore(t)
	b := shared.Bucket{Host: "h", Bucket: "b"}
	places, has := 0, map[string]int{}
	for i := range 20 {
		holder := string(rune('a' + i%4))
		l, err := s.Lease(t.Context(), b, shared.LeaseRequest{
			Holder: holder, Interactive: 50, MaxUtilization: 0.7, LastWindowID: 1000, InFlight: has[holder],
			Seen: shared.Window{ID: 1000, Limit: 100, Remaining: 100, Ends: time.Minute},
		})
		if err != nil {
			t.Fatal(err)
		}
		places += l.Places
		has[holder] += l.Places
	}
	if places != 70 {
		t.Errorf("%d places of 100 were leased, want 70", places)
	}
}

// A window of the far future, told of by mistake, once was known for ever: all
// that headers said seemed to be older.
func TestAWindowThatIsOverGivesWayToOneThatRuns(t *testing.T) {
	redis, _ := newStore(t)
	for name, s := range map[string]shared.Store{"Redis": redis, "memory": sharedtest.NewMemory()} {
		ask := func(id int64, ends time.Duration) shared.Lease {
			l, err := s.Lease(t.Context(), shared.Bucket{Host: "h", Bucket: "b"}, shared.LeaseRequest{
				Holder: "a", Interactive: 5, MaxUtilization: 1, Seen: shared.Window{ID: id, Limit: 10, Remaining: 10, Ends: ends},
			})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		ask(32_503_680_000, time.Millisecond)
		time.Sleep(10 * time.Millisecond)
		if l := ask(1000, time.Minute); l.Window.ID != 1000 {
			t.Errorf("%s knows of window %d, want 1000", name, l.Window.ID)
		}
	}
}

// One absurd answer once kept the whole fleet out for an hour.
func TestNeitherARefusalNorAWindowIsBelievedForMoreThanAMinute(t *testing.T) {
	redis, _ := newStore(t)
	for name, s := range map[string]shared.Store{"Redis": redis, "memory": sharedtest.NewMemory()} {
		for what, r := range map[string]shared.LeaseRequest{
			"refusal": {Refused: 365 * 24 * time.Hour},
			"window":  {Seen: shared.Window{ID: 1000, Limit: 10, Remaining: 0, Ends: 59 * time.Minute}},
		} {
			r.Holder, r.Interactive, r.MaxUtilization = "a", 5, 1
			l, err := s.Lease(t.Context(), shared.Bucket{Host: "h", Bucket: what}, r)
			if err != nil {
				t.Fatal(err)
			}
			if most := 61 * time.Second; l.Places > 0 || l.Retry < 50*time.Second || l.Retry > most || l.Window.Ends > most {
				t.Errorf("%s, %s: %+v, want no place for a minute", name, what, l)
			}
		}
	}
}

// A failover to a server whose clock is ten minutes behind: what was to last for
// seconds once lasted for ten minutes.
func TestAClockThatIsSetBackHoldsNobody(t *testing.T) {
	s, client := newStore(t)
	ctx := t.Context()
	b := shared.Bucket{Host: "h", Bucket: "b"}
	r := shared.LeaseRequest{
		Holder: "a", Interactive: 1, MaxUtilization: 1, Refused: 5 * time.Second,
		Seen: shared.Window{ID: 1000, Limit: 10, Remaining: 0, Ends: 5 * time.Second},
	}
	if l, err := s.Lease(ctx, b, r); err != nil || !l.Held {
		t.Fatal(l, err)
	}
	host := shared.CircuitID{Host: "h"}
	if _, err := s.Report(ctx, host, shared.Report{OpenFor: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	const ahead = int64(10 * time.Minute / time.Microsecond)
	window := client.Keys(ctx, "*:window").Val()[0]
	for _, field := range []string{"at", "ends", "held", "overdue", "scouted", "unbound"} {
		client.HIncrBy(ctx, window, field, ahead)
	}
	circuits := client.Keys(ctx, "*:circuits").Val()[0]
	client.HIncrBy(ctx, circuits, "#", ahead)
	var until int64
	fmt.Sscanf(client.HGet(ctx, circuits, "").Val(), "%d:", &until)
	client.HSet(ctx, circuits, "", fmt.Sprintf("%d:%d:0:0:1::", until+ahead, ahead))

	if l, err := s.Lease(ctx, b, shared.LeaseRequest{Holder: "b", Interactive: 1, MaxUtilization: 1}); err != nil || l.Places != 1 {
		t.Errorf("%+v, %v: the bucket is held", l, err)
	}
	if list, err := s.Circuits(ctx, "h"); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v: the circuit is open", list, err)
	}
}

// Of processes with settings of their own, for a while or for ever, the one that
// leaves most to others once left it to its own fleet.
func TestTheLowestShareThatAProcessIsToldHoldsForAll(t *testing.T) {
	redis, _ := newStore(t)
	for name, s := range map[string]shared.Store{"Redis": redis, "memory": sharedtest.NewMemory()} {
		places, has := 0, map[int]int{}
		for i := range 12 {
			l, err := s.Lease(t.Context(), shared.Bucket{Host: "h", Bucket: "b"}, shared.LeaseRequest{
				Holder: string(rune('a' + i%3)), Interactive: 50, MaxUtilization: []float64{0.7, 1, 0.9}[i%3], LastWindowID: 1000, InFlight: has[i%3],
				Seen: shared.Window{ID: 1000, Limit: 100, Remaining: 100, Ends: time.Minute},
			})
			if err != nil {
				t.Fatal(err)
			}
			places += l.Places
			has[i%3] += l.Places
		}
		if places > 70 {
			t.Errorf("%s: %d places of 100 were leased, want 70 at most", name, places)
		}
	}
}

func TestOptionsAreCheckedAtOnce(t *testing.T) {
	_, err := fleet.New(nil, nil, fleet.WithPrefix("a{b}"))
	for _, want := range []string{"client is nil", "option 1 is nil", "WithPrefix"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestZeroStoreReportsHowToMakeOne(t *testing.T) {
	if _, err := fleet.New((*redis.Client)(nil)); err == nil || !strings.Contains(err.Error(), "client is nil") {
		t.Errorf("New took a nil client: %v", err)
	}
	for name, s := range map[string]*fleet.Store{"zero": {}, "nil": nil} {
		_, err1 := s.Lease(t.Context(), shared.Bucket{}, shared.LeaseRequest{})
		_, err2 := s.Circuits(t.Context(), "acme.okta.com")
		_, err3 := s.Probe(t.Context(), shared.CircuitID{}, "a", time.Second)
		_, err4 := s.Report(t.Context(), shared.CircuitID{}, shared.Report{})
		for i, err := range []error{err1, err2, err3, err4} {
			if err == nil || !strings.Contains(err.Error(), "make one with New") {
				t.Errorf("%s: question %d: %v", name, i+1, err)
			}
		}
	}
}

// A server of its own for each test; this only says that the helper works.
func TestServerIsEmptyAfterARestart(t *testing.T) {
	t.Parallel() // half of its time it waits for the server
	server := redistest.New(t)
	client := redistest.Client(server.Addr, onceDialled)
	defer client.Close()
	ctx := context.Background()
	if err := client.Set(ctx, "a", "b", 0).Err(); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if err := client.Get(ctx, "a").Err(); err == nil || err == redis.Nil {
		t.Errorf("a killed server answers: %v", err)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := client.Get(ctx, "a").Err(); err != redis.Nil {
		t.Errorf("after the restart: %v, want nothing", err)
	}
}

// What answered on the port was once taken for the server, which had found it taken, and
// was gone when another test killed it.
func TestServerWhosePortIsTakenDoesNotStart(t *testing.T) {
	t.Parallel() // half of its time it waits for the server
	server, other := redistest.New(t), redistest.New(t)
	server.Kill()
	server.Addr = other.Addr
	if err := server.Restart(); err == nil {
		t.Error("it has started on another's port")
	}
}

// A holder died with all places that were left. When its time is over, one call is to
// find out what it used, and no other until that had time to answer.
func TestOnePlaceFindsOutWhatADeadHolderUsed(t *testing.T) {
	s, client := newStore(t)
	ctx := t.Context()
	b := shared.Bucket{Host: "h", Bucket: "b"}
	seen := shared.Window{ID: 1000, Limit: 10, Remaining: 10, Ends: 50 * time.Second}
	lease := func(holder string, r shared.LeaseRequest) shared.Lease {
		t.Helper()
		r.Holder, r.MaxUtilization = holder, 1
		l, err := s.Lease(ctx, b, r)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := lease("dead", shared.LeaseRequest{Interactive: 10, Seen: seen}); l.Places != 10 {
		t.Fatalf("%+v, want all places", l)
	}
	if l := lease("b", shared.LeaseRequest{Interactive: 3}); l.Places != 0 || l.Retry > 4*time.Second {
		t.Errorf("%+v, want none until the other's time is over", l)
	}
	holders := client.Keys(ctx, "*:holders").Val()[0]
	parts := strings.Split(client.HGet(ctx, holders, "dead").Val(), ":")
	parts[3], parts[4] = "1", "1" // long over
	client.HSet(ctx, holders, "dead", strings.Join(parts, ":"))
	if l := lease("b", shared.LeaseRequest{Interactive: 3}); l.Places != 1 || l.Lasts > time.Second {
		t.Errorf("%+v, want one place for a second", l)
	}
	if l := lease("c", shared.LeaseRequest{Interactive: 3}); l.Places != 0 || l.Retry > time.Second {
		t.Errorf("%+v, want none while that is out", l)
	}
	seen.Remaining = 7 // the dead one had used two, and this is the third
	if l := lease("b", shared.LeaseRequest{Interactive: 3, LastWindowID: 1000, Seen: seen}); l.Places != 3 {
		t.Errorf("%+v, want three of the seven that are left", l)
	}
}
