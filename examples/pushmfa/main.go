// Command pushmfa has three users of a fake Okta confirm by a push, through a plain
// http.Client over oktaretry: one says yes, one says no, one does not answer. Copy
// confirm. It ends in a few seconds:
//
//	go run ./examples/pushmfa
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

// newClient returns a client for all calls to an org, push or not, over base: nil is
// http.DefaultTransport. It has no Timeout, which would end the wait for the user: the
// contexts of its calls have.
func newClient(base http.RoundTripper) (*http.Client, error) {
	policy := oktaretry.DefaultPolicy()
	policy.PollFactors = true // or else the caller gets the first WAITING

	// A demonstration's hurry. The defaults are 4 s, and 5 min in all, as long as a push lives.
	policy.Pending.InitialWait, policy.Pending.MaxWait = 100*time.Millisecond, 100*time.Millisecond

	transport, err := oktaretry.NewTransport(base, oktaretry.WithPolicy(policy))
	if err != nil {
		return nil, err
	}
	return transport.Client(), nil
}

// confirm sends the user a push and returns what became of it: SUCCESS, REJECTED,
// TIMEOUT. The verify request is sent once, its poll link until there is a result.
// Where the context's deadline, or five minutes, leave no room for another poll, the
// error is an *oktaretry.PendingError; where the deadline passes during a poll, it is
// context.DeadlineExceeded.
func confirm(ctx context.Context, client *http.Client, org, token, user, factor string) (string, error) {
	verify := org + "/api/v1/users/" + user + "/factors/" + factor + "/verify"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, verify, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "SSWS "+token)
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	var answer struct {
		FactorResult string `json:"factorResult"`
	}
	err = json.NewDecoder(resp.Body).Decode(&answer)
	return answer.FactorResult, err
}

func main() {
	org := oktatest.StartServer(oktatest.WithUsers(3))
	defer org.Close()
	if err := run(context.Background(), os.Stdout, org.Okta, nil, org.URL); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, w io.Writer, org *oktatest.Okta, base http.RoundTripper, url string) error {
	client, err := newClient(base)
	if err != nil {
		return err
	}
	for i, user := range []struct {
		does, result string
		polls        int           // that still find the user thinking; negative: for ever
		patience     time.Duration // how long the program can wait
	}{
		{"says yes", "SUCCESS", 2, time.Minute},
		{"says no", "REJECTED", 1, time.Minute},
		{"does not answer", "", -1, time.Second},
	} {
		org.Forget()
		org.SetFactorResult(user.result, user.polls)
		pushes := org.Pushes()
		ctx, cancel := context.WithTimeout(ctx, user.patience)
		result, err := confirm(ctx, client, url, "a-token", org.UserIDs()[i], "opf1")
		cancel()
		var pending *oktaretry.PendingError
		if errors.As(err, &pending) || errors.Is(err, context.DeadlineExceeded) { // the latter while a poll was on its way
			result = "no answer in time"
		} else if err != nil {
			return err
		}
		fmt.Fprintf(w, "A user %s: %s, after %d push and %d polls.\n", user.does, result, org.Pushes()-pushes, org.Arrived()-1)
		if err != nil {
			fmt.Fprintf(w, "   %v\n", errors.Unwrap(err)) // of http.Client's *url.Error
		}
	}
	return nil
}
