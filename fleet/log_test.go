// This file tests where go-redis's own log lines go.

package fleet_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/oktaretry/oktaretry/fleet"
	"github.com/oktaretry/oktaretry/fleet/internal/redistest"
)

// onceDialled has go-redis dial once, and not again after a refusal.
func onceDialled(o *redis.Options) { o.DialerRetries = 1 }

func TestLogToGivesGoRedisALogger(t *testing.T) {
	defer logging.Enable()
	for _, tt := range []struct {
		level slog.Level
		lines bool
	}{{slog.LevelDebug, true}, {slog.LevelInfo, false}} {
		var log lockedBuffer
		fleet.LogTo(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: tt.level})))
		client := redistest.Client("127.0.0.1:1", onceDialled)
		if client.Ping(t.Context()).Err() == nil {
			t.Fatal("nothing listens there")
		}
		client.Close()
		if text := log.String(); strings.Contains(text, "level=DEBUG") != tt.lines || strings.Contains(text, "go-redis: ") != tt.lines {
			t.Errorf("logged at %s: %q", tt.level, text)
		}
	}
	fleet.LogTo(nil)
	client := redistest.Client("127.0.0.1:1", onceDialled)
	defer client.Close()
	client.Ping(t.Context())
}
