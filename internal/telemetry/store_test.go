// This file tests what is reported of a store.

package telemetry_test

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
)

// What is reported of a store is in a table of its own: it comes with WithShared
// only.
func TestDocumentMatchesSharedStateTelemetry(t *testing.T) {
	doc := readDocument(t)["name what"]
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		r := recorders.Observe(t, func(p *oktaretry.Policy) { p.Breaker.MinCalls = 2 }, script.OK())
		r.With(t, oktaretry.WithShared(store))
		step := func(steps ...script.Step) {
			r.Base.Repeat(steps...)
			r.Do(t.Context(), "GET", rig.UserURL)
			time.Sleep(3 * time.Second)
		}
		step(script.OK())
		step(script.Down(), script.Down(), script.Down())
		time.Sleep(time.Minute)
		step(script.OK()) // a probe
		for _, i := range []sharedtest.Fault{sharedtest.Hangs, sharedtest.Fails, sharedtest.Panics, sharedtest.UnknownCircuit, sharedtest.None} {
			store.Set(i)
			step(script.OK())
			store.Set(sharedtest.None)
			step(script.OK())
		}
		words := map[string]map[string]bool{}
		for name, m := range r.Metrics(t) {
			if !strings.HasPrefix(name, "oktaretry.shared.") {
				continue
			}
			words[name] = map[string]bool{}
			for _, set := range recorders.Labels(m) {
				for key, value := range set {
					words[name][key], words[name][fmt.Sprint(value)] = true, true
				}
			}
			if row := doc[name]; row != nil {
				rig.Equal(t, name, kindOf(m)+", `"+m.Unit+"`", row[1])
			}
		}
		for _, l := range r.Lines(t) {
			text := fmt.Sprint(l["msg"])
			if !strings.HasPrefix(text, "oktaretry: shared store") {
				continue
			}
			words[text] = map[string]bool{}
			if _, failed := l["kind"]; failed {
				words[text]["error.type"] = true // which has the kinds
			}
			for key := range l {
				if key != "msg" && key != "time" && key != "level" {
					words[text][key] = true
				}
			}
			if row := doc[text]; row != nil {
				rig.Equal(t, text, "log line, "+fmt.Sprint(l["level"]), row[1])
			}
		}
		rig.Equal(t, "what is reported of the store", slices.Sorted(maps.Keys(words)), slices.Sorted(maps.Keys(doc)))
		for name, row := range doc {
			rig.Equal(t, name+"'s words", slices.Sorted(maps.Keys(words[name])), wordsIn(row[2]))
		}
	})
}

func TestStoreQuestionsAndStatesAreMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		r := recorders.Observe(t, nil, script.OK())
		r.With(t, oktaretry.WithShared(store))
		for _, i := range []sharedtest.Fault{sharedtest.None, sharedtest.Fails, sharedtest.None} {
			store.Set(i)
			time.Sleep(3 * time.Second)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() { r.Do(t.Context(), "GET", rig.UserURL) })
			}
			wg.Wait()
		}
		got := map[string]bool{}
		for name, m := range r.Metrics(t) {
			if strings.HasPrefix(name, "oktaretry.shared.") {
				for _, set := range recorders.Labels(m) {
					for k, v := range set {
						got[strings.TrimPrefix(name, "oktaretry.shared.")+" "+k+"="+v.(string)] = true
					}
				}
			}
		}
		for _, want := range []string{
			"changes oktaretry.shared.state=lost", "changes oktaretry.shared.state=back",
			"duration oktaretry.shared.operation=lease", "duration oktaretry.shared.operation=circuits", "duration error.type=error",
		} {
			if !got[want] {
				t.Errorf("no %s in %v", want, got)
			}
		}
	})
}

// The line is due in the question's own goroutine, where nobody could recover a
// panic: it would end the process.
func TestPanicInStoreLogReachesTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.NewFaulty(t)
		store.Set(sharedtest.Fails)
		fuse := newFuse(1, "shared store lost")
		r := recorders.Observe(t, nil, script.OK())
		r.With(t, oktaretry.WithShared(store), oktaretry.WithLogger(slog.New(fuseHandler{slog.DiscardHandler, fuse})))
		func() {
			defer func() {
				if got := recover(); got != "boom" {
					t.Errorf("recovered %v, want the handler's panic", got)
				}
			}()
			r.Do(t.Context(), "GET", rig.UserURL)
		}()
		store.Set(sharedtest.None)
		time.Sleep(5 * time.Second)
		if err := r.Do(t.Context(), "GET", rig.UserURL); err != nil {
			t.Error(err)
		}
		if n := store.Asked(""); n == 0 {
			t.Error("the store is not found to be back")
		}
	})
}
