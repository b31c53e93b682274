// This file shows the package at work, on the fake Okta of package oktatest: where
// okta.Transport() stands, a program has nil or a base of its own.

package oktaretry_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/sharedtest"
	"github.com/oktaretry/oktaretry/oktatest"
	"github.com/oktaretry/oktaretry/shared"
)

const users = "https://acme.okta.com/api/v1/users"

// get sends a request through a transport.
func get(ctx context.Context, t *oktaretry.Transport, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := t.Client().Do(req)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

// Okta's edge answers 503 twice: the caller gets the 200 that comes after it.
func ExampleNewTransport() {
	okta := oktatest.New()
	okta.Script("GET /api/v1/users", oktatest.EdgePage(503), oktatest.EdgePage(503))

	policy := oktaretry.DefaultPolicy()
	policy.ServerError.InitialWait = time.Millisecond // so that this example takes no second
	transport, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithPolicy(policy))
	if err != nil {
		log.Fatal(err)
	}

	client := transport.Client() // give it to the SDK
	resp, err := client.Get("https://acme.okta.com/api/v1/users")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, "after", okta.Count("GET /api/v1/users"), "requests")
	// Output: 200 OK after 3 requests
}

// Rules for single codes and statuses: one is never sent again, one more often and for
// longer than its class.
func ExamplePolicy() {
	policy := oktaretry.DefaultPolicy()
	policy.Codes["E0000009"] = oktaretry.Rule{} // a 500 that is returned at once
	patient := policy.ServerError
	patient.MaxAttempts, patient.MaxElapsed = 10, 5*time.Minute
	policy.Codes["503"] = patient // one without a code, as of Okta's edge

	okta := oktatest.New()
	okta.Script("GET /api/v1/users", oktatest.Code("E0000009"))
	transport, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithPolicy(policy))
	if err != nil {
		log.Fatal(err)
	}
	resp, err := get(context.Background(), transport, users)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Status, "after", okta.Count("GET /api/v1/users"), "request")
	// Output: 500 Internal Server Error after 1 request
}

// For one call a person waits: it does not wait for Okta's rate limit.
func ExampleWithRule() {
	okta := oktatest.New()
	okta.Script("GET /api/v1/users", oktatest.RateLimited(30*time.Second))
	transport, err := oktaretry.NewTransport(okta.Transport())
	if err != nil {
		log.Fatal(err)
	}

	ctx := oktaretry.WithRule(context.Background(), "rate-limited", oktaretry.Rule{Action: oktaretry.FailFast})
	_, err = get(ctx, transport, users)
	fmt.Println(errors.As(err, new(*oktaretry.RateLimitError)), "after", okta.Count("GET /api/v1/users"), "request")
	// Output: true after 1 request
}

// The Okta SDKs make a string of an error. The recorder has its code all the same.
func ExampleWithRecorder() {
	okta := oktatest.New()
	transport, err := oktaretry.NewTransport(okta.Transport())
	if err != nil {
		log.Fatal(err)
	}

	ctx, rec := oktaretry.WithRecorder(context.Background())
	get(ctx, transport, users+"/nobody") // client.UserAPI.GetUser(ctx, "nobody").Execute()
	if out, ok := rec.Outcome(); ok {
		fmt.Println(out.Class, out.Status, out.Code, out.Template)
	}
	// Output: client-error 404 E0000007 /api/v1/users/{id}
}

// What a call went through, from the response that it returned.
func ExampleOutcomeOf() {
	okta := oktatest.New()
	okta.Script("GET /api/v1/users", oktatest.Code("E0000009"))
	policy := oktaretry.DefaultPolicy()
	policy.ServerError.InitialWait = time.Millisecond
	transport, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithPolicy(policy))
	if err != nil {
		log.Fatal(err)
	}
	resp, err := get(context.Background(), transport, users)
	if err != nil {
		log.Fatal(err)
	}

	out, _ := oktaretry.OutcomeOf(resp)
	for i, a := range out.Attempts {
		fmt.Println("attempt", i+1, a.Status, a.Class)
		for _, w := range a.Waits {
			fmt.Println("  after a wait for", w.Reason)
		}
	}
	fmt.Println("stop:", out.Stop)
	// Output:
	// attempt 1 500 server-error
	// attempt 2 200 success
	//   after a wait for backoff
	// stop: success
}

