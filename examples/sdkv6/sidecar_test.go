// This file runs clients that are not ours through a sidecar, with -full through the
// command proxy, while Okta refuses, fails and is slow, and the sidecar is stopped and
// started: nobody may notice.

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/sidecar"
)

var full = flag.Bool("full", false, "run clients in all languages through the command proxy, for some 20 s")

// home is the home directory, with what the go command keeps there: TestMain takes it away.
var home = os.Getenv("HOME")

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
	return play{rounds: 1, creates: 2, polls: 1, window: time.Second, stops: []int{6}}
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
	{"Python", "python3", "/usr/bin/python3 -c 'import requests'", true, command("/usr/bin/python3", "../sidecar/sync.py")},
	{"Node", "node", "node --eval fetch", true, command("node", "../sidecar/sync.mjs")},
	{"curl", "curl", "curl --version", false, command("sh", "../sidecar/sync.sh")},
	{"SDK v6", "", "", true, sdk("sdk", toURL)},
	{"SDK v6 as terraform-provider-okta sets it up", "", "", true, sdk("terraform", asTerraform)},
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

// sdkSync lists, creates and pushes at once: each is refused at first, and waits.
func sdkSync(ctx context.Context, p play, c *okta.APIClient, name string) ([]byte, error) {
	var (
		r    result
		errs [3]error
		wg   sync.WaitGroup
	)
	wg.Go(func() { r.Fewest, errs[0] = sdkList(ctx, p, c) })
	wg.Go(func() { r.Created, errs[1] = sdkCreate(ctx, p, c, name) })
	wg.Go(func() { r.Push, errs[2] = sdkPush(ctx, c, pushUser) })
	wg.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// sdkList returns how many users the shortest list has.
func sdkList(ctx context.Context, p play, c *okta.APIClient) (fewest int, err error) {
	fewest = math.MaxInt
	for range p.rounds {
		list, resp, err := c.UserAPI.ListUsers(ctx).Limit(20).Execute()
		if err != nil {
			return 0, err
		}
		for resp.HasNextPage() {
			var more []okta.User
			if resp, err = resp.Next(&more); err != nil {
				return 0, err
			}
			list = append(list, more...)
		}
		fewest = min(fewest, len(list))
	}
	return fewest, nil
}

func sdkCreate(ctx context.Context, p play, c *okta.APIClient, name string) (created int, err error) {
	for n := range p.creates {
		profile := okta.UserProfile{}
		profile.SetLogin(fmt.Sprintf("%s%d@example.com", name, n))
		profile.SetEmail(profile.GetLogin())
		if _, _, err := c.UserAPI.CreateUser(ctx).Body(okta.CreateUserRequest{Profile: profile}).Execute(); err != nil {
			return created, err
		}
		created++
	}
	return created, nil
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

// service is a proxy of which the socket stays while it is replaced, as systemd has it.
type service struct {
	t       *testing.T
	program string // the command; "": the sidecar runs in this process
	org     string
	socket  *os.File
	url     string
	stop    func() // waits for the end: all that was in flight and in line
}

func newService(t *testing.T, org *oktatest.Server) *service {
	t.Helper()
	s := &service{t: t, org: org.URL}
	if *full {
		s.program = build(t)
	}
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

// build builds the command.
func build(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "oktaretry")
	cmd := exec.Command("go", "build", "-o", path, "github.com/oktaretry/oktaretry/cmd/oktaretry")
	cmd.Env = append(os.Environ(), "HOME="+home)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

func (s *service) start() {
	s.t.Helper()
	if s.program == "" {
		s.startHere()
	} else {
		s.startProcess()
	}
}

func (s *service) startHere() {
	s.t.Helper()
	proxy, err := sidecar.New(sidecar.Config{Orgs: []sidecar.Org{{URL: s.org}}, Grace: time.Minute})
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := net.FileListener(s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- proxy.Run(ctx, l, nil) }()
	s.stop = func() {
		s.t.Helper()
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the sidecar ended with %v", err)
		}
	}
}

func (s *service) startProcess() {
	s.t.Helper()
	var log strings.Builder
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=proxy exec "$0" "$@"`,
		s.program, "proxy", "--org", s.org, "--admin", "", "--grace", "60s")
	cmd.ExtraFiles, cmd.Stderr = []*os.File{s.socket}, &log
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { cmd.Process.Kill() }) // if the test has ended before
	s.stop = func() {
		s.t.Helper()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			s.t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			s.t.Errorf("the proxy ended with %v:\n%s", err, log.String())
		}
	}
}

func TestNobodyNoticesAStormAnOutageAPushAndRestarts(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("left out: Windows hands over no sockets")
	}
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
	listed := func() int { return len(org.RequestsTo("GET /api/v1/users")) }
	for _, share := range p.stops { // in the midst of it, and once it serves
		before := listed()
		for end := time.Now().Add(time.Minute); (listed() == before || listed() < len(all)*p.rounds*users/20/share) && time.Now().Before(end); {
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
