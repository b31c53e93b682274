// This file reads secrets from files that change while they are in use.

package sidecar

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// checkEvery is how often a file is looked at, at most.
const checkEvery = time.Second

// secretFile is a secret of one line in a file. It is read again when the file changes,
// also by a rename, as Kubernetes changes mounted secrets; a file that cannot be read or
// is empty leaves the secret as it was.
type secretFile struct {
	path   string
	logger *slog.Logger

	value   atomic.Pointer[string]
	checked atomic.Int64 // when, in nanoseconds
	mu      sync.Mutex
	seen    os.FileInfo
}

func newSecretFile(path string, logger *slog.Logger) (*secretFile, error) {
	f := &secretFile{path: path, logger: logger}
	if err := f.read(); err != nil {
		return nil, fmt.Errorf("sidecar: %w", err)
	}
	f.checked.Store(time.Now().UnixNano())
	return f, nil
}

// get returns the secret.
func (f *secretFile) get() string {
	now, last := time.Now().UnixNano(), f.checked.Load()
	if now-last >= int64(checkEvery) && f.checked.CompareAndSwap(last, now) {
		f.check()
	}
	return *f.value.Load()
}

// check reads the file now if it has changed.
func (f *secretFile) check() {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err == nil && f.seen != nil && os.SameFile(info, f.seen) && info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size() {
		return
	}
	if err == nil {
		err = f.read()
	}
	if err != nil {
		f.logger.Error("secret not reloaded", slog.String("problem", problemOf(err)))
		return
	}
	f.logger.Info("secret reloaded")
}

// problemOf describes an error of a file without its path, which may name a customer.
func problemOf(err error) string {
	switch {
	case os.IsNotExist(err):
		return "no such file"
	case os.IsPermission(err):
		return "permission denied"
	}
	return "unreadable, empty, or not one line of printable text"
}

func (f *secretFile) read() error {
	info, err := os.Stat(f.path)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		return err
	}
	value := strings.TrimSpace(string(text))
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fmt.Errorf("%s: a secret is one line of printable characters without blanks", f.path)
	}
	f.seen = info
	f.value.Store(&value)
	return nil
}
