// This file runs the situations of situations.go through an SDK, over real sockets or
// in memory, and holds what its caller gets to what the table says.

package sdktest

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

// Client is a client of one of Okta's SDKs.
type Client interface {
	ListUsers(context.Context) Answer // all, in pages of 25; got: "60 users", also with an error
	GetUser(ctx context.Context, id string) Answer
	CreateUser(ctx context.Context, login string) Answer
	UpdateUser(ctx context.Context, id, lastName string) Answer  // a POST of what changes
	ReplaceUser(ctx context.Context, id, lastName string) Answer // a PUT of the whole profile
	DeleteUser(ctx context.Context, id string) Answer            // got: "no error"
	VerifyFactor(ctx context.Context, user, factor string) Answer
	FactorResult(ctx context.Context, user, factor, transaction string) Answer
}

// Answer is what the caller of an SDK gets: a user's login and last name, the
// number of users, a factor's result.
type Answer struct {
	Got    string
	Status int // of the response that the SDK hands out; 0 without one
	Err    error
}

// SDK is one of Okta's SDKs.
type SDK struct {
	Name string // "v6", "v5" or "v2"
	// Connect sets up a client as the example does it. With privateKey it gets
	// its tokens by PrivateKey. Token calls have the values of ctx. It is called
	// by Outside.
	Connect func(ctx context.Context, url string, transport *oktaretry.Transport, privateKey bool) (Client, error)
	// OwnError names the SDK's own error in err's chain, if there is one.
	OwnError func(err error) string
}

// Run meets every situation of the table with an SDK.
func Run(t *testing.T, sdk SDK) {
	t.Parallel()
	for _, s := range situations {
		if !s.reaches(sdk.Name) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if s.inMemory {
				synctest.Test(t, func(t *testing.T) { s.run(t, sdk) })
			} else {
				s.run(t, sdk)
			}
		})
	}
}

// stage is where a situation happens.
type stage struct {
	*testing.T
	Client
	ctx      context.Context
	org      *oktatest.Okta
	user     string // the id of the first, if there is one
	recorder *oktaretry.Recorder
}

func (s situation) run(t *testing.T, sdk SDK) {
	org, base, url := s.serve(t)
	if s.script != nil {
		s.script(org)
	}
	policy := tiny()
	if s.change != nil {
		s.change(&policy)
	}
	if s.hangs {
		policy.AttemptTimeout = attemptTimeout
	}
	transport, err := oktaretry.NewTransport(base, oktaretry.WithPolicy(policy))
	if err != nil {
		t.Fatal(err)
	}
	at := &stage{T: t, org: org}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // ends what would never end
	defer cancel()
	at.ctx, at.recorder = oktaretry.WithRecorder(ctx)
	at.Client, err = Outside(func() (Client, error) { return sdk.Connect(at.ctx, url, transport, s.privateKey) })
	if err != nil {
		t.Fatal(err)
	}
	if ids := org.UserIDs(); len(ids) > 0 {
		at.user = ids[0]
	}
	if s.warm {
		warmUp(t, transport, org, url)
	}

	before := len(org.UserIDs())
	began := time.Now()
	answer := s.do(at)
	took := time.Since(began)
	if ctx.Err() != nil {
		t.Errorf("it only ended with its deadline")
	}
	s.want(sdk.Name).check(t, sdk, answer)
	for org.Arrived() < s.requests.least && ctx.Err() == nil {
		time.Sleep(time.Millisecond) // the server can be a little behind a client that has hung up
	}
	if n := org.Arrived(); n < s.requests.least || n > s.requests.most {
		t.Errorf("%d requests at Okta, want %d to %d", n, s.requests.least, s.requests.most)
	}
	if got := len(org.UserIDs()) - before; got != s.users {
		t.Errorf("%+d users, want %+d", got, s.users)
	}
	s.took.check(t, took, waits(at.recorder))
	if s.check != nil {
		s.check(at, transport)
	}
}

// tiny is the default policy with tiny waits where Okta names none.
func tiny() oktaretry.Policy {
	p := oktaretry.DefaultPolicy()
	for _, r := range []*oktaretry.Rule{&p.ServerError, &p.Network, &p.Pending} {
		r.InitialWait, r.MaxWait = 10*time.Millisecond, 50*time.Millisecond
	}
	return p
}

// serve returns a fake Okta, and by which base and at which URL it is reached.
func (s situation) serve(t *testing.T) (org *oktatest.Okta, base http.RoundTripper, url string) {
	if s.inMemory {
		org = NewOkta(t, s.org...)
		return org, org.Transport(), URL
	}
	start := oktatest.NewServer
	if s.tls {
		start = oktatest.NewTLSServer
	}
	server := start(t, s.org...)
	sockets := s.sockets()
	t.Cleanup(sockets.CloseIdleConnections)
	return server.Okta, sockets, s.front(t, server)
}

