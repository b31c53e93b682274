// Command tracing shows what one sees of a program that calls Okta through
// oktaretry: a directory sync on okta-sdk-golang/v6 meets rate limits, an
// outage and a waiting push of a fake Okta on this machine, and prints its
// traces as trees, the lines of its log and the most telling of its metrics:
//
//	go run ./examples/tracing          # ends by itself, in a quarter of a minute
//	go run ./examples/tracing -serve   # goes on, for a Prometheus to scrape it
//
// Traces and metrics also go out by OTLP when OTEL_EXPORTER_OTLP_ENDPOINT
// names a collector (http://localhost:4318).
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/examples/internal/spantree"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav6"
)

func main() {
	serve := flag.Bool("serve", false, "live the story again and again, until interrupted")
	addr := flag.String("addr", "127.0.0.1:9464", "where -serve serves /metrics")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if !*serve {
		*addr = "127.0.0.1:0"
	}
	org := oktatest.StartServer(smallOrg()...)
	defer org.Close()
	around := surroundings{
		org: org.Okta, orgURL: org.URL, connect: oktav6.NewClient,
		serve: func(h http.Handler) (string, func() error, error) { return serveOn(*addr, h) },
	}
	if err := run(ctx, os.Stdout, around, *serve); err != nil {
		log.Fatal(err)
	}
}

// surroundings are what is around the program: this machine, or the memory of a test,
// whose time is virtual.
type surroundings struct {
	org     *oktatest.Okta
	orgURL  string
	network http.RoundTripper // nil: the real one
	connect func(context.Context, http.RoundTripper, ...okta.ConfigSetter) (*okta.APIClient, error)
	serve   func(http.Handler) (url string, stop func() error, err error)
}

func run(ctx context.Context, w io.Writer, around surroundings, again bool) error {
	tel, err := newTelemetry(ctx, around.network)
	if err != nil {
		return err
	}
	defer func() {
		// What is still in a batch goes out, also after an interrupt.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		tel.shutdown(ctx)
	}()

	transport, err := oktaretry.NewTransport(around.network,
		oktaretry.WithPolicy(policy()),
		oktaretry.WithTracerProvider(tel.tracers),
		oktaretry.WithMeterProvider(tel.meters),
		oktaretry.WithLogger(tel.logger), oktaretry.WithLogThreshold(time.Second))
	if err != nil {
		return err
	}

	client, err := around.connect(ctx, transport, okta.WithOrgUrl(around.orgURL), okta.WithToken("a-token"))
	if err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.Handle("GET /metrics", tel.handler)
	url, stop, err := around.serve(mux)
	if err != nil {
		return err
	}
	defer stop()
	metrics := url + "/metrics"
	fmt.Fprintf(w, "okta-sdk-golang/v6 → oktaretry → a fake Okta at %s; metrics at %s\n", around.orgURL, metrics)

	s := sync{org: around.org, client: client}
	for round := 1; ; round++ {
		err := tell(ctx, w, tel, s.steps(), round > 1)
		if ctx.Err() != nil {
			return nil // interrupted
		}
		if err != nil {
			return err
		}
		if round == 1 {
			fmt.Fprintf(w, "\nWhat the log says. A line's trace_id is that of a trace above:\n\n%s", tel.log.String())
			fmt.Fprintf(w, "\nSome of what %s says, without server_address, server_port and otel_scope_…:\n\n", metrics)
			if err := printMetrics(ctx, w, around.network, metrics); err != nil {
				return err
			}
		}
		if !again {
			return nil
		}
		fmt.Fprintf(w, "\nThat was round %d. Interrupt to end.\n", round)
		select {
		case <-time.After(window):
		case <-ctx.Done():
			return nil
		}
	}
}

// serveOn serves h on an address of this machine.
func serveOn(addr string, h http.Handler) (url string, stop func() error, err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(listener)
	return "http://" + listener.Addr().String(), server.Close, nil
}

// tell lives the steps, each in a trace of its own, and prints the trace
// unless it is told to be silent.
func tell(ctx context.Context, w io.Writer, tel *telemetry, steps []step, silent bool) error {
	tracer := tel.tracers.Tracer("directory-sync")
	for i, step := range steps {
		ctx, span := tracer.Start(ctx, step.name)
		got, err := step.do(ctx)
		span.End()
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		spans := tel.spans.Take()
		if silent {
			continue
		}
		fmt.Fprintf(w, "\n%d. %s\n   The sync: %s\n", i+1, step.title, got)
		spantree.Print(w, spans)
	}
	return nil
}
