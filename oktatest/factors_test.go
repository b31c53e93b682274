package oktatest_test

import (
	"encoding/base32"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktatest/internal/factor"
)

// factorsOf is the URL of a new user's factors.
func factorsOf(t *testing.T, rt http.RoundTripper) string {
	t.Helper()
	return org + "/api/v1/users/" + addUser(t, rt, "ann", "Eng") + "/factors"
}

// enroll enrolls a factor and returns it, and its URL.
func enroll(t *testing.T, rt http.RoundTripper, factors, body, status string) (f map[string]any, self string) {
	t.Helper()
	a := do(t, rt, "POST", factors, body)
	wantStatus(t, a, 200)
	if f = a.json(t); f["status"] != status {
		t.Fatalf("%s, want status %s", a.body, status)
	}
	return f, dig(f, "_links", "self", "href").(string)
}

// dig follows keys through objects.
func dig(v any, keys ...string) any {
	for _, k := range keys {
		v = v.(map[string]any)[k]
	}
	return v
}

func TestANewUserHasNoFactors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := oktatest.New().Transport()
		factors := factorsOf(t, rt)
		if l := do(t, rt, "GET", factors, "").list(t); len(l) != 0 {
			t.Error(l)
		}
		wantCode(t, do(t, rt, "POST", factors+"/opf1/verify", ""), 404, "E0000007")
		catalog := do(t, rt, "GET", factors+"/catalog", "").list(t)
		if len(catalog) < 10 || catalog[0]["factorType"] != "push" || catalog[0]["status"] != "NOT_SETUP" {
			t.Error(catalog)
		}
		if l := do(t, rt, "GET", factors+"/questions", "").list(t); len(l) == 0 || l[0]["questionText"] == "" {
			t.Error(l)
		}
	})
}

func TestPushIsEnrolledByPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithFactorResult("SUCCESS", 2))
		rt := o.Transport()
		factors := factorsOf(t, rt)
		f, self := enroll(t, rt, factors, `{"factorType":"push","provider":"OKTA"}`, "PENDING_ACTIVATION")
		if dig(f, "_embedded", "activation", "factorResult") != "WAITING" {
			t.Error(f)
		}
		wantCode(t, do(t, rt, "POST", self+"/verify", ""), 400, "E0000001")
		poll := dig(f, "_links", "poll", "href").(string)
		for range 2 {
			if a := do(t, rt, "POST", poll, ""); a.json(t)["factorResult"] != "WAITING" {
				t.Error(a.body)
			}
		}
		if a := do(t, rt, "POST", poll, ""); a.json(t)["status"] != "ACTIVE" {
			t.Error(a.body)
		}
		if a := do(t, rt, "GET", self, ""); a.json(t)["status"] != "ACTIVE" || dig(a.json(t), "_links", "verify") == nil {
			t.Error(a.body)
		}
		wantStatus(t, do(t, rt, "POST", self+"/verify", ""), 201)
		if o.Pushes() != 1 {
			t.Errorf("%d pushes, want 1: enrolling sends none", o.Pushes())
		}
		wantStatus(t, do(t, rt, "DELETE", self, ""), 204)
		wantCode(t, do(t, rt, "GET", self, ""), 404, "E0000007")

		o.SetFactorResult("SUCCESS", -1) // nobody scans the code
		f, self = enroll(t, rt, factors, `{"factorType":"push","provider":"OKTA"}`, "PENDING_ACTIVATION")
		time.Sleep(5*time.Minute + time.Second)
		a := do(t, rt, "POST", dig(f, "_links", "poll", "href").(string), "")
		if a.json(t)["factorResult"] != "TIMEOUT" {
			t.Error(a.body)
		}
		o.SetFactorResult("SUCCESS", 0) // and then somebody does
		a = do(t, rt, "POST", dig(a.json(t), "_links", "activate", "href").(string), "")
		if a.json(t)["factorResult"] != "WAITING" {
			t.Error(a.body)
		}
		if a = do(t, rt, "POST", self+"/lifecycle/activate/poll", ""); a.json(t)["status"] != "ACTIVE" {
			t.Error(a.body)
		}
	})
}

func TestPasscodesActivateAndVerify(t *testing.T) {
	for _, c := range []struct {
		body      string
		challenge bool // a passcode is sent when asked for
	}{
		{`{"factorType":"sms","provider":"OKTA","profile":{"phoneNumber":"+1-555-415-1337"}}`, true},
		{`{"factorType":"call","provider":"OKTA","profile":{"phoneNumber":"+15554151337"}}`, true},
		{`{"factorType":"email","provider":"OKTA","profile":{"email":"ann@x.test"}}`, true},
		{`{"factorType":"token:software:totp","provider":"OKTA"}`, false},
		{`{"factorType":"token:software:totp","provider":"GOOGLE"}`, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			o := oktatest.New()
			rt := o.Transport()
			f, self := enroll(t, rt, factorsOf(t, rt), c.body, "PENDING_ACTIVATION")
			code := func() string {
				t.Helper()
				code, ok := o.Passcode("ann@x.test", f["id"].(string))
				if !ok || len(code) != 6 {
					t.Fatalf("%s: passcode %q, %v", c.body, code, ok)
				}
				return `{"passCode":"` + code + `"}`
			}
			wantCode(t, do(t, rt, "POST", self+"/lifecycle/activate", `{"passCode":"12345"}`), 403, "E0000068")
			a := do(t, rt, "POST", self+"/lifecycle/activate", code())
			if wantStatus(t, a, 200); a.json(t)["status"] != "ACTIVE" {
				t.Error(a.body)
			}
			time.Sleep(time.Minute)
			if c.challenge {
				first := do(t, rt, "POST", self+"/verify", "")
				if first.json(t)["factorResult"] != "CHALLENGE" {
					t.Error(first.body)
				}
			}
			right := code()
			wantCode(t, do(t, rt, "POST", self+"/verify", `{"passCode":"12345"}`), 403, "E0000068")
			if a := do(t, rt, "POST", self+"/verify", right); a.json(t)["factorResult"] != "SUCCESS" {
				t.Error(a.body)
			}
			wantCode(t, do(t, rt, "POST", self+"/verify", right), 403, "E0000068") // each is good for once
			if c.challenge {
				wantStatus(t, do(t, rt, "POST", self+"/resend", ""), 200)
				late := code()
				time.Sleep(5*time.Minute + time.Second)
				wantCode(t, do(t, rt, "POST", self+"/verify", late), 403, "E0000083")
			}
			if o.Pushes() != 0 {
				t.Errorf("%d pushes, want none", o.Pushes())
			}
		})
	}
}

