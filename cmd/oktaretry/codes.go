// This file is the command codes: the catalogue as a table.

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/words"
)

func newCodes() *cobra.Command {
	var class, policy string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "codes",
		Short: "List Okta's error codes and what happens after each",
		Long: `List the error codes of Okta's that the library knows, and OAuth's, with what it does
after each by the default policy, or by that of a file.`,
		Example: `  oktaretry codes --class rate-limited
  oktaretry codes --policy policy.yaml
  oktaretry codes --json | jq -r '.[] | select(.rule.action == "backoff") | .code'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if class != "" && !slices.Contains(classNames(), class) {
				return fmt.Errorf("--class %s: want one of %s", class, strings.Join(classNames(), ", "))
			}
			p, err := policyOrDefault(cmd, policy)
			if err != nil {
				return err
			}
			var infos []oktaretry.CodeInfo
			for info := range oktaretry.Codes() {
				if class == "" || info.Class.String() == class {
					info.Rule = ruleFor(p, info)
					infos = append(infos, info)
				}
			}
			if asJSON {
				return printJSON(cmd, codesJSON(infos))
			}
			return printCodes(cmd, infos)
		},
	}
	cmd.Flags().StringVar(&class, "class", "", "only the codes of this `class`")
	cmd.Flags().StringVar(&policy, "policy", "", "by the policy in this `file` instead of the default one")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	must(cmd.RegisterFlagCompletionFunc("class", cobra.FixedCompletions(classNames(), cobra.ShellCompDirectiveNoFileComp)))
	must(cmd.MarkFlagFilename("policy", "yaml", "yml", "json"))
	return cmd
}

// classNames are the classes that codes have.
func classNames() (names []string) {
	for class := oktaretry.ClassRateLimited; class <= oktaretry.ClassNetwork; class++ {
		if class != oktaretry.ClassNetwork {
			names = append(names, class.String())
		}
	}
	return names
}

// ruleFor returns the rule that p has for a code.
func ruleFor(p oktaretry.Policy, info oktaretry.CodeInfo) oktaretry.Rule {
	return p.RuleFor(oktaretry.Classification{Class: info.Class, Code: info.Code, Status: info.Status})
}

func printCodes(cmd *cobra.Command, infos []oktaretry.CodeInfo) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CODE\tSTATUS\tCLASS\tWHAT HAPPENS\tNAME")
	for _, info := range infos {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", info.Code, statusText(info.Status), info.Class, does(info), info.Name)
	}
	return w.Flush()
}

func statusText(status int) string {
	if status == 0 {
		return "-"
	}
	return strconv.Itoa(status)
}

// does describes a code's rule, without the marks of Markdown.
func does(info oktaretry.CodeInfo) string {
	return strings.NewReplacer("`", "", "*RateLimitError", "RateLimitError").Replace(words.Does(info))
}

// codeJSON is a code as --json prints it.
type codeJSON struct {
	Code    string          `json:"code"`
	Status  int             `json:"status,omitempty"`
	Class   string          `json:"class"`
	Name    string          `json:"name"`
	Summary string          `json:"summary,omitempty"`
	Local   bool            `json:"local"`
	Advice  string          `json:"advice,omitempty"`
	Does    string          `json:"does"`
	Rule    json.RawMessage `json:"rule"`
}

func codesJSON(infos []oktaretry.CodeInfo) []codeJSON {
	list := make([]codeJSON, len(infos))
	for i, info := range infos {
		list[i] = codeJSONOf(info)
	}
	return list
}

func codeJSONOf(info oktaretry.CodeInfo) codeJSON {
	return codeJSON{
		Code: info.Code, Status: info.Status, Class: info.Class.String(), Name: info.Name, Local: info.Local,
		Advice: info.Advice, Does: does(info), Rule: ruleJSON(info.Rule),
	}
}

// ruleJSON returns a rule as policies have it in JSON.
func ruleJSON(r oktaretry.Rule) json.RawMessage {
	const key = "599"
	text, err := json.Marshal(oktaretry.Policy{Codes: map[string]oktaretry.Rule{key: r}})
	must(err)
	var doc struct {
		Codes map[string]json.RawMessage `json:"codes"`
	}
	must(json.Unmarshal(text, &doc))
	return doc.Codes[key]
}

// must is for errors that only a mistake in this program causes.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
