// This file tests when a bucket is split by the limits that its answers name, and
// what becomes of its calls.

package pace_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/pace"
)

// kind is what tells calls apart here: a name.
type kind string

func (k kind) KindID() (id uint64) {
	for i := range len(k) {
		id = id*256 + uint64(k[i])
	}
	return id
}

func (k kind) KindName() string { return string(k) }

// uncalled fails the test where it is read.
type uncalled struct{ t *testing.T }

func (u uncalled) KindID() uint64   { u.t.Error("a call's kind was read"); return 0 }
func (u uncalled) KindName() string { u.t.Error("a kind's name was read"); return "" }

func enterKind(g *pace.Governor, now time.Time, k pace.Kind) *pace.Ticket {
	t := new(pace.Ticket)
	g.Enter(t, now, users, pace.Call{Kind: k}, new(pace.Hint))
	return t
}

// sendKind sends a call that is answered a millisecond later.
func sendKind(t *testing.T, g *pace.Governor, now time.Time, k pace.Kind, s pace.Seen) pace.End {
	t.Helper()
	ticket := enterKind(g, now, k)
	mustGo(t, ticket, now)
	return ticket.Done(now.Add(time.Millisecond), s)
}

// answers sends calls a second apart, each with its kind and the limit that its
// answer names: "list 600". It returns what they were split into.
func answers(t *testing.T, g *pace.Governor, calls ...string) (split []string) {
	t.Helper()
	for i, c := range calls {
		var name string
		var limit int
		if _, err := fmt.Sscan(c, &name, &limit); err != nil {
			t.Fatal(err)
		}
		if end := sendKind(t, g, after(time.Duration(i)*second), kind(name), limits(limit, limit/2, time.Hour/2)); end.Split != "" {
			split = append(split, end.Split)
		}
	}
	return split
}

// withoutWaits is a governor whose calls wait for nothing that answers name.
func withoutWaits() *pace.Governor {
	g := pace.New(pace.Config{Disabled: true})
	learnClock(g, users, serverClock{})
	return g
}

// names returns the names of the buckets.
func names(g *pace.Governor) map[string]bool {
	m := map[string]bool{}
	for _, s := range g.States(epoch) {
		m[s.Bucket] = true
	}
	return m
}

// split makes a bucket of lists, 600 a window, and searches, 50 a window.
func split(t *testing.T) *pace.Governor {
	t.Helper()
	g := withoutWaits()
	if got := answers(t, g, "list 600", "search 50", "list 600", "list 600", "list 600", "search 50", "search 50"); len(got) != 1 {
		t.Fatalf("split %q, want once", got)
	}
	g.Configure(pace.Config{})
	return g
}

func part(limit int) pace.Key {
	k := users
	k.Bucket += fmt.Sprintf(" (limit %d)", limit)
	return k
}

func TestBucketIsSplitByWhatKindsOfCallsMeet(t *testing.T) {
	for _, tt := range []struct {
		name  string
		calls []string
		want  []string
	}{
		{"two kinds by turns", []string{"list 600", "search 50", "list 600", "search 50", "list 600", "search 50", "list 600", "search 50"},
			[]string{"list: 600, search: 50"}},
		{"a few of each", []string{"list 600", "search 50", "search 50", "list 600", "list 600", "list 600", "search 50"},
			[]string{"list: 600, search: 50"}},
		{"a third limit later", []string{"a 600", "b 50", "a 600", "b 50", "a 600", "b 50", "a 600", "b 50", "c 10", "c 10", "c 10", "c 10"},
			[]string{"a: 600, b: 50", "a: 600, b: 50, c: 10"}},
		{"a third kind of a known limit", []string{"a 600", "b 50", "a 600", "b 50", "a 600", "b 50", "a 600", "b 50", "c 50", "c 50", "c 50"},
			[]string{"a: 600, b: 50"}},
		{"one limit", []string{"a 600", "b 600", "a 600", "b 600", "a 600", "b 600"}, nil},
		{"a new limit of all", []string{"a 600", "b 600", "a 600", "b 600", "a 300", "b 300", "a 300", "b 300", "a 300", "b 300"}, nil},
		{"a new limit of all, kind by kind", []string{"a 600", "a 600", "a 600", "b 300", "b 300", "b 300", "b 300", "a 300", "a 300", "a 300"}, nil},
		{"a new limit of all after a stray answer", []string{"a 600", "b 50", "a 600", "a 600", "a 600", "c 300", "c 300", "c 300", "c 300"}, nil},
		{"one stray answer", []string{"a 600", "b 600", "a 600", "b 50", "a 600", "b 600", "a 600", "b 600", "a 600", "b 600"}, nil},
		{"one stray answer of a rare kind", []string{"a 600", "a 600", "b 50", "a 600", "a 600", "a 600", "a 600"}, nil},
		{"one kind of several limits", []string{"a 600", "a 50", "a 600", "a 50", "a 50", "a 50", "a 50", "a 600", "a 600", "a 600", "a 50", "a 600"}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := withoutWaits()
			if got := answers(t, g, tt.calls...); strings.Join(got, "; ") != strings.Join(tt.want, "; ") {
				t.Errorf("split into %q, want %q", got, tt.want)
			}
			if got := len(names(g)); tt.want == nil && got != 1 {
				t.Errorf("%d buckets, want one", got)
			}
		})
	}
}

