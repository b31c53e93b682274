// This file runs clients that are not ours through the command proxy while Okta refuses,
// fails and is slow, and the proxy is stopped and started: nobody may notice.

package sidecar

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry/oktatest"
)

var full = flag.Bool("full", false, "run clients in all languages, for some 20 s, and look at the command as the image has it")

// users is how many the org has at first: three pages.
const users = 60

// play is what each client does, and what befalls it.
type play struct {
	rounds  int // of lists, each of all users
	creates int
	polls   int           // after which the user says yes to a push
	window  time.Duration // of the org's rate limits
	refused time.Duration // how long refusals last
	stops   []int         // of the proxy, each when a part of the lists, one in so many, has arrived
}

// played is what is played: a short form, or with -full the story in full.
func played() play {
	if *full {
		return play{rounds: 2, creates: 4, polls: 3, window: 2 * time.Second, refused: time.Second, stops: []int{4, 2}}
	}
	return play{rounds: 1, creates: 2, polls: 1, window: time.Second, stops: []int{2}}
}

// client is somebody who calls Okta by the URL of the sidecar.
type client struct {
	name    string
	program string // that it needs
	check   string // a command that succeeds where its libraries are there; "": it is in Go
	pushes  bool
	run     func(ctx context.Context, p play, org *oktatest.Server, sidecar string) ([]byte, error)
}

var clients = []client{
	{"Python", "python3", "/usr/bin/python3 -c 'import requests'", true, command("/usr/bin/python3", "sync.py")},
	{"Node", "node", "node --eval fetch", true, command("node", "sync.mjs")},
	{"curl", "curl", "curl --version", false, command("sh", "sync.sh")},
	{"SDK v6", "", "", true, sdk("sdk", toURL)},
	{"SDK v6 as terraform-provider-okta sets it up", "", "", true, sdk("terraform", asTerraform)},
	{"a client with http_proxy", "", "", false, proxied},
}

// present lists the clients that are played: with -full those whose programs are there,
// which all must be under CI, else those in Go.
func present(t *testing.T) (all []client) {
	t.Helper()
	for _, c := range clients {
		if c.check != "" && !*full {
			t.Logf("%s is left out: run it with -full", c.name)
			continue
		}
		if c.check != "" && exec.Command("sh", "-c", c.check).Run() != nil {
			missing := fmt.Sprintf("%s is left out: %q fails (Debian: python3-requests, nodejs, curl)", c.name, c.check)
			if os.Getenv("CI") != "" {
				t.Error(missing)
			}
			t.Log(missing)
			continue
		}
		all = append(all, c)
	}
	return all
}

func command(name string, args ...string) func(context.Context, play, *oktatest.Server, string) ([]byte, error) {
	return func(ctx context.Context, p play, _ *oktatest.Server, sidecar string) ([]byte, error) {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Env = append(os.Environ(), "OKTA_ORG_URL="+sidecar, "OKTA_API_TOKEN=secret", "PUSH_USER="+pushUser, fmt.Sprintf("ROUNDS=%d", p.rounds), fmt.Sprintf("CREATES=%d", p.creates))
		out, err := cmd.Output()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return out, err
	}
}

// pushUser is a user of the fake's who has a push factor; users that clients create have
// none.
const pushUser = "user00000@example.com"

// result is what each client prints.
type result struct {
	Fewest  int    `json:"fewest"`
	Created int    `json:"created"`
	Push    string `json:"push,omitempty"`
}

// toURL sets the SDK up for the sidecar's URL.
func toURL(sidecar *url.URL) (*okta.Configuration, error) {
	config, err := okta.NewConfiguration(okta.WithOrgUrl(sidecar.String()), okta.WithToken("secret"), okta.WithCache(false), okta.WithTestingDisableHttpsCheck(true))
	if err == nil {
		config.Scheme, config.Host = sidecar.Scheme, sidecar.Host // the SDK has dropped the port
	}
	return config, err
}

