package oktaretry

// This file tests what is told of circuits to the store, step by step.

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry/internal/circuit"
	"github.com/oktaretry/oktaretry/shared"
)

// toldStore counts reports. It knows nothing else.
type toldStore struct{ told int }

func (s *toldStore) Lease(_ context.Context, _ shared.Bucket, r shared.LeaseRequest) (shared.Lease, error) {
	return shared.Lease{Unbound: true, Places: r.Interactive, Lasts: time.Second}, nil
}

func (s *toldStore) Circuits(context.Context, string) ([]shared.Circuit, error) { return nil, nil }

func (s *toldStore) Probe(_ context.Context, id shared.CircuitID, _ string, _ time.Duration) (shared.Circuit, error) {
	return shared.Circuit{CircuitID: id}, nil
}

func (s *toldStore) Report(_ context.Context, id shared.CircuitID, r shared.Report) (shared.Circuit, error) {
	s.told++
	return shared.Circuit{CircuitID: id, State: shared.Open, Wait: r.OpenFor}, nil
}

// A call opens the circuit, and before it has said so to the store another one
// tells the change to the log. The fleet once never heard of it.
func TestACircuitsOpeningIsToldToTheFleetThoughAnotherCallTellsTheLog(t *testing.T) {
	store := new(toldStore)
	p := DefaultPolicy()
	p.Breaker.MinCalls = 1
	tr, err := NewTransport(nil, WithPolicy(p), WithShared(store))
	if err != nil {
		t.Fatal(err)
	}
	var all [2]*call
	for i := range all {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.okta.com/api/v1/users", nil)
		if err != nil {
			t.Fatal(err)
		}
		all[i] = tr.newCall(req)
		if err := all[i].check(); err != nil {
			t.Fatal(err)
		}
		all[i].startCall()
	}
	host := &all[0].endpoint.host.guard
	s := mustPass(t, host)
	s.Report(circuit.Failed, time.Now())
	all[1].tellChanges(host)
	all[0].reportShared(host, &s, circuit.Failed, TripsHost)
	if store.told != 1 {
		t.Errorf("the store was told %d times, want once", store.told)
	}
}

func mustPass(t *testing.T, g *guard) circuit.Permit {
	t.Helper()
	p, _, ok := g.Allow(time.Now())
	if !ok {
		t.Fatal("the circuit refuses")
	}
	return p
}
