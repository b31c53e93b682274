package oktav5_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/okta/okta-sdk-golang/v5/okta"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav5"
)

const users = "GET /api/v1/users"

// readAll reads all pages as programs do that know only the SDK.
func readAll(ctx context.Context, client *okta.APIClient) (n int, err error) {
	page, resp, err := client.UserAPI.ListUsers(ctx).Limit(5).Execute()
	n = len(page)
	for err == nil && resp.HasNextPage() {
		page = nil
		resp, err = resp.Next(&page)
		n += len(page)
	}
	return n, err
}

// TestEveryPageGoesWithTheContextOfItsCall: the SDK's Next sends with the client's.
// A client that is used for a second run must not end with the first run's deadline.
func TestEveryPageGoesWithTheContextOfItsCall(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(context.Context, *okta.APIClient) (int, error){"Next": readAll, "Pages": count} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			org := oktatest.NewServer(t, oktatest.WithUsers(25))
			client := newClient(t.Context(), t, org)
			for run := range 2 {
				ctx, recorder := oktaretry.WithRecorder(t.Context())
				ctx, cancel := context.WithCancel(ctx)
				if n, err := read(ctx, client); n != 25 || err != nil {
					t.Errorf("run %d: %d users and error %v, want 25 and none", run, n, err)
				}
				cancel()
				if n := len(recorder.Outcomes()); n != 5 {
					t.Errorf("run %d: its recorder saw %d pages, want 5", run, n)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			org.Script(users, oktatest.Pass, oktatest.Func(func(http.ResponseWriter, *http.Request) {
				cancel()
				panic(http.ErrAbortHandler)
			}))
			if n, err := read(ctx, client); n != 5 || !errors.Is(err, context.Canceled) {
				t.Errorf("canceled on page 2: %d users and error %v, want 5 and context.Canceled", n, err)
			}
		})
	}
}

func TestConcurrentListsKeepTheirContexts(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(15))
	client := newClient(t.Context(), t, org)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			ctx, recorder := oktaretry.WithRecorder(t.Context())
			if n, err := readAll(ctx, client); n != 15 || err != nil {
				t.Errorf("%d users and error %v, want 15 and none", n, err)
			}
			if n := len(recorder.Outcomes()); n != 3 {
				t.Errorf("a recorder saw %d pages, want its own 3", n)
			}
		})
	}
	all.Wait()
}

// TestOktaSeesTheRequestsOfTheSDK: what leads from page to page stays here.
func TestOktaSeesTheRequestsOfTheSDK(t *testing.T) {
	t.Parallel()
	list := func(read func(context.Context, *okta.APIClient) (int, error), client func(*oktatest.Server) *okta.APIClient) string {
		org := oktatest.NewServer(t, oktatest.WithUsers(12))
		if _, err := read(t.Context(), client(org)); err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, r := range org.Requests() {
			fmt.Fprintln(&b, r.Method, r.Path, r.RawQuery)
		}
		return b.String()
	}
	ours := func(org *oktatest.Server) *okta.APIClient { return newClient(t.Context(), t, org) }
	want := list(readAll, func(org *oktatest.Server) *okta.APIClient { return plainClient(t, org) })
	for name, got := range map[string]string{"Next": list(readAll, ours), "Pages": list(count, ours)} {
		if got != want {
			t.Errorf("%s: Okta got\n%swant, as without oktaretry,\n%s", name, got, want)
		}
	}
}

