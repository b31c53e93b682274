// This file gives what go-redis logs a home.

package fleet

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogTo has all of go-redis log to a logger, at level DEBUG, instead of to standard
// error, where it prints several lines for each connection that fails. It calls
// [redis.SetLogger] and so holds for every client of the program: call it once, in main,
// and only if nothing else there has a use for go-redis's lines. What oktaretry itself has
// to say of the store goes to [oktaretry.WithLogger]. A nil logger discards the lines.
func LogTo(logger *slog.Logger) {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	redis.SetLogger(redisLogger{logger})
}

// redisLogger logs a line of go-redis.
type redisLogger struct{ logger *slog.Logger }

func (r redisLogger) Printf(ctx context.Context, format string, args ...any) {
	if r.logger.Enabled(ctx, slog.LevelDebug) {
		r.logger.DebugContext(ctx, "go-redis: "+fmt.Sprintf(format, args...))
	}
}
