// This file gathers everything that a Transport reports, for the search for
// secrets, and tests that the search looks everywhere.

package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// reportedTexts returns everything that was reported, by its place.
func reportedTexts(t testing.TB, r *recorders.Observed, outcomes []oktaretry.Outcome, err error) map[string]string {
	texts := map[string]string{"log": r.Log()}
	attributes := func(where string, list []attribute.KeyValue) {
		for _, kv := range list {
			texts[where+" "+string(kv.Key)] = kv.Value.String()
		}
	}
	for i, span := range r.Spans.Started() {
		where := fmt.Sprintf("span %d", i)
		texts[where] = span.Name()
		texts[where+" status"] = span.Status().Description
		texts[where+" trace state"] = span.SpanContext().TraceState().String() + span.Parent().TraceState().String()
		texts[where+" scope"] = fmt.Sprint(span.InstrumentationScope())
		attributes(where, span.Attributes())
		for _, e := range span.Events() {
			texts[where+" event"] += e.Name
			attributes(where+" "+e.Name, e.Attributes)
		}
		for _, l := range span.Links() {
			attributes(where+" link", l.Attributes)
			texts[where+" link's trace state"] += l.SpanContext.TraceState().String()
		}
	}
	for _, scope := range r.Collect(t).ScopeMetrics {
		text, err := json.Marshal(scope)
		if err != nil {
			t.Fatal(err)
		}
		texts["metrics"] += string(text) // with the exemplars and what views filter
	}
	texts["snapshot"] = fmt.Sprintf("%+v", r.Snapshot())
	addErrorTexts(texts, "error", err)
	for _, o := range outcomes {
		texts["outcome"] += fmt.Sprintln(o.Method, o.Host, o.Template, o.Bucket, o.Stop, o.RequestID, o.Waits)
		addErrorTexts(texts, "outcome's error", o.Err)
		for _, a := range o.Attempts {
			addErrorTexts(texts, "attempt's error", a.Err)
			if a.Error != nil {
				texts["API error"] += a.Error.Error()
			}
		}
	}
	return texts
}

// addErrorTexts adds the texts of an error and of all that it wraps.
func addErrorTexts(texts map[string]string, where string, err error) {
	if err == nil {
		return
	}
	texts[where] += fmt.Sprintf("%v|%+v|%#v|%q\n", err, err, err, err)
	switch w := err.(type) {
	case interface{ Unwrap() error }:
		addErrorTexts(texts, where, w.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range w.Unwrap() {
			addErrorTexts(texts, where, err)
		}
	}
}

func wantNoSecrets(t testing.TB, s secrets, texts map[string]string) {
	t.Helper()
	for where, text := range texts {
		if places := s.find(text); len(places) > 0 {
			t.Errorf("%s holds the secret of %s: %s", where, places, text)
		}
	}
}

// A search that looks at nothing finds nothing.
func TestSearchForSecretsLooksEverywhere(t *testing.T) {
	s := secrets{}
	r := recorders.Observe(t, nil, script.OK())
	r.Reader = sdkmetric.NewManualReader()
	r.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.Reader), sdkmetric.WithView(sdkmetric.NewView(
		sdkmetric.Instrument{Name: "filtered"}, sdkmetric.Stream{AttributeFilter: attribute.NewDenyKeysFilter("k")})))
	attr := func(place string) attribute.KeyValue { return attribute.String("k", s.mark(place)) }

	state, err := trace.ParseTraceState("vendor=" + s.mark("trace state"))
	linked, err2 := trace.ParseTraceState("vendor=" + s.mark("link's trace state"))
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	id := trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, TraceState: state}
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(id))
	id.TraceState = linked
	ctx, span := r.Tracer.Tracer("test").Start(ctx, s.mark("name"), trace.WithLinks(
		trace.Link{SpanContext: trace.NewSpanContext(id), Attributes: []attribute.KeyValue{attr("link")}}))
	span.SetAttributes(attr("attribute"), attribute.StringSlice("list", []string{s.mark("list")}))
	span.AddEvent(s.mark("event's name"), trace.WithAttributes(attr("event")))
	span.SetStatus(codes.Error, s.mark("status"))

	meter := r.Meter.Meter("test")
	labels := func(place string) metric.MeasurementOption { return metric.WithAttributes(attr(place)) }
	filtered, _ := meter.Int64Counter("filtered")
	filtered.Add(ctx, 1, labels("exemplar"))
	counter, _ := meter.Int64Counter("counter")
	counter.Add(ctx, 1, labels("counter"))
	floats, _ := meter.Float64Histogram("floats")
	floats.Record(ctx, 1, labels("histogram"))
	meter.Int64ObservableGauge("gauge", metric.WithInt64Callback(func(_ context.Context, o metric.Int64Observer) error {
		o.Observe(1, labels("gauge"))
		return nil
	}))
	span.End()
	r.Logger.Info(s.mark("line"), "k", s.mark("log attribute"))
	failure := fmt.Errorf("%s: %w", s.mark("error"), errors.Join(errors.New(s.mark("joined error")), structError{s.mark("field of an error")}))

	var found []string
	for _, text := range reportedTexts(t, r, nil, failure) {
		found = append(found, s.find(text)...)
	}
	slices.Sort(found)
	var all []string
	for _, place := range s {
		all = append(all, place)
	}
	slices.Sort(all)
	rig.Equal(t, "found", slices.Compact(found), all)
}

// structError is an error whose text is discreet, and whose fields are not.
type structError struct{ secret string }

func (structError) Error() string { return "discreet" }

// Baggage is what the caller wants to be sent; who has its propagator sends it
// to Okta, and to nobody else.
func TestBaggageIsSentOnlyByItsPropagator(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    propagation.TextMapPropagator
		sent bool
	}{
		{"with baggage", propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}), true},
		{"without", propagation.TraceContext{}, false},
		{"with none", propagation.NewCompositeTextMapPropagator(), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := secrets{}
			member, _ := baggage.NewMember("user", s.mark("baggage"))
			bag, _ := baggage.New(member)
			r := recorders.Observe(t, rig.QuickWaits, script.Down(), script.OK())
			r.With(t, oktaretry.WithPropagators(tt.p), oktaretry.WithLogThreshold(0))
			ctx, rec := oktaretry.WithRecorder(baggage.ContextWithBaggage(t.Context(), bag))
			err := r.Do(ctx, "GET", rig.UserURL)
			for i, sent := range r.Base.Sent() {
				rig.Equal(t, fmt.Sprint("baggage was sent with attempt ", i), len(s.find(fmt.Sprint(sent.Header))) == 1, tt.sent)
			}
			wantNoSecrets(t, s, reportedTexts(t, r, rec.Outcomes(), err))
		})
	}
}
