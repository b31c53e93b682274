package oktatest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

// certainly are lists that are always late, by up to d.
func certainly(d time.Duration) oktatest.Option {
	return oktatest.WithLag(1, oktatest.LateReads{Chance: 1, UpTo: d, Patterns: []string{
		"GET /api/v1/users", "GET /api/v1/groups", "GET /api/v1/groups/{id}/users", "GET /api/v1/users/{id}/groups"}})
}

// found is how many entries a list shows.
func found(t *testing.T, rt http.RoundTripper, path string) int {
	t.Helper()
	return len(do(t, rt, "GET", org+path, "").list(t))
}

func search(expression string) string { return "/api/v1/users?search=" + url.QueryEscape(expression) }

func TestALateListShowsWhatWasBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(certainly(2*time.Second), oktatest.WithUsers(1), oktatest.WithGroups(1))
		rt := o.Transport()
		group := o.GroupIDs()[0]
		members := "/api/v1/groups/" + group + "/users"
		lists := func(when string, want map[string]int) {
			t.Helper()
			for path, n := range want {
				if got := found(t, rt, path); got != n {
					t.Errorf("%s: %s shows %d, want %d", when, path, got, n)
				}
			}
		}
		if n := found(t, rt, "/api/v1/users"); n != 1 {
			t.Errorf("%d users from the start, want 1", n)
		}
		ann := addUser(t, rt, "ann", "Eng")
		groups := "/api/v1/users/" + ann + "/groups"
		wantStatus(t, do(t, rt, "PUT", org+members+"/"+ann, ""), 204)
		lists("at once", map[string]int{
			"/api/v1/users": 1, "/api/v1/users?q=ann": 0, search(`profile.login eq "ann@x.test"`): 0, members: 0, groups: 1, // Everyone
		})
		wantStatus(t, do(t, rt, "GET", org+"/api/v1/users/"+ann, ""), 200) // by id, and by login
		wantStatus(t, do(t, rt, "GET", org+"/api/v1/users/ann@x.test", ""), 200)
		time.Sleep(2*time.Second + 1)
		lists("after 2 s", map[string]int{
			"/api/v1/users": 2, "/api/v1/users?q=ann": 1, search(`profile.login eq "ann@x.test"`): 1, members: 1, groups: 2,
		})

		wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/"+ann, `{"profile":{"department":"Law"}}`), 200)
		wantStatus(t, do(t, rt, "DELETE", org+members+"/"+ann, ""), 204)
		lists("changed", map[string]int{search(`profile.department eq "Eng"`): 1, search(`profile.department eq "Law"`): 0, members: 1})
		for range 2 {
			wantStatus(t, do(t, rt, "DELETE", org+"/api/v1/users/"+ann, ""), 204)
		}
		lists("deleted", map[string]int{"/api/v1/users?q=ann": 1, members: 1})
		wantCode(t, do(t, rt, "GET", org+"/api/v1/users/"+ann, ""), 404, "E0000007")
		time.Sleep(2*time.Second + 1)
		lists("2 s later", map[string]int{"/api/v1/users?q=ann": 0, members: 0})
	})
}

func TestLagIsOffUnlessAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New()
		rt := o.Transport()
		if addUser(t, rt, "a", ""); found(t, rt, "/api/v1/users") != 1 {
			t.Error("late without being asked for")
		}
		always := oktatest.LateSearches
		always.Chance = 1
		o.SetLag(1, always)
		if addUser(t, rt, "b", ""); found(t, rt, "/api/v1/users") != 1 {
			t.Error("not late after SetLag, or late about what was written before")
		}
		if _, err := o.AddUser("", map[string]any{"login": "c@x.test", "email": "c@x.test"}); err != nil {
			t.Fatal(err)
		}
		if found(t, rt, "/api/v1/users") != 2 {
			t.Error("late about a user from before")
		}
		if o.EndLag(); found(t, rt, "/api/v1/users") != 3 {
			t.Error("late after EndLag")
		}
	})
}