func TestQuestionsAndTokensNeedNoActivation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New()
		rt := o.Transport()
		factors := factorsOf(t, rt)
		f, self := enroll(t, rt, factors, `{"factorType":"question","provider":"OKTA","profile":{"question":"disliked_food","answer":"mayonnaise"}}`, "ACTIVE")
		if profile := f["profile"].(map[string]any); profile["answer"] != nil || profile["questionText"] != "What is the food you least liked as a child?" {
			t.Error(profile)
		}
		wantCode(t, do(t, rt, "POST", self+"/verify", `{"answer":"bread"}`), 403, "E0000068")
		if a := do(t, rt, "POST", self+"/verify", `{"answer":"mayonnaise"}`); a.json(t)["factorResult"] != "SUCCESS" {
			t.Error(a.body)
		}
		f, self = enroll(t, rt, factors, `{"factorType":"token","provider":"RSA","profile":{"credentialId":"ann"},"verify":{"passCode":"1"}}`, "ACTIVE")
		code, _ := o.Passcode("ann@x.test", f["id"].(string))
		for range 2 {
			wantStatus(t, do(t, rt, "POST", self+"/verify", `{"passCode":"`+code+`"}`), 200)
		}
		enroll(t, rt, factors, `{"factorType":"sms","profile":{"phoneNumber":"+15554151337"}}`, "PENDING_ACTIVATION")
		if n := len(do(t, rt, "GET", factors, "").list(t)); n != 3 {
			t.Errorf("%d factors, want 3", n)
		}
		wantStatus(t, do(t, rt, "POST", org+"/api/v1/users/ann@x.test/lifecycle/reset_factors", ""), 200)
		if n := len(do(t, rt, "GET", factors, "").list(t)); n != 0 {
			t.Errorf("%d factors after a reset, want none", n)
		}
	})
}

func TestBadEnrollmentsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := oktatest.New().Transport()
		factors := factorsOf(t, rt)
		for body, code := range map[string]string{
			`{`:                                      "E0000003",
			`{}`:                                     "E0000001",
			`{"factorType":"smoke"}`:                 "E0000001",
			`{"factorType":"push","provider":"DUO"}`: "E0000001",
			`{"factorType":"sms","profile":{"phoneNumber":"x"}}`:          "E0000098",
			`{"factorType":"question","profile":{"question":"x"}}`:        "E0000001",
			`{"factorType":"question","profile":{"answer":"mayonnaise"}}`: "E0000001",
		} {
			wantCode(t, do(t, rt, "POST", factors, body), 400, code)
		}
		const sms = `{"factorType":"sms","profile":{"phoneNumber":"+15554151337"}}`
		enroll(t, rt, factors, sms, "PENDING_ACTIVATION")
		enroll(t, rt, factors, sms, "PENDING_ACTIVATION") // in the other's place
		wantStatus(t, do(t, rt, "POST", factors+"?activate=true", sms), 200)
		wantCode(t, do(t, rt, "POST", factors, sms), 400, "E0000001")
		if l := do(t, rt, "GET", factors, "").list(t); len(l) != 1 || l[0]["status"] != "ACTIVE" {
			t.Error(l)
		}
		wantCode(t, do(t, rt, "POST", org+"/api/v1/users/nobody/factors", sms), 404, "E0000007")
	})
}

func TestATransactionIsOfItsUserAndFactor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(2))
		rt := o.Transport()
		ids := o.UserIDs()
		self := dig(do(t, rt, "GET", org+"/api/v1/users/"+ids[0]+"/factors", "").list(t)[0], "_links", "self", "href").(string)
		a := do(t, rt, "POST", self+"/verify", "")
		poll := dig(a.json(t), "_links", "poll", "href").(string)
		wantStatus(t, do(t, rt, "GET", poll, ""), 200)
		other := fmt.Sprintf("%s/api/v1/users/%s%s", org, ids[1], poll[len(org+"/api/v1/users/"+ids[0]):])
		wantCode(t, do(t, rt, "GET", other, ""), 404, "E0000191")
	})
}

// The vectors of RFC 6238, appendix B, for SHA-1: the last six of their eight digits.
func TestPasscodesAreThoseOfRFC6238(t *testing.T) {
	t.Parallel()
	secret := base32.StdEncoding.EncodeToString([]byte("12345678901234567890"))
	for seconds, want := range map[int64]string{
		59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130",
	} {
		if got := factor.TOTP(secret, seconds/30); got != want {
			t.Errorf("at %d s: %s, want %s", seconds, got, want)
		}
	}
}
