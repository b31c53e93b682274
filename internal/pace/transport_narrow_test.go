// This file tests that a refusal holds only what it reaches: one user, client,
// session or state token of many that share a bucket.

package pace_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/oktatest"
)

// callMaker makes one kind of call for one of many users, clients or sessions.
type callMaker func(t *testing.T, rt http.RoundTripper, one string) rig.Call

// post returns a maker of POSTs in which {} stands for the one.
func post(target, body string, header ...string) callMaker {
	return func(t *testing.T, rt http.RoundTripper, one string) rig.Call {
		h := []string{"Content-Type", "application/json"}
		for _, v := range header {
			h = append(h, fill(v, one))
		}
		return rig.Do(t, t.Context(), rt, "POST", rig.Org+fill(target, one), fill(body, one), h...)
	}
}

// fill puts the one where {} stands.
func fill(text, one string) string { return strings.ReplaceAll(text, "{}", one) }

// One of many hammers its own limit; nobody else fails, and none waits longer than
// 3 s in all. Six wrong codes of one user once kept 120 others out for six minutes.
func TestRefusalsOfOneHoldNobodyElse(t *testing.T) {
	const verify = "POST /api/v1/users/{id}/factors/{factor}/verify"
	for _, tt := range []struct {
		name    string
		pattern string
		call    callMaker
		hammers int           // calls of the one, by five workers
		every   time.Duration // between two calls of others
		most    time.Duration // that one of them may take
	}{
		{"logins of a name", "POST /api/v1/authn", post("/api/v1/authn", `{"username":"{}"}`), 100, 500 * time.Millisecond, 3 * time.Second},
		{"token calls of a name", "POST /oauth2/v1/token", post("/oauth2/v1/token", `{"username":"{}"}`), 100, 500 * time.Millisecond, 3 * time.Second},
		{"codes of a user", verify, post("/api/v1/users/{}/factors/f/verify", `{"passCode":"123456"}`), 30, time.Second, 3 * time.Second},
		{"a state token", "POST /idp/idx/challenge/answer", post("/idp/idx/challenge/answer", `{"stateHandle":"{}"}`), 100, 200 * time.Millisecond, time.Second},
		{"a session", "POST /api/v1/sessions/me/lifecycle/refresh", post("/api/v1/sessions/me/lifecycle/refresh", ``, "Cookie", "sid={}"), 100, 200 * time.Millisecond, time.Second},
		{"a browser", "POST /oauth2/default/v1/authorize", post("/oauth2/default/v1/authorize", ``, "X-Device-Token", "{}"), 100, 200 * time.Millisecond, time.Second},
	} {
		for _, headers := range []oktatest.Headers{oktatest.HeadersOfBucket, oktatest.HeadersOfLimit} {
			for _, known := range []bool{false, true} {
				rig.Virtual(t, fmt.Sprintf("%s, headers %d, bucket known %t", tt.name, headers, known), func(t *testing.T) {
					okta := oktatest.New(oktatest.WithLatency(50*time.Millisecond), oktatest.WithLimits(oktatest.OktaLimits()...),
						oktatest.WithLimitHeaders(headers), oktatest.WithHandler(tt.pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{}`) })))
					rt := rig.Over(t, okta.Transport(), nil)
					if known {
						tt.call(t, rt, "first").Is(200)
						time.Sleep(5 * time.Second)
					}
					var hammering, others sync.WaitGroup
					for range 5 {
						hammering.Go(func() {
							for range tt.hammers / 5 {
								tt.call(t, rt, "mallory")
							}
						})
					}
					for i := range 60 {
						others.Go(func() {
							time.Sleep(time.Duration(i) * tt.every)
							if c := tt.call(t, rt, fmt.Sprint("user", i)).Is(200); c.Took > tt.most {
								t.Errorf("another's call took %s, want %s at most", c.Took, tt.most)
							}
						})
					}
					others.Wait()
					if okta.Answered(429) == 0 {
						t.Error("nothing was refused, so nothing was tested")
					}
					hammering.Wait()
				})
			}
		}
	}
}

// Okta accepts a wave of logins beyond the limit, of which 200 once waited for up to
// 1 m 41 s.
func TestWaveOfLoginsThatOktaAcceptsDoesNotWait(t *testing.T) {
	login := post("/api/v1/authn", `{"username":"{}"}`)
	for _, latency := range []time.Duration{50 * time.Millisecond, 400 * time.Millisecond} {
		for _, known := range []bool{false, true} {
			rig.Virtual(t, fmt.Sprintf("%s a login, bucket known %t", latency, known), func(t *testing.T) {
				okta := oktatest.New(oktatest.WithLatency(latency), oktatest.WithLimit("POST /api/v1/authn", 100), oktatest.WithBurst(5, "POST /api/v1/authn"),
					oktatest.WithHandler("POST /api/v1/authn", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{}`) })))
				rt := rig.Over(t, okta.Transport(), nil)
				if known {
					login(t, rt, "first").Is(200)
					time.Sleep(time.Minute)
				}
				var all sync.WaitGroup
				for i := range 300 {
					all.Go(func() {
						time.Sleep(time.Duration(i) * 100 * time.Millisecond)
						if c := login(t, rt, fmt.Sprint("user", i)).Is(200); c.Took > 2*time.Second {
							t.Errorf("a login took %s, want 2s at most", c.Took)
						}
					})
				}
				all.Wait()
				if n := okta.Answered(429); n > 0 {
					t.Errorf("%d refusals, want none", n)
				}
			})
		}
	}
}

