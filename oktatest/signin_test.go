package oktatest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

const (
	ann       = "user00000@example.com"
	annsLogin = `{"username":"` + ann + `","password":"` + oktatest.UserPassword + `"}`
)

// transaction is a sign-in under way.
type transaction struct {
	t     *testing.T
	rt    http.RoundTripper
	state string
}

// begin posts the first step, and takes note of the state token.
func begin(t *testing.T, rt http.RoundTripper, body string) (*transaction, answer) {
	t.Helper()
	s := &transaction{t: t, rt: rt}
	a := do(t, rt, "POST", org+"/api/v1/authn", body)
	if a.StatusCode == http.StatusOK {
		s.state, _ = a.json(t)["stateToken"].(string)
	}
	return s, a
}

// post sends the state token with more members ("passCode", "123456").
func (s *transaction) post(path string, members ...string) answer {
	s.t.Helper()
	body := map[string]string{"stateToken": s.state}
	for i := 0; i < len(members); i += 2 {
		body[members[i]] = members[i+1]
	}
	b, _ := json.Marshal(body)
	if !strings.HasPrefix(path, "http") {
		path = org + "/api/v1/authn" + path
	}
	return do(s.t, s.rt, "POST", path, string(b))
}

// wantState fails unless a transaction is in that state, with that factorResult.
func wantState(t *testing.T, a answer, status string, result ...any) map[string]any {
	t.Helper()
	wantStatus(t, a, 200)
	v := a.json(t)
	var want any
	if len(result) > 0 {
		want = result[0]
	}
	if v["status"] != status || v["factorResult"] != want {
		t.Fatalf("status %v, factorResult %v, want %s, %v: %s", v["status"], v["factorResult"], status, want, a.body)
	}
	return v
}

// members are the paths of an object, arrays as their first entries.
func members(v any) (all []string) {
	switch v := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(v)) {
			below := members(v[k])
			if len(below) == 0 {
				all = append(all, k)
			}
			for _, m := range below {
				all = append(all, k+"."+m)
			}
		}
	case []any:
		if len(v) > 0 {
			return members(v[0])
		}
	}
	return all
}

func wantMembers(t *testing.T, v any, want string) {
	t.Helper()
	if got := strings.Join(members(v), " "); got != want {
		t.Errorf("members\n%s\nwant\n%s", got, want)
	}
}

// sessionToken signs ann in.
func sessionToken(t *testing.T, rt http.RoundTripper) string {
	t.Helper()
	_, a := begin(t, rt, annsLogin)
	return wantState(t, a, "SUCCESS")["sessionToken"].(string)
}

func TestSignInsAreAnsweredByTheUsersStatus(t *testing.T) {
	right := oktatest.UserPassword
	for _, c := range []struct {
		status, name, password string
		show                   bool
		want, reason           string // of the log, where it fails
	}{
		{"ACTIVE", "ann@example.com", right, false, "200 SUCCESS", ""},
		{"ACTIVE", "Ann@Example.com", right, false, "200 SUCCESS", ""},
		{"ACTIVE", "ann", right, false, "200 SUCCESS", ""},
		{"ACTIVE", "ann@example.com", "wrong", false, "401 E0000004", "INVALID_CREDENTIALS"},
		{"ACTIVE", "nobody@example.com", right, false, "401 E0000004", "VERIFICATION_ERROR"},
		{"ACTIVE", "me", right, false, "401 E0000004", "VERIFICATION_ERROR"},
		{"ACTIVE", "ann@example.com", "", false, "400 E0000001", "-"},
		{"ACTIVE", "", right, false, "400 E0000001", "-"},
		{"PASSWORD_EXPIRED", "ann@example.com", right, false, "200 PASSWORD_EXPIRED", "-"},
		{"PASSWORD_EXPIRED", "ann@example.com", "wrong", false, "401 E0000004", "INVALID_CREDENTIALS"},
		{"LOCKED_OUT", "ann@example.com", right, false, "401 E0000004", "LOCKED_OUT"},
		{"LOCKED_OUT", "ann@example.com", right, true, "200 LOCKED_OUT", "LOCKED_OUT"},
		{"STAGED", "ann@example.com", right, false, "401 E0000004", "VERIFICATION_ERROR"},
		{"PROVISIONED", "ann@example.com", right, false, "401 E0000004", "VERIFICATION_ERROR"},
		{"RECOVERY", "ann@example.com", right, false, "401 E0000004", "VERIFICATION_ERROR"},
		{"SUSPENDED", "ann@example.com", right, false, "401 E0000004", "VERIFICATION_ERROR"},
		{"DEPROVISIONED", "ann@example.com", right, false, "401 E0000004", "VERIFICATION_ERROR"},
	} {
		t.Run(c.status+" "+c.name+" "+c.password, func(t *testing.T) {
			o := oktatest.New(oktatest.WithPasswordPolicy(oktatest.PasswordPolicy{ShowLockout: c.show}))
			if _, err := o.AddUser(c.status, map[string]any{"login": "ann@example.com", "email": "ann@example.com"}); err != nil {
				t.Fatal(err)
			}
			a := do(t, o.Transport(), "POST", org+"/api/v1/authn", fmt.Sprintf(`{"username":%q,"password":%q}`, c.name, c.password))
			v := a.json(t)
			got := fmt.Sprint(a.StatusCode, " ", v["status"])
			if v["errorCode"] != nil {
				got = fmt.Sprint(a.StatusCode, " ", v["errorCode"])
			}
			if got != c.want {
				t.Errorf("%s, want %s: %s", got, c.want, a.body)
			}
			if v["errorCode"] == "E0000004" && (v["errorSummary"] != "Authentication failed" || fmt.Sprint(v["errorCauses"]) != "[]") {
				t.Error(a.body)
			}
			events := do(t, o.Transport(), "GET", logsURL, "").list(t)
			if c.reason == "-" {
				if len(events) > 0 {
					t.Errorf("events %v", events)
				}
				return
			}
			reason, _ := dig(events[0], "outcome", "reason").(string)
			if len(events) != 1 || events[0]["eventType"] != "user.session.start" || reason != c.reason || strings.Contains(fmt.Sprint(events), right) {
				t.Errorf("events %v, want one user.session.start, reason %q", events, c.reason)
			}
		})
	}
}

