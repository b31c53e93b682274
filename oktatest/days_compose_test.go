package oktatest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

func TestEachDayIsFoundByItsName(t *testing.T) {
	names := oktatest.DayNames()
	if len(names) != 17 || !slices.IsSorted(names) {
		t.Errorf("%d names: %v", len(names), names)
	}
	for _, name := range names {
		d, ok := oktatest.DayNamed(name)
		if !ok || d.Name() != name || d.About() == "" || strings.Contains(d.About(), "\n") {
			t.Errorf("%s: %v, %q, %q", name, ok, d.Name(), d.About())
		}
	}
	if _, ok := oktatest.DayNamed("doomsday"); ok {
		t.Error("a day of no name of ours")
	}
}

// statuses are those of as many calls.
func statuses(t *testing.T, rt http.RoundTripper, n int) (all string) {
	for range n {
		all += fmt.Sprint(do(t, rt, "GET", org+"/api/v1/users", "").StatusCode/100, " ")
	}
	return strings.TrimSpace(all)
}

func TestDayBeginsAndEndsInItsTime(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		var seen []string
		for range 6 {
			seen = append(seen, fmt.Sprint(do(t, rt, "GET", org+"/api/v1/users", "").StatusCode))
			time.Sleep(time.Second)
		}
		if got := strings.Join(seen, " "); got != "200 200 503 503 503 200" {
			t.Error(got)
		}
		if days := o.Days(); len(days) != 0 {
			t.Errorf("%d days are on", len(days))
		}
	}, oktatest.WithDay(oktatest.EdgeOutage(3*time.Second).From(2*time.Second)))
}

func TestDayIsBegunAndEndedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1))
		rt := o.Transport()
		time.Sleep(time.Hour)
		end := o.Begin(oktatest.EdgeOutage(0).From(time.Second), oktatest.SlowAnswers(time.Second))
		if names := o.Days(); len(names) != 2 || names[0].Name() != "edge-outage" || names[1].Name() != "slow-answers" {
			t.Errorf("on: %v", names)
		}
		start := time.Now()
		if got := statuses(t, rt, 3); got != "2 5 5" || time.Since(start) != time.Second {
			t.Errorf("%s in %s", got, time.Since(start))
		}
		end()
		end()
		if got := statuses(t, rt, 1); got != "2" || len(o.Days()) != 0 {
			t.Errorf("%s, %v", got, o.Days())
		}
		o.Begin(oktatest.EdgeOutage(time.Minute))
		o.Begin(oktatest.EdgeOutage(time.Hour), oktatest.ReadOnly())
		if n := o.EndDays("edge-outage"); n != 2 {
			t.Errorf("%d outages ended", n)
		}
		if n := o.EndDays(); n != 1 {
			t.Errorf("%d days ended", n)
		}
	})
}

func TestDayBeginsWithTheFirstRequestThatItMeans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1), oktatest.WithDay(
			oktatest.EdgeOutage(2*time.Second).On("GET /api/v1/users").FromFirst(time.Second)))
		time.Sleep(time.Hour)
		do(t, o.Transport(), "GET", org+"/api/v1/groups", "")
		time.Sleep(time.Hour)
		seen := ""
		for range 4 {
			seen += statuses(t, o.Transport(), 1)
			time.Sleep(time.Second)
		}
		if seen != "2552" || len(o.Days()) != 0 {
			t.Errorf("%s, on: %v", seen, o.Days())
		}
	})
}

func TestDayOfOnesOwnPlaysItsStepsInACircle(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1), oktatest.WithDay(
		oktatest.DayOf("brownout", oktatest.Code("E0000009"), oktatest.EdgePage(504)).Every(3)))
	var seen []string
	for range 9 {
		seen = append(seen, fmt.Sprint(do(t, o.Transport(), "GET", org+"/api/v1/users", "").StatusCode))
	}
	if got := strings.Join(seen, " "); got != "200 200 500 200 200 504 200 200 500" {
		t.Error(got)
	}
	wantPanic(t, "no step", func() { oktatest.DayOf("idle") })
	wantPanic(t, "outermost", func() { oktatest.DayOf("twice", oktatest.Times(2, oktatest.Reset)) })
	wantPanic(t, "nil step", func() { oktatest.DayOf("nothing", nil) })
}

