// This file holds a store that is out of order.

package main

import (
	"context"
	"errors"
	"time"

	"github.com/oktaretry/oktaretry/shared"
)

type lostStore struct{}

var errLost = errors.New("connection refused")

func (lostStore) Lease(context.Context, shared.Bucket, shared.LeaseRequest) (shared.Lease, error) {
	return shared.Lease{}, errLost
}

func (lostStore) Circuits(context.Context, string) ([]shared.Circuit, error) { return nil, errLost }

func (lostStore) Probe(context.Context, shared.CircuitID, string, time.Duration) (shared.Circuit, error) {
	return shared.Circuit{}, errLost
}

func (lostStore) Report(context.Context, shared.CircuitID, shared.Report) (shared.Circuit, error) {
	return shared.Circuit{}, errLost
}