func TestAShortNameThatTwoUsersHaveIsNobodys(t *testing.T) {
	o := oktatest.New()
	for _, login := range []string{"ann@example.com", "ann@example.org", "anna@example.org"} {
		if _, err := o.AddUser("", map[string]any{"login": login, "email": login}); err != nil {
			t.Fatal(err)
		}
	}
	for name, status := range map[string]int{"ann": 401, "anna": 200, "an": 401} {
		_, a := begin(t, o.Transport(), `{"username":"`+name+`","password":"`+oktatest.UserPassword+`"}`)
		if a.StatusCode != status {
			t.Errorf("%s: %d, want %d", name, a.StatusCode, status)
		}
	}
}

func TestTheEndOfASessionIsInTheLog(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1))
	rt := o.Transport()
	for i, end := range []func(id string) answer{
		func(id string) answer { return do(t, rt, "DELETE", org+"/api/v1/sessions/"+id, "") },
		func(id string) answer {
			return do(t, rt, "DELETE", org+"/api/v1/sessions/me", "", "Cookie", "sid="+id)
		},
	} {
		id := do(t, rt, "POST", org+"/api/v1/sessions", `{"sessionToken":"`+sessionToken(t, rt)+`"}`).json(t)["id"].(string)
		wantStatus(t, end(id), 204)
		events := do(t, rt, "GET", logsURL, "").list(t)
		last := events[len(events)-1]
		byUser := dig(last, "actor", "alternateId") == ann
		if last["eventType"] != "user.session.end" || dig(last["target"].([]any)[0], "alternateId") != ann || byUser != (i == 1) || len(events) != 2*(i+1) {
			t.Errorf("events %v", events)
		}
	}
}

func TestABodyThatIsNoJSONIsNoSignIn(t *testing.T) {
	wantCode(t, do(t, oktatest.New().Transport(), "POST", org+"/api/v1/authn", "username=ann"), 400, "E0000003")
}

// The members are those of the answers in Okta's documentation.
func TestTransactionsHaveTheDocumentedForm(t *testing.T) {
	const (
		user   = "_embedded.user.id _embedded.user.passwordChanged _embedded.user.profile.firstName _embedded.user.profile.lastName _embedded.user.profile.locale _embedded.user.profile.login _embedded.user.profile.timeZone"
		policy = "_embedded.policy.complexity.minLength _embedded.policy.complexity.minLowerCase _embedded.policy.complexity.minNumber _embedded.policy.complexity.minSymbol _embedded.policy.complexity.minUpperCase"
		links  = "_links.cancel.hints.allow _links.cancel.href _links.next.hints.allow _links.next.href _links.next.name"
	)
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(2), oktatest.RequireMFA("User00001@example.com"))
		rt := o.Transport()
		_, a := begin(t, rt, annsLogin)
		v := wantState(t, a, "SUCCESS")
		wantMembers(t, v, user+" expiresAt sessionToken status")
		if len(v["sessionToken"].(string)) != 42 || dig(v, "_embedded", "user", "profile", "login") != ann {
			t.Error(a.body)
		}

		s, a := begin(t, rt, strings.Replace(annsLogin, ann, "user00001@example.com", 1))
		v = wantState(t, a, "MFA_REQUIRED")
		f := dig(v, "_embedded", "factors").([]any)[0].(map[string]any)
		if f["factorType"] != "push" || f["provider"] != "OKTA" {
			t.Error(f)
		}
		if verify := dig(f, "_links", "verify", "href"); verify != org+"/api/v1/authn/factors/"+f["id"].(string)+"/verify" {
			t.Error(verify)
		}
		if at := dig(v, "_links", "cancel", "href"); at != org+"/api/v1/authn/cancel" {
			t.Error(at)
		}
		v = wantState(t, s.post("/factors/"+f["id"].(string)+"/verify"), "MFA_CHALLENGE", "WAITING")
		shown := v["_links"].(map[string]any)
		if got := fmt.Sprint(slices.Sorted(maps.Keys(shown))); got != "[cancel next prev resend]" || dig(shown, "next", "name") != "poll" {
			t.Error(shown)
		}
		if resend := shown["resend"].([]any)[0].(map[string]any); resend["name"] != "push" || !strings.HasSuffix(resend["href"].(string), "/verify/resend") {
			t.Error(resend)
		}

		do(t, rt, "POST", org+"/api/v1/users/"+ann+"/lifecycle/expire_password", "")
		_, a = begin(t, rt, annsLogin)
		wantMembers(t, wantState(t, a, "PASSWORD_EXPIRED"), policy+" "+user+" "+links+" expiresAt stateToken status")
	})
}

