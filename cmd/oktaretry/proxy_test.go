// This file tests the command proxy: its flags, and what reaches it while it runs.

package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
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
	hangUp := func() {
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Signal(syscall.SIGHUP)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	hangUp()
	await(t, "the policy is reloaded", func() bool { return log.has("policy reloaded") })
	write(policy, "pace:\n  maxUtilization: nine\n")
	hangUp()
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
		"a Redis by http":            {[]string{"--org", org, "--redis", "http://:secret@redis"}, "redis://"},
		"a policy that is not there": {[]string{"--org", org, "--policy", token + "x"}, "no such file"},
	} {
		log := new(lockedLog)
		if c := run(t.Context(), append([]string{"proxy"}, tt.args...), nil, io.Discard, log); c != exitTrouble || !log.has(tt.want) || log.has("secret") || log.has("msg=serving") {
			t.Errorf("%s: exit code %d, %s", name, c, log.text.String())
		}
	}
}