// A call that Okta's rate limit would hold for longer than it may wait ends at once,
// with an error that says for how long.
func ExampleRateLimitError() {
	okta := oktatest.New()
	okta.Script("GET /api/v1/users", oktatest.RateLimited(40*time.Second))
	transport, err := oktaretry.NewTransport(okta.Transport())
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()

	_, err = get(ctx, transport, users)
	var limited *oktaretry.RateLimitError
	if errors.As(err, &limited) {
		fmt.Println(limited.Bucket, limited.Code, limited.Stop)
		fmt.Println("not before 20 s are over:", limited.RetryAfter > 20*time.Second)
	}
	fmt.Println("of the deadline:", errors.Is(err, context.DeadlineExceeded))
	// Output:
	// /api/v1/users E0000047 deadline
	// not before 20 s are over: true
	// of the deadline: true
}

// What the text leaves out keeps its default.
func ExampleParsePolicy() {
	policy, err := oktaretry.ParsePolicy([]byte(`{
		"serverError": {"maxAttempts": 6},
		"codes": {
			"E0000009": {"action": "fail-fast"},
			"408":      {"maxElapsed": "20s"}
		},
		"pace": {"maxUtilization": 0.7}
	}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(policy.ServerError.MaxAttempts, policy.ServerError.MaxElapsed)
	fmt.Println(policy.Codes["E0000009"].Action)
	// Output:
	// 6 30s
	// fail-fast
}

// All mistakes are reported at once, each with its place.
func ExampleParsePolicy_mistakes() {
	_, err := oktaretry.ParsePolicy([]byte(`{
  "serverError": {"maxAttempts": 6, "MaxWait": "10s"},
  "codes": {
    "E0000047": {"maxElapsed": 30}
  },
  "pace": {"maxUtilization": 70}
}`))
	fmt.Println(err)
	// Output:
	// oktaretry: policy: line 2, column 37: serverError.MaxWait is unknown, want maxWait (case counts)
	// oktaretry: policy: line 4, column 32: codes.E0000047.maxElapsed is 30, want a duration such as "30s"
	// oktaretry: policy: line 6, column 30: pace.maxUtilization is 70, want 0 to 1
}

// A program that is running slows down, and no call is lost.
func ExampleTransport_SetPolicy() {
	transport, err := oktaretry.NewTransport(nil)
	if err != nil {
		log.Fatal(err)
	}

	policy := transport.Policy()
	policy.Pace.MaxUtilization = 0.5
	fmt.Println(transport.SetPolicy(policy))

	policy.Pace.MaxUtilization = 50
	fmt.Println(transport.SetPolicy(policy)) // changes nothing
	fmt.Println(transport.Policy().Pace.MaxUtilization)
	// Output:
	// <nil>
	// oktaretry: policy: Pace.MaxUtilization is 50, want 0 to 1
	// 0.5
}

// An org whose searches have a rate limit of their own.
func ExampleWithBuckets() {
	okta := oktatest.New()
	transport, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithBuckets(func(r *http.Request) string {
		if r.URL.Path == "/api/v1/users" && r.URL.Query().Has("search") {
			return "user searches"
		}
		return "" // the bucket that Okta documents
	}))
	if err != nil {
		log.Fatal(err)
	}
	for _, url := range []string{users, users + "?search=status+pr"} {
		resp, err := get(context.Background(), transport, url)
		if err != nil {
			log.Fatal(err)
		}
		out, _ := oktaretry.OutcomeOf(resp)
		fmt.Println(out.Bucket)
	}
	// Output:
	// /api/v1/users
	// user searches
}

// A proof of possession is good for one request: each resend gets a new one.
func ExampleWithPrepareRetry() {
	okta := oktatest.New()
	okta.Script("GET /api/v1/users", oktatest.EdgePage(503))
	policy := oktaretry.DefaultPolicy()
	policy.ServerError.InitialWait = time.Millisecond

	proofs := 1
	transport, err := oktaretry.NewTransport(okta.Transport(), oktaretry.WithPolicy(policy),
		oktaretry.WithPrepareRetry(func(r *http.Request) error {
			previous, _ := oktaretry.PreviousAnswer(r.Context())
			fmt.Println("again, after", previous.Status)
			proofs++
			r.Header.Set("DPoP", fmt.Sprint("proof ", proofs))
			return nil
		}))
	if err != nil {
		log.Fatal(err)
	}
	req, err := http.NewRequest("GET", users, nil)
	if err != nil {
		log.Fatal(err)
	}
	req.Header.Set("DPoP", "proof 1")
	resp, err := transport.Client().Do(req)
	if err != nil {
		log.Fatal(err)
	}
	resp.Body.Close()
	for _, r := range okta.Requests() {
		fmt.Println(r.Header.Get("DPoP"), r.Status)
	}
	// Output:
	// again, after 503
	// proof 1 503
	// proof 2 200
}

// What is known of an error code.
func ExampleLookup() {
	c, ok := oktaretry.Lookup("E0000109")
	fmt.Println(ok, c.Status, c.Name, c.Class)
	fmt.Println(c.Advice)
	fmt.Println(c.Rule.Action, "with at least", c.Rule.MinWait, "between attempts")
	// Output:
	// true 429 SMS too many requests exception rate-limited
	// A user gets one SMS in 30 seconds: check whether the code arrived before asking for another
	// backoff with at least 30s between attempts
}

// A health page: what is left of each rate limit, and which circuits are open.
func ExampleTransport_Snapshot() {
	okta := oktatest.New(oktatest.WithLimit("/api/v1/users", 100))
	transport, err := oktaretry.NewTransport(okta.Transport())
	if err != nil {
		log.Fatal(err)
	}
	for range 3 {
		if _, err := get(context.Background(), transport, users); err != nil {
			log.Fatal(err)
		}
	}

	s := transport.Snapshot()
	for _, b := range s.Buckets {
		fmt.Println(b.Host, b.Bucket, b.Remaining, "of", b.Limit, "left,", b.InFlight, "in flight")
	}
	for _, c := range s.Circuits {
		fmt.Printf("%s %q: %s, %d successes, %d failures\n", c.Host, c.Template, c.State, c.Successes, c.Failures)
	}
	// Output:
	// acme.okta.com /api/v1/users 97 of 100 left, 0 in flight
	// acme.okta.com "": closed, 3 successes, 0 failures
	// acme.okta.com "/api/v1/users": closed, 3 successes, 0 failures
}

// Two processes share what is left of each rate limit: what one knows of it from Okta's
// answers, the other goes by in its first call.
func ExampleWithShared() {
	var store shared.Store = sharedtest.NewMemory() // for this example: package fleet has one on Redis
	policy := oktaretry.DefaultPolicy()
	policy.Pace.MaxWait = time.Second // rather an error than a minute in line
	options := []oktaretry.Option{
		oktaretry.WithPolicy(policy),
		oktaretry.WithShared(store,
			oktaretry.SharedSecret([]byte("at least sixteen bytes")), // the same for all processes
			oktaretry.SharedTimeout(time.Minute)),                    // for a busy machine: leave it at 50 ms
	}

	okta := oktatest.New(oktatest.WithLimit("/api/v1/users", 5))
	for _, process := range []string{"first", "second"} {
		transport, err := oktaretry.NewTransport(okta.Transport(), options...)
		if err != nil {
			log.Fatal(err)
		}
		sent := okta.Arrived()
		for err == nil {
			_, err = get(context.Background(), transport, users)
		}
		limited, ok := errors.AsType[*oktaretry.RateLimitError](err)
		fmt.Println("the", process, "sends", okta.Arrived()-sent, "and stops by itself:", ok && limited.ClientSide)
	}
	fmt.Println(okta.Answered(429), "refused by Okta")
	// Output:
	// the first sends 5 and stops by itself: true
	// the second sends 0 and stops by itself: true
	// 0 refused by Okta
}
