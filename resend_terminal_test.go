// This file tests errors that sending again cannot heal, as the real net/http
// makes them, and what an error of the base comes out as.

package oktaretry_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// net/http has no values for most of these errors: the library knows them by
// their texts, and a new net/http may write others.
func TestPermanentErrorsAreTerminalOverTheRealTransport(t *testing.T) {
	unknownCA := httptest.NewUnstartedServer(http.NotFoundHandler())
	unknownCA.Config.ErrorLog = log.New(io.Discard, "", 0)
	unknownCA.StartTLS()
	defer unknownCA.Close()
	plain := rig.Serve(t, func(http.ResponseWriter, *http.Request) {})
	// An answer could overtake the error of writing the request.
	silent := rig.Serve(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the server does not notice that the connection is closed
		<-r.Context().Done()
	})
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(unknownCA.URL, "https://"))

	for name, test := range map[string]struct {
		url     string
		prepare func(*http.Request, *http.Transport)
	}{
		"certificate of an unknown authority": {url: unknownCA.URL},
		"certificate for another name": {url: "https://other.test:" + port, prepare: func(_ *http.Request, base *http.Transport) {
			base.TLSClientConfig = unknownCA.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			dialTo(base, unknownCA.Listener.Addr())
		}},
		"TLS to a plain server": {url: strings.Replace(plain.URL, "http:", "https:", 1)},
		"unsupported scheme":    {url: "ftp://example.okta.com/api/v1/users"},
		"no scheme":             {url: "//example.okta.com/api/v1/users"},
		"unknown host": {url: "https://host.invalid/", prepare: func(_ *http.Request, base *http.Transport) {
			base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: "host.invalid", IsNotFound: true}}
			}
		}},
		"bad port":              {url: "http://127.0.0.1:99999/"},
		"header name":           {url: plain.URL, prepare: func(r *http.Request, _ *http.Transport) { r.Header["Bad Name"] = []string{"v"} }},
		"header value":          {url: plain.URL, prepare: func(r *http.Request, _ *http.Transport) { r.Header.Set("X", "a\nb") }},
		"trailer":               {url: plain.URL, prepare: func(r *http.Request, _ *http.Transport) { r.Trailer = http.Header{"X": {"a\nb"}} }},
		"method":                {url: plain.URL, prepare: func(r *http.Request, _ *http.Transport) { r.Method = "GE T" }},
		"control byte in a URL": {url: plain.URL, prepare: func(r *http.Request, _ *http.Transport) { r.URL.Path, r.URL.Opaque = "", "/a\x7f" }},
		"Host header for a proxy": {url: "http://org.test/", prepare: func(r *http.Request, base *http.Transport) {
			proxy, _ := url.Parse(plain.URL)
			base.Proxy, r.Host = http.ProxyURL(proxy), "a{b"
		}},
		"length of no body":     {url: plain.URL, prepare: func(r *http.Request, _ *http.Transport) { r.Body, r.ContentLength = nil, 5 }},
		"length above the body": {url: silent.URL, prepare: func(r *http.Request, _ *http.Transport) { r.Body, r.ContentLength = script.Text("abc"), 5 }},
		"length below the body": {url: silent.URL, prepare: func(r *http.Request, _ *http.Transport) { r.Body, r.ContentLength = script.Text("abc"), 2 }},
	} {
		t.Run(name, func(t *testing.T) {
			base := rig.HTTP(t)
			var sends atomic.Int64
			tr := rig.Over(t, script.Func(func(r *http.Request) (*http.Response, error) {
				resp, err := base.RoundTrip(r)
				// A request that cannot be written has net/http close the connection, and of
				// that its reader can hear, and report it, before the writer says why: 1 in 100.
				if !errors.Is(err, net.ErrClosed) {
					sends.Add(1)
				}
				return resp, err
			}), rig.QuickWaits)
			ctx, rec := oktaretry.WithRecorder(t.Context())
			req := rig.Request(t, ctx, "PUT", test.url, nil)
			if test.prepare != nil {
				test.prepare(req, base)
			}
			resp, err := tr.RoundTrip(req)
			if err == nil {
				resp.Body.Close()
				t.Fatal("no error")
			}
			out, _ := rec.Outcome()
			if !out.Terminal || out.Stop != oktaretry.StopFailFast || sends.Load() > 1 {
				t.Errorf("terminal %t, stop %v, sent %d times: %v", out.Terminal, out.Stop, sends.Load(), err)
			}
		})
	}
}