// Pass is answered by the days after it, then by the limits and the API.
func TestPassInADayOfOnesOwnMeetsTheOtherDaysAndTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1), oktatest.WithDay(
			oktatest.DayOf("late", oktatest.Delay(time.Second, oktatest.Pass)),
			oktatest.DayOf("later", oktatest.Delay(time.Second, oktatest.CutBody(oktatest.Pass))),
			oktatest.DoubledResets()))
		start := time.Now()
		a := do(t, o.Transport(), "GET", org+"/api/v1/users", "")
		if a.StatusCode != 200 || a.err == nil || len(a.Header["X-Rate-Limit-Reset"]) != 2 || time.Since(start) != 2*time.Second {
			t.Errorf("%d, %v, %v in %s", a.StatusCode, a.err, a.Header, time.Since(start))
		}
		o.Script("*", oktatest.Gzip(oktatest.Pass))
		if a = do(t, o.Transport(), "GET", org+"/api/v1/users", ""); a.err == nil {
			t.Error("a script's Pass passed the days, too")
		}
	})
}

func TestDayMeetsTheRequestsOfItsPatterns(t *testing.T) {
	rt := oktatest.New(oktatest.WithUsers(1), oktatest.WithDay(
		oktatest.EdgeOutage(0).On("GET /api/v1/groups", "/api/v1/users/{id}"))).Transport()
	for path, want := range map[string]int{"/api/v1/users": 200, "/api/v1/users/user00000@example.com": 503, "/api/v1/groups": 503} {
		wantStatus(t, do(t, rt, "GET", org+path, ""), want)
	}
}

// The same seed and requests bring the same.
func TestDayMeetsByChanceAsItsSeedHasIt(t *testing.T) {
	run := func(seed uint64) string {
		return statuses(t, oktatest.New(oktatest.WithDay(oktatest.EdgeOutage(0).Chance(0.4).Seed(seed))).Transport(), 200)
	}
	one := run(1)
	if n := strings.Count(one, "5"); n < 50 || n > 110 {
		t.Errorf("%d of 200 calls met a day of chance 0.4", n)
	}
	if one != run(1) || one == run(2) {
		t.Error("the seed does not decide")
	}
	if got := statuses(t, oktatest.New(oktatest.WithDay(oktatest.EdgeOutage(0).Chance(0))).Transport(), 3); got != "2 2 2" {
		t.Errorf("chance 0: %s", got)
	}
}

// The quota is eaten and each answer is late and has a doubled Reset, all at a time.
func TestDaysGoOnTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1), oktatest.WithLimit("/api/v1/users", 10), oktatest.WithDay(
			oktatest.QuotaEaten(0.5), oktatest.SlowAnswers(time.Second), oktatest.DoubledResets(), oktatest.ReadOnly()))
		start := time.Now()
		a := do(t, o.Transport(), "GET", org+"/api/v1/users", "")
		if a.StatusCode != 200 || a.Header.Get("X-Rate-Limit-Remaining") != "4" || len(a.Header["X-Rate-Limit-Reset"]) != 2 || time.Since(start) != time.Second {
			t.Errorf("%d after %s: %v", a.StatusCode, time.Since(start), a.Header)
		}
		wantCode(t, do(t, o.Transport(), "POST", org+"/api/v1/users", newUser("new@example.com")), 503, "E0000010")
	})
}

func TestScriptsGoBeforeDaysAndPassMeetsThem(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1), oktatest.WithDay(oktatest.EdgeOutage(0)))
	o.Script("*", oktatest.Code("E0000007"), oktatest.Pass)
	if got := statuses(t, o.Transport(), 3); got != "4 5 5" {
		t.Error(got)
	}
}

func TestEdgeOutageTakesNoPlaceAndAPIErrorsDo(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1), oktatest.WithDay(oktatest.EdgeOutage(0).On("GET *"), oktatest.ReadOnly()))
	do(t, o.Transport(), "GET", org+"/api/v1/users", "")
	do(t, o.Transport(), "POST", org+"/api/v1/users", newUser("new@example.com"))
	if n := o.Used("/api/v1/users"); n != 1 {
		t.Errorf("%d places taken, want the refused write's", n)
	}
}

func TestDaysThatMakeNoSensePanicWhereTheyAreWritten(t *testing.T) {
	d := oktatest.ReadOnly()
	wantPanic(t, "Day.Chance(1.5)", func() { d.Chance(1.5) })
	wantPanic(t, "Day.From(-1s)", func() { d.From(-time.Second) })
	wantPanic(t, "Day.For(-1s)", func() { d.For(-time.Second) })
	wantPanic(t, "Day.On", func() { d.On() })
	wantPanic(t, "must begin with a slash", func() { d.On("GET users") })
	wantPanic(t, "QuotaEaten(2)", func() { oktatest.QuotaEaten(2) })
	wantPanic(t, "WithDay", func() { oktatest.WithDay(oktatest.Day{}) })
	wantPanic(t, "Begin", func() { oktatest.New().Begin(oktatest.Day{}) })
}
