// This file tests Watch with real files.

package policyfile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/policyfile"
)

// patience is how long a test waits for what must happen. It is no bound on anything.
const patience = time.Minute

// watched is a file that a Watcher follows.
type watched struct {
	t         *testing.T
	path      string
	transport *oktaretry.Transport
	watcher   *policyfile.Watcher
	changes   chan policyfile.Change
	stop      context.CancelFunc
}

func watch(t *testing.T, path string, opts ...policyfile.Option) *watched {
	t.Helper()
	transport, err := oktaretry.NewTransport(oktatest.New().Transport())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	w := &watched{t: t, path: path, transport: transport, changes: make(chan policyfile.Change, 100), stop: stop}
	opts = append(opts, policyfile.OnChange(func(c policyfile.Change) { w.changes <- c }))
	if w.watcher, err = policyfile.Watch(ctx, transport, path, opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		<-w.watcher.Done()
	})
	return w
}

// change waits for the change that the test has made.
func (w *watched) change() policyfile.Change {
	w.t.Helper()
	select {
	case c := <-w.changes:
		return c
	case <-time.After(patience):
		w.t.Fatal("the change is not noticed")
		return policyfile.Change{}
	}
}

// wantAttempts waits for the change that puts the policy with so many attempts into
// force. A file that is written in place may be read half-written before, on a machine
// that is slow enough.
func (w *watched) wantAttempts(n int) {
	w.t.Helper()
	for {
		if c := w.change(); c.Err == nil && c.Policy.ServerError.MaxAttempts == n {
			return
		}
	}
}

func attempts(n int) string { return fmt.Sprintf("serverError:\n  maxAttempts: %d\n", n) }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace is write in one step.
func replace(t *testing.T, path, text string) {
	t.Helper()
	write(t, path+".new", text)
	must(t, os.Rename(path+".new", path))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const rounds = 5

func TestWatchFollowsAFileWrittenInPlace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, attempts(10))
	w := watch(t, path)
	if got := w.transport.Policy().ServerError.MaxAttempts; got != 10 {
		t.Fatalf("at the start %d attempts, want those of the file", got)
	}
	for n := 11; n < 11+rounds; n++ {
		write(t, path, attempts(n))
		w.wantAttempts(n)
	}
}

func TestWatchFollowsAFileRenamedOver(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, attempts(10))
	w := watch(t, path)
	for n := 11; n < 11+rounds; n++ {
		replace(t, path, attempts(n))
		w.wantAttempts(n)
	}
	if s := w.watcher.Stats(); s.Applied != 1+rounds || s.Refused != 0 {
		t.Errorf("%+v, want each of %d policies applied once", s, 1+rounds)
	}
}

func TestWatchFollowsAFileDeletedAndCreatedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, attempts(10))
	w := watch(t, path)
	for n := 11; n < 11+rounds; n++ {
		must(t, os.Remove(path))
		if c := w.change(); !errors.Is(c.Err, fs.ErrNotExist) || c.Policy.ServerError.MaxAttempts != n-1 {
			t.Fatalf("without the file: error %v, %d attempts, want the policy before", c.Err, c.Policy.ServerError.MaxAttempts)
		}
		write(t, path, attempts(n))
		w.wantAttempts(n)
	}
}

// An editor such as vim moves the file away before it writes the new one.
func TestWatchFollowsAnEditorThatKeepsABackup(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, attempts(10))
	w := watch(t, path)
	for n := 11; n < 11+rounds; n++ {
		must(t, os.Rename(path, path+"~"))
		write(t, path, "")
		write(t, path, attempts(n))
		must(t, os.Remove(path+"~"))
		w.wantAttempts(n)
	}
}

// TestWatchFollowsAConfigMap replaces the symbolic link ..data, as the kubelet does.
func TestWatchFollowsAConfigMap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	publish := func(n int) {
		version := fmt.Sprintf("..2026_%d", n)
		must(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		write(t, filepath.Join(dir, version, "policy.yaml"), attempts(n))
		symlink(t, version, filepath.Join(dir, "..data_tmp"))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		must(t, os.RemoveAll(filepath.Join(dir, fmt.Sprintf("..2026_%d", n-1))))
	}
	publish(10)
	path := filepath.Join(dir, "policy.yaml")
	symlink(t, filepath.Join("..data", "policy.yaml"), path)
	w := watch(t, path)
	for n := 11; n < 11+rounds; n++ {
		publish(n)
		w.wantAttempts(n)
	}
}

