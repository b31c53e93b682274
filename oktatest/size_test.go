package oktatest_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/oktaretry/oktaretry/oktatest"
)

// What an operation allocates must not grow with the org: in Everyone are all of its users.
func TestOperationsCostNoMoreInALargeOrg(t *testing.T) {
	cost := func(users int) map[string]uint64 {
		o := oktatest.New(oktatest.WithUsers(users), oktatest.WithGroups(10), oktatest.WithoutLimits(), oktatest.WithJournal(0))
		rt, group := o.Transport(), org+"/api/v1/groups/"+o.GroupIDs()[0]
		for i := range 20 { // room for those to come
			created(t, o, "", person(fmt.Sprintf("before%d@x.test", i)))
		}
		spent := map[string]uint64{}
		const times = 20
		measure := func(name string, f func(i int)) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for i := range times {
				f(i)
			}
			runtime.ReadMemStats(&after)
			spent[name] = (after.TotalAlloc - before.TotalAlloc) / times
		}
		user := func(i int) string { return fmt.Sprintf("u%d@x.test", i) }
		measure("create", func(i int) { created(t, o, "", person(user(i))) })
		measure("update", func(i int) { do(t, rt, "POST", org+"/api/v1/users/"+user(i), `{"profile":{"nickName":"A"}}`) })
		measure("join", func(i int) { wantStatus(t, do(t, rt, "PUT", group+"/users/"+user(i), ""), 204) })
		measure("groups of a user", func(i int) { do(t, rt, "GET", org+"/api/v1/users/"+user(i)+"/groups", "") })
		measure("page of users", func(int) { do(t, rt, "GET", org+"/api/v1/users?limit=10&after="+o.EveryoneID(), "") })
		measure("deactivate", func(i int) { wantStatus(t, do(t, rt, "DELETE", org+"/api/v1/users/"+user(i), ""), 204) })
		measure("delete", func(i int) { wantStatus(t, do(t, rt, "DELETE", org+"/api/v1/users/"+user(i), ""), 204) })
		return spent
	}
	small := cost(100)
	for name, bytes := range cost(20_000) {
		if bytes > 2*small[name]+4096 {
			t.Errorf("%s: %d bytes with 20,000 users, %d with 100", name, bytes, small[name])
		}
	}
}