// plainClient is a client as the SDK makes it.
func plainClient(t *testing.T, org *oktatest.Server) *okta.APIClient {
	t.Helper()
	cfg, err := okta.NewConfiguration(okta.WithOrgUrl(org.URL), okta.WithToken("a-token"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Host = strings.TrimPrefix(org.URL, "http://")
	return okta.NewAPIClient(cfg)
}

func TestResponseKeepsItsHeaders(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(12))
	_, resp, err := newClient(t.Context(), t, org).UserAPI.ListUsers(t.Context()).Limit(5).Execute()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range resp.Header["Link"] {
		if strings.Contains(link, "oktaretry") {
			t.Errorf("the Link header is %s", link)
		}
	}
	if o, ok := oktaretry.OutcomeOf(resp.Response); !ok || o.Template != "/api/v1/users" {
		t.Errorf("outcome %+v, %v; want the list's", o, ok)
	}
}

// TestErrorOnALaterPageIsNoEnd: the SDK takes an error without a body, and a list
// whose body never came, for an empty last page.
func TestErrorOnALaterPageIsNoEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer oktatest.Step
		text   string
	}{
		"401 without a body":  {oktatest.Status(http.StatusUnauthorized), "401 for GET"},
		"401 with a code":     {oktatest.Code("E0000011"), "401 E0000011 for GET"},
		"403 with a code":     {oktatest.Code("E0000006"), "403 E0000006 for GET"},
		"400 without a body":  {oktatest.Status(http.StatusBadRequest), "400 for GET"},
		"200 without a body":  {oktatest.Status(http.StatusOK), "200 for GET"},
		"200 with null":       {oktatest.Status(http.StatusOK).WithBody("application/json", "null"), "200 for GET"},
		"404 of an edge page": {oktatest.EdgePage(http.StatusNotFound), "404 for GET"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			org := oktatest.NewServer(t, oktatest.WithUsers(12))
			org.Script(users, oktatest.Pass, tt.answer)
			ctx, recorder := oktaretry.WithRecorder(t.Context())
			n, err := count(ctx, newClient(t.Context(), t, org))
			var refused *oktav5.PageError
			if n != 5 || !errors.As(err, &refused) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("%d users and error %v, want 5 and a *PageError with %q", n, err, tt.text)
			}
			if id := refused.Outcome.RequestID; !strings.Contains(err.Error(), id) {
				t.Errorf("error %v, want request id %s in it", err, id)
			}
			want, _ := recorder.Outcome()
			if o, ok := oktav5.Outcome(recorder, err); !ok || !o.Start.Equal(want.Start) || o.RequestID != refused.Outcome.RequestID {
				t.Errorf("outcome %+v, %v; want the second page's", o, ok)
			}
		})
	}
}

func TestErrorsOfTheTransportKeepTheirTypeOnLaterPages(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(12))
	org.Script(users, oktatest.Pass, oktatest.Always(oktatest.RateLimited(time.Hour/2)))
	n, err := count(t.Context(), newClient(t.Context(), t, org))
	var limited *oktaretry.RateLimitError
	if n != 5 || !errors.As(err, &limited) || limited.Code != "E0000047" {
		t.Errorf("%d users and error %v, want 5 and a *RateLimitError", n, err)
	}
}

func TestBodyThatEndsEarlyIsAnError(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(12))
	org.Script(users, oktatest.Pass, oktatest.Pass, oktatest.EOFMidBody)
	if n, err := count(t.Context(), newClient(t.Context(), t, org)); n != 10 || err == nil {
		t.Errorf("%d users and error %v, want 10 and an error", n, err)
	}
}

func TestErrorOfTheFirstPageIsTheSDKs(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t)
	org.Script(users, oktatest.Code("E0000006"))
	n, err := count(t.Context(), newClient(t.Context(), t, org))
	var answer *okta.GenericOpenAPIError
	if n != 0 || !errors.As(err, &answer) {
		t.Errorf("%d users and error %v, want none and a *GenericOpenAPIError", n, err)
	}
}

func TestPagesStopsWithItsLoop(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(12))
	client := newClient(t.Context(), t, org)
	for range oktav5.Pages(t.Context(), client.UserAPI.ListUsers(t.Context()).Limit(5)) {
		break // a sequence that goes on yielding panics here
	}
	if n := org.Arrived(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	for range oktav5.Pages(t.Context(), client.UserAPI.ListUsers(t.Context()).Search("nothing")) {
	}
}

func TestPagesNeedsAClientOfNewClient(t *testing.T) {
	t.Parallel()
	org := oktatest.NewServer(t, oktatest.WithUsers(12))
	n, err := count(t.Context(), plainClient(t, org))
	if n != 5 || err == nil || !strings.Contains(err.Error(), "NewClient") {
		t.Errorf("%d users and error %v, want 5 and one that names NewClient", n, err)
	}
}