// A deployment switches a link that is a directory of the path.
func TestWatchFollowsALinkAboveTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	current := filepath.Join(dir, "current")
	publish := func(n int) {
		release := filepath.Join(dir, "releases", fmt.Sprint(n), "config")
		must(t, os.MkdirAll(release, 0o700))
		write(t, filepath.Join(release, "policy.yaml"), attempts(n))
		symlink(t, filepath.Dir(release), current+".new")
		must(t, os.Rename(current+".new", current))
	}
	publish(10)
	w := watch(t, filepath.Join(current, "config", "policy.yaml"))
	for n := 11; n < 11+rounds; n++ {
		publish(n)
		w.wantAttempts(n)
		write(t, filepath.Join(dir, "releases", fmt.Sprint(n), "config", "policy.yaml"), attempts(n+100)) // where the link leads now
		w.wantAttempts(n + 100)
	}
}

func TestWatchFollowsAReplacedDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "config")
	must(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, "policy.yaml")
	write(t, path, attempts(10))
	w := watch(t, path)
	for n := 11; n < 11+rounds; n++ {
		must(t, os.Rename(dir, fmt.Sprint(dir, n)))
		must(t, os.Mkdir(dir, 0o700))
		write(t, path, attempts(n))
		w.wantAttempts(n)
	}
}

func TestWatchKeepsThePolicyWhenTheFileIsBad(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, attempts(10))
	var log lockedBuffer
	w := watch(t, path, policyfile.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	for n := 11; n < 11+rounds; n++ {
		replace(t, path, fmt.Sprintf("serverError:\n  maxAttempt: %d\n", n))
		c := w.change()
		list, ok := errors.AsType[policyfile.Errors](c.Err)
		if !ok || len(list) != 1 || list[0].Line != 2 || list[0].Column != 3 || list[0].File != path {
			t.Fatalf("error %v, want the place of the unknown member", c.Err)
		}
		if got := w.transport.Policy().ServerError.MaxAttempts; got != n-1 {
			t.Fatalf("%d attempts are in force, want the %d of before", got, n-1)
		}
		if s := w.watcher.Stats(); s.Err == nil || s.Refused != n-10 {
			t.Fatalf("%+v, want %d refused, and why", s, n-10)
		}
		replace(t, path, attempts(n))
		w.wantAttempts(n)
	}
	if s := w.watcher.Stats(); s.Applied != 1+rounds || s.Refused != rounds || s.Err != nil {
		t.Errorf("%+v, want %d applied and %d refused", s, 1+rounds, rounds)
	}
	text := log.String()
	if strings.Count(text, "level=ERROR") != rounds || strings.Count(text, "level=INFO") != 1+rounds || !strings.Contains(text, ":2:3:") {
		t.Errorf("the log has not a line for each change:\n%s", text)
	}
}

func TestWatchLeavesALoneWhatHasNotChanged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, attempts(10))
	w := watch(t, path)
	replace(t, path, attempts(10))
	write(t, path+".other", "x")
	must(t, os.Chmod(path, 0o640))
	replace(t, path, attempts(11))
	if c := w.change(); c.Policy.ServerError.MaxAttempts != 11 {
		t.Errorf("the first change has %d attempts, want that of the new content alone", c.Policy.ServerError.MaxAttempts)
	}
}

func TestWatchWarnsOfCodesThatTheCatalogueLacks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, attempts(10))
	w := watch(t, path)
	replace(t, path, "codes:\n  E0999999: {maxAttempts: 3}\n")
	if c := w.change(); c.Err != nil || len(c.Warnings) != 1 || c.Warnings[0].Line != 2 {
		t.Errorf("error %v, warnings %v, want one for line 2", c.Err, c.Warnings)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, path, attempts(10))
	w := watch(t, path)
	w.stop()
	select {
	case <-w.watcher.Done():
	case <-time.After(patience):
		t.Fatal("it goes on after its context has ended")
	}
	write(t, path, attempts(11))
	if got := w.transport.Policy().ServerError.MaxAttempts; got != 10 {
		t.Errorf("%d attempts after the end, want the 10 of before", got)
	}
}

func TestWatchReportsErrorsAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	write(t, bad, "nothing: true\n")
	transport, err := oktaretry.NewTransport(nil)
	must(t, err)
	before := transport.Policy()
	if _, err := policyfile.Watch(t.Context(), transport, filepath.Join(dir, "none.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if _, err := policyfile.Watch(t.Context(), transport, bad); !isErrors(err) {
		t.Errorf("with a bad file: %v", err)
	}
	if _, err := policyfile.Watch(t.Context(), nil, bad); err == nil {
		t.Error("without a Transport: no error")
	}
	if after := transport.Policy(); after.String() != before.String() {
		t.Error("a Watch that failed has changed the policy")
	}
}

func isErrors(err error) bool {
	_, ok := errors.AsType[policyfile.Errors](err)
	return ok
}

// symlink skips the test where the system allows no symbolic links.
func symlink(t *testing.T, target, link string) {
	t.Helper()
	if err := os.Symlink(target, link); err != nil {
		if os.PathSeparator == '\\' && os.Getenv("CI") == "" {
			t.Skip("left out: this Windows lets no program create symbolic links:", err)
		}
		t.Fatal(err)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