func TestAPushIsPolledToItsEnd(t *testing.T) {
	for _, c := range []struct {
		result string
		waits  int
		end    string // of the transaction
		events string
	}{
		{"SUCCESS", 0, "SUCCESS", "user.authentication.auth_via_mfa user.session.start"},
		{"SUCCESS", 3, "SUCCESS", "user.authentication.auth_via_mfa user.session.start"},
		{"REJECTED", 1, "MFA_CHALLENGE", "user.mfa.okta_verify.deny_push"},
		{"TIMEOUT", -1, "MFA_CHALLENGE", "user.authentication.auth_via_mfa"},
		{"CANCELLED", 2, "MFA_CHALLENGE", ""},
	} {
		t.Run(fmt.Sprint(c.result, c.waits), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := oktatest.New(oktatest.WithUsers(1), oktatest.RequireMFA(), oktatest.WithFactorResult(c.result, c.waits))
				s, a := begin(t, o.Transport(), annsLogin)
				verify := dig(wantState(t, a, "MFA_REQUIRED"), "_embedded", "factors").([]any)[0].(map[string]any)["_links"].(map[string]any)["verify"]
				v := wantState(t, s.post(dig(verify, "href").(string)), "MFA_CHALLENGE", "WAITING")
				polls, start := 0, time.Now()
				for v["factorResult"] == "WAITING" {
					time.Sleep(4 * time.Second)
					v = s.post(dig(v, "_links", "next", "href").(string)).json(t)
					polls++
					if shown := s.post("").json(t); v["factorResult"] != nil && shown["factorResult"] != v["factorResult"] { // no poll
						t.Fatalf("the state is %v, the poll was %v", shown, v)
					}
				}
				if c.waits >= 0 && polls != c.waits+1 {
					t.Errorf("%d polls, want %d", polls, c.waits+1)
				}
				if took := time.Since(start); c.waits < 0 && (took < 5*time.Minute || took > 6*time.Minute) {
					t.Errorf("it took %s, want Okta's five minutes", took)
				}
				if v["status"] != c.end {
					t.Errorf("%v, want %s", v, c.end)
				}
				if n := o.Pushes(); n != 1 {
					t.Errorf("%d pushes, want 1", n)
				}
				want := strings.TrimSpace("system.push.send_factor_verify_push " + c.events)
				log := do(t, o.Transport(), "GET", logsURL, "")
				if got := eventTypes(t, log); got != want {
					t.Errorf("events %s, want %s", got, want)
				}
				for _, e := range log.list(t) {
					if dig(e, "actor", "alternateId") != ann {
						t.Errorf("the actor of %v is %v", e["eventType"], e["actor"])
					}
				}
				if c.end == "SUCCESS" {
					return
				}
				if v["factorResult"] != c.result || dig(v, "_links", "next", "name") != "verify" {
					t.Errorf("%v, want %s and a link to verify", v, c.result)
				}
				o.SetFactorResult("SUCCESS", 0)
				wantState(t, s.post(dig(v, "_links", "next", "href").(string)), "MFA_CHALLENGE", "WAITING") // another push
				wantState(t, s.post(dig(v, "_links", "next", "href").(string)), "SUCCESS")
				if n := o.Pushes(); n != 2 {
					t.Errorf("%d pushes, want 2", n)
				}
			})
		})
	}
}

// enrolled gives ann a factor beside her push, and returns its id.
func enrolled(t *testing.T, rt http.RoundTripper, o *oktatest.Okta, body string) string {
	t.Helper()
	at := org + "/api/v1/users/" + ann + "/factors"
	f := do(t, rt, "POST", at+"?activate=true", body).json(t)
	id, _ := f["id"].(string)
	if f["status"] == "PENDING_ACTIVATION" {
		code, _ := o.Passcode(ann, id)
		wantStatus(t, do(t, rt, "POST", at+"/"+id+"/lifecycle/activate", `{"passCode":"`+code+`"}`), 200)
	}
	return id
}

