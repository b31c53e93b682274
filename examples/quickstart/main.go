// Command quickstart shows what oktaretry does for a program: seven calls
// through okta-sdk-golang/v6 to a fake Okta on this machine that is having a
// bad day. It needs no network, no org and no token, and ends in a few
// seconds:
//
//	go run ./examples/quickstart
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/okta/okta-sdk-golang/v6/okta"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/examples/internal/spantree"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/oktav6"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer) error {
	org := oktatest.StartServer(oktatest.WithUsers(3))
	defer org.Close()
	spans := new(spantree.Collector)
	transport, err := newTransport(nil, spans)
	if err != nil {
		return err
	}
	client, err := oktav6.NewClient(ctx, transport, okta.WithOrgUrl(org.URL), okta.WithToken("a-token"))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "okta-sdk-golang/v6 → oktaretry → a fake Okta at %s\n", org.URL)
	return tell(ctx, w, client, org.Okta, spans)
}

// newTransport returns the transport of the program, over base: nil is
// http.DefaultTransport.
func newTransport(base http.RoundTripper, spans *spantree.Collector) (*oktaretry.Transport, error) {
	policy := oktaretry.DefaultPolicy()
	policy.Pending.InitialWait = 200 * time.Millisecond // 4 s by default: nobody wants to watch that
	policy.Pending.MaxWait = 200 * time.Millisecond

	tracers := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	return oktaretry.NewTransport(base, oktaretry.WithPolicy(policy), oktaretry.WithTracerProvider(tracers))
}

// tell makes the calls, and prints what became of each and the spans of all.
func tell(ctx context.Context, w io.Writer, client *okta.APIClient, org *oktatest.Okta, spans *spantree.Collector) error {
	began := time.Now()
	var last oktaretry.Outcome
	for i, c := range calls(client, org) {
		fmt.Fprintf(w, "\n%d. %s: %s\n", i+1, c.title, c.code)
		if c.trouble != nil {
			c.trouble()
		}
		recorded, recorder := oktaretry.WithRecorder(ctx)
		got, err := c.do(recorded)
		outcome, ok := recorder.Outcome()
		if !ok {
			return fmt.Errorf("call %d did not go through oktaretry: %w", i+1, err)
		}
		printTimeline(w, outcome, got, err)
		last = outcome
	}
	// SDK v6 has made a text of this error, in which errors.As finds nothing.
	var limited *oktaretry.RateLimitError
	if !errors.As(last.Err, &limited) {
		return fmt.Errorf("the last call ended with %v, not with a *RateLimitError", last.Err)
	}
	fmt.Fprintf(w, "   SDK v6 keeps this text only; the call's Recorder has the *RateLimitError itself:\n")
	fmt.Fprintf(w, "   code %s, request id %s, retry after %s.\n",
		limited.Code, limited.RequestID, seconds(limited.RetryAfter))

	fmt.Fprintf(w, "\nThat took %s. The same calls as OpenTelemetry spans, with some of their attributes\n"+
		"(oktaretry., http.request. and http.response. left out of their names):\n", seconds(time.Since(began)))
	spantree.Print(w, spans.Take())
	return nil
}

// call is one call of the program.
type call struct {
	title, code string
	trouble     func()                                // what Okta will do to it
	do          func(context.Context) (string, error) // says what the SDK got
}

func calls(client *okta.APIClient, org *oktatest.Okta) []call {
	const (
		users       = "GET /api/v1/users"
		user        = "GET /api/v1/users/{id}"
		transaction = "GET /api/v1/users/{id}/factors/{factor}/transactions/{transaction}"
	)
	id := org.UserIDs()[0]
	getUser := func(id string) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			_, _, err := client.UserAPI.GetUser(ctx, id).Execute()
			return "the user", err
		}
	}
	listUsers := func(ctx context.Context) (string, error) {
		list, _, err := client.UserAPI.ListUsers(ctx).Execute()
		return fmt.Sprintf("%d users", len(list)), err
	}
	return []call{
		{
			title: "All is well", code: "UserAPI.GetUser",
			do: getUser(id),
		}, {
			title: "The rate limit is used up", code: "UserAPI.ListUsers",
			trouble: func() { org.Script(users, oktatest.RateLimited(0)) },
			do:      listUsers,
		}, {
			title: "Okta stumbles", code: "UserAPI.GetUser",
			trouble: func() { org.Script(user, oktatest.Code("E0000009").WithStatus(http.StatusServiceUnavailable)) },
			do:      getUser(id),
		}, {
			title: "A push waits for its user", code: "UserFactorAPI.GetFactorTransactionStatus",
			trouble: func() {
				waiting := oktatest.Code("E0000070")
				org.Script(transaction, waiting, waiting,
					oktatest.Status(http.StatusOK).WithBody("application/json", `{"factorResult":"SUCCESS"}`))
			},
			do: func(ctx context.Context) (string, error) {
				status, _, err := client.UserFactorAPI.GetFactorTransactionStatus(ctx, id, "opf1", "v2mst.1").Execute()
				if err != nil {
					return "", err
				}
				push, ok := status.GetActualInstance().(*okta.UserFactorPushTransaction)
				if !ok {
					return "", errors.New("no factorResult")
				}
				return "factorResult " + push.GetFactorResult(), nil
			},
		}, {
			title: "There is no such user", code: "UserAPI.GetUser",
			do: getUser("nobody@example.com"),
		}, {
			title: "A create meets an outage", code: "UserAPI.CreateUser",
			trouble: func() { org.Script("POST /api/v1/users", oktatest.EdgePage(http.StatusServiceUnavailable)) },
			do: func(ctx context.Context) (string, error) {
				profile := okta.UserProfile{}
				profile.SetLogin("new@example.com")
				profile.SetEmail("new@example.com")
				_, _, err := client.UserAPI.CreateUser(ctx).Body(okta.CreateUserRequest{Profile: profile}).Execute()
				return "the new user", err
			},
		}, {
			title: "Half a minute to wait, five seconds to spend", code: "UserAPI.ListUsers",
			trouble: func() { org.Script(users, oktatest.RateLimited(30*time.Second)) },
			do: func(ctx context.Context) (string, error) {
				ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
				defer cancel()
				return listUsers(ctx)
			},
		},
	}
}
