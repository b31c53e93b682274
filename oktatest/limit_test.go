package oktatest_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

// perName is a limit of 2 in 10 seconds for each value of a header.
var perName = oktatest.Limit{
	Name: "per name", Patterns: []string{logs}, Max: 2, Window: 10 * time.Second,
	Key: func(r oktatest.Request) string { return r.Header.Get("Name") },
}

func TestLimitRefusesOneKeyAndNobodyElse(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		get := func(name string) answer { return do(t, rt, "GET", org+logs, "", "Name", name) }
		for _, want := range []int{200, 200, 429, 429} {
			wantStatus(t, get("a"), want)
		}
		wantCode(t, get("a"), 429, "E0000047")
		for _, other := range []string{"b", "c", ""} { // "" is the key of those who are not limited
			wantStatus(t, get(other), 200)
			wantStatus(t, get(other), 200)
		}
		wantStatus(t, get(""), 200)
		wantStatus(t, do(t, rt, "GET", org+"/api/v1/groups", "", "Name", "a"), 200)
		time.Sleep(10 * time.Second)
		wantStatus(t, get("a"), 200)
		if got := refusals(o); !slices.Equal(got, []string{"per name", "per name", "per name"}) {
			t.Errorf("refused by %q", got)
		}
		for _, r := range o.Requests() {
			if r.RefusedBy != "" && r.Header.Get("Name") != "a" {
				t.Errorf("%q was refused", r.Header.Get("Name"))
			}
		}
	}, oktatest.WithLimits(perName))
}

func TestWhatALimitRefusesTakesNoPlaceAnywhere(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		for range 5 {
			do(t, rt, "GET", org+logs, "", "Name", "a")
		}
		for name, want := range map[string]int{logs: 2, "per name": 2, "all logs": 2} {
			if n := o.Used(name); n != want {
				t.Errorf("%d places of %s used, want %d", n, name, want)
			}
		}
		wantStatus(t, do(t, rt, "GET", org+logs, "", "Name", "b"), 200)
		wantStatus(t, do(t, rt, "GET", org+logs, "", "Name", "b"), 429)
		if n := o.Used("per name"); n != 3 {
			t.Errorf("%d places used, though another limit refused the last request", n)
		}
		if o.RefusedBy("per name") != 3 || o.RefusedBy("all logs") != 1 || o.RefusedBy(logs) != 0 {
			t.Errorf("refused by %q", refusals(o))
		}
		o.Forget()
		if o.RefusedBy("per name") != 0 {
			t.Error("Forget kept the count of refusals")
		}
	}, oktatest.WithLimits(perName, oktatest.Limit{Name: "all logs", Patterns: []string{logs}, Max: 3}), oktatest.WithLimit(logs, 10))
}

func TestLimitReportsWhatItsHeadersSelect(t *testing.T) {
	type report struct {
		limit, remaining int
		reset            time.Duration
	}
	minute := 40 * time.Second // what is left of the bucket's window
	for name, c := range map[string]struct {
		opts              []oktatest.Option
		headers           oktatest.Headers
		accepted, refused report
	}{
		"default":               {nil, 0, report{100, 97, minute}, report{2, 0, 10 * time.Second}},
		"of the refusal":        {nil, oktatest.HeadersOfRefusal, report{100, 97, minute}, report{2, 0, 10 * time.Second}},
		"of the bucket":         {nil, oktatest.HeadersOfBucket, report{100, 97, minute}, report{100, 97, minute}},
		"of the limit":          {nil, oktatest.HeadersOfLimit, report{2, 0, 10 * time.Second}, report{2, 0, 10 * time.Second}},
		"option":                {[]oktatest.Option{oktatest.WithLimitHeaders(oktatest.HeadersOfBucket)}, 0, report{100, 97, minute}, report{100, 97, minute}},
		"own beats option":      {[]oktatest.Option{oktatest.WithLimitHeaders(oktatest.HeadersOfBucket)}, oktatest.HeadersOfRefusal, report{100, 97, minute}, report{2, 0, 10 * time.Second}},
		"no bucket has a limit": {[]oktatest.Option{oktatest.WithLimit(logs, -1)}, oktatest.HeadersOfBucket, report{}, report{2, 0, 10 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			l := perName
			l.Headers = c.headers
			virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
				get := func() answer { return do(t, rt, "GET", org+logs, "", "Name", "a") }
				check := func(a answer, status int, want report) {
					t.Helper()
					wantStatus(t, a, status)
					if want == (report{}) {
						if a.Header.Get("X-Rate-Limit-Limit") != "" {
							t.Errorf("rate-limit headers where nothing limits: %v", a.Header)
						}
						return
					}
					limit, remaining, reset, date := rates(t, a)
					if got := (report{limit, remaining, reset.Sub(date)}); got != want {
						t.Errorf("%d reports %+v, want %+v", status, got, want)
					}
				}
				do(t, rt, "GET", org+logs, "") // opens the bucket's window
				time.Sleep(20 * time.Second)
				get()
				check(get(), 200, c.accepted)
				check(get(), 429, c.refused)
			}, append([]oktatest.Option{oktatest.WithLimits(l), oktatest.WithLimit(logs, 100)}, c.opts...)...)
		})
	}
}

