// This file tests when a changed file is read, in virtual time.

package policyfile

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/oktaretry/oktaretry"
)

// noticed runs a Watcher that gets its notices from the test.
type noticed struct {
	t       *testing.T
	path    string
	notices chan fsnotify.Event
	lost    chan error
	changes []time.Duration // since the start, of each change that was in force
	start   time.Time
}

func inBubble(t *testing.T, test func(n *noticed)) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	synctest.Test(t, func(t *testing.T) {
		n := &noticed{t: t, path: path, notices: make(chan fsnotify.Event), lost: make(chan error), start: time.Now()}
		n.write("pollFactors: false\n")
		transport, err := oktaretry.NewTransport(nil)
		if err != nil {
			t.Fatal(err)
		}
		w := &Watcher{transport: transport, path: path, done: make(chan struct{})}
		w.report = func(c Change) {
			if c.Err != nil {
				t.Errorf("after %s it was read half-written: %v", time.Since(n.start), c.Err)
			}
			n.changes = append(n.changes, time.Since(n.start))
		}
		if err := w.load(); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go w.run(ctx, n.notices, n.lost, func() {})
		test(n)
		stop()
		<-w.Done()
	})
}

func (n *noticed) write(text string) {
	n.t.Helper()
	if err := os.WriteFile(n.path, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
}

func (n *noticed) want(times ...time.Duration) {
	n.t.Helper()
	synctest.Wait()
	if len(n.changes) != len(times) {
		n.t.Fatalf("changes after %v, want %v", n.changes, times)
	}
	for i := range times {
		if n.changes[i] != times[i] {
			n.t.Errorf("change %d after %s, want %s", i, n.changes[i], times[i])
		}
	}
}

func TestAFileThatIsBeingWrittenIsNotRead(t *testing.T) {
	inBubble(t, func(n *noticed) {
		for _, text := range []string{"", "poll", "pollFactors: tr", "pollFactors: true\n"} {
			n.write(text)
			n.notices <- fsnotify.Event{Name: n.path, Op: fsnotify.Write}
			time.Sleep(90 * time.Millisecond)
		}
		time.Sleep(time.Second)
		n.want(3*90*time.Millisecond + settle)
	})
}

func TestNoticesWithoutEndDoNotKeepAFileFromBeingRead(t *testing.T) {
	inBubble(t, func(n *noticed) {
		n.write("pollFactors: true\n")
		for range 60 {
			n.notices <- fsnotify.Event{Name: n.path + ".log", Op: fsnotify.Write}
			time.Sleep(50 * time.Millisecond)
		}
		n.want(settleAtMost)
	})
}

func TestAFileWithoutNoticesIsReadNowAndThen(t *testing.T) {
	inBubble(t, func(n *noticed) {
		time.Sleep(recheck + time.Second)
		n.write("pollFactors: true\n")
		time.Sleep(3 * recheck)
		n.want(2 * recheck)
	})
}

func TestLostNoticesAreAReasonToRead(t *testing.T) {
	inBubble(t, func(n *noticed) {
		n.write("pollFactors: true\n")
		n.lost <- fsnotify.ErrEventOverflow
		time.Sleep(time.Second)
		n.want(settle)
	})
}
