// This file starts servers for tests that any server serves.

package redistest

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// Mini starts a miniredis, a Redis in this process, that stops when the test ends. It
// has the commands and scripts that package fleet uses, but cannot be killed, paused or
// run as a replica, and its keys do not expire by themselves.
func Mini(t testing.TB) (addr string) {
	t.Helper()
	return miniredis.RunT(t).Addr()
}

// Clocked starts a miniredis as Mini does, whose clock stands still until pass is called.
func Clocked(t testing.TB) (addr string, pass func(time.Duration)) {
	t.Helper()
	m, now := miniredis.RunT(t), time.Now()
	m.SetTime(now)
	return m.Addr(), func(d time.Duration) {
		now = now.Add(d)
		m.SetTime(now)
	}
}

// Any starts a redis-server where that is installed, as New does, and else a
// miniredis; in CI a missing redis-server fails the test.
func Any(t testing.TB) (addr string) {
	t.Helper()
	s, err := Start()
	switch {
	case errors.Is(err, ErrMissing) && os.Getenv("CI") == "":
		t.Logf("on miniredis, for %v", err)
		return Mini(t)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s.Addr
}
