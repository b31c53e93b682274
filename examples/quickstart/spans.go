// This file keeps the spans in memory and prints them as trees.

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// collector is a SpanProcessor that keeps every span that has ended. A real
// program has a batch processor and an exporter here.
type collector struct {
	mu    sync.Mutex
	ended []sdktrace.ReadOnlySpan
}

func (c *collector) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (c *collector) OnEnd(s sdktrace.ReadOnlySpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = append(c.ended, s)
}

func (c *collector) Shutdown(context.Context) error   { return nil }
func (c *collector) ForceFlush(context.Context) error { return nil }

// The attributes that tell the story, and what is left out of their names. The
// spans have more: where the call went, its bucket, error.type, the class of
// each attempt and whether it polls, the last answer's code on the whole call.
var (
	ofCalls    = []attribute.Key{"oktaretry.class", "oktaretry.stop", "oktaretry.attempts", "oktaretry.waited"}
	ofAttempts = []attribute.Key{
		"http.request.resend_count", "http.response.status_code", "oktaretry.code", "oktaretry.request_id"}
	ofEvents = []attribute.Key{"oktaretry.wait.reason", "oktaretry.wait"}

	leftOut = strings.NewReplacer("oktaretry.", "", "http.request.", "", "http.response.", "")
)

// print prints the spans as trees, the children and events of each in the order
// of time.
func (c *collector) print(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	byParent := map[trace.SpanID][]sdktrace.ReadOnlySpan{}
	for _, s := range c.ended {
		parent := s.Parent().SpanID() // zero of those that begin a trace
		byParent[parent] = append(byParent[parent], s)
	}
	for _, list := range byParent {
		slices.SortStableFunc(list, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	}
	for _, call := range byParent[trace.SpanID{}] {
		fmt.Fprintln(w)
		printSpan(w, "", "│    ", call, ofCalls)
		events := call.Events()
		attempts := byParent[call.SpanContext().SpanID()]
		for len(events)+len(attempts) > 0 {
			branch, below := "├─ ", "│    "
			if len(events)+len(attempts) == 1 {
				branch, below = "└─ ", "     "
			}
			if len(attempts) == 0 || len(events) > 0 && events[0].Time.Before(attempts[0].StartTime()) {
				fmt.Fprintf(w, "%sevent %s  %s\n", branch, events[0].Name, pick(events[0].Attributes, ofEvents))
				events = events[1:]
				continue
			}
			printSpan(w, branch, below, attempts[0], ofAttempts)
			attempts = attempts[1:]
		}
	}
}

func printSpan(w io.Writer, branch, below string, s sdktrace.ReadOnlySpan, keys []attribute.Key) {
	took := s.EndTime().Sub(s.StartTime())
	fmt.Fprintf(w, "%s%s\n", branch, s.Name())
	fmt.Fprintf(w, "%s%s %.1f ms  %s\n", below, strings.ToUpper(s.SpanKind().String()),
		float64(took)/float64(time.Millisecond), pick(s.Attributes(), keys))
}

// pick returns the attributes named, those that are there.
func pick(list []attribute.KeyValue, keys []attribute.Key) string {
	var parts []string
	for _, key := range keys {
		i := slices.IndexFunc(list, func(kv attribute.KeyValue) bool { return kv.Key == key })
		if i < 0 {
			continue
		}
		value := list[i].Value.String()
		if list[i].Value.Type() == attribute.FLOAT64 {
			value = fmt.Sprintf("%.2f", list[i].Value.AsFloat64())
		}
		parts = append(parts, leftOut.Replace(string(key))+"="+value)
	}
	return strings.Join(parts, " ")
}
