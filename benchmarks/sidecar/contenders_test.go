// This file starts the proxies that are compared, and the org behind them.

package sidecar

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	roleVariable = "SIDECAR_BENCHMARK_ROLE"
	argVariable  = "SIDECAR_BENCHMARK_ORIGIN"
	proxyName    = "oktaretry proxy"
	bareIndex    = 1
)

// contender is a proxy and what was measured of it.
type contender struct {
	name  string
	addr  string
	pid   int
	rates []float64         // calls a second, of each turn
	cpu   []float64         // clock ticks of its processes a call, of each turn
	times [][]time.Duration // of each turn at quarter load, sorted
}

// The quantiles are medians of those of the turns: a machine that is busy for a moment
// spoils a turn and not the figure.
func (c *contender) quantile(q float64) time.Duration {
	var of []float64
	for _, times := range c.times {
		of = append(of, float64(times[min(len(times)-1, int(q*float64(len(times))))]))
	}
	return time.Duration(median(of)).Round(10 * time.Microsecond)
}
func (c *contender) p50() time.Duration { return c.quantile(0.50) }
func (c *contender) p99() time.Duration { return c.quantile(0.99) }

func contendersFor(t *testing.T, origin string, originPID int) []contender {
	t.Helper()
	all := []contender{
		{name: "none: the org itself"},
		{name: "httputil.ReverseProxy"},
		{name: proxyName},
		{name: "HAProxy"},
		{name: "nginx"},
	}
	all[0].addr, all[0].pid = origin, originPID
	all[1].addr, all[1].pid = startRole(t, "bare", origin)
	all[2].addr, all[2].pid = startProxy(t, origin)
	all[3].addr, all[3].pid = startHAProxy(t, origin)
	all[4].addr, all[4].pid = startNginx(t, origin)
	return slices.DeleteFunc(all, func(c contender) bool { return c.addr == "" })
}

// startProxy builds the command and starts it as a user would: with its metrics.
func startProxy(t *testing.T, origin string) (addr string, pid int) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "oktaretry")
	if out, err := exec.Command("go", "build", "-o", program, "github.com/oktaretry/oktaretry/cmd/oktaretry").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	addr = freeAddr(t)
	cmd := exec.Command(program, "proxy", "--org", "http://"+origin, "--listen", addr, "--admin", freeAddr(t))
	run(t, cmd, addr)
	return addr, cmd.Process.Pid
}

// startRole starts this program as a server.
func startRole(t *testing.T, role, origin string) (addr string, pid int) {
	t.Helper()
	addr = freeAddr(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role+" "+addr, argVariable+"="+origin)
	run(t, cmd, addr)
	return addr, cmd.Process.Pid
}

func startHAProxy(t *testing.T, origin string) (string, int) {
	addr := freeAddr(t)
	config := fmt.Sprintf(`global
  maxconn 1024
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend f
  bind %s
  default_backend b
backend b
  server s %s pool-max-conn 256
`, addr, origin)
	return startOther(t, addr, "haproxy", config, "-db", "-f")
}

func startNginx(t *testing.T, origin string) (string, int) {
	addr, dir := freeAddr(t), t.TempDir()
	config := fmt.Sprintf(`daemon off;
worker_processes auto;
error_log stderr crit;
pid %[1]s/pid;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  upstream org { server %[2]s; keepalive 256; }
  server {
    listen %[3]s;
    location / { proxy_pass http://org; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $proxy_host; }
  }
}
`, dir, origin, addr)
	return startOther(t, addr, "nginx", config, "-e", "stderr", "-c")
}

// startOther starts a proxy that is not ours; no address where it is not installed.
func startOther(t *testing.T, addr, program, config string, args ...string) (string, int) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Logf("%s is left out: it is not installed", program)
		return "", 0
	}
	file := filepath.Join(t.TempDir(), program+".conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, append(args, file)...)
	run(t, cmd, addr)
	return addr, cmd.Process.Pid
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run starts a server and waits until it answers.
func run(t *testing.T, cmd *exec.Cmd, addr string) {
	t.Helper()
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		time.AfterFunc(5*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
	})
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen: %s", cmd.Path, log.String())
		}
	}
}

// play is what this program does as a server.
func play(role string) {
	kind, addr, _ := strings.Cut(role, " ")
	var h http.Handler
	if kind == "origin" {
		h = org(addr)
	} else {
		target := &url.URL{Scheme: "http", Host: os.Getenv(argVariable)}
		base := http.DefaultTransport.(*http.Transport).Clone()
		base.MaxIdleConnsPerHost, base.MaxIdleConns = 256, 0
		base.DisableCompression = true
		h = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: base, BufferPool: new(buffers)}
	}
	if err := http.ListenAndServe(addr, h); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type buffers struct{ sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.Pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}
func (b *buffers) Put(p []byte) { b.Pool.Put(&p) }

// org answers a user in 1 KB and a page of users in 100 KB, with Okta's headers.
func org(addr string) http.Handler {
	link := func(rest string) string { return `"http://` + addr + rest + `"` }
	user := func(n int) string {
		return fmt.Sprintf(`{"id":"00u%017d","status":"ACTIVE","created":"2026-01-02T03:04:05.000Z","activated":"2026-01-02T03:04:05.000Z",`+
			`"lastLogin":"2026-01-02T03:04:05.000Z","lastUpdated":"2026-01-02T03:04:05.000Z","type":{"id":"oty0000000000000deft"},`+
			`"profile":{"firstName":"Isaac","lastName":"Brock","mobilePhone":null,"secondEmail":null,"login":"user%05d@example.com","email":"user%05d@example.com"},`+
			`"credentials":{"provider":{"type":"OKTA","name":"OKTA"}},"_links":{"suspend":{"href":%s,"method":"POST"},"schema":{"href":%s},"self":{"href":%s},"type":{"href":%s}}}`,
			n, n, n, link("/api/v1/users/00u/lifecycle/suspend"), link("/api/v1/meta/schemas/user/osc"), link("/api/v1/users/00u"), link("/api/v1/meta/types/user/oty"))
	}
	list := make([]string, 125)
	for n := range list {
		list[n] = user(n)
	}
	bodies := map[string][]byte{"/api/v1/users/00u1": []byte(user(1)), "/api/v1/users": []byte("[" + strings.Join(list, ",") + "]")}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := bodies[r.URL.Path]
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Content-Length", strconv.Itoa(len(body)))
		h.Set("X-Okta-Request-Id", "aGVsbG8gd29ybGQ")
		h.Set("X-Rate-Limit-Limit", "10000000")
		h.Set("X-Rate-Limit-Remaining", "9000000")
		h.Set("X-Rate-Limit-Reset", strconv.FormatInt(time.Now().Unix()/60*60+60, 10))
		h["Link"] = []string{"<http://" + addr + r.URL.Path + `>; rel="self"`}
		w.Write(body)
	})
}

// residentKB returns the memory of a process that is in RAM.
func residentKB(t *testing.T, pid int) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("the memory of a process is not to be had here: %v", err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// cpuTicks returns the CPU time of a process and of its children that run: nginx has
// workers. 0 where it is not to be had.
func cpuTicks(t *testing.T, pid int) int {
	t.Helper()
	sum := 0
	for _, p := range append(children(pid), pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		for _, f := range fields[11:13] { // user and system
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

func children(pid int) (all []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, f := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(f); err == nil {
			all = append(all, n)
		}
	}
	return all
}