func TestPasscodesAndAnswersProveAFactor(t *testing.T) {
	for name, c := range map[string]struct{ body, member, profile, cause, amr string }{
		"sms":      {`{"factorType":"sms","provider":"OKTA","profile":{"phoneNumber":"+1-555-415-1337"}}`, "passCode", "map[phoneNumber:+1 XXX-XXX-1337]", "passcode", "[pwd mfa sms]"},
		"call":     {`{"factorType":"call","provider":"OKTA","profile":{"phoneNumber":"5554151337"}}`, "passCode", "map[phoneNumber:XXX-XXX-1337]", "passcode", "[pwd mfa tel]"},
		"email":    {`{"factorType":"email","provider":"OKTA"}`, "passCode", "map[email:u...0@example.com]", "passcode", "[pwd mfa]"},
		"totp":     {`{"factorType":"token:software:totp","provider":"GOOGLE"}`, "passCode", "map[credentialId:" + ann + "]", "passcode", "[pwd mfa otp]"},
		"question": {`{"factorType":"question","provider":"OKTA","profile":{"question":"disliked_food","answer":"mayonnaise"}}`, "answer", "map[question:disliked_food questionText:What is the food you least liked as a child?]", "answer", "[pwd mfa kba]"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := oktatest.New(oktatest.WithUsers(1), oktatest.RequireMFA())
				rt := o.Transport()
				id := enrolled(t, rt, o, c.body)
				time.Sleep(time.Minute) // a passcode of an app is good for once
				s, a := begin(t, rt, annsLogin)
				factors := dig(wantState(t, a, "MFA_REQUIRED"), "_embedded", "factors").([]any)
				if got := dig(factors[1], "id"); len(factors) != 2 || got != id || fmt.Sprint(dig(factors[1], "profile")) != c.profile {
					t.Errorf("factors %v", factors)
				}
				verify := "/factors/" + id + "/verify"
				v := wantState(t, s.post(verify), "MFA_CHALLENGE")
				if dig(v, "_embedded", "factor", "id") != id || dig(v, "_links", "next", "name") != "verify" {
					t.Error(v)
				}
				a = s.post(verify, c.member, "000000x")
				wantCode(t, a, 403, "E0000068")
				e := a.json(t)
				cause := "Your " + c.cause + " doesn't match our records. Please try again."
				if e["errorSummary"] != "Invalid Passcode/Answer" || dig(e["errorCauses"].([]any)[0], "errorSummary") != cause {
					t.Error(a.body)
				}
				wantState(t, s.post(""), "MFA_CHALLENGE")
				code, ok := o.Passcode(ann, id)
				if !ok {
					t.Fatal("nothing to type")
				}
				token := wantState(t, s.post(verify, c.member, code), "SUCCESS")["sessionToken"].(string)
				x := do(t, rt, "POST", org+"/api/v1/sessions", `{"sessionToken":"`+token+`"}`).json(t)
				if fmt.Sprint(x["amr"]) != c.amr || x["lastFactorVerification"] == nil || x["mfaActive"] != true {
					t.Errorf("%v, want amr %s", x, c.amr)
				}
				wantCode(t, s.post(verify, c.member, code), 401, "E0000011") // the transaction is over
			})
		})
	}
}

func TestWhatIsSentCanBeSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1), oktatest.RequireMFA())
		rt := o.Transport()
		sms := enrolled(t, rt, o, `{"factorType":"sms","profile":{"phoneNumber":"+1-555-415-1337"}}`)
		question := enrolled(t, rt, o, `{"factorType":"question","profile":{"question":"disliked_food","answer":"mayonnaise"}}`)
		push := do(t, rt, "GET", org+"/api/v1/users/"+ann+"/factors", "").list(t)[0]["id"].(string)
		s, _ := begin(t, rt, annsLogin)
		wantCode(t, s.post("/factors/"+sms+"/verify/resend"), 403, "E0000079") // nothing was sent

		wantState(t, s.post("/factors/"+sms+"/verify"), "MFA_CHALLENGE")
		first, _ := o.Passcode(ann, sms)
		wantCode(t, s.post("/factors/"+sms+"/verify/resend"), 429, "E0000109")
		time.Sleep(31 * time.Second)
		wantState(t, s.post("/factors/"+sms+"/verify/resend"), "MFA_CHALLENGE")
		if second, _ := o.Passcode(ann, sms); second == first {
			t.Error("the passcode is the same")
		}
		wantCode(t, s.post("/factors/"+push+"/verify/resend"), 403, "E0000079") // another factor

		wantState(t, s.post("/factors/"+push+"/verify"), "MFA_CHALLENGE", "WAITING")
		wantState(t, s.post("/factors/"+push+"/verify/resend"), "MFA_CHALLENGE", "WAITING")
		if n := o.Pushes(); n != 2 {
			t.Errorf("%d pushes, want 2", n)
		}
		wantState(t, s.post("/factors/"+question+"/verify"), "MFA_CHALLENGE")
		wantCode(t, s.post("/factors/"+question+"/verify/resend"), 403, "E0000079")
		wantCode(t, s.post("/factors/ufsnone/verify"), 404, "E0000007")
	})
}

