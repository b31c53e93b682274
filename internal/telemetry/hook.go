// This file holds how events are told to the functions of a user's observers.

package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strings"

	"go.opentelemetry.io/otel"
)

// Hook is a user's function that is told events.
type Hook[E any] = func(context.Context, E)

// Tell calls each hook with an event. What a hook panics with goes no further: it is
// reported once for each Telemetry, and the other hooks are called as ever.
func Tell[E any](ctx context.Context, t *Telemetry, name string, hooks []Hook[E], event E) {
	for _, hook := range hooks {
		tell(ctx, t, name, hook, event)
	}
}

func tell[E any](ctx context.Context, t *Telemetry, name string, hook Hook[E], event E) {
	defer func() {
		if p := recover(); p != nil {
			t.hookPanic(ctx, name, p)
		}
	}()
	hook(ctx, event)
}

// hookPanic reports the first panic of a hook, by its type and place, for its text can
// be anything: in the log, or without one to OpenTelemetry's error handler.
func (t *Telemetry) hookPanic(ctx context.Context, name string, p any) {
	if t.hookPanicked.Swap(true) {
		return
	}
	defer func() { _ = recover() }() // a handler that panics, too
	kind, place := fmt.Sprintf("%T", p), panicPlace()
	if t.log == nil {
		otel.Handle(fmt.Errorf("oktaretry: an observer's %s panicked with a %s at %s; further panics are not reported", name, kind, place))
		return
	}
	t.log.LogAttrs(ctx, slog.LevelError, "oktaretry: observer panicked",
		slog.String("function", name), slog.String("type", kind), slog.String("at", place))
}

// panicPlace returns the function and the line that panicked. It is called by the
// deferred function that recovers.
func panicPlace() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for panicking := false; ; {
		f, more := frames.Next()
		inRuntime := strings.HasPrefix(f.Function, "runtime.")
		if panicking && !inRuntime {
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		panicking = panicking || inRuntime
		if !more {
			return "an unknown place"
		}
	}
}
