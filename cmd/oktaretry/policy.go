// This file is the command policy and its subcommands: check, print, diff and schema.

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/policyfile"
)

func newPolicy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, print and compare policy files",
		Long: `Check, print and compare policy files, which are YAML or JSON; - is standard input.
docs/policy-files.md of the library describes them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCheck(), newPrint(), newDiff(), newSchema())
	return cmd
}

func newCheck() *cobra.Command {
	var strict, asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Report every problem of policy files, with its line and column",
		Long: `Report every problem of policy files, each in a line of its own:
file:line:column: what is wrong. Editors jump to it.

Exit codes: 0 every file is fine; 1 a file has a problem, or with --strict a warning;
2 a file cannot be read.`,
		Example: `  oktaretry policy check policy.yaml
  oktaretry policy check --strict deploy/*.yaml
  kubectl get configmap okta -o jsonpath='{.data.policy\.yaml}' | oktaretry policy check -
  vim -q <(oktaretry policy check policy.yaml)`,
		Args:              atLeastOne("a policy file"),
		ValidArgsFunction: policyFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			found := []finding{}
			for _, file := range files {
				problems, err := problemsOf(cmd, file)
				if err != nil {
					return err
				}
				found = append(found, problems...)
			}
			if err := printFindings(cmd, found, asJSON); err != nil {
				return err
			}
			if slices.ContainsFunc(found, func(f finding) bool { return strict || f.Severity == "error" }) {
				return errFinding
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "exit 1 for warnings, too, such as codes that the catalogue lacks")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// finding is a problem or warning, as --json prints it.
type finding struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"` // "error" or "warning"
	Path     string `json:"path"`
	Message  string `json:"message"`
	text     string
}

// readPolicy is policyfile.ReadWithWarnings, and takes - for standard input.
func readPolicy(cmd *cobra.Command, file string) (oktaretry.Policy, policyfile.Errors, error) {
	const most = 1 << 20 // more than a policy may have
	if file != "-" {
		return policyfile.ReadWithWarnings(file)
	}
	text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), most))
	if err != nil {
		return oktaretry.Policy{}, nil, err
	}
	p, err := policyfile.Parse(file, text)
	return p, policyfile.Warnings(file, text), err
}

func problemsOf(cmd *cobra.Command, file string) (found []finding, err error) {
	add := func(severity string, list policyfile.Errors) {
		for _, e := range list {
			text := e.Error()
			if severity == "warning" {
				place := fmt.Sprintf("%s:%d:%d: ", e.File, e.Line, e.Column)
				text = place + "warning: " + strings.TrimPrefix(text, place)
			}
			found = append(found, finding{e.File, e.Line, e.Column, severity, e.Path, e.Message, text})
		}
	}
	_, warnings, err := readPolicy(cmd, file)
	problems, ok := errors.AsType[policyfile.Errors](err)
	if err != nil && !ok {
		return nil, err
	}
	add("error", problems)
	add("warning", warnings)
	return found, nil
}

func printFindings(cmd *cobra.Command, found []finding, asJSON bool) error {
	if asJSON {
		return printJSON(cmd, found)
	}
	for _, f := range found {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), f.text); err != nil {
			return err
		}
	}
	return nil
}

func newPrint() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "print [FILE...]",
		Short: "Print the whole policy that a file makes, with what it leaves out",
		Long: `Print the whole policy that each file makes: what it names, and for the rest the
defaults. Without a file, print the default policy. With --json, print all of it in the
form of a policy file; of several files, an object for each.

Exit codes: 0 it is printed; 1 a file holds no policy; 2 a file cannot be read.`,
		Example: `  oktaretry policy print policy.yaml
  oktaretry policy print --json > policy.json`,
		ValidArgsFunction: policyFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) == 0 {
				files = []string{""} // the default policy
			}
			var refused error
			for i, file := range files {
				p, err := policyOrDefault(cmd, file)
				if errors.Is(err, errFinding) {
					refused = err
					continue
				}
				if err != nil {
					return err
				}
				if err := printPolicy(cmd, p, headingOf(files, i), asJSON); err != nil {
					return err
				}
			}
			return refused
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, in the form of a policy file")
	return cmd
}

// headingOf returns what stands above the policy of a file: nothing, if it's the only one.
func headingOf(files []string, i int) string {
	switch {
	case len(files) == 1:
		return ""
	case i == 0:
		return bold(files[i]) + "\n"
	}
	return "\n" + bold(files[i]) + "\n"
}

func printPolicy(cmd *cobra.Command, p oktaretry.Policy, heading string, asJSON bool) error {
	if asJSON {
		return printJSON(cmd, p)
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), heading, p)
	return err
}

// policyOrDefault returns the policy in a file; of no file, the default one. The
// problems of a file that holds none are printed.
func policyOrDefault(cmd *cobra.Command, file string) (oktaretry.Policy, error) {
	if file == "" {
		return oktaretry.DefaultPolicy(), nil
	}
	p, _, err := readPolicy(cmd, file)
	if problems, ok := errors.AsType[policyfile.Errors](err); ok {
		fmt.Fprintln(cmd.ErrOrStderr(), problems)
		return p, errFinding
	}
	return p, err
}

func newDiff() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff FILE [FILE]",
		Short: "Compare two policy files, or one with the default policy",
		Long: `Compare the policies that two files make, or that of one file with the default policy:
a line for each member that differs. Of a code that only one of them names, the rule in
force is compared.

Exit codes: 0 they are the same; 1 they differ; 2 a file cannot be read or holds no policy.`,
		Example: `  oktaretry policy diff policy.yaml
  oktaretry policy diff old.yaml new.yaml`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: policyFiles,
		RunE: func(cmd *cobra.Command, files []string) error {
			before, after := oktaretry.DefaultPolicy(), oktaretry.Policy{}
			var err error
			if len(files) == 2 {
				if before, _, err = readPolicy(cmd, files[0]); err != nil {
					return err
				}
			}
			if after, _, err = readPolicy(cmd, files[len(files)-1]); err != nil {
				return err
			}
			changes := differences(before, after)
			if err := printChanges(cmd, changes, asJSON); err != nil {
				return err
			}
			if len(changes) > 0 {
				return errFinding
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// change is a member that differs, as --json prints it; null stands for none.
type change struct {
	Path string `json:"path"`
	From any    `json:"from"`
	To   any    `json:"to"`
}

func printChanges(cmd *cobra.Command, changes []change, asJSON bool) error {
	if asJSON {
		return printJSON(cmd, changes)
	}
	for _, c := range changes {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s %s %s\n", bold(c.Path), valueText(c.From), faint("->"), valueText(c.To)); err != nil {
			return err
		}
	}
	return nil
}

func valueText(v any) string {
	if v == nil {
		return "none"
	}
	return fmt.Sprint(v)
}

// differences returns the members in which two policies differ, by path.
func differences(before, after oktaretry.Policy) []change {
	before, after = withCodesOf(before, after), withCodesOf(after, before)
	from, to := members(before), members(after)
	paths := maps.Clone(from)
	maps.Copy(paths, to)
	changes := []change{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if from[path] != to[path] {
			changes = append(changes, change{path, from[path], to[path]})
		}
	}
	return changes
}

// withCodesOf returns p with a rule for each code that other has one for: the one in
// force.
func withCodesOf(p, other oktaretry.Policy) oktaretry.Policy {
	codes := maps.Clone(p.Codes)
	p.Codes = maps.Clone(p.Codes)
	for key := range other.Codes {
		if _, ok := codes[key]; !ok {
			must(p.Edit(key, func(*oktaretry.Rule) {}))
		}
	}
	return p
}

// members returns the values of all members of a policy, by path.
func members(p oktaretry.Policy) map[string]any {
	text, err := json.Marshal(p)
	must(err)
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // as they are written: 4194304, not 4.194304e+06
	var doc any
	must(d.Decode(&doc))
	found := make(map[string]any)
	flatten(found, nil, doc)
	return found
}

func flatten(found map[string]any, path []string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			flatten(found, append(slices.Clone(path), name), member)
		}
	case []any:
		text, err := json.Marshal(v)
		must(err)
		found[pathText(path)] = string(text)
	default:
		found[pathText(path)] = v
	}
}

func pathText(path []string) string {
	var b strings.Builder
	for i, name := range path {
		switch {
		case strings.ContainsAny(name, " ./"):
			fmt.Fprintf(&b, "[%q]", name)
		case i > 0:
			b.WriteString("." + name)
		default:
			b.WriteString(name)
		}
	}
	return b.String()
}

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of policy files",
		Long: `Print the JSON Schema of policy files, by which editors complete and explain them:
save it, and name it in the first line of a YAML file, as in the example.`,
		Example: `  oktaretry policy schema > policy.schema.json
  # yaml-language-server: $schema=policy.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(policyfile.Schema())
			return err
		},
	}
}

// policyFiles completes the names of policy files.
func policyFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
}
