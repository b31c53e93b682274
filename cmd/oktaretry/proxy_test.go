// This file tests the command proxy: its flags, and what reaches it while it runs.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

// lockedLog is a log that can be read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) has(s string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), s)
}

// freeAddress returns an address that nobody listens at just now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

func fetch(t *testing.T, url string) (status int, body string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(text)
}

func TestProxyServesReloadsAndStops(t *testing.T) {
	t.Setenv("OTEL_SERVICE_NAME", "directory-proxy")
	org := oktatest.NewServer(t, oktatest.WithUsers(1), oktatest.RequireAuth("SSWS held"))
	dir := t.TempDir()
	policy, token := filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "token")
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(policy, "pace:\n  maxUtilization: 0.9\n")
	write(token, "held\n")
	addr, admin := freeAddress(t), freeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log := new(lockedLog)
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"proxy", "--org", org.URL, "--listen", addr, "--admin", admin, "--policy", policy, "--token-file", token, "--log-json",
			"--log-level", "debug", "--redis", "redis://127.0.0.1:1/0"}, nil, io.Discard, log)
	}()
	await(t, "it is ready", func() bool { status, _ := fetch(t, "http://"+admin+"/readyz"); return status == 200 })
	if status, body := fetch(t, "http://"+addr+"/api/v1/users"); status != 200 || !strings.Contains(body, addr) {
		t.Errorf("%d %s", status, body)
	}
	await(t, "what go-redis says is in the log", func() bool { return log.has(`"msg":"go-redis: `) })
	if status, body := fetch(t, "http://"+admin+"/metrics"); status != 200 || !strings.Contains(body, "oktaretry_call_duration_seconds_count{") ||
		!strings.Contains(body, "oktaretry_sidecar_active{") || !strings.Contains(body, `service_name="directory-proxy",service_version="`) || !strings.Contains(body, "go_goroutines ") {
		t.Errorf("metrics: %d %s", status, body)
	}
	hangUp(t)
	await(t, "the policy is reloaded", func() bool { return log.has("policy reloaded") })
	write(policy, "pace:\n  maxUtilization: nine\n")
	hangUp(t)
	await(t, "a bad policy is refused", func() bool { return log.has("policy not reloaded") })
	if status, _ := fetch(t, "http://"+addr+"/api/v1/users"); status != 200 {
		t.Errorf("under the policy before: %d", status)
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d", c)
	}
	if log.has("held") {
		t.Error("the log has the token")
	}
}

// TestProxyIsReplacedUnderItsClient runs the command as systemd runs a service with a
// socket: the socket stays while the process is replaced, and a client that has it as its
// http_proxy notices neither that nor that Okta refuses and fails.
func TestProxyIsReplacedUnderItsClient(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("left out: Windows has no SIGTERM, and hands over no sockets")
	}
	const users, creates = 60, 2
	org := oktatest.NewServer(t, oktatest.WithUsers(users), oktatest.WithWindowLength(time.Second), oktatest.WithLatency(5*time.Millisecond))
	org.Script("GET /api/v1/users", oktatest.EdgePage(503), oktatest.Reset)
	org.Script("POST /api/v1/users", oktatest.RateLimited(time.Second))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	l.Close() // the file is a copy

	stop := startProxy(t, socket, org.URL)
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: l.Addr().String()})}}
	var work sync.WaitGroup
	work.Go(func() {
		if n := proxiedList(t, client, org.URL); n < users { // creates may add to the last page
			t.Errorf("%d users were listed, want at least %d", n, users)
		}
	})
	work.Go(func() {
		for n := range creates {
			login := fmt.Sprintf("proxied%d@example.com", n)
			call(t, client, "POST", org.URL+"/api/v1/users", `{"profile":{"login":"`+login+`","email":"`+login+`"}}`, new(struct{}))
		}
	})
	await(t, "both are refused", func() bool { return org.Answered(503) > 0 && len(org.RequestsTo("POST /api/v1/users")) > 0 })
	stop()
	stop = startProxy(t, socket, org.URL)
	work.Wait()
	client.CloseIdleConnections()
	stop()
	done := 0
	for _, r := range org.RequestsTo("POST /api/v1/users") {
		if r.Status == http.StatusOK {
			done++
		}
	}
	if done != creates {
		t.Errorf("%d times created, want %d", done, creates)
	}
}

