// This file holds the story: a directory sync on a bad day, step by step.

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	gosync "sync"
	"time"

	"github.com/okta/okta-sdk-golang/v6/okta"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav6"
)

// window is how long Okta counts; a minute in most real orgs.
const window = 2 * time.Second

// smallOrg is a fake Okta whose limits are small, so that the story is short.
func smallOrg() []oktatest.Option {
	return []oktatest.Option{
		oktatest.WithUsers(40), oktatest.WithGroups(3),
		// The window has just begun, or the first step would not always meet its end.
		oktatest.WithWindow(window, time.Duration(time.Now().Unix()%2)*time.Second),
		oktatest.WithLimit("GET /api/v1/users/{id}", 30),
		oktatest.WithLimit("GET /api/v1/users", 6), // and of most below /users/{id}
		oktatest.WithBucket(oktatest.Bucket{Patterns: []string{"/api/v1/users/{id}/factors/{id}/verify"}, Limit: 20}),
		oktatest.WithLatency(40 * time.Millisecond),
	}
}

// policy is the default one in a hurry: nobody wants to watch real waits.
func policy() oktaretry.Policy {
	p := oktaretry.DefaultPolicy()
	p.PollFactors = true
	p.Pending.InitialWait, p.Pending.MaxWait = 500*time.Millisecond, 500*time.Millisecond
	p.ServerError.InitialWait = 200 * time.Millisecond
	p.Network.InitialWait = 200 * time.Millisecond
	p.Breaker.Window, p.Breaker.MinCalls, p.Breaker.FailureRatio = time.Second, 5, 0.5
	p.Breaker.OpenFor = 1500 * time.Millisecond
	p.Pace.MaxInFlight = 4
	p.Pace.BucketRates = map[string]float64{"/api/v1/groups": 10}
	return p
}

// sync is the program whose telemetry we see.
type sync struct {
	org    *oktatest.Okta
	client *okta.APIClient
}

// step is a part of the story and a trace of its own.
type step struct {
	title string // what Okta does to it
	name  string // of its span
	do    func(context.Context) (string, error)
}

func (s sync) steps() []step {
	return []step{
		{"Another app has used up the window", "list the users", s.listUsers},
		{"Too many calls at once for Okta, then four at a time", "read each user", s.readUsers},
		{"Six calls a window are allowed: the others stand in line", "read each user's groups", s.readMemberships},
		{"A ceiling of the sync's own, and a connection that breaks", "list the groups", s.listGroups},
		{"One endpoint fails: its circuit opens, and no other", "create groups", s.createGroups},
		{"A push waits for the admin", "confirm by push", s.confirm},
		{"A user is gone", "look somebody up", s.lookUp},
		{"A second code within half a minute", "send a code", s.sendCode},
		{"Okta is down for a moment", "read users in an outage", s.outage},
	}
}

func (s sync) listUsers(ctx context.Context) (string, error) {
	s.org.Consume("GET /api/v1/users", 6)
	n, pages := 0, 0
	for users, err := range oktav6.Pages(ctx, s.client.UserAPI.ListUsers(ctx).Limit(10)) {
		if err != nil {
			return "", err
		}
		n, pages = n+len(users), pages+1
	}
	return fmt.Sprintf("%d users in %d pages", n, pages), nil
}

func (s sync) readUsers(ctx context.Context) (string, error) {
	s.org.Script("GET /api/v1/users/{id}", oktatest.ConcurrencyLimited())
	n, err := together(s.org.UserIDs()[:8], func(id string) error {
		_, _, err := s.client.UserAPI.GetUser(ctx, id).Execute()
		return err
	})
	return fmt.Sprintf("%d users", n), err
}

func (s sync) readMemberships(ctx context.Context) (string, error) {
	n, err := together(s.org.UserIDs()[:8], func(id string) error {
		_, _, err := s.client.UserResourcesAPI.ListUserGroups(ctx, id).Execute()
		return err
	})
	return fmt.Sprintf("the groups of %d users", n), err
}

func (s sync) listGroups(ctx context.Context) (string, error) {
	s.org.Script("GET /api/v1/groups", oktatest.Pass, oktatest.EOFMidHeaders)
	for range 3 {
		if _, _, err := s.client.GroupAPI.ListGroups(ctx).Limit(1).Execute(); err != nil {
			return "", err
		}
	}
	return "three pages of groups", nil
}