func TestStateTokensAreStrict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1), oktatest.RequireMFA())
		rt := o.Transport()
		push := "/factors/" + do(t, rt, "GET", org+"/api/v1/users/"+ann+"/factors", "").list(t)[0]["id"].(string) + "/verify"
		s, _ := begin(t, rt, annsLogin)
		for _, path := range []string{"/previous", "/skip", push + "/resend", "/credentials/change_password"} {
			a := s.post(path)
			wantCode(t, a, 403, "E0000079")
			if !strings.Contains(a.body, `"errorCauses":[{"errorSummary":"This operation is not allowed in the current authentication state."}]`) {
				t.Error(a.body)
			}
		}
		wantState(t, s.post(push), "MFA_CHALLENGE", "WAITING")
		if v := wantState(t, s.post("/previous"), "MFA_REQUIRED"); v["stateToken"] != s.state || dig(v, "_embedded", "factors") == nil {
			t.Error(v)
		}
		for range 3 { // each request renews its life
			time.Sleep(4 * time.Minute)
			wantState(t, s.post(""), "MFA_REQUIRED")
		}
		time.Sleep(5*time.Minute + time.Second)
		all := []string{"", push, push + "/resend", "/previous", "/skip", "/cancel", "/credentials/change_password"}
		for _, path := range all {
			wantCode(t, s.post(path), 401, "E0000011")
		}

		s, _ = begin(t, rt, annsLogin)
		wantStatus(t, s.post("/cancel"), 200)
		for _, path := range all {
			wantCode(t, s.post(path), 401, "E0000011")
		}
		s, _ = begin(t, rt, annsLogin)
		do(t, rt, "POST", org+"/api/v1/users/"+ann+"/lifecycle/suspend", "")
		wantCode(t, s.post(push), 401, "E0000011")
	})
}

func TestRelayStateComesBack(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1), oktatest.RequireMFA())
	s, a := begin(t, o.Transport(), strings.Replace(annsLogin, "{", `{"relayState":"/deep",`, 1))
	for _, a := range []answer{a, s.post(""), s.post("/cancel")} {
		if a.json(t)["relayState"] != "/deep" {
			t.Error(a.body)
		}
	}
}

func TestUsersWithoutAFactorHaveToEnrollOne(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1), oktatest.RequireMFA())
	rt := o.Transport()
	wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/"+ann+"/lifecycle/reset_factors", ""), 200)
	s, a := begin(t, rt, annsLogin)
	f := dig(wantState(t, a, "MFA_ENROLL"), "_embedded", "factors").([]any)[0]
	if dig(f, "status") != "NOT_SETUP" || dig(f, "factorType") != "push" {
		t.Error(f)
	}
	wantCode(t, s.post("/skip"), 403, "E0000079")
	wantCode(t, s.post(dig(f, "_links", "enroll", "href").(string)), 400, "OKTATEST")
}

func TestTooManyWrongPasswordsLockAUserOut(t *testing.T) {
	for _, c := range []struct {
		policy oktatest.PasswordPolicy
		last   int // the attempt that locks; 0: none of 12
	}{
		{oktatest.PasswordPolicy{}, 10},
		{oktatest.PasswordPolicy{Attempts: 3}, 3},
		{oktatest.PasswordPolicy{Attempts: -1}, 0},
	} {
		o := oktatest.New(oktatest.WithUsers(2), oktatest.WithPasswordPolicy(c.policy))
		rt := o.Transport()
		for i := range 12 {
			_, a := begin(t, rt, `{"username":"`+ann+`","password":"wrong"}`)
			wantCode(t, a, 401, "E0000004")
			want := "ACTIVE"
			if c.last > 0 && i+1 >= c.last {
				want = "LOCKED_OUT"
			}
			if _, status, _ := o.User(ann); status != want {
				t.Fatalf("after %d attempts of %d: %s", i+1, c.last, status)
			}
		}
		locks := do(t, rt, "GET", logsURL+"?filter="+url.QueryEscape(`eventType eq "user.account.lock"`), "").list(t)
		if c.last == 0 {
			if len(locks) > 0 {
				t.Error(locks)
			}
			continue
		}
		if len(locks) != 1 || dig(locks[0], "outcome", "reason") != "LOCKED_OUT" || locks[0]["displayMessage"] != "Max sign in attempts exceeded" {
			t.Error(locks)
		}
		_, a := begin(t, rt, annsLogin)
		wantCode(t, a, 401, "E0000004") // though it is right
		_, a = begin(t, rt, strings.Replace(annsLogin, ann, "user00001@example.com", 1))
		wantState(t, a, "SUCCESS")
		wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/"+ann+"/lifecycle/unlock", ""), 200)
		for range 2 { // a sign-in that succeeds ends the row
			for range c.last - 1 {
				begin(t, rt, `{"username":"`+ann+`","password":"wrong"}`)
			}
			_, a = begin(t, rt, annsLogin)
			wantState(t, a, "SUCCESS")
		}
	}
}

func TestWrongPasscodesLockAUserOut(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1), oktatest.RequireMFA(), oktatest.WithPasswordPolicy(oktatest.PasswordPolicy{Attempts: 2}))
	rt := o.Transport()
	verify := "/factors/" + enrolled(t, rt, o, `{"factorType":"question","profile":{"question":"disliked_food","answer":"mayonnaise"}}`) + "/verify"
	s, _ := begin(t, rt, annsLogin)
	wantCode(t, s.post(verify, "answer", "no"), 403, "E0000068")
	wantCode(t, s.post(verify, "answer", "no"), 403, "E0000069")
	wantCode(t, s.post(verify, "answer", "mayonnaise"), 403, "E0000069")
	if _, status, _ := o.User(ann); status != "LOCKED_OUT" {
		t.Error(status)
	}
}

func TestPasswordsExpireAndAreChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		o := oktatest.New(oktatest.WithUsers(1), oktatest.WithPasswordPolicy(oktatest.PasswordPolicy{MaxAge: 90 * day, Warn: 5 * day}))
		rt := o.Transport()
		warned := strings.Replace(annsLogin, "{", `{"options":{"warnBeforePasswordExpired":true},`, 1)
		_, a := begin(t, rt, warned)
		wantState(t, a, "SUCCESS")
		time.Sleep(86 * day)
		_, a = begin(t, rt, annsLogin) // which asks for no warning
		wantState(t, a, "SUCCESS")
		s, a := begin(t, rt, warned)
		if v := wantState(t, a, "PASSWORD_WARN"); dig(v, "_embedded", "policy", "expiration", "passwordExpireDays") != 4.0 || dig(v, "_links", "skip") == nil {
			t.Error(v)
		}
		wantState(t, s.post("/skip"), "SUCCESS")

		time.Sleep(4 * day)
		s, a = begin(t, rt, annsLogin)
		change := dig(wantState(t, a, "PASSWORD_EXPIRED"), "_links", "next", "href").(string)
		if _, status, _ := o.User(ann); status != "PASSWORD_EXPIRED" {
			t.Error(status)
		}
		a = s.post(change, "oldPassword", "wrong", "newPassword", "Ch-ch-ch-ch-4nges!")
		wantCode(t, a, 403, "E0000014")
		if !strings.Contains(a.body, "oldPassword: The credentials provided were incorrect.") {
			t.Error(a.body)
		}
		for _, weak := range []string{"short1A", "nouppercase1", "NOLOWERCASE1", "NoNumberIsHere", "User00000-long"} {
			wantCode(t, s.post(change, "oldPassword", oktatest.UserPassword, "newPassword", weak), 403, "E0000014")
		}
		wantState(t, s.post(change, "oldPassword", oktatest.UserPassword, "newPassword", "Ch-ch-ch-ch-4nges!"), "SUCCESS")
		_, a = begin(t, rt, annsLogin)
		wantCode(t, a, 401, "E0000004")
		_, a = begin(t, rt, `{"username":"`+ann+`","password":"Ch-ch-ch-ch-4nges!"}`)
		wantState(t, a, "SUCCESS")
	})
}

// A factor comes before a new password.
func TestAnExpiredPasswordIsAskedForAfterTheFactor(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1), oktatest.RequireMFA(), oktatest.WithFactorResult("SUCCESS", 0))
	rt := o.Transport()
	temporary := do(t, rt, "POST", org+"/api/v1/users/"+ann+"/lifecycle/expire_password_with_temp_password", "").json(t)["tempPassword"].(string)
	_, a := begin(t, rt, annsLogin)
	wantCode(t, a, 401, "E0000004")
	s, a := begin(t, rt, `{"username":"`+ann+`","password":"`+temporary+`"}`)
	wantState(t, a, "MFA_REQUIRED")
	push := "/factors/opf1/verify"
	wantCode(t, s.post(push), 404, "E0000007")
	push = dig(a.json(t), "_embedded", "factors").([]any)[0].(map[string]any)["_links"].(map[string]any)["verify"].(map[string]any)["href"].(string)
	s.post(push)
	wantState(t, s.post(push), "PASSWORD_EXPIRED")
	wantState(t, s.post("/credentials/change_password", "oldPassword", temporary, "newPassword", "Abcd-12345"), "SUCCESS")
}