// asTerraform sets the SDK up as terraform-provider-okta does for its http_proxy: that is
// the org's URL, of which the SDK drops the port, and the proxy by which it is reached.
func asTerraform(sidecar *url.URL) (*okta.Configuration, error) {
	port, err := strconv.Atoi(sidecar.Port())
	if err != nil {
		return nil, err
	}
	return okta.NewConfiguration(okta.WithOrgUrl(sidecar.String()), okta.WithToken("secret"), okta.WithCache(false), okta.WithTestingDisableHttpsCheck(true),
		okta.WithHttpClientPtr(&http.Client{}), okta.WithProxyHost(sidecar.Hostname()), okta.WithProxyPort(int32(port)))
}

// sdk is okta-sdk-golang.
func sdk(name string, setUp func(*url.URL) (*okta.Configuration, error)) func(context.Context, play, *oktatest.Server, string) ([]byte, error) {
	return func(ctx context.Context, p play, _ *oktatest.Server, sidecar string) ([]byte, error) {
		address, err := url.Parse(sidecar)
		if err != nil {
			return nil, err
		}
		config, err := setUp(address)
		if err != nil {
			return nil, err
		}
		return sdkSync(ctx, p, okta.NewAPIClient(config), name)
	}
}

func sdkSync(ctx context.Context, p play, c *okta.APIClient, name string) ([]byte, error) {
	r := result{Fewest: users + 1}
	for range p.rounds {
		list, resp, err := c.UserAPI.ListUsers(ctx).Limit(20).Execute()
		if err != nil {
			return nil, err
		}
		for resp.HasNextPage() {
			var more []okta.User
			if resp, err = resp.Next(&more); err != nil {
				return nil, err
			}
			list = append(list, more...)
		}
		r.Fewest = min(r.Fewest, len(list))
	}
	for n := range p.creates {
		profile := okta.UserProfile{}
		profile.SetLogin(fmt.Sprintf("%s%d@example.com", name, n))
		profile.SetEmail(profile.GetLogin())
		_, _, err := c.UserAPI.CreateUser(ctx).Body(okta.CreateUserRequest{Profile: profile}).Execute()
		if err != nil {
			return nil, err
		}
		r.Created++
	}
	push, err := sdkPush(ctx, c, pushUser)
	if err != nil {
		return nil, err
	}
	r.Push = push
	return json.Marshal(r)
}

func sdkPush(ctx context.Context, c *okta.APIClient, user string) (string, error) {
	verified, _, err := c.UserFactorAPI.VerifyFactor(ctx, user, "opf1").Execute()
	if err != nil {
		return "", err
	}
	self := verified.Links.GetPoll()
	transaction := self.GetHref()[strings.LastIndexByte(self.GetHref(), '/')+1:]
	for {
		status, _, err := c.UserFactorAPI.GetFactorTransactionStatus(ctx, user, "opf1", transaction).Execute()
		if err != nil {
			return "", err
		}
		got, ok := status.GetActualInstance().(interface{ GetFactorResult() string })
		if !ok {
			return "", errors.New("no factorResult")
		}
		if got.GetFactorResult() != "WAITING" {
			return got.GetFactorResult(), nil
		}
		time.Sleep(200 * time.Millisecond)
	}
}

var nextLink = regexp.MustCompile(`<([^>]*)>; rel="next"`)

// proxied calls the org by its own URL, in plain http, through the sidecar as http_proxy.
func proxied(ctx context.Context, p play, org *oktatest.Server, sidecar string) ([]byte, error) {
	proxy, err := url.Parse(sidecar)
	if err != nil {
		return nil, err
	}
	c := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	defer c.CloseIdleConnections()
	call := func(method, url, body string, into any) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "SSWS secret")
		resp, err := c.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s %s: %s %s %v", method, url, resp.Status, text, err)
		}
		return resp, json.Unmarshal(text, into)
	}
	r := result{Fewest: users + 1}
	for range p.rounds {
		n := 0
		for page := org.URL + "/api/v1/users?limit=20"; page != ""; {
			var list []map[string]any
			resp, err := call("GET", page, "", &list)
			if err != nil {
				return nil, err
			}
			n += len(list)
			page = ""
			if m := nextLink.FindStringSubmatch(strings.Join(resp.Header["Link"], ",")); m != nil {
				page = m[1]
			}
		}
		r.Fewest = min(r.Fewest, n)
	}
	for n := range p.creates {
		login := fmt.Sprintf("proxied%d@example.com", n)
		var user map[string]any
		if _, err := call("POST", org.URL+"/api/v1/users", `{"profile":{"login":"`+login+`","email":"`+login+`"}}`, &user); err != nil {
			return nil, err
		}
		r.Created++
	}
	return json.Marshal(r)
}