// front returns where the client is to go: to the org, or to a front that does
// what is asked and loses the first answers.
func (s situation) front(t *testing.T, org *oktatest.Server) string {
	if s.loses == 0 {
		return org.URL
	}
	var arrived atomic.Int32
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if int(arrived.Add(1)) > s.loses {
			org.ServeHTTP(w, r)
			return
		}
		org.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(front.Close)
	return front.URL
}

// sockets is net/http's own transport, keep-alive connections and all, with
// connections of this situation's only.
//
// A new connection is used by a first request. On one that was used before
// (situation.warm) net/http itself would repeat a request without a body if the
// connection dies before the answer.
func (s situation) sockets() *http.Transport {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.Proxy = nil
	var dials atomic.Int32
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if n := int(dials.Add(1)); n <= s.refuses || s.refuses == always {
			address = "127.0.0.1:1" // where nobody listens
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return base
}

// warmUp leaves a connection that has been used, and forgets how.
func warmUp(t *testing.T, transport *oktaretry.Transport, org *oktatest.Okta, url string) {
	resp, err := transport.Client().Get(url + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	org.Forget()
}

// result is what the caller of one SDK is to get.
type result struct {
	got    string // what the call is for, without an error
	status int    // of the response beside an error
	finds  string // what errors.As and errors.Is find in the error
	text   string // the error's; … stands for what differs from run to run
}

func (want result) check(t *testing.T, sdk SDK, a Answer) {
	t.Helper()
	if want.got != a.Got {
		t.Errorf("got %q, want %q", a.Got, want.got)
	}
	if a.Err == nil {
		if want.text != "" {
			t.Errorf("no error, want %q", want.text)
		}
		return
	}
	if errors.Is(a.Err, io.EOF) {
		t.Errorf("error %v matches io.EOF: SDKs send again without end", a.Err)
	}
	if a.Status != want.status {
		t.Errorf("response %d beside the error, want %d", a.Status, want.status)
	}
	if finds := finds(a.Err, sdk.OwnError); finds != want.finds {
		t.Errorf("in the error is found %q, want %q", finds, want.finds)
	}
	text := strings.ReplaceAll(regexp.QuoteMeta(want.text), "…", ".+")
	if want.text == "" || !regexp.MustCompile("^"+text+"$").MatchString(a.Err.Error()) {
		t.Errorf("error %q, want %q", a.Err, want.text)
	}
}

// finds lists what a caller can find in an error.
func finds(err error, ownError func(error) string) string {
	var found []string
	add := func(name string, is bool) {
		if is && name != "" {
			found = append(found, name)
		}
	}
	own := ownError(err)
	add(own, own != "")
	add("*RateLimitError", isA[*oktaretry.RateLimitError](err))
	add("*CircuitOpenError", isA[*oktaretry.CircuitOpenError](err))
	add("*PendingError", isA[*oktaretry.PendingError](err))
	add("x509.UnknownAuthorityError", isA[x509.UnknownAuthorityError](err))
	add("ECONNREFUSED", errors.Is(err, syscall.ECONNREFUSED))
	add("ECONNRESET", errors.Is(err, syscall.ECONNRESET))
	add("io.ErrUnexpectedEOF", errors.Is(err, io.ErrUnexpectedEOF))
	add("context.DeadlineExceeded", errors.Is(err, context.DeadlineExceeded))
	var timeout net.Error
	add("net.Error with Timeout", errors.As(err, &timeout) && timeout.Timeout())
	return strings.Join(found, ", ")
}

func isA[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// span is how often something may happen.
type span struct{ least, most int }

func exactly(n int) span { return span{n, n} }

// took is how long a situation lasts: what the calls wait for, and the least time by
// the clock. The most would be the machine's, which may be busy.
type took struct {
	words  string
	reason oktaretry.WaitReason
	waits  span // how many the Recorder saw
	inLine bool // and some in the line of a bucket of which nothing was known yet
	least  time.Duration
}

func (want took) check(t *testing.T, took time.Duration, waits map[oktaretry.WaitReason]int) {
	t.Helper()
	if took < want.least {
		t.Errorf("took %v, want %v at least (%s)", took, want.least, want.words)
	}
	if n := waits[want.reason]; n < want.waits.least || n > want.waits.most {
		t.Errorf("waited %d times for %s, want %d to %d", n, want.reason, want.waits.least, want.waits.most)
	}
	delete(waits, want.reason)
	if want.inLine || want.reason == oktaretry.WaitRateLimit {
		delete(waits, oktaretry.WaitLearning)
		delete(waits, oktaretry.WaitTurn)
	}
	if len(waits) > 0 {
		t.Errorf("waited for %v as well", waits)
	}
}

func waits(r *oktaretry.Recorder) map[oktaretry.WaitReason]int {
	n := map[oktaretry.WaitReason]int{}
	for _, o := range r.Outcomes() {
		for _, a := range o.Attempts {
			for _, w := range a.Waits {
				n[w.Reason]++
			}
		}
		for _, w := range o.Waits {
			n[w.Reason]++
		}
	}
	return n
}
