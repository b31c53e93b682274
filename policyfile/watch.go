// This file follows a policy file while it changes.

package policyfile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/oktaretry/oktaretry"
)

const (
	// settle is how long a file must have been left alone before it is read: an editor
	// writes in several steps.
	settle = 100 * time.Millisecond
	// settleAtMost bounds settle where something else in the directory changes all the time.
	settleAtMost = 2 * time.Second
	// recheck is how often the file is read without a notice: network file systems
	// give none.
	recheck = 30 * time.Second
)

// Watcher follows one file for one Transport. Its methods are safe for concurrent use.
type Watcher struct {
	transport *oktaretry.Transport
	path      string
	logger    *slog.Logger
	report    func(Change)
	done      chan struct{}

	last   string // what the file held, or the error of reading it; of the goroutine
	mu     sync.Mutex
	status Stats
}

// Stats are what a [Watcher] has done since it began.
type Stats struct {
	Applied int   // policies put into force, the first one included
	Refused int   // contents of the file that were no policy, or times that it could not be read
	Err     error // why what the file holds now is not in force; nil if it is
	// Since is when the policy in force was put there.
	Since time.Time
}

// Change is a new content of the file.
type Change struct {
	// Policy is the policy in force: the new one, or after an error still the old one.
	Policy oktaretry.Policy
	// Err is why the content was refused: [Errors], or an error of reading; else nil.
	Err error
	// Warnings are what the new policy holds that is likely a mistake; see [Warnings].
	Warnings Errors
}

// Option sets up a [Watcher].
type Option func(*Watcher)

// WithLogger has each new content of the file logged, the first one included: one that is
// in force at level Info, each of its warnings at Warn, a refused one at Error, with all
// problems. Default: nothing is logged.
func WithLogger(l *slog.Logger) Option { return func(w *Watcher) { w.logger = l } }

// OnChange has f called for each new content of the file, the first one excepted, after
// its policy is in force or was refused: to count, for one. It is called by one
// goroutine at a time, and the next change waits for its return.
func OnChange(f func(Change)) Option { return func(w *Watcher) { w.report = f } }

// Watch reads the policy in the file at path, gives it to transport, and does so again
// whenever the file's content changes, until ctx ends. It returns an error, having
// changed nothing, where the file can't be read, holds no policy or can't be watched.
//
// A later content that is no policy is refused: it is logged, counted and reported, and
// the policy before it stays in force, also while the file is gone. Calls that have
// begun end under the policy that they began with, as [oktaretry.Transport.SetPolicy] has it.
//
// Watch follows what a path leads to: files written in place, renamed over, deleted and
// created again, and symbolic links that are replaced, in the path or on the way, as by a
// ConfigMap of Kubernetes. A change is read once the file has been left alone for 100 ms,
// so that none is read half-written; writers that pause for longer should write another
// file and rename it. Where the file system reports no changes, as over a network, the
// file is read every 30 s.
func Watch(ctx context.Context, transport *oktaretry.Transport, path string, opts ...Option) (*Watcher, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("policyfile: %w", err)
	}
	if transport == nil {
		return nil, errors.New("policyfile: Watch: the Transport is nil")
	}
	w := &Watcher{transport: transport, path: path, done: make(chan struct{})}
	for _, opt := range opts {
		opt(w)
	}
	notices, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("policyfile: watching %s: %w", path, err)
	}
	dirs := directories{notices: notices}
	if err := errors.Join(dirs.follow(path), w.load()); err != nil {
		notices.Close()
		return nil, err
	}
	go func() {
		defer notices.Close()
		w.run(ctx, notices.Events, notices.Errors, func() { dirs.follow(path) })
	}()
	return w, nil
}

// Stats returns what w has done so far.
func (w *Watcher) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// Done returns a channel that is closed once w has ended, after its context has.
func (w *Watcher) Done() <-chan struct{} { return w.done }

// run reads the file once notices have ceased for a while, until ctx ends. It calls follow
// before each reading, for a path can lead elsewhere then.
func (w *Watcher) run(ctx context.Context, notices <-chan fsnotify.Event, lost <-chan error, follow func()) {
	defer close(w.done)
	timer := time.NewTimer(recheck)
	defer timer.Stop()
	var since time.Time // the first notice that is not followed up
	for {
		select {
		case <-ctx.Done():
			return
		case <-lost: // such as too many notices to keep: read, to be sure
		case <-notices:
		case <-timer.C:
			since = time.Time{}
			timer.Reset(recheck)
			follow() // what it can't follow now, it can at the next recheck
			w.reload()
			continue
		}
		if since.IsZero() {
			since = time.Now()
		}
		timer.Reset(min(settle, max(0, settleAtMost-time.Since(since))))
	}
}

// load puts the policy in the file into force.
func (w *Watcher) load() error {
	p, warnings, err := w.read()
	if err != nil {
		return err
	}
	w.count(nil)
	w.log(Change{p, nil, warnings})
	return nil
}

// reload is load for a content that differs from the last one.
func (w *Watcher) reload() {
	before := w.last
	_, warnings, err := w.read()
	if w.last == before {
		return
	}
	w.count(err)
	c := Change{w.transport.Policy(), err, warnings}
	w.log(c)
	if w.report != nil {
		w.report(c)
	}
}

// read reads the file, and puts its policy into force where it differs from the last.
func (w *Watcher) read() (p oktaretry.Policy, warnings Errors, err error) {
	text, err := readFile(w.path)
	if err != nil {
		w.last = "error: " + err.Error()
		return p, nil, fmt.Errorf("policyfile: %w", err)
	}
	content := "content: " + string(text)
	if content == w.last {
		return p, nil, nil
	}
	w.last = content
	if p, warnings, err = parse(w.path, text); err != nil {
		return p, nil, err
	}
	return p, warnings, w.transport.SetPolicy(p)
}

func (w *Watcher) count(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status.Err = err
	if err != nil {
		w.status.Refused++
		return
	}
	w.status.Applied++
	w.status.Since = time.Now()
}

func (w *Watcher) log(c Change) {
	if w.logger == nil {
		return
	}
	file := slog.String("file", w.path)
	if c.Err != nil {
		w.logger.Error("policy file refused, the policy before it stays in force", file, slog.Any("error", c.Err))
		return
	}
	w.logger.Info("policy in force", file)
	for _, warning := range c.Warnings {
		w.logger.Warn("policy file", file, slog.Any("warning", warning))
	}
}