func TestPasswordsComeFromSeedsAndRequests(t *testing.T) {
	o := oktatest.New(oktatest.WithSeed(seedOf(t, `{"users": [
		{"login": "ann@example.com", "credentials": {"password": {"value": "Abcd1234"}}},
		{"login": "ben@example.com", "mfa": true},
		{"login": "eve@example.com", "credentials": {"password": {"hash": {"algorithm": "BCRYPT", "salt": "x", "value": "y", "workFactor": 10}}}}]}`)))
	rt := o.Transport()
	profile := `"profile":{"login":"joe@example.com","email":"joe@example.com","firstName":"Joe","lastName":"Roe"}`
	wantStatus(t, do(t, rt, "POST", org+"/api/v1/users?activate=true", `{`+profile+`,"credentials":{"password":{"value":"Joes-1234"}}}`), 200)
	for name, c := range map[string]struct{ password, want string }{
		"ann@example.com": {"Abcd1234", "200 SUCCESS"},
		"ben@example.com": {oktatest.UserPassword, "200 MFA_REQUIRED"},
		"eve@example.com": {oktatest.UserPassword, "400 OKTATEST"},
		"joe@example.com": {"Joes-1234", "200 SUCCESS"},
	} {
		_, a := begin(t, rt, fmt.Sprintf(`{"username":%q,"password":%q}`, name, c.password))
		v := a.json(t)
		if got := fmt.Sprint(a.StatusCode, " ", v["errorCode"], v["status"]); strings.ReplaceAll(got, "<nil>", "") != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if n := len(o.Unserved()); n != 1 {
		t.Errorf("%d unserved, want the password that is a hash", n)
	}
	wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/ann@example.com", `{"credentials":{"password":{"value":"Efgh5678"}}}`), 200)
	_, a := begin(t, rt, `{"username":"ann@example.com","password":"Efgh5678"}`)
	wantState(t, a, "SUCCESS")
	all := oktatest.New(oktatest.WithUsers(1), oktatest.WithSeed(seedOf(t, `{"mfa": true}`)))
	_, a = begin(t, all.Transport(), annsLogin)
	wantState(t, a, "MFA_REQUIRED")
}

func TestSessionsLastTwoHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1))
		rt := o.Transport()
		create := func(token string) answer {
			return do(t, rt, "POST", org+"/api/v1/sessions", `{"sessionToken":"`+token+`"}`)
		}
		token := sessionToken(t, rt)
		a := create(token)
		wantStatus(t, a, 200)
		x := a.json(t)
		id := x["id"].(string)
		wantMembers(t, x, "_links.refresh.hints.allow _links.refresh.href _links.self.hints.allow _links.self.href _links.user.hints.allow _links.user.href _links.user.name "+
			"amr createdAt expiresAt id idp.id idp.type lastFactorVerification lastPasswordVerification login mfaActive status userId")
		if x["status"] != "ACTIVE" || x["login"] != ann || x["userId"] != o.UserIDs()[0] || fmt.Sprint(x["amr"]) != "[pwd]" || x["lastFactorVerification"] != nil ||
			dig(x, "_links", "self", "href") != org+"/api/v1/sessions/"+id {
			t.Error(a.body)
		}
		wantCode(t, create(token), 401, "E0000004") // it is good for once
		wantCode(t, create("20111none"), 401, "E0000004")
		wantCode(t, create(""), 400, "E0000001")
		token = sessionToken(t, rt)
		time.Sleep(5*time.Minute + time.Second)
		wantCode(t, create(token), 401, "E0000004")

		self, me, sid := org+"/api/v1/sessions/"+id, org+"/api/v1/sessions/me", "sid="+id
		time.Sleep(time.Hour)
		wantStatus(t, do(t, rt, "POST", self+"/lifecycle/refresh", ""), 200)
		time.Sleep(90 * time.Minute)
		wantStatus(t, do(t, rt, "GET", self, ""), 200)
		a = do(t, rt, "GET", me, "", "Cookie", sid)
		wantStatus(t, a, 200)
		if x := a.json(t); x["id"] != id || dig(x, "_links", "self", "href") != me || dig(x, "_links", "user", "href") != org+"/api/v1/users/me" {
			t.Error(a.body)
		}
		wantStatus(t, do(t, rt, "POST", me+"/lifecycle/refresh", "", "Cookie", sid), 200)
		a = do(t, rt, "GET", me, "")
		wantCode(t, a, 404, "E0000007")
		if a.json(t)["errorSummary"] != "Not found: Resource not found: me (Session)" {
			t.Error(a.body)
		}
		time.Sleep(2*time.Hour + time.Second)
		wantCode(t, do(t, rt, "GET", self, ""), 404, "E0000007")

		for _, end := range []func(self, sid string) answer{
			func(self, _ string) answer { return do(t, rt, "DELETE", self, "") },
			func(_, sid string) answer { return do(t, rt, "DELETE", me, "", "Cookie", sid) },
			func(string, string) answer { return do(t, rt, "DELETE", org+"/api/v1/users/"+ann+"/sessions", "") },
			func(string, string) answer {
				wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/"+ann+"/lifecycle/suspend", ""), 200)
				return do(t, rt, "DELETE", org+"/api/v1/users/"+ann+"/sessions", "")
			},
		} {
			id := create(sessionToken(t, rt)).json(t)["id"].(string)
			self := org + "/api/v1/sessions/" + id
			wantStatus(t, do(t, rt, "GET", self, ""), 200)
			wantStatus(t, end(self, "sid="+id), 204)
			wantCode(t, do(t, rt, "GET", self, ""), 404, "E0000007")
		}
	})
}

func TestASignInIsTheUsersLastLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1))
		rt := o.Transport()
		time.Sleep(time.Hour)
		want := time.Now().UTC().Format("2006-01-02T15:04:05") + ".000Z"
		sessionToken(t, rt)
		u := do(t, rt, "GET", org+"/api/v1/users/"+ann, "").json(t)
		if u["lastLogin"] != want || u["lastUpdated"] == want {
			t.Errorf("lastLogin %v, lastUpdated %v, want the first to be %s", u["lastLogin"], u["lastUpdated"], want)
		}
	})
}