func TestInFlightRefusesTheNarrowEndpointOnly(t *testing.T) {
	const authorize, other = "/oauth2/v1/authorize", "/api/v1/users"
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		for range 2 { // the second round finds all places free again
			o.Forget()
			atOnce(12, func(i int) {
				path := []string{authorize, other}[i%2]
				a := do(t, rt, "GET", org+path, "")
				if a.StatusCode != 429 {
					return
				}
				limit, remaining, reset, date := rates(t, a)
				if path != authorize || limit != 0 || remaining != 0 || reset.Sub(date) < 2*time.Minute {
					t.Errorf("%s: %d of %d left, reset in %v", path, remaining, limit, reset.Sub(date))
				}
			})
			if o.RefusedBy("narrow") != 2 || o.Answered(200) != 6 || o.Answered(400) != 4 {
				t.Errorf("%d refused, %d users, %d authorized", o.RefusedBy("narrow"), o.Answered(200), o.Answered(400))
			}
		}
	}, oktatest.WithLatency(50*time.Millisecond), oktatest.WithConcurrencyLimit(50),
		oktatest.WithLimits(oktatest.Limit{Name: "narrow", Patterns: []string{authorize}, InFlight: 4}))
}

func TestInFlightCountsEachTokenByItself(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		atOnce(9, func(i int) {
			do(t, rt, "GET", org+logs, "", "Authorization", "SSWS "+[]string{"busy", "busy", "quiet"}[i%3])
		})
		if o.Answered(200) != 4+3 || o.RefusedBy("per token") != 2 {
			t.Errorf("%d let in, refused by %q", o.Answered(200), refusals(o))
		}
	}, oktatest.WithLatency(time.Second),
		oktatest.WithLimits(oktatest.Limit{Name: "per token", Patterns: []string{"*"}, InFlight: 4, Key: oktatest.ByCredential}))
}

func TestConcurrencyOfTheOrgAndOfAnEndpointAddUp(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		atOnce(10, func(i int) { do(t, rt, "GET", org+logs, "") })
		// What the narrow limit refuses takes no place in the org's.
		atOnce(10, func(i int) { do(t, rt, "GET", org+[]string{logs, "/api/v1/groups"}[i%2], "") })
		if o.RefusedBy("narrow") != 8+3 || o.RefusedBy(oktatest.Concurrency) != 0 {
			t.Errorf("refused by %q", refusals(o))
		}
		o.SetLimit(oktatest.Concurrency, 1)
		o.SetLimit("narrow", 100)
		o.Forget()
		atOnce(5, func(i int) { do(t, rt, "GET", org+logs, "") })
		if o.RefusedBy(oktatest.Concurrency) != 4 {
			t.Errorf("refused by %q", refusals(o))
		}
	}, oktatest.WithLatency(time.Second), oktatest.WithConcurrencyLimit(7),
		oktatest.WithLimits(oktatest.Limit{Name: "narrow", Patterns: []string{logs}, InFlight: 2}))
}

