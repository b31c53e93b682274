package main

// This file is a program beside the story that shares a store, which is lost and found
// again: the story's own program shares none.

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/shared"
)

// playShared calls a fake Okta while the store goes and comes, scraped by s.
func playShared(ctx context.Context, s *store, memory network) error {
	tel, err := newTelemetry(ctx, memory)
	if err != nil {
		return err
	}
	defer tel.shutdown(context.WithoutCancel(ctx))
	org := oktatest.New(oktatest.WithUsers(3))
	var common grantsAll
	transport, err := oktaretry.NewTransport(org.Transport(), oktaretry.WithMeterProvider(tel.meters), oktaretry.WithShared(&common))
	if err != nil {
		return err
	}
	const target = "shared-program:9464"
	memory[target] = oktatest.NewTransport(tel.handler)
	done, scraped := make(chan struct{}), make(chan error, 1)
	go func() { scraped <- s.scrapeUntil(ctx, done, memory, "http://"+target) }()
	for began := time.Now(); time.Since(began) < 4*time.Second && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		common.down.Store(time.Since(began)/time.Second%2 == 1)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+orgHost+"/api/v1/users/"+org.UserIDs()[0], nil)
		if err != nil {
			return err
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	close(done)
	return <-scraped
}

// grantsAll is a store that grants every place for a moment, while it is not down.
type grantsAll struct{ down atomic.Bool }

func (s *grantsAll) failure() error {
	if s.down.Load() {
		return errors.New("connection refused")
	}
	return nil
}

func (s *grantsAll) Lease(_ context.Context, _ shared.Bucket, r shared.LeaseRequest) (shared.Lease, error) {
	return shared.Lease{Places: r.Wants(), Lasts: 100 * time.Millisecond, Sharers: 1}, s.failure()
}

func (s *grantsAll) Circuits(context.Context, string) ([]shared.Circuit, error) {
	return nil, s.failure()
}

func (s *grantsAll) Probe(_ context.Context, id shared.CircuitID, _ string, _ time.Duration) (shared.Circuit, error) {
	return shared.Circuit{CircuitID: id}, s.failure()
}

func (s *grantsAll) Report(_ context.Context, id shared.CircuitID, _ shared.Report) (shared.Circuit, error) {
	return shared.Circuit{CircuitID: id}, s.failure()
}
