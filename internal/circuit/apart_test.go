// This file tests which requests have circuits in common.

package circuit_test

import (
	"errors"
	"math"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

// Orgs behind one gateway have its address in common, and once had their circuits
// in common, too.
func TestOrgsBehindOneGatewayHaveCircuitsOfTheirOwn(t *testing.T) {
	byHeader := func(req *http.Request) string { return req.Header.Get("X-Org") }
	for _, tt := range []struct {
		name  string
		mark  func(req *http.Request, org string)
		org   func(*http.Request) string
		opts  []oktaretry.Option
		opens string
	}{
		{
			name:  "by Host header",
			mark:  func(req *http.Request, org string) { req.Host = org + ".okta.com" },
			org:   func(req *http.Request) string { return strings.TrimSuffix(req.Host, ".okta.com") },
			opens: "host down.okta.com",
		},
		{
			name:  "by WithCircuits",
			mark:  func(req *http.Request, org string) { req.Header.Set("X-Org", org) },
			org:   byHeader,
			opts:  []oktaretry.Option{oktaretry.WithCircuits(byHeader)},
			opens: "host gateway down",
		},
	} {
		rig.Virtual(t, tt.name, func(t *testing.T) {
			base := script.Repeat(t, script.OK())
			base.Choose(func(req *http.Request) script.Step {
				if tt.org(req) == "down" {
					return script.Bare(503)
				}
				return script.OK()
			})
			tr := rig.Over(t, base, nil, tt.opts...)
			call := func(org, path string) rig.Call {
				req := rig.Request(t, oktaretry.WithNoRetry(t.Context()), http.MethodGet, "https://gateway"+path, nil)
				tt.mark(req, org)
				return rig.Send(t, tr, req)
			}
			for range 60 {
				call("down", "/api/v1/users/00u1")
				call("down", "/api/v1/groups")
				call("up", "/api/v1/users/00u1").Is(200)
				call("up", "/api/v1/groups").Is(200)
				time.Sleep(10 * time.Millisecond)
			}
			rig.Failure[*oktaretry.CircuitOpenError](call("down", "/api/v1/users/00u1"))
			if got := rig.Circuits(tr, "open"); len(got) == 0 || got[0] != tt.opens {
				t.Errorf("open are %q, want %q", got, tt.opens)
			}
		})
	}
}

// Paths without a template of their own once shared the circuit of "/api/v1/*": an
// endpoint that failed refused its neighbour 56 of 60 times.
func TestUnknownPathsShareNoCircuit(t *testing.T) {
	for name, failure := range map[string]script.Step{"bare 504": script.Bare(504), "E0000009": script.Code(500, "E0000009")} {
		rig.Virtual(t, name, func(t *testing.T) {
			base := script.Repeat(t, script.OK())
			base.Choose(func(req *http.Request) script.Step {
				if strings.Contains(req.URL.Path, "bad") {
					return failure
				}
				return script.OK()
			})
			tr := rig.Over(t, base, nil)
			for range 60 {
				for range 10 {
					rig.GetOnce(t, tr, "/api/v1/newThings/bad").Is(failure.Status)
				}
				rig.GetOnce(t, tr, "/api/v1/newThings/well").Is(200)
				time.Sleep(time.Second)
			}
			if all := tr.Snapshot().Circuits; len(all) != 1 || all[0].Scope != oktaretry.TripsHost {
				t.Errorf("circuits are %+v, want the host's only", all)
			}
		})
	}
}

// That nothing is known of a path does not take its failures from its host.
func TestUnknownPathsAndOthersOpenTheirHostsCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, base := rig.New(t, nil)
		base.Always(script.Bare(503))
		for range 20 {
			rig.GetOnce(t, tr, "/api/v1/newThings/1")
			rig.GetOnce(t, tr, rig.UserURL)
		}
		rig.Failure[*oktaretry.CircuitOpenError](rig.GetOnce(t, tr, "/api/v1/newThings/2"))
	})
}

