package oktav6_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav6"
)

const oneUser = "GET /api/v1/users/{id}"

func TestOutcomeFindsTheErrorThatTheSDKFlattens(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t)
	org.Script(oneUser, oktatest.RateLimited(time.Hour/2))
	client := newClient(t.Context(), t, org)
	ctx, recorder := oktaretry.WithRecorder(t.Context())
	_, _, err := client.UserAPI.GetUser(ctx, "me").Execute()
	var limited *oktaretry.RateLimitError
	if errors.As(err, &limited) {
		t.Fatal("this SDK keeps the chain: Outcome is needed no longer")
	}
	// A later call of the same context is not it.
	if _, _, err := client.UserAPI.ListUsers(ctx).Execute(); err != nil {
		t.Fatal(err)
	}
	o, ok := oktav6.Outcome(recorder, err)
	if !ok || !errors.As(o.Err, &limited) || limited.Code != "E0000047" || limited.RequestID != org.Requests()[0].RequestID {
		t.Errorf("outcome %+v, %v; want the first call's, with its *RateLimitError", o, ok)
	}
}

func TestOutcomeTellsCallsOfOneRecorderApart(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(1))
	org.Script("GET /api/v1/users/{id}/factors", oktatest.Always(oktatest.Reset))
	org.Script("GET /api/v1/groups/{id}", oktatest.Always(oktatest.Code("E0000006")))
	org.Script("GET /api/v1/apps/{id}", oktatest.Always(oktatest.Status(http.StatusConflict)))
	client := newClient(t.Context(), t, org)
	ctx, recorder := oktaretry.WithRecorder(t.Context())
	calls := map[string]func(context.Context) error{
		"/api/v1/users/{id}": func(ctx context.Context) error {
			_, _, err := client.UserAPI.GetUser(ctx, "nobody").Execute()
			return err
		},
		"/api/v1/users/{userId}/factors": func(ctx context.Context) error {
			_, _, err := client.UserFactorAPI.ListFactors(ctx, "me").Execute()
			return err
		},
		"/api/v1/groups/{groupId}": func(ctx context.Context) error {
			_, _, err := client.GroupAPI.GetGroup(ctx, "00g1").Execute()
			return err
		},
		"/api/v1/apps/{appId}": func(ctx context.Context) error {
			_, _, err := client.ApplicationAPI.GetApplication(ctx, "0oa1").Execute()
			return err
		},
	}
	var all sync.WaitGroup
	for template, call := range calls {
		all.Go(func() {
			err := call(ctx)
			if o, ok := oktav6.Outcome(recorder, err); !ok || o.Template != template {
				t.Errorf("error %v: outcome of %s, %v; want %s", err, o.Template, ok, template)
			}
		})
	}
	all.Wait()
}

func TestOutcomeOfNothing(t *testing.T) {
	t.Parallel()
	_, empty := oktaretry.WithRecorder(t.Context())
	for name, got := range map[string]func() (oktaretry.Outcome, bool){
		"no error":            func() (oktaretry.Outcome, bool) { return oktav6.Outcome(empty, nil) },
		"no recorder":         func() (oktaretry.Outcome, bool) { return oktav6.Outcome(nil, errors.New("an error")) },
		"an error of others'": func() (oktaretry.Outcome, bool) { return oktav6.Outcome(empty, errors.New("an error")) },
	} {
		if o, ok := got(); ok {
			t.Errorf("%s: outcome %+v, want none", name, o)
		}
	}
}
