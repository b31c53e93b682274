package main

// This file plays the story once for all tests, in virtual time: twice over, watched
// as in production by a Prometheus that scrapes and a collector that takes OTLP.

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	gosync "sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry/examples/internal/sdktest"
	"github.com/oktaretry/oktaretry/oktatest"
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

var (
	playOnce  gosync.Once
	thePlayed played
)

// thePlay plays the story, in virtual time, unless that has been done.
func thePlay(t *testing.T) played {
	t.Helper()
	playOnce.Do(func() {
		thePlayed = played{collector: new(collector), store: newStore()}
		synctest.Test(t, func(t *testing.T) { thePlayed.play(t) })
	})
	if thePlayed.err != nil {
		t.Fatalf("%v\n%s", thePlayed.err, thePlayed.text)
	}
	return thePlayed
}

func (p *played) play(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + collectorHost,
		"OTEL_RESOURCE_ATTRIBUTES":    "deployment.environment.name=test",
		"OTEL_METRIC_EXPORT_INTERVAL": "1000",
	} {
		t.Setenv(name, value)
	}
	memory := network{collectorHost: oktatest.NewTransport(p.collector)}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if p.err = playShared(ctx, p.store, memory); p.err != nil {
		return
	}
	out := newPage()
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- run(ctx, out, memory.surroundings(), true) }()
	if p.err = out.waitFor(ctx, `metrics at (http://\S+)`, 1); p.err != nil {
		return
	}
	url := regexp.MustCompile(`metrics at (http://\S+)`).FindStringSubmatch(out.String())[1]
	done, scraped := make(chan struct{}), make(chan error, 1)
	go func() { scraped <- p.store.scrapeUntil(ctx, done, memory, url) }()

	p.err = out.waitFor(ctx, `That was round \d`, rounds)
	close(done)
	p.err = errors.Join(p.err, <-scraped)
	cancel()
	p.err = errors.Join(p.err, <-ended)
	p.text, p.took = out.String(), time.Since(began)
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
func get(ctx context.Context, over http.RoundTripper, url string) (body []byte, contentType string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
	req.Header.Set("Accept-Encoding", "identity") // in memory, packing would cost more than all the rest of a scrape
	resp, err := (&http.Client{Transport: over}).Do(req)
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