// Users have no token of the org's.
func TestSignInsNeedNoTokenOfTheOrg(t *testing.T) {
	o := oktatest.New(oktatest.WithUsers(1), oktatest.RequireAuth("SSWS x"))
	rt := o.Transport()
	token := sessionToken(t, rt)
	a := do(t, rt, "POST", org+"/api/v1/sessions", `{"sessionToken":"`+token+`"}`)
	wantStatus(t, a, 200)
	id := a.json(t)["id"].(string)
	wantStatus(t, do(t, rt, "GET", org+"/api/v1/sessions/me", "", "Cookie", "sid="+id), 200)
	wantCode(t, do(t, rt, "GET", org+"/api/v1/sessions/"+id, ""), 401, "E0000011")
	wantStatus(t, do(t, rt, "GET", org+"/api/v1/sessions/"+id, "", "Authorization", "SSWS x"), 200)
	wantCode(t, do(t, rt, "POST", org+"/api/v1/authn", annsLogin, "Authorization", "SSWS wrong"), 401, "E0000011")
	wantStatus(t, do(t, rt, "POST", org+"/api/v1/authn", annsLogin, "Authorization", "SSWS x"), 200)
}

func TestSignInsCountForTheirBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1), oktatest.RequireMFA())
		rt := o.Transport()
		s, a := begin(t, rt, annsLogin)
		sees{200, 499, time.Minute}.check(t, a)
		push := do(t, rt, "GET", org+"/api/v1/users/"+ann+"/factors", "").list(t)[0]["id"].(string)
		sees{200, 499, time.Minute}.check(t, s.post("/factors/"+push+"/verify"))
		sees{200, 498, time.Minute}.check(t, s.post("/previous"))
		sees{401, 749, time.Minute}.check(t, do(t, rt, "POST", org+"/api/v1/sessions", `{"sessionToken":"x"}`))
	})
}

// Okta's limits count users by themselves.
func TestTheLimitsOfOneUserHoldNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(2), oktatest.RequireMFA(), oktatest.WithLimits(oktatest.OktaLimits()...))
		rt := o.Transport()
		ben := strings.Replace(annsLogin, ann, "user00001@example.com", 1)
		for range 4 {
			begin(t, rt, annsLogin)
		}
		_, a := begin(t, rt, annsLogin)
		wantCode(t, a, 429, "E0000047")
		_, a = begin(t, rt, ben)
		wantState(t, a, "MFA_REQUIRED")
		time.Sleep(time.Second)

		verify := "/factors/" + enrolled(t, rt, o, `{"factorType":"question","profile":{"question":"disliked_food","answer":"mayonnaise"}}`) + "/verify"
		s, _ := begin(t, rt, annsLogin)
		for range 4 {
			wantCode(t, s.post(verify, "answer", "no"), 403, "E0000068")
		}
		s, _ = begin(t, rt, annsLogin) // another transaction of the same user
		wantCode(t, s.post(verify, "answer", "no"), 403, "E0000068")
		wantCode(t, s.post(verify, "answer", "mayonnaise"), 429, "E0000047")
		time.Sleep(time.Second)
		s, a = begin(t, rt, ben)
		wantState(t, a, "MFA_REQUIRED")
		push := dig(a.json(t), "_embedded", "factors").([]any)[0].(map[string]any)["id"].(string)
		wantState(t, s.post("/factors/"+push+"/verify", "passCode", "1"), "MFA_CHALLENGE", "WAITING")
		if got := slices.Compact(refusals(o)); !slices.Equal(got, []string{oktatest.LimitPerUserName.Name, oktatest.LimitPasscodes.Name}) {
			t.Errorf("refused by %v", got)
		}
	})
}

// What a user types in belongs to the user.
func TestPasswordsAreInNothingThatTheFakeReports(t *testing.T) {
	const secret = `Zq9\"x-Secret1`
	o := oktatest.New(oktatest.WithUsers(1))
	rt := o.Transport()
	form := "grant_type=password&client_id=0oa1&scope=openid&username=" + ann + "&password=" + url.QueryEscape(secret)
	for path, body := range map[string]string{
		"/api/v1/authn": `{"username":"` + ann + `", "password" : "` + secret + `", "options":{}}`,
		"/api/v1/authn/credentials/change_password": `{"oldPassword":"` + secret + `","newPassword":"` + secret + `","stateToken":"x"}`,
		"/api/v1/users":                    `{"profile":{"login":"a@b.c","email":"a@b.c"},"credentials":{"password":{"value":"` + secret + `"}}}`,
		"/oauth2/v1/token":                 form,
		"/oauth2/default/v1/token?" + form: "",
	} {
		do(t, rt, "POST", org+path, body)
	}
	reported := do(t, rt, "GET", logsURL, "").body + do(t, rt, "GET", org+"/api/v1/users/a@b.c", "").body
	for _, r := range o.Requests() {
		reported += string(r.Body) + " " + r.RawQuery + "\n"
		if r.BodySize > 0 && !strings.Contains(string(r.Body), "***") {
			t.Errorf("%s: %s", r.Path, r.Body)
		}
	}
	if strings.Contains(reported, "Secret1") || strings.Contains(reported, "Zq9") {
		t.Errorf("a password is reported:\n%s", reported)
	}
	if !strings.Contains(reported, `"username":"`+ann+`", "password" : "***", "options":{}}`) || !strings.Contains(reported, "password=***") {
		t.Errorf("more than the passwords is missing:\n%s", reported)
	}
}
