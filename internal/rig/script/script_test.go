package script_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// failures is a TB that keeps what is reported to it.
type failures struct{ texts []string }

func (f *failures) Helper() {}
func (f *failures) Errorf(format string, args ...any) {
	f.texts = append(f.texts, fmt.Sprintf(format, args...))
}
func (f *failures) Fatalf(format string, args ...any) { f.Errorf(format, args...) }

func (f *failures) want(t *testing.T, texts ...string) {
	t.Helper()
	if !slices.Equal(f.texts, texts) {
		t.Errorf("reported %q, want %q", f.texts, texts)
	}
	f.texts = nil
}

func send(t *testing.T, ctx context.Context, base *script.Base, body io.Reader) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", "https://example.okta.com/path", body)
	if err != nil {
		t.Fatal(err)
	}
	return base.RoundTrip(req)
}

func TestScriptPlaysItsStepsAndReportsRequestsAfterThem(t *testing.T) {
	f := new(failures)
	base := script.New(f, script.Bare(503), script.Fail(script.Refused))
	if resp, err := send(t, t.Context(), base, nil); err != nil || resp.StatusCode != 503 {
		t.Errorf("first %v, %v", resp, err)
	}
	if _, err := send(t, t.Context(), base, nil); !errors.Is(err, script.Refused) {
		t.Errorf("second %v", err)
	}
	f.want(t)
	send(t, t.Context(), base, nil)
	f.want(t, "POST https://example.okta.com/path: the script's 2 steps are over")
	base.WantSent(2)
	f.want(t, "3 requests were sent, want 2")
}

func TestRepeatRepeatsTheLastStep(t *testing.T) {
	base := script.Repeat(t, script.Bare(503), script.OK())
	var got []int
	for range 3 {
		resp, _ := send(t, t.Context(), base, nil)
		got = append(got, resp.StatusCode)
	}
	if want := []int{503, 200, 200}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestScriptChecksWhenRequestsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(failures)
		base := script.New(f, script.OK().Takes(time.Second), script.OK().After(2*time.Second, time.Second), script.OK().After(2*time.Second, 0))
		send(t, t.Context(), base, nil)
		time.Sleep(3 * time.Second)
		send(t, t.Context(), base, nil)
		f.want(t)
		time.Sleep(time.Second)
		send(t, t.Context(), base, nil)
		f.want(t, "request 3 came 1s after the answer before it, want 2s to 2s")
		if waits := base.Waits(); !slices.Equal(waits, []time.Duration{3 * time.Second, time.Second}) {
			t.Errorf("waits %v", waits)
		}
	})
}

func TestScriptRecordsRequestsAndBodies(t *testing.T) {
	f := new(failures)
	base := script.New(f, script.Code(404, "E0000007"))
	body := script.Text("content")
	resp, err := send(t, t.Context(), base, body)
	if err != nil {
		t.Fatal(err)
	}
	body.WantClosed(t)
	if s := base.WantSent(1)[0]; s.Body != "content" || s.Method != "POST" || s.URL.Path != "/path" || s.ContentLength != 0 {
		t.Errorf("recorded %+v", s)
	}
	base.WantClosed()
	f.want(t, "the body of answer 1 was never closed")
	if text, _ := io.ReadAll(resp.Body); !strings.Contains(string(text), `"errorCode":"E0000007"`) {
		t.Errorf("read %q", text)
	}
	resp.Body.Close()
	base.WantClosed()
	f.want(t)
	if _, err := resp.Body.Read(make([]byte, 1)); err == nil {
		t.Error("the body can be read after its close")
	}
	base.Bodies()[0].WantClosed(f)
	f.want(t, "the body was read 1 times after it was closed")
	resp.Body.Close()
	base.Bodies()[0].WantClosed(f)
	f.want(t, "the body was closed 2 times, want once", "the body was read 1 times after it was closed")
}

func TestStalledBodyEndsWithItsRequestOrItsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(io.Closer, func()){
			"request": func(_ io.Closer, cancel func()) { cancel() },
			"close":   func(body io.Closer, _ func()) { body.Close() },
		} {
			ctx, cancel := context.WithCancel(t.Context())
			resp, err := send(t, ctx, script.New(t, script.Stalled(200, "begin")), nil)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			time.AfterFunc(time.Hour, func() { end(resp.Body, cancel) })
			got, err := io.ReadAll(resp.Body)
			if string(got) != "begin" || err == nil || time.Since(began) != time.Hour {
				t.Errorf("ended by its %s: read %q, error %v, after %s", name, got, err, time.Since(began))
			}
			cancel()
		}
	})
}
