// This file tests what a client gets when Okta's answer is not to be had.

package sidecar

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

func TestErrorsHaveOktasFormAndAnHonestRetryAfter(t *testing.T) {
	t.Parallel() // it waits for most of its time
	const private = "jane.doe@example.com"
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	for _, tt := range []struct {
		name     string
		step     oktatest.Step
		policy   func(*oktaretry.Policy)
		header   []string
		calls    int
		status   int
		code     string
		kind     string
		min, max int // of Retry-After, in seconds; 0: none
	}{
		{name: "a rate limit that is given up", step: oktatest.RateLimited(30 * time.Second), calls: 1,
			policy: func(p *oktaretry.Policy) { p.RateLimited.MaxElapsed = time.Second },
			status: 429, code: "E0000047", kind: "rate_limited", min: 25, max: 33},
		{name: "a deadline that a rate limit does not fit", step: oktatest.RateLimited(30 * time.Second), calls: 1,
			header: []string{"Oktaretry-Timeout", "5"}, status: 429, code: "E0000047", kind: "rate_limited", min: 25, max: 33},
		{name: "a bucket that is closed", step: oktatest.RateLimited(30 * time.Second), calls: 2,
			header: []string{"Oktaretry-Timeout", "5s"}, status: 429, code: "E0000047", kind: "rate_limited", min: 25, max: 33},
		{name: "a code of its own", step: oktatest.Code("E0000146"), calls: 1, status: 429, code: "E0000146", kind: "rate_limited", min: 3600, max: 90000},
		{name: "an open circuit", step: oktatest.Code("E0000009").WithStatus(503), calls: 40,
			policy: func(p *oktaretry.Policy) { p.ServerError.MaxAttempts = 1 },
			status: 503, code: "E0000009", kind: "circuit_open", min: 1, max: 120},
		{name: "a factor that does not answer", step: oktatest.Code("E0000070").WithPoll("/api/v1/users"), calls: 1,
			policy: func(p *oktaretry.Policy) {
				p.Pending.MaxElapsed, p.Pending.InitialWait, p.Pending.MaxWait = 20*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond
			},
			status: 504, code: "E0000070", kind: "pending", min: 1, max: 10},
		{name: "no answer within the deadline", step: oktatest.Hang, calls: 1, header: []string{"Oktaretry-Timeout", "100ms"},
			status: 504, code: "E0000009", kind: "deadline"},
		{name: "no answer within the attempt's time", step: oktatest.Hang, calls: 1,
			policy: func(p *oktaretry.Policy) { p.AttemptTimeout, p.Network.MaxAttempts = 50*time.Millisecond, 1 },
			status: 504, code: "E0000009", kind: "timeout"},
		{name: "a connection that breaks", step: oktatest.Reset, calls: 1,
			policy: func(p *oktaretry.Policy) { p.Network.MaxAttempts = 1 },
			status: 502, code: "E0000009", kind: "network"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			policy := oktaretry.DefaultPolicy()
			if tt.policy != nil {
				tt.policy(&policy)
			}
			s := start(t, Config{Options: []oktaretry.Option{oktaretry.WithPolicy(policy)}}, org)
			org.Script("GET /api/v1/users", oktatest.Always(tt.step))
			defer org.ClearScripts()
			var a got
			for range tt.calls {
				a = s.do("GET", "/api/v1/users?search="+url.QueryEscape(private), "", append(tt.header, "Authorization", "SSWS topsecret")...)
			}
			if a.status != tt.status || a.header.Get("Oktaretry-Error") != tt.kind {
				t.Fatalf("%d %s %s", a.status, a.header.Get("Oktaretry-Error"), a.body)
			}
			if e := a.error(t); e.Code != tt.code {
				t.Errorf("code %s, want %s", e.Code, tt.code)
			}
			after, _ := strconv.Atoi(a.header.Get("Retry-After"))
			if after < tt.min || after > tt.max {
				t.Errorf("Retry-After %q, want %d to %d", a.header.Get("Retry-After"), tt.min, tt.max)
			}
			if tt.status == 429 {
				// As Okta's SDKs compute it.
				date, _ := http.ParseTime(a.header.Get("Date"))
				reset, _ := strconv.ParseInt(a.header.Get("X-Rate-Limit-Reset"), 10, 64)
				if wait := reset - date.Unix(); wait != int64(after) {
					t.Errorf("X-Rate-Limit-Reset is %d s after Date, Retry-After %d", wait, after)
				}
			}
			for _, place := range []string{a.body, s.log.String()} {
				if strings.Contains(place, "jane") || strings.Contains(place, "topsecret") || strings.Contains(place, org.URL) {
					t.Errorf("something private is in %s", place)
				}
			}
		})
	}
}

func TestAnOrgThatIsNotThereIsA502(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := startAt(t, Config{Options: []oktaretry.Option{impatient()}}, &url.URL{Scheme: "http", Host: l.Addr().String()})
	a := s.do("GET", "/api/v1/users", "")
	if a.status != 502 {
		t.Errorf("%d %s", a.status, a.body)
	}
	a.error(t)
	if a := s.do("HEAD", "/api/v1/users", ""); a.status != 502 || a.body != "" {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
}

func TestErrorsOfOktaPassUntouched(t *testing.T) {
	org := oktatest.NewServer(t)
	s := start(t, Config{Options: []oktaretry.Option{impatient()}}, org)
	org.Script("GET /api/v1/users", oktatest.EdgePage(503))
	if a := s.do("GET", "/api/v1/users", ""); a.status != 503 || !strings.Contains(a.body, "<html") || a.header.Get("Oktaretry-Error") != "" {
		t.Errorf("an edge's page: %d %s", a.status, a.body)
	}
	if a := s.do("GET", "/api/v1/users/nobody", ""); a.status != 404 || !strings.Contains(a.body, "E0000007") || a.header.Get("X-Okta-Request-Id") == "" {
		t.Errorf("an unknown user: %d %s", a.status, a.body)
	}
}
