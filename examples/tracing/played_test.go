package main

// This file plays the story once for all tests: twice over, watched as in
// production by a Prometheus that scrapes and a collector that takes OTLP.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	gosync "sync"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/examples/internal/sdktest"
)

func TestMain(m *testing.M) { os.Exit(sdktest.Main(m)) }

// played is what was seen of two rounds of the story.
type played struct {
	text      string // what was printed
	took      time.Duration
	store     *store
	collector *collector
	err       error
}

// rounds is how often the story is lived: a counter that appears is no growth
// to Prometheus, so what happens once a round grows in the second only.
const rounds = 2

var play = gosync.OnceValue(func() played {
	p := played{collector: new(collector)}
	otlp := httptest.NewServer(p.collector)
	defer otlp.Close()
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": otlp.URL,
		"OTEL_RESOURCE_ATTRIBUTES":    "deployment.environment.name=test",
		"OTEL_METRIC_EXPORT_INTERVAL": "1000",
	} {
		os.Setenv(name, value)
		defer os.Unsetenv(name)
	}

	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	p.store = newStore()
	if p.err = playShared(ctx, p.store); p.err != nil {
		return p
	}
	out := newPage()
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- run(ctx, out, "127.0.0.1:0", true) }()
	if p.err = out.waitFor(ctx, `metrics at (http://\S+)`, 1); p.err != nil {
		return p
	}
	url := regexp.MustCompile(`metrics at (http://\S+)`).FindStringSubmatch(out.String())[1]
	done, scraped := make(chan struct{}), make(chan error, 1)
	go func() { scraped <- p.store.scrapeUntil(ctx, done, url) }()

	p.err = out.waitFor(ctx, `That was round \d`, rounds)
	close(done)
	p.err = errors.Join(p.err, <-scraped)
	cancel()
	p.err = errors.Join(p.err, <-ended)
	p.text, p.took = out.String(), time.Since(began)
	return p
})

// thePlay plays the story, unless that has been done.
func thePlay(t *testing.T) played {
	t.Helper()
	if testing.Short() {
		t.Skip("the story takes half a minute")
	}
	p := play()
	if p.err != nil {
		t.Fatalf("%v\n%s", p.err, p.text)
	}
	return p
}

// page is printed on by one goroutine and read by another.
type page struct {
	mu      gosync.Mutex
	text    bytes.Buffer
	printed chan struct{}
}

func newPage() *page { return &page{printed: make(chan struct{}, 1)} }

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.printed <- struct{}{}:
	default:
	}
	return p.text.Write(b)
}

func (p *page) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// waitFor waits until the pattern stands n times on the page.
func (p *page) waitFor(ctx context.Context, pattern string, n int) error {
	re := regexp.MustCompile(pattern)
	for len(re.FindAllString(p.String(), -1)) < n {
		select {
		case <-p.printed:
		case <-ctx.Done():
			return errors.New("never printed " + pattern + ":\n" + p.String())
		}
	}
	return nil
}

// get returns what url serves, in Prometheus' own choice of formats.
func get(ctx context.Context, url string) (body []byte, contentType string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return body, resp.Header.Get("Content-Type"), err
}