// A token may use half of a bucket, whose headers are not its own: that is refused
// for all of its calls, and costs three refusals a window at most.
func TestShareOfATokenCostsFewRefusals(t *testing.T) {
	for _, workers := range []int{1, 5, 50} {
		rig.Virtual(t, fmt.Sprint(workers, " workers"), func(t *testing.T) {
			rt, okta, target := overOkta(t, 200, nil, oktatest.WithCredentialShare(0.5))
			began := time.Now()
			runWorkers(t, rt, target, workers, 400)
			if n := okta.Answered(429); n > 3*4 {
				t.Errorf("%d refusals in 4 windows, want 3 a window at most", n)
			}
			if took := time.Since(began); took > 4*time.Minute {
				t.Errorf("took %s, want the 4 windows that it needs", took)
			}
		})
	}
}

// A proxy's answer once opened a new bucket to all.
func TestNewBucketStaysCarefulWithoutLimitsInItsFirstAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, okta, target := overOkta(t, 20, nil)
		okta.Script("GET /api/v1/users/{id}", oktatest.EdgePage(503))
		runWorkers(t, rt, target, 100, 100)
		if n := okta.Answered(429); n > 3 {
			t.Errorf("%d of 100 calls were refused, want hardly any", n)
		}
	})
}

// One absurd answer holds the call that met it; the bucket it closes for a minute
// at most, and what is accepted later opens it. A store once kept a fleet out for
// an hour.
func TestOneAbsurdAnswerClosesNothingForLong(t *testing.T) {
	limits := func(remaining string, ends time.Duration) []script.Field {
		return []script.Field{script.Set("X-Rate-Limit-Limit", "600"), script.Set("X-Rate-Limit-Remaining", remaining), script.Date(0), script.ResetIn(0, ends)}
	}
	well := script.Reply(200, `{}`, limits("500", 50*time.Second)...)
	for name, absurd := range map[string]script.Step{
		"Retry-After of a year":           script.Limited(script.Set("Retry-After", "31536000")),
		"a reset 45 minutes ahead":        script.Limited(limits("0", 45*time.Minute)...),
		"an edge's 429 without any mark":  script.Bare(429, script.Set("Retry-After", "3600")),
		"a 200 that leaves nothing, long": script.Reply(200, `{}`, limits("0", 59*time.Minute)...),
	} {
		for _, processes := range []int{1, 4} {
			rig.Virtual(t, fmt.Sprintf("%s, %d processes", name, processes), func(t *testing.T) {
				base, store := script.Repeat(t, absurd, well), sharedtest.NewMemory()
				var fleet []http.RoundTripper
				for range processes {
					fleet = append(fleet, rig.Over(t, base, nil, oktaretry.WithShared(store)))
				}
				if processes == 1 {
					fleet[0] = rig.Over(t, base, nil)
				}
				rig.GetOnce(t, fleet[0], rig.UserURL)
				began, worst := time.Now(), time.Duration(0)
				for i := range 40 {
					worst = max(worst, rig.Get(t, fleet[i%processes], rig.UserURL).Is(200).Took)
				}
				if worst > time.Minute+2*time.Second {
					t.Errorf("another call took %s, want a minute at most", worst)
				}
				if took := time.Since(began); took > time.Minute+5*time.Second {
					t.Errorf("40 calls took %s, want a minute and few seconds", took)
				}
			})
		}
	}
}

func TestRuleOfOneCallHoldsOnlyThatCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _ := rig.Repeat(t, nil, script.Limited(script.Set("Retry-After", "2")), script.OK())
		own := oktaretry.DefaultPolicy().RateLimited
		own.MinWait = 5 * time.Minute
		patient := make(chan rig.Call, 1)
		go func() {
			patient <- rig.Do(t, oktaretry.WithRule(t.Context(), "rate-limited", own), rt, "GET", rig.UserURL, "")
		}()
		synctest.Wait()
		rig.Get(t, rt, rig.UserURL).Is(200).TookBetween(2*time.Second, 3*time.Second)
		(<-patient).Is(200).TookBetween(5*time.Minute, 5*time.Minute+time.Second)
	})
}