// Of one path, a search may fail for ever while the list is well.
func TestWithCircuitsSetsASearchApartFromItsList(t *testing.T) {
	base := script.Repeat(t, script.OK())
	base.Choose(func(req *http.Request) script.Step {
		if req.URL.Query().Has("search") {
			return script.Bare(504)
		}
		return script.OK()
	})
	tr := rig.Over(t, base, rig.OpensAfter4, oktaretry.WithCircuits(func(req *http.Request) string {
		if req.URL.Query().Has("search") {
			return "search"
		}
		return ""
	}))
	for range 10 {
		rig.GetOnce(t, tr, rig.Org+"/api/v1/groups?search=x")
	}
	rig.GetOnce(t, tr, rig.Org+"/api/v1/groups").Is(200)
	want := []string{"host example.okta.com search", "endpoint GET example.okta.com search/api/v1/groups"}
	if got := rig.Circuits(tr, "open"); !slices.Equal(got, want) {
		t.Errorf("open are %q, want %q", got, want)
	}
}

func TestHostHeaderOfTheURLsOwnHostChangesNothing(t *testing.T) {
	for _, host := range []string{"", "example.okta.com", "EXAMPLE.okta.com", "example.okta.com:443", "no host/at all"} {
		tr, _ := rig.New(t, nil, script.OK())
		req := rig.Request(t, t.Context(), http.MethodGet, rig.UserURL, nil)
		req.Host = host
		if c := rig.Send(t, tr, req).Is(200); c.Outcome.Host != "example.okta.com" {
			t.Errorf("Host header %q: the outcome is of host %q", host, c.Outcome.Host)
		}
		if got, want := rig.Circuits(tr, "closed"), []string{rig.HostCircuit, rig.UserCircuit}; !slices.Equal(got, want) {
			t.Errorf("Host header %q: circuits %q, want %q", host, got, want)
		}
	}
}

// An operator may name the methods that telemetry shows. A read must not be
// refused for that because writes fail.
func TestMethodsThatTelemetryDoesNotShowHaveCircuitsOfTheirOwn(t *testing.T) {
	const variable = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"
	if os.Getenv(variable) == "" { // it is read once in a process
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), variable+"=HEAD")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	tr, base := rig.New(t, rig.OpensAfter4)
	base.Choose(func(req *http.Request) script.Step {
		if req.Method == http.MethodPut {
			return script.Bare(503)
		}
		return script.OK()
	})
	rig.Get(t, tr, rig.UserURL).Is(200)
	for range 10 {
		rig.Do(t, oktaretry.WithNoRetry(t.Context()), tr, http.MethodPut, rig.UserURL, "{}")
	}
	rig.Get(t, tr, rig.UserURL).Is(200)
	if got, want := rig.Circuits(tr, "open"), []string{strings.Replace(rig.UserCircuit, "GET", "PUT", 1)}; !slices.Equal(got, want) {
		t.Errorf("open are %q, want %q", got, want)
	}
}

// The longest window once made the first failure panic.
func TestDurationsThatOverflowAreRefused(t *testing.T) {
	for field, set := range map[string]func(*oktaretry.Breaker, time.Duration){
		"Breaker.Window":       func(b *oktaretry.Breaker, d time.Duration) { b.Window = d },
		"Breaker.OpenFor":      func(b *oktaretry.Breaker, d time.Duration) { b.OpenFor = d },
		"Breaker.ProbeTimeout": func(b *oktaretry.Breaker, d time.Duration) { b.ProbeTimeout = d },
	} {
		p := oktaretry.DefaultPolicy()
		set(&p.Breaker, math.MaxInt64)
		var problem *oktaretry.PolicyError
		if err := p.Validate(); !errors.As(err, &problem) || problem.Field != field {
			t.Errorf("%s: %v", field, err)
		}
		if set(&p.Breaker, 24*time.Hour); p.Validate() != nil {
			t.Errorf("%s of a day: %v", field, p.Validate())
		}
	}
}
