// This file has the examples of the documentation.

package policyfile_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/policyfile"
)

func ExampleParse() {
	policy, err := policyfile.Parse("policy.yaml", []byte(`
pace:
  maxUtilization: 0.7 # leave 30 % of each window to logins
serverError:
  maxAttempts: 6      # the rest of the rule stays
`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(policy.Pace.MaxUtilization, policy.ServerError.MaxAttempts, policy.ServerError.MaxElapsed)
	// Output: 0.7 6 30s
}

func ExampleErrors() {
	_, err := policyfile.Parse("policy.yaml", []byte(`
serverError:
  maxAttempts: many
  maxElapsed: 30
codes:
  E12: {action: poll}
`))
	fmt.Println(err)
	var list policyfile.Errors
	if errors.As(err, &list) {
		fmt.Println(len(list), "problems, the first in line", list[0].Line)
	}
	// Output:
	// policy.yaml:3:16: serverError.maxAttempts is "many", want a whole number
	// policy.yaml:4:15: serverError.maxElapsed is 30, want a duration such as "30s"
	// policy.yaml:6:3: codes.E12 is no error code or status: want one like E0000047, server_error or 408
	// 3 problems, the first in line 3
}

func ExampleFromEnv() {
	policy, err := policyfile.FromEnv() // the file that OKTARETRY_POLICY names, or the default policy
	if err != nil {
		log.Fatal(err)
	}
	if _, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(policy)); err != nil {
		log.Fatal(err)
	}
}

func ExampleWatch() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	transport, err := oktaretry.NewTransport(nil)
	if err != nil {
		log.Fatal(err)
	}
	watcher, err := policyfile.Watch(ctx, transport, "/etc/okta/policy.yaml",
		policyfile.WithLogger(slog.Default()),
		policyfile.OnChange(func(c policyfile.Change) {
			if c.Err != nil {
				fmt.Println("still in force: the policy from before")
			}
		}))
	if err != nil {
		log.Fatal(err) // the file is bad or not there
	}
	fmt.Printf("%+v\n", watcher.Stats())
}
