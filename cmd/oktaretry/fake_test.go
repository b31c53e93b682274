// This file tests the fake Okta as a server.

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// served is a fake that runs.
type served struct {
	t             *testing.T
	cmd           *exec.Cmd
	URL, Token    string
	Control       string
	Users, Groups int
	Scenarios     []string
}

func serve(t *testing.T, args ...string) *served {
	t.Helper()
	s := &served{t: t, cmd: exec.Command(command, append([]string{"fake", "--json"}, args...)...)}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill(); s.cmd.Wait() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line, s); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	return s
}

// do sends a request as the fake's token.
func (s *served) do(method, path string) (status int, h http.Header, body string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "SSWS "+s.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

const org = `users:
  - {login: ann@example.com, firstName: Ann, lastName: Lee, groups: [staff, board]}
  - {login: ben@example.com, email: b@example.com, status: SUSPENDED, profile: {department: sales}, groups: [staff]}
groups:
  - {name: staff, description: Everyone}
  - {name: empty}
`

func TestFakeServesTheSeed(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"org.yaml": org})
	s := serve(t, "--seed", filepath.Join(dir, "org.yaml"), "--users", "2")
	if s.Users != 4 || s.Groups != 3 {
		t.Errorf("%d users and %d groups, want 4 and 3", s.Users, s.Groups)
	}
	if status, h, body := s.do("GET", "/api/v1/users/ben@example.com"); status != 200 || h.Get("X-Rate-Limit-Limit") == "" ||
		!strings.Contains(body, `"status":"SUSPENDED"`) || !strings.Contains(body, `"department":"sales"`) || !strings.Contains(body, `"email":"b@example.com"`) {
		t.Errorf("%d %v %s", status, h, body)
	}
	var groups []struct{ ID string }
	if _, _, body := s.do("GET", "/api/v1/groups?q=staff"); json.Unmarshal([]byte(body), &groups) != nil || len(groups) != 1 {
		t.Fatalf("groups named staff: %s", body)
	}
	if _, _, body := s.do("GET", "/api/v1/groups/"+groups[0].ID+"/users"); strings.Count(body, `"id"`) != 2+2 { // users, and their types
		t.Errorf("members of staff: %s", body)
	}
	s.Token = "another"
	if status, _, body := s.do("GET", "/api/v1/users"); status != 401 || !strings.Contains(body, "E0000011") {
		t.Errorf("another token: %d %s", status, body)
	}
}

func TestFakeRefusesABadSeedAtItsPlace(t *testing.T) {
	dir := files(t, map[string]string{
		"unknown.yaml":  "users:\n  - {login: ann@example.com, lastNam: Lee}\n",
		"doubled.yaml":  "users: []\ngroups: []\nusers: []\n",
		"type.yaml":     "users:\n  - login: [a]\n",
		"twice.yaml":    "users:\n  - login: ann@example.com\n  - login: Ann@example.com\n",
		"status.yaml":   "users:\n  - {login: ann@example.com, status: HAPPY}\n",
		"nameless.yaml": "groups:\n  - {description: x}\n",
		"empty.yaml":    "",
		"noyaml.yaml":   "users: {\n",
	})
	for file, want := range map[string]string{
		"unknown.yaml":  "oktaretry: unknown.yaml:2:30: users.0.lastNam is unknown, want one of login,",
		"doubled.yaml":  "oktaretry: doubled.yaml:3:1: users is given twice, first in line 1",
		"type.yaml":     "oktaretry: type.yaml:2:12: users.0.login is an array, want a string",
		"twice.yaml":    "oktaretry: twice.yaml:3:12: users.1.login is \"Ann@example.com\", which another user has",
		"status.yaml":   "oktaretry: status.yaml:2:38: users.0.status is \"HAPPY\", want one of STAGED,",
		"nameless.yaml": "oktaretry: nameless.yaml:2:5: groups.0 has no name",
		"empty.yaml":    "oktaretry: empty.yaml:1:1: the file is empty: {} means an empty org",
		"noyaml.yaml":   "oktaretry: noyaml.yaml:1:8: ",
	} {
		if got := runIn(t, dir, "fake", "--seed", file); got.code != 2 || got.out != "" || !strings.HasPrefix(got.err, want) {
			t.Errorf("%s: code %d, %s%s\nwant %s", file, got.code, got.out, got.err, want)
		}
	}
}

func TestFakeRefusesASeedThatItsFlagsContradict(t *testing.T) {
	dir := files(t, map[string]string{"org.yaml": "users:\n  - login: user00000@example.com\n"})
	want := "oktaretry: org.yaml: oktatest: seed: users.0.login is \"user00000@example.com\", which another user has"
	if got := runIn(t, dir, "fake", "--users", "1", "--seed", "org.yaml"); got.code != 2 || !strings.HasPrefix(got.err, want) {
		t.Errorf("%+v", got)
	}
}

