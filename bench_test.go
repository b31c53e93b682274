// This file measures what a call costs above its base: nothing but this
// library, over a base in memory. benchmarks/cost has the same cases beside its
// peers.

package oktaretry_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// providers are what a program may have set up of OpenTelemetry.
var providers = []struct {
	name string
	opts func() []oktaretry.Option
}{
	{"none", func() []oktaretry.Option { return nil }},
	{"noop", func() []oktaretry.Option {
		return []oktaretry.Option{
			oktaretry.WithTracerProvider(nooptrace.NewTracerProvider()), oktaretry.WithMeterProvider(noop.NewMeterProvider()),
		}
	}},
	{"sampled=none", func() []oktaretry.Option { return []oktaretry.Option{recorders.Traced(sdktrace.NeverSample())} }},
	{"sampled=all", func() []oktaretry.Option { return []oktaretry.Option{recorders.Traced(sdktrace.AlwaysSample())} }},
}

// costCase is a call and the base that answers it.
type costCase struct {
	name   string
	method string
	base   func() *script.Fast
	body   costBody
	policy func(*oktaretry.Policy)
	prime  func(testing.TB, http.RoundTripper, *script.Fast) // what goes before
	err    bool                                              // the call ends in an error

	resends int
}

type costBody uint8

const (
	noBody       costBody = iota
	withGetBody           // as http.NewRequest sets it
	capturedBody          // a stream that nobody can open again
)

func answering(status int, body string) func() *script.Fast {
	return func() *script.Fast { return &script.Fast{Status: status, Body: body} }
}

var (
	get200 = costCase{name: "GET200", method: http.MethodGet, base: answering(200, script.UserBody)}

	costCases = []costCase{
		get200,
		{name: "GET404", method: http.MethodGet, base: answering(404, script.ErrorBody)},
		{name: "POST2KB/GetBody", method: http.MethodPost, base: answering(200, script.UserBody), body: withGetBody},
		{name: "POST2KB/captured", method: http.MethodPost, base: answering(200, script.UserBody), body: capturedBody},
		{name: "CircuitOpen", method: http.MethodGet, base: answering(503, ""), policy: opensForLong, prime: openCircuit, err: true},
	}
)

// opensForLong keeps a circuit open until the benchmark is over.
func opensForLong(p *oktaretry.Policy) { p.Breaker.OpenFor = time.Hour }

// openCircuit sends what cannot be sent again until the circuit has had enough,
// and lets the base recover: who asks it then would get an answer.
func openCircuit(t testing.TB, tr http.RoundTripper, base *script.Fast) {
	for range 100 {
		req := rig.Request(t, oktaretry.WithNoRetry(t.Context()), http.MethodGet, costURL, nil)
		if resp, err := tr.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}
	base.Status = 200
}

const costURL = rig.Org + "/api/v1/users/00u1"

var twoKB = bytes.Repeat([]byte("0123456789abcdef"), 128)

// newCaller returns a function that makes a case's call once over tr. As an SDK
// does, it reads the answer to its end. It allocates nothing, so that all that
// is counted is the transport's and the base's; it is for one goroutine.
func (c costCase) newCaller(t testing.TB, tr http.RoundTripper) func() {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req := rig.Request(t, ctx, c.method, costURL, nil)
	req.Header.Set("Authorization", "SSWS 00abcdefghijklmnopqrstuvwxyz0123456789ABCD")
	content := bytes.NewReader(twoKB)
	body := io.NopCloser(content) // the type that http.NewRequest makes of a bytes.Reader
	if c.body != noBody {
		req.ContentLength = int64(len(twoKB))
	}
	if c.body == withGetBody {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(twoKB)), nil }
	}
	buf := make([]byte, 4096)
	return func() {
		if c.body != noBody {
			content.Reset(twoKB)
			req.Body = body
		}
		resp, err := tr.RoundTrip(req)
		if (err != nil) != c.err {
			t.Fatalf("RoundTrip: %v", err)
		}
		if err == nil {
			for {
				if _, err := resp.Body.Read(buf); err != nil {
					break
				}
			}
			resp.Body.Close()
		}
	}
}

// over sets up a Transport for the case, and what it needs to have met before.
func (c costCase) over(t testing.TB, opts []oktaretry.Option) (*oktaretry.Transport, *script.Fast) {
	base := c.base()
	tr := rig.Over(t, base, c.policy, opts...)
	if c.prime != nil {
		c.prime(t, tr, base)
	}
	return tr, base
}

func BenchmarkRoundTrip(b *testing.B) {
	for _, c := range costCases {
		b.Run(c.name+"/bare", func(b *testing.B) {
			if c.err {
				b.Skip("the base alone knows no circuit")
			}
			run(b, c.newCaller(b, c.base()))
		})
		for _, p := range providers {
			b.Run(c.name+"/provider="+p.name, func(b *testing.B) {
				tr, _ := c.over(b, p.opts())
				run(b, c.newCaller(b, tr))
			})
		}
	}
}

func run(b *testing.B, call func()) {
	call() // what is made once, is made before
	b.ReportAllocs()
	for b.Loop() {
		call()
	}
}

// BenchmarkRoundTripParallel has as many callers as there are processors, all
// of one bucket and one endpoint.
func BenchmarkRoundTripParallel(b *testing.B) {
	parallel := func(b *testing.B, tr http.RoundTripper) {
		get200.newCaller(b, tr)()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			call := get200.newCaller(b, tr)
			for pb.Next() {
				call()
			}
		})
	}
	b.Run("bare", func(b *testing.B) { parallel(b, get200.base()) })
	for _, p := range providers {
		b.Run("provider="+p.name, func(b *testing.B) {
			tr, _ := get200.over(b, p.opts())
			parallel(b, tr)
		})
	}
}

// limitedThenOK is a call that is refused and goes again. Its wait is as short
// as a policy allows but real, a few milliseconds: what counts here is what it
// allocates. benchmarks/cost measures its work, in virtual time.
var limitedThenOK = costCase{name: "LimitedThenOK", resends: 1, method: http.MethodGet, policy: rig.QuickWaits, base: func() *script.Fast {
	return &script.Fast{Status: 200, Body: script.UserBody, Flaky: true, Unlimited: true}
}}

func BenchmarkRateLimitedThenOK(b *testing.B) {
	for _, p := range providers {
		b.Run("provider="+p.name, func(b *testing.B) {
			tr, _ := limitedThenOK.over(b, p.opts())
			run(b, limitedThenOK.newCaller(b, tr))
		})
	}
}
