package oktatest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

func TestTransportClosesTheBodyOnEveryPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New()
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for name, c := range map[string]struct {
			ctx  context.Context
			url  string
			step oktatest.Step
		}{
			"success":             {t.Context(), org + "/api/v1/users", oktatest.Pass},
			"reset":               {t.Context(), org, oktatest.Reset},
			"refused":             {t.Context(), org, oktatest.Refused},
			"hang":                {short, org, oktatest.Hang},
			"early":               {t.Context(), org, oktatest.Early(oktatest.Status(413))},
			"already cancelled":   {cancelled, org, oktatest.Pass},
			"unsupported scheme":  {t.Context(), "ftp://acme.okta.test/", oktatest.Pass},
			"no host":             {t.Context(), "http:///x", oktatest.Pass},
			"aborted in handler":  {t.Context(), org, oktatest.Func(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })},
			"panicked in handler": {t.Context(), org, oktatest.Func(func(http.ResponseWriter, *http.Request) { panic("mine") })},
		} {
			o.ClearScripts()
			o.Script("*", c.step)
			body := &countingBody{r: strings.NewReader("{}")}
			req, err := http.NewRequestWithContext(c.ctx, "POST", c.url, body)
			if err != nil {
				t.Fatal(err)
			}
			func() {
				defer func() { recover() }()
				resp, err := o.Transport().RoundTrip(req)
				if (resp == nil) == (err == nil) {
					t.Errorf("%s: response %v, error %v", name, resp, err)
				}
			}()
			if body.closed != 1 {
				t.Errorf("%s: body closed %d times", name, body.closed)
			}
		}
	})
}

func TestTransportResponseIsWhatNetHTTPGives(t *testing.T) {
	type seen struct {
		Status, Proto, Body  string
		Code                 int
		Length               int64
		Link                 []string
		Type, Encoding, Date bool
		Transfer             []string
		Uncompressed         bool
		Others               string // headers
	}
	look := func(t *testing.T, rt http.RoundTripper, base, method, path string) seen {
		a := do(t, rt, method, base+path, "")
		if a.Request == nil || a.Request.URL.String() != base+path {
			t.Error("resp.Request is not the request")
		}
		length := a.ContentLength
		if length >= 0 {
			length -= int64(strings.Count(a.body, base) * len(base))
		}
		var links []string
		for _, l := range a.Header["Link"] {
			links = append(links, strings.ReplaceAll(l, base, ""))
		}
		body := strings.ReplaceAll(a.body, base, "")
		if strings.Contains(body, "errorId") || strings.Contains(body, "created") {
			body = fmt.Sprint(len(body))
		}
		return seen{a.Status, a.Proto, body, a.StatusCode, length, links,
			a.Header.Get("Content-Type") != "", a.Header.Get("Content-Encoding") != "", a.Header.Get("Date") != "",
			a.TransferEncoding, a.Uncompressed, fmt.Sprint(slices.Sorted(maps.Keys(a.Header)))}
	}
	for _, headers := range []bool{false, true} {
		opts := []oktatest.Option{oktatest.WithOktaHeaders(headers), oktatest.WithUsers(5), oktatest.WithHandler("/api/v1/plain", http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "plain") }))}
		srv := oktatest.NewServer(t, append(opts, oktatest.AllowUnserved())...)
		o := oktatest.New(opts...)
		for _, c := range []struct{ method, path string }{
			{"GET", "/api/v1/users?limit=2"},
			{"GET", "/api/v1/apps"},
			{"GET", "/api/v1/none"},
			{"GET", "/api/v1/plain"},
			{"HEAD", "/api/v1/apps"},
			{"DELETE", "/api/v1/users/me"},
			{"GET", "/oauth2/default/.well-known/openid-configuration"},
		} {
			real := look(t, srv.Client().Transport, srv.URL, c.method, c.path)
			mem := look(t, o.Transport(), "http://acme.okta.test:80", c.method, c.path)
			if !reflect.DeepEqual(real, mem) {
				t.Errorf("%s %s:\nsocket %+v\nmemory %+v", c.method, c.path, real, mem)
			}
		}
	}
}

func TestTransportChecksTheBodyAgainstItsLength(t *testing.T) {
	o := oktatest.New()
	for length, want := range map[int64]string{1: "or more", 9: "with Body length 4"} {
		req, _ := http.NewRequest("POST", org+"/api/v1/users", io.NopCloser(strings.NewReader("four")))
		req.ContentLength = length
		if _, err := o.Transport().RoundTrip(req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("length %d: %v", length, err)
		}
	}
	broken := errors.New("broken")
	req, _ := http.NewRequest("POST", org+"/api/v1/users", io.MultiReader(strings.NewReader("x"), errReader{broken}))
	if _, err := o.Transport().RoundTrip(req); !errors.Is(err, broken) {
		t.Errorf("%v, want the body's own error", err)
	}
	if rs := o.Requests(); len(rs) != 3 || rs[2].BodyErr == nil || rs[2].Status != 0 || len(o.UserIDs()) != 0 {
		t.Errorf("%+v", rs)
	}
}

type errReader struct{ error }

func (e errReader) Read([]byte) (int, error) { return 0, e.error }

func TestTransportEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithLatency(time.Hour))
		cause := errors.New("the user left")

		// while it waits for an answer
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		req, _ := http.NewRequestWithContext(ctx, "GET", org+"/api/v1/users", nil)
		begin := time.Now()
		if _, err := o.Transport().RoundTrip(req); err != cause || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}

		// while it waits for the caller's body
		o.SetLatency(0)
		ctx, cancel = context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(cause) })
		pr, _ := io.Pipe()
		req, _ = http.NewRequestWithContext(ctx, "POST", org+"/api/v1/users", pr)
		if _, err := o.Transport().RoundTrip(req); err != cause {
			t.Error(err)
		}

		// before the answer's body has been read
		ctx, cancel = context.WithCancelCause(t.Context())
		req, _ = http.NewRequestWithContext(ctx, "GET", org+"/api/v1/apps", nil)
		resp, err := o.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		cancel(cause)
		if _, err := io.ReadAll(resp.Body); err != cause {
			t.Error(err)
		}
		resp.Body.Close()
		if _, err := resp.Body.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("a closed body can be read: %v", err)
		}
	})
}

func TestTransportLeavesTheRequestAlone(t *testing.T) {
	o := oktatest.New()
	req, _ := http.NewRequest("POST", org+"/api/v1/users?x=1", strings.NewReader("{}"))
	req.Header.Set("A", "1")
	before := req.Clone(t.Context())
	o.Script("*", oktatest.Func(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("A", "2")
		r.URL.Path = "/changed"
		if r.RequestURI != "/api/v1/users?x=1" || r.TLS == nil || r.Host != "acme.okta.test" || r.ContentLength != 2 {
			t.Errorf("%q %v %q %d", r.RequestURI, r.TLS, r.Host, r.ContentLength)
		}
	}))
	resp, err := o.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if !reflect.DeepEqual(req.Header, before.Header) || req.URL.String() != before.URL.String() || req.ContentLength != 2 {
		t.Error("the request was changed")
	}
}

func TestTransportRefusesInvalidHeaders(t *testing.T) {
	for k, v := range map[string]string{"Bad Name": "x", "Bad-Value": "a\nb"} {
		req, _ := http.NewRequest("GET", org, nil)
		req.Header[k] = []string{v}
		if _, err := oktatest.New().Transport().RoundTrip(req); err == nil {
			t.Errorf("%q: %q was sent", k, v)
		}
	}
}

func TestExampleOfVirtualTimePasses(t *testing.T) { testSync(t) }
