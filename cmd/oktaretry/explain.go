// This file is the command explain.

package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/oktatest"
)

func newExplain() *cobra.Command {
	var policy, method string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain CODE...",
		Short: "Explain an error code: what Okta means, what happens, what to do",
		Long: `Explain an error: a code of Okta's, an OAuth error, a status (of an answer without a
code), or "network" (no answer at all). The steps are those of a real call through the
library, against a fake Okta, in virtual time and by the policy given. Real waits vary at
random; the waits shown do not.

With --json it prints an object for each code.

Exit codes: 0 it is explained; 1 nothing has that name, or the policy is refused;
2 it could not be done.`,
		Example: `  oktaretry explain E0000047
  oktaretry explain E0000109 --policy policy.yaml --method POST
  oktaretry explain 503 --json
  oktaretry explain network --method POST`,
		Args:              atLeastOne("an error code, such as E0000047"),
		ValidArgsFunction: completeCodes,
		RunE: func(cmd *cobra.Command, codes []string) error {
			p, err := policyOrDefault(cmd, policy)
			if err != nil {
				return err
			}
			if method = strings.ToUpper(method); method != "" && !slices.Contains(methods, method) {
				return fmt.Errorf("--method %s: want one of %s", method, strings.Join(methods, ", "))
			}
			var unknown error
			for i, code := range codes {
				s, ok := sceneOf(code, method)
				if !ok {
					fmt.Fprintf(cmd.ErrOrStderr(), "oktaretry: %q is no code of Okta's that the library knows, no status from 400 to 599 and not \"network\": see oktaretry codes\n", code)
					unknown = errFinding
					continue
				}
				e, err := explain(s, p)
				if err != nil {
					return err
				}
				if err := e.show(cmd, policy, i > 0, asJSON); err != nil {
					return err
				}
			}
			return unknown
		},
	}
	cmd.Flags().StringVar(&policy, "policy", "", "by the policy in this `file` instead of the default one")
	cmd.Flags().StringVar(&method, "method", "", "the call's `method` (default GET, or POST for what comes only after a POST)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	must(cmd.MarkFlagFilename("policy", "yaml", "yml", "json"))
	must(cmd.RegisterFlagCompletionFunc("method", cobra.FixedCompletions(methods, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

func completeCodes(*cobra.Command, []string, string) (list []string, _ cobra.ShellCompDirective) {
	for info := range oktaretry.Codes() {
		list = append(list, info.Code+"\t"+info.Name)
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

// explanation is what is known of an error, as --json prints it.
type explanation struct {
	codeJSON
	Request string  `json:"request"`
	Once    []event `json:"once"`   // if Okta answers so once
	Always  []event `json:"always"` // if it answers nothing else
	jitter  float64
}

func explain(s scene, p oktaretry.Policy) (e explanation, err error) {
	s.info.Rule = ruleFor(p, s.info)
	e.codeJSON = codeJSONOf(s.info)
	e.Code = s.code
	if known, ok := oktatest.LookupCode(s.info.Code); ok {
		e.Summary = known.Summary
	}
	e.Request, e.jitter = s.request(), s.info.Rule.Jitter
	once, err := s.play(p, s.answer(), oktatest.Always(success))
	if err != nil {
		return e, err
	}
	always, err := s.play(p, oktatest.Always(s.answer()))
	if err != nil {
		return e, err
	}
	e.Once, e.Always = events(once), events(always)
	return e, nil
}

// show prints the explanation, apart from another before it.
func (e explanation) show(cmd *cobra.Command, policy string, another, asJSON bool) error {
	if asJSON {
		return printJSON(cmd, e)
	}
	if another {
		fmt.Fprintln(cmd.OutOrStdout())
	}
	return e.print(cmd, policy)
}

// print prints the explanation for people.
func (e explanation) print(cmd *cobra.Command, policy string) error {
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s  %s\n", bold(e.Code), e.Name)
	fmt.Fprintf(out, "status %s, class %s\n", statusText(e.Status), e.Class)
	if e.Summary != "" && e.Summary != e.Name {
		fmt.Fprintf(out, "Okta says: %s\n", e.Summary)
	}
	by := "the default policy"
	if policy != "" {
		by = policy
	}
	fmt.Fprintf(out, "\n%s %s\n", bold("By "+by+":"), e.Does)
	if len(e.Always) <= 2 {
		fmt.Fprintf(out, "\n%s\n", bold(e.Request+" meets it"))
		printEvents(cmd, e.Always)
	} else {
		fmt.Fprintf(out, "\n%s\n", bold(e.Request+" meets it once"))
		printEvents(cmd, e.Once)
		fmt.Fprintf(out, "\n%s\n", bold(e.Request+" meets it each time"))
		printEvents(cmd, e.Always)
		if e.jitter > 0 {
			fmt.Fprintf(out, "\n%s\n", faint(fmt.Sprintf("Computed waits vary at random by up to %.0f %%, so that callers come back apart; a wait that Okta names gets no shorter.", 100*e.jitter)))
		}
	}
	if e.Advice != "" {
		fmt.Fprintf(out, "\n%s\n  %s\n", bold("What a person can do"), e.Advice)
	}
	return nil
}

// shownEvents is how many lines of a long play are shown at its beginning.
const shownEvents = 16

func printEvents(cmd *cobra.Command, list []event) {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', tabwriter.AlignRight)
	for i, e := range list {
		if skipped := len(list) - 3 - shownEvents; skipped > 1 && i >= shownEvents && i < shownEvents+skipped {
			if i == shownEvents {
				fmt.Fprintf(w, "…\t  and so on, %d steps\n", skipped)
			}
			continue
		}
		fmt.Fprintf(w, "  %s\t  %s\n", e.Time, e.What)
	}
	w.Flush()
}