// missed is how many of n lists of members miss one who was added so long before, and the
// readings of five polls after each add: "0" missing, "1" there.
func missed(t *testing.T, seed uint64, n int) (missing int, polls string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLag(seed), oktatest.WithUsers(n), oktatest.WithGroups(1), oktatest.WithoutLimits())
		rt := o.Transport()
		members := "/api/v1/groups/" + o.GroupIDs()[0] + "/users"
		var all strings.Builder
		for i, id := range o.UserIDs() {
			do(t, rt, "PUT", org+members+"/"+id, "")
			time.Sleep(time.Duration(i%20) * 100 * time.Millisecond) // 0 to 2 s
			there := found(t, rt, members+"?limit=1000") == 1
			if !there {
				missing++
			}
			fmt.Fprint(&all, map[bool]int{true: 1}[there])
			do(t, rt, "DELETE", org+members+"/"+id, "")
			time.Sleep(3 * time.Second)
		}
		polls = all.String()
	})
	return missing, polls
}

func TestMembersAreMissedAsOftenAsRecorded(t *testing.T) {
	const n = 1000
	missing, _ := missed(t, 1, n)
	if share := float64(missing) / n; share < 0.02 || share > 0.045 {
		t.Errorf("%.1f %% of the lists miss a member added 0 to 2 s before, want about 12 in 386 (3.1 %%)", 100*share)
	}
}

func TestUsersAreMissedAsOftenAsRecorded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLag(1), oktatest.WithoutLimits())
		rt := o.Transport()
		const n = 700
		missing := 0
		for i := range n {
			name := fmt.Sprint("u", i)
			addUser(t, rt, name, "")
			time.Sleep(time.Second + time.Duration(i%20)*100*time.Millisecond) // 1 to 3 s
			if found(t, rt, search(`profile.login eq "`+name+`@x.test"`)) == 0 {
				missing++
			}
			for range 2 {
				do(t, rt, "DELETE", org+"/api/v1/users/"+name+"@x.test", "")
			}
		}
		if share := float64(missing) / n; share < 0.03 || share > 0.06 {
			t.Errorf("%.1f %% of the searches miss a user created 1 to 3 s before, want about 5 in 117 (4.3 %%)", 100*share)
		}
	})
}

func TestTheSameSeedMissesTheSame(t *testing.T) {
	_, first := missed(t, 5, 300)
	if _, again := missed(t, 5, 300); again != first {
		t.Error("the same seed and the same calls, but other lags")
	}
	if _, other := missed(t, 6, 300); other == first {
		t.Error("another seed, but the same lags")
	}
}

func TestFoundGoneAndFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := oktatest.New(oktatest.WithLag(3, oktatest.LateReads{Chance: 0.4, UpTo: 2 * time.Second, Patterns: []string{"GET /api/v1/users"}})).Transport()
		addUser(t, rt, "ann", "")
		var seen []int
		for range 20 {
			seen = append(seen, found(t, rt, search(`profile.login eq "ann@x.test"`)))
			time.Sleep(50 * time.Millisecond)
		}
		if s := fmt.Sprint(slices.Compact(seen)); !strings.Contains(s, "1 0 1") {
			t.Errorf("%v, want found, gone and found again within a second", seen)
		}
	})
}

func TestLagsThatMakeNoSensePanic(t *testing.T) {
	list := []string{"GET /api/v1/users"}
	for part, r := range map[string]oktatest.LateReads{
		"without patterns": {Chance: 1},
		"Chance":           {Patterns: list, Chance: 1.5},
		"UpTo":             {Patterns: list, UpTo: -1},
		"no list":          {Patterns: []string{"GET /api/v1/users/{id}"}},
	} {
		wantPanic(t, part, func() { oktatest.WithLag(1, r) })
	}
}