// service runs the command proxy as systemd runs a service with a socket: the socket
// stays while the process is replaced.
type service struct {
	t       *testing.T
	program string
	org     string
	socket  *os.File
	url     string
	cmd     *exec.Cmd
	log     strings.Builder
}

func newService(t *testing.T, org *oktatest.Server) *service {
	t.Helper()
	s := &service{t: t, org: org.URL, program: program(t)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + l.Addr().String()
	s.socket, err = l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // the file is a copy
	t.Cleanup(func() { s.socket.Close() })
	return s
}

func (s *service) start() {
	s.t.Helper()
	s.cmd = exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=proxy exec "$0" "$@"`,
		s.program, "proxy", "--org", s.org, "--admin", "", "--grace", "60s")
	s.cmd.ExtraFiles = []*os.File{s.socket}
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// stop sends SIGTERM and waits for the end: all that was in flight and in line.
func (s *service) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the proxy ended with %v:\n%s", err, s.log.String())
	}
}

func TestNobodyNoticesAStormAnOutageAPushAndRestarts(t *testing.T) {
	p, all := played(), present(t)
	org := oktatest.NewServer(t, oktatest.WithUsers(users), oktatest.WithWindowLength(p.window),
		oktatest.WithLimit("GET /api/v1/users", 20), oktatest.WithLatency(5*time.Millisecond), oktatest.WithFactorResult("SUCCESS", p.polls))
	s := newService(t, org)
	s.start()
	p.trouble(org)

	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	results := make([]result, len(all))
	for i, c := range all {
		wg.Go(func() {
			out, err := c.run(ctx, p, org, s.url)
			if err == nil {
				err = json.Unmarshal(out, &results[i])
			}
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		})
	}
	for _, share := range p.stops { // in the midst of it
		for end := time.Now().Add(time.Minute); org.Arrived() < len(all)*p.rounds*users/20/share && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond)
		}
		s.stop()
		if *full {
			p.trouble(org)
		}
		s.start()
	}
	wg.Wait()
	http.DefaultClient.CloseIdleConnections() // the SDKs', for which the proxy would wait
	s.stop()
	pushes := 0
	for i, c := range all {
		r := results[i]
		if r.Fewest < users || r.Created != p.creates || c.pushes && r.Push != "SUCCESS" {
			t.Errorf("%s: %+v", c.name, r)
		}
		if c.pushes {
			pushes++
		}
	}
	if org.Pushes() != pushes {
		t.Errorf("%d pushes were sent, want %d", org.Pushes(), pushes)
	}
	checkCreates(t, org, len(all)*p.creates)
}

// trouble is an outage of reads, of which Okta's edge, its code and the network each have
// a part, and refusals of everything else.
func (p play) trouble(org *oktatest.Server) {
	org.Script("GET /api/v1/users", oktatest.EdgePage(503), oktatest.Code("E0000009"), oktatest.Reset, oktatest.RateLimited(p.refused))
	org.Script("POST /api/v1/users", oktatest.RateLimited(p.refused), oktatest.ConcurrencyLimited())
	org.Script("POST /api/v1/users/{id}/factors/{factor}/verify", oktatest.RateLimited(p.refused))
}

// checkCreates reads the journal: each create was done once, and none was tried after.
func checkCreates(t *testing.T, org *oktatest.Server, want int) {
	t.Helper()
	done := map[string]int{}
	refused := 0
	for _, r := range org.RequestsTo("POST /api/v1/users") {
		switch r.Status {
		case http.StatusOK:
			done[string(r.Body)]++
		case http.StatusTooManyRequests:
			refused++
		default:
			t.Errorf("a create was answered %d", r.Status)
		}
	}
	for body, n := range done {
		if n != 1 {
			t.Errorf("%d times created: %s", n, body)
		}
	}
	if len(done) != want {
		t.Errorf("%d users were created, want %d", len(done), want)
	}
	t.Logf("%d requests arrived, %d of them answered 429, %d answered 5xx; %d of the creates were refused at first",
		org.Arrived(), org.Answered(429), org.Answered(500)+org.Answered(503), refused)
}