// atOnce calls f by n goroutines, the i-th a nanosecond after the one before.
func atOnce(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			time.Sleep(time.Duration(i))
			f(i)
		})
	}
	all.Wait()
}

func TestBurstOfALimit(t *testing.T) {
	l := perName
	l.Burst, l.Headers = 3, oktatest.HeadersOfLimit
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		for i := range 7 {
			want := sees{200, max(0, 1-i), 10 * time.Second}
			if i == 6 {
				want.status = 429
			}
			want.check(t, do(t, rt, "GET", org+logs, "", "Name", "a"))
		}
	}, oktatest.WithLimits(l))
}

func TestLimitsCanBeChangedAndConsumed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimits(perName))
		get := func(name string) int { return do(t, o.Transport(), "GET", org+logs, "", "Name", name).StatusCode }
		if n := o.Consume("per name", 5); n != 2 || get("a") != 429 || get("b") != 429 {
			t.Errorf("%d consumed of everybody's 2", n)
		}
		time.Sleep(10 * time.Second)
		for _, want := range []int{200, 200, 429} {
			if status := get("a"); status != want {
				t.Errorf("status %d in the next window, want %d", status, want)
			}
		}
		o.SetLimit("per name", 3)
		if get("a") != 200 || get("a") != 429 {
			t.Error("SetLimit changed nothing")
		}
		o.SetLimit("per name", -1)
		if get("a") != 200 || get("b") != 200 {
			t.Error("a limit that was taken away refuses")
		}
	})
}

func TestTheLastLimitOfANameCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := perName
		l.Max = 1
		o := oktatest.New(oktatest.WithLimits(perName), oktatest.WithLimits(l))
		for _, want := range []int{200, 429} {
			wantStatus(t, do(t, o.Transport(), "GET", org+logs, "", "Name", "a"), want)
		}
	})
}

// A scripted answer counts for limits as it does for buckets; a scripted 429
// is of no limit.
func TestScriptedAnswersCountForLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLimits(perName))
		o.Script("*", oktatest.Code("E0000004"), oktatest.RateLimited(time.Second), oktatest.Pass, oktatest.Pass)
		for _, want := range []int{401, 429, 200, 429} {
			wantStatus(t, do(t, o.Transport(), "GET", org+logs, "", "Name", "a"), want)
		}
		if got := refusals(o); !slices.Equal(got, []string{"per name"}) {
			t.Errorf("refused by %q", got)
		}
	})
}

func TestBucketSplitByItsQuery(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		list := func() answer { return do(t, rt, "GET", org+"/api/v1/users?limit=1", "") }
		search := func() answer {
			return do(t, rt, "GET", org+"/api/v1/users?limit=1&search=profile.login+eq+%22x%22", "")
		}
		sees{200, 0, 10 * time.Second}.check(t, search())
		sees{429, 0, 10 * time.Second}.check(t, search())
		sees{200, 4, time.Minute}.check(t, list())
		wantStatus(t, do(t, rt, "POST", org+"/api/v1/users?search=x", "{}"), 400) // of the list's bucket
		sees{200, 2, time.Minute}.check(t, list())
		time.Sleep(10 * time.Second)
		sees{200, 0, 10 * time.Second}.check(t, search())
		if got := refusals(o); !slices.Equal(got, []string{"GET /api/v1/users?search"}) {
			t.Errorf("refused by %q", got)
		}
	}, oktatest.WithLimit("/api/v1/users", 5), oktatest.WithBucket(oktatest.Bucket{
		Name: "GET /api/v1/users?search", Patterns: []string{"GET /api/v1/users"}, Where: oktatest.HasQuery("search"),
		Limit: 1, Window: 10 * time.Second,
	}))
}