// The answers that a part begins with were got before those of the calls in flight.
func TestCallsInFlightWhenABucketIsSplitCountInItsParts(t *testing.T) {
	for _, end := range []string{"answered", "left"} {
		t.Run(end, func(t *testing.T) {
			g := withoutWaits()
			answers(t, g, "list 600", "search 50", "list 600", "search 50", "list 600", "list 600") // 300 and 25 left
			now := after(10 * second)
			var out []*pace.Ticket
			for range 20 {
				out = append(out, enterKind(g, now, kind("search")))
				mustGo(t, out[len(out)-1], now)
			}
			now = now.Add(time.Millisecond)
			sendKind(t, g, now, kind("search"), limits(50, 24, time.Hour/2))
			g.Configure(pace.Config{})
			now = now.Add(time.Millisecond)
			for range 4 {
				mustGo(t, enterKind(g, now, kind("search")), now)
			}
			next, list := enterKind(g, now, kind("search")), enterKind(g, now, kind("list"))
			mustWait(t, next, now, pace.Answers, 0, time.Second)
			mustGo(t, list, now)
			for i, ticket := range out {
				if woken(next) {
					t.Fatalf("woken after %d calls", i)
				}
				if end == "left" {
					ticket.Leave(now)
				} else {
					ticket.Done(now, pace.Seen{Limit: -1, Remaining: -1, Answered: true}) // a 503, that names no limits
				}
			}
			if !woken(next) {
				t.Error("not woken by the last call")
			}
			mustGo(t, next, now)
		})
	}
}

// A limit that changes for all calls is met in any order by those in flight.
func TestAnswersThatOvertakeEachOtherSplitNothing(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		g := withoutWaits()
		type flight struct {
			ticket *pace.Ticket
			limit  int
			ends   time.Duration
		}
		var flying []flight
		for i := range 300 {
			at := time.Duration(i) * time.Millisecond
			for j := 0; j < len(flying); j++ {
				if f := flying[j]; f.ends <= at {
					if end := f.ticket.Done(after(at), limits(f.limit, f.limit/2, time.Hour/2)); end.Split != "" {
						t.Fatalf("seed %d: split into %s", seed, end.Split)
					}
					flying = append(flying[:j], flying[j+1:]...)
					j--
				}
			}
			ticket := enterKind(g, after(at), kind(string("ab"[r.IntN(2)])))
			mustGo(t, ticket, after(at))
			takes := time.Duration(1+r.IntN(50)) * time.Millisecond
			counted := at + time.Duration(r.Int64N(int64(takes)))
			limit := 600
			if counted >= 150*time.Millisecond {
				limit = 300
			}
			flying = append(flying, flight{ticket, limit, at + takes})
		}
	}
}

func TestKindThatMeetsSeveralLimitsStaysInTheWholeBucket(t *testing.T) {
	g := withoutWaits()
	r := rand.New(rand.NewPCG(1, 2))
	var calls []string
	for range 500 {
		calls = append(calls, "steady 600", fmt.Sprintf("fickle %d", []int{600, 50}[r.IntN(2)]))
	}
	answers(t, g, calls...)
	ticket := enterKind(g, after(time.Hour), kind("fickle"))
	mustGo(t, ticket, after(time.Hour))
	if got := ticket.Bucket(); got != users.Bucket {
		t.Errorf("the fickle kind enters %q, want %q", got, users.Bucket)
	}
}

