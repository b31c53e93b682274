// This file holds what several tests of this package use.

package telemetry_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// userBucket is the series of rig.UserURL's bucket.
const userBucket = "GET /api/v1/users/{id} example.okta.com 443"

var (
	pending      = script.Pending("/api/v1/users/00u1/factors/f1/transactions/t1")
	limitedFor7s = script.Limited(script.Set("Retry-After", "7"))
)

// window is a success with its bucket's state.
func window(limit, remaining int, left time.Duration) script.Step {
	return script.OK().With(script.Window(limit, remaining, left)...)
}

// endsAfter returns a context with a deadline after limit, or one that is
// canceled after -limit, or, for 0, one that only ends with the test.
func endsAfter(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	if limit > 0 {
		ctx, cancel = context.WithTimeout(ctx, limit)
	} else if limit < 0 {
		time.AfterFunc(-limit, cancel)
	}
	t.Cleanup(cancel)
	return ctx
}

// getAs sends a GET with a credential of its own.
func getAs(r *recorders.Observed, ctx context.Context, credential, url string) error {
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "SSWS "+credential)
	resp, err := r.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// roundedWait takes away what spreads the calls that wait for one moment.
func roundedWait(seconds any) float64 {
	return time.Duration(seconds.(float64) * float64(time.Second)).Round(50 * time.Millisecond).Seconds()
}