func TestNonsensicalLimitsPanicWithAReason(t *testing.T) {
	changed := func(f func(*oktatest.Limit)) func() {
		return func() { l := perName; f(&l); oktatest.WithLimits(l) }
	}
	for part, f := range map[string]func(){
		"needs a name":         changed(func(l *oktatest.Limit) { l.Name = "" }),
		"has no patterns":      changed(func(l *oktatest.Limit) { l.Patterns = nil }),
		"in capitals":          changed(func(l *oktatest.Limit) { l.Patterns = []string{"get /x"} }),
		"must not be negative": changed(func(l *oktatest.Limit) { l.Max = -1 }),
		"a Max or an InFlight": changed(func(l *oktatest.Limit) { l.Max = 0 }),
		"no such Headers":      changed(func(l *oktatest.Limit) { l.Headers = 9 }),
		"no such selection":    func() { oktatest.WithLimitHeaders(oktatest.HeadersDefault) },
		"are both called":      func() { l := perName; l.Name = logs; oktatest.New(oktatest.WithLimits(l)) },
		"WithBurst: no bucket": func() { oktatest.New(oktatest.WithBurst(2, "/favicon.ico")) },
		"WithBurst(0)":         func() { oktatest.WithBurst(0) },
		"WithWindowLength(0s)": func() { oktatest.WithWindowLength(0) },
		"with Where needs a name": func() {
			oktatest.New(oktatest.WithBucket(oktatest.Bucket{Patterns: []string{"/x"}, Where: oktatest.HasQuery("q")}))
		},
		"no bucket or limit is called": func() { oktatest.New().Used("no limit") },
	} {
		wantPanic(t, part, f)
	}
}

func TestBucketWithWhereBeatsOneOfTheSamePattern(t *testing.T) {
	o := oktatest.New(
		oktatest.WithBucket(oktatest.Bucket{Patterns: []string{"GET /api/v1/users"}, Limit: 5}),
		oktatest.WithBucket(oktatest.BucketUserSearch))
	for path, want := range map[string]string{
		"/api/v1/users?search=x":    oktatest.BucketUserSearch.Name,
		"/api/v1/users?q=search":    "GET /api/v1/users",
		"/api/v1/users/a?search=x":  "GET /api/v1/users/{id}",
		"/api/v1/users?search&q=is": oktatest.BucketUserSearch.Name,
	} {
		do(t, o.Transport(), "GET", org+path, "")
		if all := o.Requests(); all[len(all)-1].Bucket != want {
			t.Errorf("%s falls into %q, want %q", path, all[len(all)-1].Bucket, want)
		}
	}
}

func TestMetadataHasNoLimitOfAnyKind(t *testing.T) {
	virtually(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper) {
		atOnce(60, func(int) {
			a := do(t, rt, "GET", org+"/oauth2/v1/keys", "", "Cookie", "sid=1")
			if a.StatusCode != 200 || a.Header.Get("X-Rate-Limit-Limit") != "" {
				t.Error(a.Status, a.Header)
			}
		})
	}, oktatest.SmallOrg(), oktatest.WithLatency(time.Second))
}

func TestLimitsHoldOverASocketToo(t *testing.T) {
	everywhere(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string) {
		try := func(user string) answer {
			return do(t, rt, "POST", base+"/api/v1/users/"+user+"/factors/opf1/verify", `{"passCode":"000000"}`)
		}
		for range 5 {
			wantStatus(t, try("user00000@example.com"), 201)
		}
		a := try("user00000@example.com")
		wantCode(t, a, 429, "E0000047")
		if limit, remaining, _, _ := rates(t, a); limit != 5 || remaining != 0 {
			t.Errorf("%d of %d left", remaining, limit)
		}
		wantStatus(t, try("user00001@example.com"), 201)
		for range 3 {
			do(t, rt, "GET", base+"/oauth2/v1/authorize?client_id=0oa1", "")
		}
		if n := o.Used(oktatest.LimitPerClient.Name); n != 3 {
			t.Errorf("%d calls of the client counted, want 3", n)
		}
		if got := refusals(o); !slices.Equal(got, []string{oktatest.LimitPasscodes.Name}) {
			t.Errorf("refused by %q", got)
		}
	}, oktatest.WithUsers(2), oktatest.Enterprise(), oktatest.AllowUnserved())
}
