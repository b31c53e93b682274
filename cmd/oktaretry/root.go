// This file holds the root of the commands, and what all of them have in common:
// how they end.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// The exit codes; the package's comment documents them.
const (
	exitOK      = 0
	exitFinding = 1
	exitTrouble = 2
)

// errFinding ends a command with exitFinding. The command has printed what it found.
var errFinding = errors.New("something was found")

// run executes the command line and returns the exit code. It ends soon after ctx,
// which SIGINT and SIGTERM end.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
		return exitOK
	case errors.Is(err, errFinding):
		return exitFinding
	default:
		fmt.Fprintln(errs, "oktaretry:", err)
		return exitTrouble
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "oktaretry",
		Short: "Explain, check and try out resilience of calls to Okta",
		Long: `oktaretry explains what the library of that name does after each of Okta's errors,
checks policy files, serves a fake Okta to any language, and is a proxy through which
any language has the library.

Exit codes: 0 it went well; 1 it went well, and what was asked about is not so
(a policy is refused, two differ, a code is unknown); 2 it could not be done.`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(
		newCodes(),
		newExplain(),
		newPolicy(),
		newFake(),
		newProxy(),
		newMan(),
		newVersion(),
	)
	return root
}

// atLeastOne refuses a command line without arguments, and names what is missing.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s takes %s, or several: see %s --help", cmd.Name(), what, cmd.CommandPath())
		}
		return nil
	}
}
