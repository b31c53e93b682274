// Package spantree keeps the spans of a program in memory and prints them as
// trees, so that a terminal shows what a trace viewer would.
package spantree

import (
	"context"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Collector is a SpanProcessor that keeps every span that has ended, until it
// is taken. A real program has a batch processor and an exporter here.
type Collector struct {
	mu    sync.Mutex
	ended []sdktrace.ReadOnlySpan
}

// OnStart does nothing.
func (c *Collector) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd keeps the span.
func (c *Collector) OnEnd(s sdktrace.ReadOnlySpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = append(c.ended, s)
}

// Shutdown does nothing.
func (c *Collector) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (c *Collector) ForceFlush(context.Context) error { return nil }

// Take returns the spans that have ended since the last Take.
func (c *Collector) Take() []sdktrace.ReadOnlySpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	spans := c.ended
	c.ended = nil
	return spans
}