// startProxy starts the command with a socket. The function stops it: it sends SIGTERM
// and waits for the end, which is that of all calls in flight and in line.
func startProxy(t *testing.T, socket *os.File, org string) (stop func()) {
	t.Helper()
	var log strings.Builder
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=proxy exec "$0" "$@"`,
		command, "proxy", "--org", org, "--admin", "", "--grace", "60s")
	cmd.ExtraFiles, cmd.Stderr = []*os.File{socket}, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) // if the test has ended before
	return func() {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the proxy ended with %v:\n%s", err, log.String())
		}
	}
}

var nextLink = regexp.MustCompile(`<([^>]*)>; rel="next"`)

// proxiedList reads all pages of users, and returns how many there are.
func proxiedList(t *testing.T, client *http.Client, org string) (n int) {
	for page := org + "/api/v1/users?limit=20"; page != ""; {
		var list []struct{}
		links := call(t, client, "GET", page, "", &list)["Link"]
		n += len(list)
		page = ""
		if m := nextLink.FindStringSubmatch(strings.Join(links, ",")); m != nil {
			page = m[1]
		}
	}
	return n
}

// call makes a call that must succeed.
func call(t *testing.T, client *http.Client, method, url, body string, into any) http.Header {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return nil
	}
	req.Header.Set("Authorization", "SSWS secret")
	resp, err := client.Do(req)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s %s: %s %s %v", method, url, resp.Status, text, err)
	}
	return resp.Header
}

// hangUp sends this process a SIGHUP.
func hangUp(t *testing.T) {
	t.Helper()
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Signal(syscall.SIGHUP)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestProxyReloadsWhileItStops: once it had begun to stop, a SIGHUP ended it, and with it
// the calls in flight.
func TestProxyReloadsWhileItStops(t *testing.T) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP) // which would end this process
	defer signal.Stop(caught)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	org := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(arrived); <-goOn }))
	defer org.Close()
	answer := sync.OnceFunc(func() { close(goOn) })
	defer answer()
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(policy, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log := new(lockedLog)
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"proxy", "--org", org.URL, "--listen", addr, "--admin", "", "--policy", policy}, nil, io.Discard, log)
	}()
	await(t, "it serves", func() bool { return log.has("msg=serving") })
	answered := make(chan int, 1)
	go func() {
		status, _ := fetch(t, "http://"+addr+"/api/v1/users")
		answered <- status
	}()
	<-arrived
	stop()
	await(t, "it is stopping", func() bool { return log.has("msg=stopping") })
	hangUp(t)
	await(t, "the policy is reloaded", func() bool { return log.has("policy reloaded") })
	answer()
	if status := <-answered; status != 200 {
		t.Errorf("the call in flight got %d", status)
	}
	if c := <-code; c != exitOK {
		t.Errorf("exit code %d", c)
	}
}

func TestProxyRefusesWhatMakesNoSense(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	const org = "https://acme.okta.com"
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no org":                     {nil, `"org" not set`},
		"an org by http":             {[]string{"--org", "http://acme.okta.com"}, "https"},
		"a listener for strangers":   {[]string{"--org", org, "--listen", "0.0.0.0:0", "--admin", ""}, "auth token or client certificates"},
		"a certificate alone":        {[]string{"--org", org, "--tls-cert", token}, "--tls-key"},
		"a token of no org":          {[]string{"--org", org, "--token-file", "b.okta.com=" + token}, "no --org"},
		"a token of either of two":   {[]string{"--org", org, "--org", "https://b.okta.com", "--token-file", token}, "ORG-HOST=FILE"},
		"a token twice":              {[]string{"--org", org, "--token-file", token, "--token-file", token}, "second"},
		"a token that is not there":  {[]string{"--org", org, "--token-file", token + "x"}, "no such file"},
		"a key without scopes":       {[]string{"--org", org, "--client-id", "0oa1", "--private-key", token}, "--scope"},
		"a key of two orgs":          {[]string{"--org", org, "--org", "https://b.okta.com", "--client-id", "0oa1", "--private-key", token, "--scope", "okta.users.read"}, "single org"},
		"a client id alone":          {[]string{"--org", org, "--client-id", "0oa1"}, "--client-id, --private-key and --scope"},
		"a scope alone":              {[]string{"--org", org, "--scope", "okta.users.read"}, "--client-id, --private-key and --scope"},
		"a negative grace":           {[]string{"--org", org, "--grace", "-1s"}, "Grace is -1s"},
		"no grace":                   {[]string{"--org", org, "--grace", "0"}, "--grace is 0s"},
		"no connections":             {[]string{"--org", org, "--max-conns", "0"}, "--max-conns is 0"},
		"a token at a path with =":   {[]string{"--org", org, "--token-file", token + "=x"}, "no such file"},
		"a Redis by http":            {[]string{"--org", org, "--redis", "http://:secret@redis"}, "redis://"},
		"a policy that is not there": {[]string{"--org", org, "--policy", token + "x"}, "no such file"},
	} {
		log := new(lockedLog)
		ctx, stop := context.WithTimeout(t.Context(), 20*time.Second) // of one that serves
		if c := run(ctx, append([]string{"proxy"}, tt.args...), nil, io.Discard, log); c != exitTrouble || !log.has(tt.want) || log.has("secret") || log.has("msg=serving") {
			t.Errorf("%s: exit code %d, %s", name, c, log.text.String())
		}
		stop()
	}
}