// createGroups meets an error that is the endpoint's own. A failed POST is not
// sent again, and after five of them none is sent at all for a while.
func (s sync) createGroups(ctx context.Context) (string, error) {
	s.org.Script("POST /api/v1/groups", oktatest.Always(oktatest.Code("E0000009")))
	defer s.org.ClearScripts()
	for n := range 20 {
		recorded, recorder := oktaretry.WithRecorder(ctx)
		s.client.GroupAPI.AddGroup(recorded).Group(okta.AddGroupRequest{}).Execute()
		outcome, _ := recorder.Outcome()
		var open *oktaretry.CircuitOpenError
		if errors.As(outcome.Err, &open) {
			return fmt.Sprintf("error after %d failures: %v", n, open), nil
		}
	}
	return "", errors.New("twenty errors opened no circuit")
}

func (s sync) confirm(ctx context.Context) (string, error) {
	verified, _, err := s.client.UserFactorAPI.VerifyFactor(ctx, s.org.UserIDs()[0], "opf1").Execute()
	if err != nil {
		return "", err
	}
	return "factorResult " + verified.GetFactorResult(), nil
}

func (s sync) lookUp(ctx context.Context) (string, error) {
	_, _, err := s.client.UserAPI.GetUser(ctx, "nobody@example.com").Execute()
	if err == nil {
		return "", errors.New("there is such a user")
	}
	return "error: " + err.Error(), nil
}

func (s sync) sendCode(ctx context.Context) (string, error) {
	s.org.Script("POST /api/v1/users/{id}/factors/{factor}/verify", oktatest.Code("E0000109"))
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ctx, recorder := oktaretry.WithRecorder(ctx)
	s.client.UserFactorAPI.VerifyFactor(ctx, s.org.UserIDs()[0], "sms1").Execute()
	outcome, _ := recorder.Outcome()
	if outcome.Err == nil {
		return "", errors.New("the code was sent")
	}
	return fmt.Sprintf("error: %s, %s to wait and 5 s to spend", outcome.Code, outcome.Needed), nil
}

// outage has every call answered 503, whatever its endpoint, until the host's
// circuit is open: what comes then is refused without a request, and the first call
// after a while shows that Okta is back.
func (s sync) outage(ctx context.Context) (string, error) {
	time.Sleep(time.Second) // the circuits forget that all was well a moment ago
	for _, endpoint := range []string{"GET /api/v1/users/{id}", "GET /api/v1/groups"} {
		s.org.Script(endpoint, oktatest.Always(oktatest.EdgePage(http.StatusServiceUnavailable)))
	}
	defer s.org.ClearScripts()
	ids := s.org.UserIDs()[:4]
	var open *oktaretry.CircuitOpenError
	failed := 0
	for ; open == nil && failed < 20; failed += len(ids) {
		together(ids, func(id string) error {
			if id == ids[0] || id == ids[1] {
				_, _, err := s.client.GroupAPI.ListGroups(ctx).Execute()
				return err
			}
			_, _, err := s.client.UserAPI.GetUser(ctx, id).Execute()
			return err
		})
		recorded, recorder := oktaretry.WithRecorder(ctx)
		s.client.UserAPI.GetUser(recorded, ids[0]).Execute()
		outcome, _ := recorder.Outcome()
		errors.As(outcome.Err, &open)
	}
	if open == nil {
		return "", errors.New("twenty calls opened no circuit")
	}
	s.org.ClearScripts()
	time.Sleep(open.RetryAfter)
	if _, _, err := s.client.UserAPI.GetUser(ctx, ids[0]).Execute(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d calls answered 503, the next refused for %.1f s, then all is well", failed, open.RetryAfter.Seconds()), nil
}

// together does the same for all ids at once, and says for how many it did.
func together(ids []string, do func(id string) error) (int, error) {
	var (
		wait gosync.WaitGroup
		mu   gosync.Mutex
		bad  []error
	)
	for _, id := range ids {
		wait.Go(func() {
			if err := do(id); err != nil {
				mu.Lock()
				defer mu.Unlock()
				bad = append(bad, err)
			}
		})
	}
	wait.Wait()
	return len(ids) - len(bad), errors.Join(bad...)
}