// And these may heal.
func TestTransientErrorsAreNotTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, err := range []error{
			errors.New("http2: client connection lost"), io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
			&net.OpError{Op: "dial", Err: errors.New("connection refused")},
			&net.DNSError{Err: "timeout", IsTimeout: true}, &net.DNSError{Err: "try again", IsNotFound: true, IsTemporary: true},
			tls.RecordHeaderError{Msg: "not a TLS record", RecordHeader: [5]byte{0, 1, 2, 3, 4}},
		} {
			base := script.Repeat(t, script.Fail(err), script.OK())
			resp, got := rig.Over(t, base, nil).RoundTrip(rig.Request(t, t.Context(), "GET", "/api/v1/users", nil))
			if got != nil {
				t.Errorf("%v ended the call", err)
				continue
			}
			rig.Text(t, resp, nil)
			base.WantSent(2)
		}
	})
}

func TestBaseErrorHidesEOFAndURL(t *testing.T) {
	const target = "https://example.okta.com/api/v1/users/jane?q=1"
	eof := func(err error) error { return &url.Error{Op: "Post", URL: target, Err: err} }
	op := &net.OpError{Op: "read", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, Err: io.EOF}
	for name, test := range map[string]struct {
		err  error
		text string
	}{
		"bare":                 {io.EOF, "EOF"},
		"in a url.Error":       {eof(io.EOF), "EOF"},
		"in a net.OpError":     {op, "read tcp"},
		"in both":              {eof(op), "read tcp"},
		"in a text":            {fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", io.EOF), "connection broken: EOF"},
		"in unknown words":     {fmt.Errorf("jane's connection broke: %w", io.EOF), "*fmt.wrapError: EOF"},
		"in a text with a URL": {fmt.Errorf("proxy: %w", eof(fmt.Errorf("broken: %w", io.EOF))), "EOF"},
		"joined":               {errors.Join(errors.New("jane"), io.EOF), "error of type *errors.errorString; EOF"},
		"twice in a url.Error": {eof(eof(io.EOF)), "EOF"},
		"its own Is":           {isEOF{}, "isEOF"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, method := range []string{"GET", "POST"} {
					ctx, rec := oktaretry.WithRecorder(t.Context())
					_, err := rig.Over(t, script.Repeat(t, script.Fail(test.err)), nil).RoundTrip(rig.Request(t, ctx, method, target, nil))
					out, _ := rec.Outcome()
					for i, err := range []error{err, out.Err, out.Attempts[0].Err} {
						if err == nil || errors.Is(err, io.EOF) {
							t.Fatalf("%d: %v matches io.EOF", i, err)
						}
						if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), test.text) {
							t.Errorf("%d: %v is not an unexpected EOF with %q", i, err, test.text)
						}
						rig.WantNoSecrets(t, err)
					}
				}
			})
		})
	}
}

type isEOF struct{}

func (isEOF) Error() string        { return "as if" }
func (isEOF) Is(target error) bool { return target == io.EOF }

func TestBaseErrorKeepsItsKind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := &net.OpError{Op: "read", Net: "tcp", Err: errors.New("lost")}
		_, err := rig.Over(t, script.Repeat(t, script.Fail(&url.Error{Op: "Get", URL: rig.Org + "/jane?q=1", Err: lost})), nil).RoundTrip(
			rig.Request(t, t.Context(), "GET", "/jane?q=1", nil))
		var op *net.OpError
		if !errors.As(err, &op) || op != lost {
			t.Errorf("got %v, want the error that was wrapped", err)
		}
		rig.WantNoSecrets(t, err)
	})
}

// A server that hangs up instead of answering is what net/http calls EOF. The
// SDKs would send again at once and without end.
func TestRealTransportErrorHidesEOF(t *testing.T) {
	srv := rig.Serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		conn.Close()
	})
	for _, method := range []string{"GET", "POST"} {
		_, err := rig.Over(t, rig.HTTP(t), rig.QuickWaits).RoundTrip(rig.Request(t, t.Context(), method, srv.URL+"/api/v1/users/jane?q=1", nil))
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v matches io.EOF", method, err)
		}
		rig.WantNoSecrets(t, err)
		_, err = rig.Over(t, rig.HTTP(t), rig.QuickWaits).Client().Do(rig.Request(t, t.Context(), method, srv.URL+"/api/v1/users", nil))
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v matches io.EOF through http.Client", method, err)
		}
	}
}

func TestCauseHidesEOFAndKeepsItsText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := fmt.Errorf("input ended: %w", io.EOF)
		for name, step := range map[string]script.Step{"in the base": script.Hang(), "in a rate limit": script.LimitedFor(5 * time.Second), "in a backoff": script.Bare(503)} {
			ctx, cancel := context.WithCancelCause(t.Context())
			base := script.Repeat(t, step.On(func(*http.Request) { cancel(cause) }))
			_, err := rig.Over(t, base, nil).RoundTrip(rig.Request(t, ctx, "GET", "/api/v1/users", nil))
			if err == nil || errors.Is(err, io.EOF) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "input ended") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// dialTo connects base to addr whatever the host.
func dialTo(base *http.Transport, addr net.Addr) {
	base.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr.String())
	}
}
