// This file tests what the log shows of a store's own words.

package oktaretry

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/oktaretry/oktaretry/internal/telemetry"
)

// A store's error can quote the URL that it was set up with, password included.
func TestTheLogShowsNoPasswordOfTheStore(t *testing.T) {
	var lines bytes.Buffer
	report, err := telemetry.NewStore(telemetry.Config{
		Meters: noop.NewMeterProvider(), Logger: slog.New(slog.NewTextHandler(&lines, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	report.Changed(context.Background(), true, opLease, "error", shownText("dialing redis://fleet:hunter2@cache.example:6379/0?key=s3cret: refused"))
	text := lines.String()
	for _, secret := range []string{"hunter2", "s3cret", "fleet:"} {
		if strings.Contains(text, secret) {
			t.Errorf("the line holds %q: %s", secret, text)
		}
	}
	if !strings.Contains(text, "cache.example:6379") || !strings.Contains(text, "refused") {
		t.Errorf("the line does not say what is wrong: %s", text)
	}
}