func TestCallsEnterThePartOfTheirKind(t *testing.T) {
	g := split(t)
	now := after(10 * second)
	for name, want := range map[kind]string{
		"list": part(600).Bucket, "search": part(50).Bucket, "unknown": users.Bucket,
	} {
		ticket := enterKind(g, now, name)
		mustGo(t, ticket, now)
		if got := ticket.Bucket(); got != want {
			t.Errorf("%s enters %q, want %q", name, got, want)
		}
		ticket.Leave(now)
	}
	if s := state(t, g, now, part(50)); s.Limit != 50 || s.Remaining != 25 || s.InFlight != 0 || s.Share != 1 {
		t.Errorf("%+v; want what the answers before the split named, and nothing known of others", s)
	}
	if s := state(t, g, now, users); s.Limit != -1 || !s.HeldUntil.IsZero() {
		t.Errorf("%+v; want nothing known of the calls that are left", s)
	}
	for range 3 {
		now = now.Add(second)
		ticket := enterKind(g, now, kind("late"))
		mustGo(t, ticket, now)
		if got := ticket.Bucket(); got != users.Bucket {
			t.Errorf("a kind that has shown its limit too seldom enters %q", got)
		}
		ticket.Done(now.Add(time.Millisecond), limits(50, 20, time.Hour/2))
	}
	ticket := enterKind(g, now, kind("late"))
	ticket.Ready(now)
	if got := ticket.Bucket(); got != part(50).Bucket {
		t.Errorf("a kind that has shown its limit enters %q", got)
	}
}

func TestPartThatIsRefusedHoldsNoOther(t *testing.T) {
	g := split(t)
	now := after(10 * second)
	if end := sendKind(t, g, now, kind("search"), refusal(50, 0, 50*second)); !end.Held {
		t.Error("a refusal with the limit of the part does not hold it")
	}
	mustWait(t, enterKind(g, now, kind("search")), now, pace.Held, second, time.Hour)
	mustGo(t, enterKind(g, now, kind("list")), now)
	mustGo(t, enterKind(g, now, kind("unknown")), now)
	if end := sendKind(t, g, now, kind("list"), refusal(50, 0, 50*second)); end.Held {
		t.Error("a refusal with the limit of another part holds the list")
	}
}

func TestCallsThatWaitEnterTheirPartOnceTheBucketIsSplit(t *testing.T) {
	g := withoutWaits()
	answers(t, g, "list 600", "search 50", "list 600", "list 600", "list 600", "search 50")
	last := enterKind(g, after(6*second), kind("search"))
	mustGo(t, last, after(6*second))
	old := enterKind(g, after(6*second), kind("search"))
	mustGo(t, old, after(6*second))
	// A search has used up the window that the list, too, is believed to be in.
	sendKind(t, g, after(6*second), kind("other"), limits(50, 0, time.Hour/2))
	g.Configure(pace.Config{})
	unknown := enterKind(g, after(7*second), kind("unknown"))
	mustWait(t, unknown, after(7*second), pace.Exhausted, 1, time.Hour)
	first, next := enterKind(g, after(7*second), kind("list")), enterKind(g, after(7*second), kind("list"))
	mustWait(t, first, after(7*second), pace.Exhausted, 1, time.Hour)
	mustWait(t, next, after(7*second), pace.Exhausted, 1, time.Hour)
	if end := last.Done(after(8*second), limits(50, 20, time.Hour/2)); end.Split == "" {
		t.Fatal("the bucket is not split")
	}
	for _, ticket := range []*pace.Ticket{first, next} {
		if !woken(ticket) {
			t.Error("a call in line was not woken")
		}
		mustGo(t, ticket, after(8*second))
		if got := ticket.Bucket(); got != part(600).Bucket {
			t.Errorf("it entered %q", got)
		}
	}
	unknown.Leave(after(8 * second))
	// What was sent before reports to the part that it would enter now.
	old.Done(after(9*second), limits(50, 7, time.Hour/2))
	if s := state(t, g, after(9*second), part(50)); s.Remaining != 7 {
		t.Errorf("%+v; want 7 left", s)
	}
	if s := state(t, g, after(9*second), users); s.Limit != -1 || s.Waiting != 0 || s.InFlight != 0 {
		t.Errorf("%+v; want nothing left", s)
	}
}