// control calls the control API with a body.
func (s *served) control(method, path, body string) (status int, text string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.Control+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestFakeIsSteeredByItsControlAPI(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{"org.yaml": org})
	s := serve(t, "--seed", filepath.Join(dir, "org.yaml"))
	if status, text := s.control("POST", "scripts", `{"pattern": "GET /api/v1/users", "steps": [{"rateLimited": "2s"}]}`); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if status, _, _ := s.do("GET", "/api/v1/users"); status != 429 {
		t.Errorf("status %d, want the script's 429", status)
	}
	if _, text := s.control("GET", "journal?status=429", ""); !strings.Contains(text, `"path": "/api/v1/users"`) {
		t.Errorf("journal: %s", text)
	}
	s.control("POST", "days/edge-outage", "")
	if status, _, _ := s.do("GET", "/api/v1/users"); status != 503 {
		t.Errorf("status %d, want the outage's 503", status)
	}
	if status, text := s.control("POST", "reset", ""); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	if status, _, body := s.do("GET", "/api/v1/users"); status != 200 || !strings.Contains(body, "ben@example.com") {
		t.Errorf("after the reset: %d %s", status, body)
	}
	if _, text := s.control("GET", "health", ""); !strings.Contains(text, `"arrived": 1,`) {
		t.Errorf("after the reset: %s", text)
	}
}

func TestFakeHasNoControlAPIWhereItIsOff(t *testing.T) {
	t.Parallel()
	s := serve(t, "--control", "off")
	if status, _, _ := s.do("POST", "/_oktatest/reset"); s.Control != "" || status == 200 {
		t.Errorf("control %q, status %d", s.Control, status)
	}
}

func TestFakeStartsItsScenariosAnewAfterAReset(t *testing.T) {
	t.Parallel()
	s := serve(t, "--users", "1", "--scenario", "brownout")
	for range 2 {
		seen := ""
		for range 3 {
			status, _, _ := s.do("GET", "/api/v1/users")
			seen += fmt.Sprint(status, " ")
		}
		if seen != "200 200 500 " {
			t.Errorf("answers %s", seen)
		}
		s.control("POST", "reset", "")
	}
}

func TestFakePlaysItsScenarios(t *testing.T) {
	t.Parallel()
	t.Run("quota-storm", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "--users", "1", "--scenario", "quota-storm")
		for range 100 {
			if status, h, body := s.do("GET", "/api/v1/users"); status == 429 {
				if h.Get("X-Rate-Limit-Remaining") != "0" || !strings.Contains(body, "E0000047") {
					t.Errorf("%v %s", h, body)
				}
				return
			}
		}
		t.Error("100 calls, and none is refused")
	})
	t.Run("brownout", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "--users", "1", "--scenario", "brownout")
		seen := ""
		for range 6 {
			status, _, _ := s.do("GET", "/api/v1/users")
			seen += fmt.Sprint(status, " ")
		}
		if seen != "200 200 500 200 200 504 " {
			t.Errorf("answers %s", seen)
		}
	})
	t.Run("brownout and flaky", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "--users", "1", "--scenario", "brownout,flaky")
		seen := ""
		for range 6 {
			req, _ := http.NewRequest("POST", s.URL+"/api/v1/users/me/lifecycle/suspend", nil) // which net/http sends once
			req.Header.Set("Authorization", "SSWS "+s.Token)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				seen += "broken "
				continue
			}
			resp.Body.Close()
			seen += fmt.Sprint(resp.StatusCode, " ")
		}
		if seen != "200 400 500 400 broken 504 " {
			t.Errorf("answers %s", seen)
		}
	})
	t.Run("quota-storm and outage", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, playsAStormAndAnOutage) // which last for seconds
	})
	t.Run("push", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "--users", "1", "--scenario", "push,clock-skew")
		status, h, body := s.do("POST", "/api/v1/users/me/factors/opf1/verify")
		if status != 201 || !strings.Contains(body, `"factorResult":"WAITING"`) {
			t.Errorf("%d %v %s", status, h, body)
		}
	})
}

func playsAStormAndAnOutage(t *testing.T) {
	o := fakeOptions{token: "t", users: 1, control: "off", scenarios: []string{"quota-storm", "outage"}}
	org, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	var limited, out, broken, after bool
	for ; time.Since(begin) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		req, _ := http.NewRequest("GET", "https://example.okta.com/api/v1/users", nil)
		req.Header.Set("Authorization", "SSWS t")
		resp, err := org.Okta().Transport().RoundTrip(req)
		if err != nil {
			broken = true
			continue
		}
		resp.Body.Close()
		limited = limited || resp.StatusCode == 429
		out = out || resp.StatusCode == 503
		after = after || out && resp.StatusCode == 200
	}
	if !limited || !out || !broken || !after {
		t.Errorf("limited %t, out %t, broken %t, well after %t: want all", limited, out, broken, after)
	}
}

func TestFakeEndsBySIGTERM(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("left out: Windows has no SIGTERM")
	}
	s := serve(t, "--scenario", "slow-answers")
	hung := make(chan error, 1)
	go func() {
		resp, err := http.Get(s.URL + "/.well-known/okta-organization")
		if err == nil {
			resp.Body.Close()
		}
		hung <- err
	}()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("it ends with %v, want exit code 0", err)
	}
	<-hung
}

func TestFakeListensWhereItIsTold(t *testing.T) {
	s := serve(t)
	port := s.URL[strings.LastIndex(s.URL, ":")+1:]
	if got := runIn(t, "", "fake", "--port", port); got.code != 2 || !strings.Contains(got.err, "address already in use") && runtime.GOOS != "windows" {
		t.Errorf("a port in use: %+v", got)
	}
}
