package oktatest_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/internal/rig/gotest"
	"github.com/oktaretry/oktaretry/oktatest"
)

func TestMain(m *testing.M) { os.Exit(gotest.Main(m)) }

const org = "https://acme.okta.test"

// answer is a response, read to its end.
type answer struct {
	*http.Response
	body string
	err  error // of reading the body
}

func do(t *testing.T, rt http.RoundTripper, method, url, body string, header ...string) answer {
	t.Helper()
	a, err := try(t, rt, method, url, body, header...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

func try(t *testing.T, rt http.RoundTripper, method, url, body string, header ...string) (answer, error) {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, r)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := rt.RoundTrip(req)
	if err != nil {
		if resp != nil {
			t.Fatal("a response and an error together")
		}
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp, string(b), err}, nil
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

func (a answer) list(t *testing.T) []map[string]any {
	t.Helper()
	var v []map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

func wantStatus(t *testing.T, a answer, status int) {
	t.Helper()
	if a.StatusCode != status {
		t.Fatalf("status %d, want %d: %s", a.StatusCode, status, a.body)
	}
}

func wantCode(t *testing.T, a answer, status int, code string) {
	t.Helper()
	wantStatus(t, a, status)
	e := a.json(t)
	if e["errorCode"] != code || e["errorLink"] != code {
		t.Fatalf("got %s, want code %s", a.body, code)
	}
	if id := a.Header.Get("X-Okta-Request-Id"); id == "" || id == e["errorId"] || e["errorId"] == "" {
		t.Fatalf("request id %q and errorId %q must both be there and differ", id, e["errorId"])
	}
}

func wantPanic(t *testing.T, part string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if v, _ := recover().(string); !strings.Contains(v, part) {
			t.Errorf("panic %q, want one with %q", v, part)
		}
	}()
	f()
}

// everywhere runs a test over a real socket and in memory.
func everywhere(t *testing.T, f func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string), opts ...oktatest.Option) {
	t.Run("socket", func(t *testing.T) {
		srv := oktatest.NewServer(t, opts...)
		rt := srv.Client().Transport.(*http.Transport)
		rt.DisableKeepAlives = true // else net/http itself resends on a reused connection
		f(t, srv.Okta, rt, srv.URL)
	})
	t.Run("memory", func(t *testing.T) {
		o := oktatest.New(opts...)
		f(t, o, o.Transport(), org)
	})
}

// virtually runs a test in virtual time: in memory, and through net/http's own
// client and server, joined by pipes instead of sockets.
func virtually(t *testing.T, f func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper), opts ...oktatest.Option) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := oktatest.New(opts...)
			f(t, o, o.Transport())
		})
	})
	t.Run("net/http", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := oktatest.New(opts...)
			l := make(pipes)
			srv := &http.Server{Handler: o}
			go srv.Serve(l)
			rt := &http.Transport{
				DialContext:    func(context.Context, string, string) (net.Conn, error) { return l.dial() },
				DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return l.dial() },
			}
			f(t, o, rt)
			srv.Close()
			rt.CloseIdleConnections()
		})
	})
}

// pipes is a listener whose connections are pipes in memory.
type pipes chan net.Conn

func (l pipes) dial() (net.Conn, error) {
	client, server := net.Pipe()
	l <- server
	return client, nil
}

func (l pipes) Accept() (net.Conn, error) {
	if c, ok := <-l; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l pipes) Close() error { close(l); return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// rates are an answer's rate-limit headers and its Date.
func rates(t *testing.T, a answer) (limit, remaining int, reset, date time.Time) {
	t.Helper()
	num := func(k string) int {
		if len(a.Header[k]) != 1 {
			t.Fatalf("%s: %q", k, a.Header[k])
		}
		n, err := strconv.Atoi(a.Header.Get(k))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	date, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		t.Fatal(err)
	}
	return num("X-Rate-Limit-Limit"), num("X-Rate-Limit-Remaining"), time.Unix(int64(num("X-Rate-Limit-Reset")), 0), date
}

// refusals are the limits that have refused a request, in order of arrival.
func refusals(o *oktatest.Okta) (names []string) {
	for _, r := range o.Requests() {
		if r.RefusedBy != "" {
			names = append(names, r.RefusedBy)
		}
	}
	return names
}