func TestKindIsReadOnlyWhereLimitsDiffer(t *testing.T) {
	g := withoutWaits()
	for range 3 {
		sendKind(t, g, epoch, uncalled{t}, limits(600, 300, time.Minute))
		sendKind(t, g, epoch, uncalled{t}, noLimits)
		sendKind(t, g, epoch, uncalled{t}, refusal(4, 0, time.Minute))
	}
	sendKind(t, g, epoch, kind("a"), limits(300, 150, time.Minute)) // now it may be several
	for i := range 3 {
		sendKind(t, g, after(time.Duration(i)*second), kind("a"), limits(300, 150, time.Minute))
	}
	sendKind(t, g, after(2*time.Hour), kind("a"), limits(300, 150, 2*time.Hour+time.Minute))
	sendKind(t, g, after(2*time.Hour), uncalled{t}, limits(300, 150, 2*time.Hour+time.Minute))
}

func TestCallsWithoutKindAndBucketsThatLimitUsersAreNotSplit(t *testing.T) {
	for name, call := range map[string]pace.Call{
		"no kind":          {},
		"limits of a user": {Traits: pace.Traits{Narrow: true}},
	} {
		g := withoutWaits()
		k := users
		k.Bucket = name
		for i := range 40 {
			at, now := i%2, after(time.Duration(i)*second)
			if call.Narrow {
				call.Kind = []kind{"list", "search"}[at]
			}
			ticket := new(pace.Ticket)
			g.Enter(ticket, now, k, call, new(pace.Hint))
			mustGo(t, ticket, now)
			if end := ticket.Done(now.Add(time.Millisecond), limits([]int{600, 50}[at], 20, time.Hour/2)); end.Split != "" {
				t.Errorf("%s: split into %s", name, end.Split)
			}
		}
	}
}

func TestHostileAlternationFillsNoMemory(t *testing.T) {
	g := withoutWaits()
	for i := range 100_000 {
		name, limit := i%40, 1+i%40 // many kinds, each with a limit of its own
		if i > 20_000 {
			name, limit = i/7%300, 1+i/200%1000
		}
		at := time.Duration(i) * 100 * time.Millisecond
		sendKind(t, g, after(at), kind(fmt.Sprint(name)), limits(limit, limit/2, at+time.Minute))
	}
	if kinds := g.Kinds(users); kinds != 16 {
		t.Errorf("%d kinds are remembered, want 16", kinds)
	}
	if buckets, _ := g.Buckets(); buckets != 17 {
		t.Errorf("%d buckets, want the whole and 16 parts", buckets)
	}
}

func TestSettingsOfABucketHoldForItsParts(t *testing.T) {
	g := split(t)
	g.Configure(pace.Config{BucketRates: map[string]float64{users.Bucket: 0.1}})
	now := after(10 * second)
	mustGo(t, enterKind(g, now, kind("list")), now)
	waiting := enterKind(g, now, kind("search"))
	mustWait(t, waiting, now, pace.Ceiling, 9*second, 11*second)
	waiting.Leave(now)
	g.Configure(pace.Config{RefusalsOnlyBuckets: []string{users.Bucket}})
	sendKind(t, g, now, kind("search"), limits(50, 0, time.Hour/2))
	mustGo(t, enterKind(g, now, kind("search")), now)
}

// A scout that found out about a refusal when the bucket was split returns later.
func TestScoutReturnsToABucketThatIsSplit(t *testing.T) {
	g := withoutWaits()
	answers(t, g, "list 600", "search 50", "list 600", "list 600", "list 600", "search 50")
	sendKind(t, g, after(6*second), kind("list"), refusal(4, 0, time.Minute))
	scout := enterKind(g, after(7*second), kind("unknown"))
	mustGo(t, scout, after(7*second))
	if end := sendKind(t, g, after(8*second), kind("search"), limits(50, 20, time.Hour/2)); end.Split == "" {
		t.Fatal("the bucket is not split")
	}
	scout.Done(after(9*second), limits(600, 200, time.Hour/2))
	mustGo(t, enterKind(g, after(10*second), kind("unknown")), after(10*second))
}
