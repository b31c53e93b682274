package oktatest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

// The errors in memory are those of a real connection, so that what is learnt
// in virtual time holds on the network.
func TestFaultsAreTheSameOverASocketAndInMemory(t *testing.T) {
	everywhere(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string) {
		for _, c := range []struct {
			name string
			step oktatest.Step
			is   error
			not  error
		}{
			{"Reset", oktatest.Reset, syscall.ECONNRESET, io.EOF},
			{"EOF", oktatest.EOF, io.EOF, io.ErrUnexpectedEOF},
			{"EOFMidHeaders", oktatest.EOFMidHeaders, io.ErrUnexpectedEOF, io.EOF},
			{"abort in a handler", oktatest.Func(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), io.EOF, io.ErrUnexpectedEOF},
		} {
			for _, body := range []string{"", `{"profile":{}}`} {
				o.Script("*", c.step)
				method := http.MethodGet
				if body != "" {
					method = http.MethodPost
				}
				_, err := try(t, rt, method, base+"/api/v1/users", body)
				if !errors.Is(err, c.is) || errors.Is(err, c.not) {
					t.Errorf("%s %s: error %v (%T), want %v", c.name, method, err, err, c.is)
				}
			}
		}
		for _, r := range o.Requests() {
			if r.Status != 0 {
				t.Errorf("journal says %d of an answer never given", r.Status)
			}
		}
	})
}

func TestEOFMidBodyBreaksTheBodyAndDoesTheDeed(t *testing.T) {
	everywhere(t, func(t *testing.T, o *oktatest.Okta, rt http.RoundTripper, base string) {
		o.Script("*", oktatest.EOFMidBody)
		a := do(t, rt, "POST", base+"/api/v1/users", `{"profile":{"login":"a@x","email":"a@x"}}`)
		wantStatus(t, a, 200)
		if !errors.Is(a.err, io.ErrUnexpectedEOF) || a.ContentLength != int64(2*len(a.body)) && a.ContentLength != int64(2*len(a.body)+1) {
			t.Errorf("read %d of %d bytes and %v; want half and io.ErrUnexpectedEOF", len(a.body), a.ContentLength, a.err)
		}
		if len(o.UserIDs()) != 1 {
			t.Error("the user was not created")
		}
	})
}

func TestRefusedWritesNothing(t *testing.T) {
	o := oktatest.New()
	o.Script("*", oktatest.Refused)
	_, err := try(t, o.Transport(), "POST", org+"/api/v1/users", "{}")
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("error %v, want ECONNREFUSED", err)
	}
	if o.Arrived() != 0 {
		t.Error("a refused request is in the journal")
	}
}

func TestHangEndsWithTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New()
		o.Script("*", oktatest.Hang)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begin := time.Now()
		req, _ := http.NewRequestWithContext(ctx, "GET", org+"/api/v1/users", nil)
		_, err := o.Transport().RoundTrip(req)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestCloseEndsHangingRequests(t *testing.T) {
	srv := oktatest.NewServer(t)
	srv.Script("*", oktatest.Hang, oktatest.StallBody(oktatest.Pass), oktatest.Early(oktatest.Hang))
	done := make(chan error, 3)
	for range 3 {
		go func() {
			resp, err := srv.Client().Post(srv.URL+"/x", "text/plain", http.NoBody)
			if err == nil {
				_, err = io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			done <- err
		}()
	}
	for srv.Arrived() < 3 {
		time.Sleep(time.Millisecond) // a real socket: there is no virtual time to wait in
	}
	srv.Close()
	for range 3 {
		if err := <-done; err == nil {
			t.Error("a hanging request was answered")
		}
	}
}

func TestStallBodyEndsWithTheContextOrClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New(oktatest.WithUsers(1))
		o.Script("*", oktatest.Always(oktatest.StallBody(oktatest.Pass)))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", org+"/api/v1/users", nil)

		resp, err := o.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Second)
			resp.Body.Close()
		}()
		begin := time.Now()
		if b, err := io.ReadAll(resp.Body); err == nil || len(b) == 0 || time.Since(begin) != time.Second {
			t.Errorf("%d bytes, %v after %v; want half, and an error at Close", len(b), err, time.Since(begin))
		}

		resp, err = o.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestSlowBodySendsHeadersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := oktatest.New()
		o.Script("*", oktatest.SlowBody(4*time.Second, oktatest.Code("E0000009")))
		req, _ := http.NewRequestWithContext(t.Context(), "GET", org+"/", nil)
		begin := time.Now()
		resp, err := o.Transport().RoundTrip(req)
		if err != nil || time.Since(begin) != 0 {
			t.Fatal(err, time.Since(begin))
		}
		if b, err := io.ReadAll(resp.Body); err != nil || len(b) == 0 || time.Since(begin) != 4*time.Second {
			t.Errorf("%d bytes, %v after %v", len(b), err, time.Since(begin))
		}
	})
}

func TestSlowAndStalledBodiesOverASocket(t *testing.T) {
	srv := oktatest.NewServer(t, oktatest.WithUsers(2))
	srv.Script("*", oktatest.SlowBody(time.Millisecond, oktatest.Pass), oktatest.StallBody(oktatest.Pass))
	a := do(t, srv.Client().Transport, "GET", srv.URL+"/api/v1/users", "")
	if a.err != nil || len(a.list(t)) != 2 {
		t.Error(a.err, a.body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+"/api/v1/users", nil)
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); !errors.Is(err, context.DeadlineExceeded) || len(b) == 0 {
		t.Errorf("%d bytes and %v", len(b), err)
	}
}