// With all switches off, a caller sees exactly Okta's answers, at once.
func TestSwitchedOffTheCallerSeesOktasAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, okta, target := overOkta(t, 10, func(p *oktaretry.Policy) {
			p.Pace.Disabled, p.Breaker.Disabled, p.ReturnRateLimited = true, true, true
			p.RateLimited.Action, p.ServerError.Action, p.Network.Action = oktaretry.FailFast, oktaretry.FailFast, oktaretry.FailFast
		})
		var calls []<-chan rig.Call
		for range 30 {
			calls = append(calls, rig.Start(t, rt, target))
		}
		answered := map[int]int{}
		for _, c := range calls {
			c := (<-c).TookBetween(50*time.Millisecond, 50*time.Millisecond)
			answered[c.Resp.StatusCode]++
			c.Resp.Body.Close()
		}
		if answered[200] != 10 || answered[429] != 20 || okta.Answered(429) != 20 {
			t.Errorf("answers %v, want 10 of 200 and 20 of 429", answered)
		}
	})
}

// By refusals only, calls are sent although headers report nothing left.
func TestRefusalsOnlyIgnoresWhatHeadersReport(t *testing.T) {
	for _, by := range []func(*oktaretry.Pace){
		func(p *oktaretry.Pace) { p.RefusalsOnly = true },
		func(p *oktaretry.Pace) { p.RefusalsOnlyBuckets = []string{rig.UserBucket} },
	} {
		synctest.Test(t, func(t *testing.T) {
			rt, _ := rig.Repeat(t, func(p *oktaretry.Policy) { by(&p.Pace) }, script.Reply(200, `{}`, script.Set("X-Rate-Limit-Limit", "600"), script.Set("X-Rate-Limit-Remaining", "0"), script.Date(0), script.ResetIn(0, 50*time.Second)))
			for range 20 {
				rig.Get(t, rt, rig.UserURL).Is(200).TookBetween(0, 0)
			}
		})
	}
}

// Each process and each hour has another token of the same app, and Okta counts by
// app: what is known of a bucket holds for all of them.
func TestTokensOfOneAppShareABucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, _ := rig.Repeat(t, nil, script.Limited(script.Set("Retry-After", "20")).Takes(time.Second), script.OK())
		get := func(token, app string) rig.Call {
			claims := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"iss":"https://example.okta.com","cid":%q,"jti":%q}`, app, token))
			return rig.Do(t, t.Context(), rt, "GET", rig.UserURL, "", "Authorization", "Bearer e30."+claims+".sig")
		}
		go get("1", "app")
		time.Sleep(2 * time.Second)
		get("2", "app").Is(200).TookBetween(18*time.Second, 21*time.Second)
		get("3", "another app").Is(200).TookBetween(0, 0)
	})
}

func TestHostsOfOneOrgShareABucket(t *testing.T) {
	for _, tt := range []struct {
		other  string
		shared bool
	}{{"https://example.okta.com:443", true}, {"https://EXAMPLE.okta.com", true}, {"https://login.example.com", true}, {"https://example.okta.com:8443", false}, {"https://other.okta.com", false}} {
		rig.Virtual(t, tt.other, func(t *testing.T) {
			base := script.Repeat(t, script.Limited(script.Set("Retry-After", "20")), script.OK())
			rt := rig.Over(t, base, nil, oktaretry.WithOrgHosts("example.okta.com", "login.example.com"))
			go rig.Get(t, rt, rig.UserURL)
			time.Sleep(time.Second)
			if took := rig.Get(t, rt, tt.other+"/api/v1/users/00u1").Is(200).Took; took > 0 != tt.shared {
				t.Errorf("a call took %s; want it held: %t", took, tt.shared)
			}
			time.Sleep(time.Minute)
		})
	}
}

func TestCallersThatTheUserNamesDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := script.Repeat(t, script.Limited(script.Set("Retry-After", "20")), script.OK())
		rt := rig.Over(t, base, nil, oktaretry.WithCaller(func(r *http.Request) string { return r.Header.Get("X-Tenant") }))
		get := func(tenant string) rig.Call {
			return rig.Do(t, t.Context(), rt, "GET", rig.UserURL, "", "X-Tenant", tenant)
		}
		go get("a")
		time.Sleep(time.Second)
		get("b").Is(200).TookBetween(0, 0)
		get("a").Is(200).TookBetween(19*time.Second, 20*time.Second)
	})
}
