// This file tests what the commands print and how they end.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// command is the path of the program: this one, as TestMain has it.
var command, _ = os.Executable()

// result is how a process ended.
type result struct {
	code     int
	out, err string
}

// runIn runs a command line in dir, in this process: to start one for each would take
// most of the tests' time. The test must not be parallel.
func runIn(t *testing.T, dir string, args ...string) result {
	t.Helper()
	return runReading(t, dir, "", args...)
}

// runReading is runIn with a text at the standard input.
func runReading(t *testing.T, dir, in string, args ...string) result {
	t.Helper()
	if dir != "" {
		t.Chdir(dir)
	}
	var out, errs bytes.Buffer
	ended := make(chan int, 1)
	go func() { ended <- run(t.Context(), args, strings.NewReader(in), &out, &errs) }()
	for {
		select {
		case job := <-jobs: // a process has a test of its own for them
			synctest.Test(t, func(*testing.T) { job() })
		case code := <-ended:
			return result{code, out.String(), errs.String()}
		}
	}
}

// process is runReading in a process of its own.
func process(t *testing.T, dir, in string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(in), &out, &errs
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// files makes a directory of files.
func files(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var policies = map[string]string{
	"good.yaml": "serverError:\n  maxAttempts: 6\ncodes:\n  E0000112: {action: backoff}\n",
	"same.json": `{"codes": {"E0000112": {"action": "backoff"}}, "serverError": {"maxAttempts": 6}}`,
	"odd.yaml":  "codes:\n  E0999999: {action: backoff}\n",
	"bad.yaml":  "serverError:\n  maxAttempts: many\n  maxElapsd: 1m\n",
}

const badProblems = "bad.yaml:2:16: serverError.maxAttempts is \"many\", want a whole number\nbad.yaml:3:3: serverError.maxElapsd is unknown"

// TestAProcessPrintsAndEndsAsRunDoes runs commands of each kind, which the other tests run
// in this process.
func TestAProcessPrintsAndEndsAsRunDoes(t *testing.T) {
	dir := files(t, policies)
	for _, c := range []struct {
		args, in string
		code     int
	}{
		{"", "", 0},
		{"version", "", 0},
		{"codes --class pending", "", 0},
		{"explain E0000047 --policy good.yaml --method POST", "", 0},
		{"explain E0000047 E0999999 E0000070 --json", "", 1},
		{"policy check good.yaml bad.yaml", "", 1},
		{"policy diff - same.json --json", policies["odd.yaml"], 1},
		{"nonsense", "", 2},
		{"policy print none.yaml", "", 2},
		{"fake --scenario nonsense", "", 2},
	} {
		t.Run(c.args, func(t *testing.T) {
			args := strings.Fields(c.args)
			if got, want := process(t, dir, c.in, args...), runReading(t, dir, c.in, args...); got != want || got.code != c.code {
				t.Errorf("a process: %+v\nrun: %+v\nwant code %d", got, want, c.code)
			}
		})
	}
}

func TestExitCodesAndStreams(t *testing.T) {
	dir := files(t, policies)
	for _, c := range []struct {
		args     string
		code     int
		out, err string // what they begin with; "" is nothing at all, "*" anything
	}{
		{"version", 0, "oktaretry 0.", ""},
		{"", 0, "oktaretry explains what", ""},
		{"--help", 0, "oktaretry explains what", ""},
		{"help explain", 0, "Explain an error: a code", ""},
		{"nonsense", 2, "", "oktaretry: unknown command \"nonsense\""},
		{"codes --nonsense", 2, "", "oktaretry: unknown flag: --nonsense"},
		{"codes nonsense", 2, "", "oktaretry: unknown command \"nonsense\""},
		{"codes", 0, "CODE ", ""},
		{"codes --class rate-limited", 0, "CODE ", ""},
		{"codes --class nonsense", 2, "", "oktaretry: --class nonsense: want one of rate-limited, server-error,"},
		{"codes --policy bad.yaml", 1, "", badProblems},
		{"explain E0000047", 0, "E0000047  Too many requests exception\n", ""},
		{"explain E0000047 --policy good.yaml", 0, "E0000047  Too many requests exception\n", ""},
		{"explain E0000047 --policy none.yaml", 2, "", "oktaretry: policyfile: open none.yaml: "},
		{"explain E0000047 --policy bad.yaml", 1, "", badProblems},
		{"explain E0000047 --method STEAL", 2, "", "oktaretry: --method STEAL: want one of GET,"},
		{"explain 503", 0, "503  Service Unavailable\n", ""},
		{"explain E0999999", 1, "", "oktaretry: \"E0999999\" is no code of Okta's"},
		{"explain 200", 1, "", "oktaretry: \"200\" is no code"},
		{"explain", 2, "", "oktaretry: explain takes an error code"},
		{"policy", 0, "Check, print and compare", ""},
		{"policy check", 2, "", "oktaretry: check takes a policy file"},
		{"policy check good.yaml same.json", 0, "", ""},
		{"policy check good.yaml bad.yaml", 1, badProblems, ""},
		{"policy check none.yaml", 2, "", "oktaretry: policyfile: open none.yaml: "},
		{"policy check odd.yaml", 0, "odd.yaml:2:3: warning: codes.E0999999 is a code that the catalogue lacks\n", ""},
		{"policy check --strict odd.yaml", 1, "odd.yaml:2:3: warning: ", ""},
		{"policy print", 0, "answer ", ""},
		{"policy print good.yaml", 0, "answer ", ""},
		{"policy print good.yaml same.json", 0, "good.yaml\nanswer ", ""},
		{"policy print bad.yaml good.yaml", 1, "\ngood.yaml\nanswer ", badProblems},
		{"policy print bad.yaml", 1, "", badProblems},
		{"policy print none.yaml", 2, "", "oktaretry: policyfile: open none.yaml: "},
		{"policy diff good.yaml same.json", 0, "", ""},
		{"policy diff good.yaml", 1, "codes.E0000112.action: fail-fast -> backoff\nserverError.maxAttempts: 4 -> 6\n", ""},
		{"policy diff good.yaml odd.yaml", 1, "codes.E0000112.action: backoff -> fail-fast\ncodes.E0999999.action: fail-fast -> backoff\nserverError.maxAttempts: 6 -> 4\n", ""},
		{"policy diff bad.yaml", 2, "", "oktaretry: bad.yaml:2:16: "},
		{"policy diff good.yaml none.yaml", 2, "", "oktaretry: policyfile: open none.yaml: "},
		{"policy schema", 0, "{\n", ""},
		{"fake --port 99999", 2, "", "oktaretry: listen tcp: address 99999"},
		{"fake --control moon", 2, "", "oktaretry: --control moon: want one of loopback, anywhere, off"},
		{"fake --journal -1", 2, "", "oktaretry: --journal: want 0 or more"},
		{"fake --scenario nonsense", 2, "", "oktaretry: --scenario nonsense: want one of broken-bodies, brownout,"},
		{"fake --seed none.yaml", 2, "", "oktaretry: orgfile: open none.yaml: "},
		{"completion bash", 0, "# bash completion", ""},
	} {
		t.Run(c.args, func(t *testing.T) {
			got := runIn(t, dir, strings.Fields(c.args)...)
			if got.code != c.code || !begins(got.out, c.out) || !begins(got.err, c.err) {
				t.Errorf("exit code %d\nstdout: %s\nstderr: %s\nwant code %d, %q and %q", got.code, got.out, got.err, c.code, c.out, c.err)
			}
		})
	}
}

func TestPolicyFilesComeFromStandardInput(t *testing.T) {
	dir := files(t, policies)
	for _, c := range []struct {
		args     []string
		in       string
		code     int
		out, err string
	}{
		{[]string{"policy", "check", "-"}, policies["good.yaml"], 0, "", ""},
		{[]string{"policy", "check", "good.yaml", "-"}, policies["bad.yaml"], 1, strings.ReplaceAll(badProblems, "bad.yaml", "-"), ""},
		{[]string{"policy", "check", "--strict", "-"}, policies["odd.yaml"], 1, "-:2:3: warning: codes.E0999999 is a code that the catalogue lacks\n", ""},
		{[]string{"policy", "check", "-"}, "", 1, "-:1:1: the file is empty", ""},
		{[]string{"policy", "print", "-"}, policies["good.yaml"], 0, "answer ", ""},
		{[]string{"policy", "diff", "-", "same.json"}, policies["good.yaml"], 0, "", ""},
		{[]string{"explain", "E0000112", "--policy", "-"}, policies["good.yaml"], 0, "E0000112 ", ""},
	} {
		got := runReading(t, dir, c.in, c.args...)
		if got.code != c.code || !begins(got.out, c.out) || !begins(got.err, c.err) {
			t.Errorf("%q: %+v, want code %d, %q and %q", c.args, got, c.code, c.out, c.err)
		}
	}
}

func begins(text, with string) bool {
	if with == "" {
		return text == ""
	}
	return strings.HasPrefix(text, with)
}

func TestJSONIsWhatAProgramReads(t *testing.T) {
	dir := files(t, policies)
	for _, c := range []struct {
		args string
		code int
		has  string // a member and its value, as JSON has them without white space
	}{
		{"version --json", 0, `"version":"`},
		{"codes --json", 0, `"code":"E0000001","status":400,"class":"client-error"`},
		{"codes --json --class pending", 0, `"rule":{"action":"poll"`},
		{"explain E0000109 --json --method POST", 0, `"request":"POST/api/v1/users"`},
		{"policy check --json bad.yaml", 1, `"file":"bad.yaml","line":2,"column":16,"severity":"error","path":"serverError.maxAttempts"`},
		{"policy check --json good.yaml", 0, `[]`},
		{"policy print --json good.yaml", 0, `"maxAttempts":6`},
		{"policy diff --json good.yaml", 1, `{"path":"serverError.maxAttempts","from":4,"to":6}`},
		{"policy diff --json good.yaml same.json", 0, `[]`},
	} {
		t.Run(c.args, func(t *testing.T) {
			got := runIn(t, dir, strings.Fields(c.args)...)
			var v any
			if err := json.Unmarshal([]byte(got.out), &v); err != nil {
				t.Fatalf("%v in %s", err, got.out)
			}
			text := strings.Join(strings.Fields(got.out), "")
			if got.code != c.code || got.err != "" || !strings.Contains(text, c.has) {
				t.Errorf("exit code %d, %s%s\nwant %d and %s", got.code, got.err, got.out, c.code, c.has)
			}
		})
	}
}

func TestWhatIsPrintedAsJSONIsAPolicyFile(t *testing.T) {
	dir := files(t, policies)
	printed := runIn(t, dir, "policy", "print", "--json", "good.yaml")
	if err := os.WriteFile(filepath.Join(dir, "printed.json"), []byte(printed.out), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := runIn(t, dir, "policy", "diff", "good.yaml", "printed.json"); got.code != 0 || got.out != "" {
		t.Errorf("it differs from the file that it was printed from: %+v", got)
	}
}

func TestOutputHasNoColoursWhereItIsNoTerminal(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"explain", "E0000047"}, {"policy", "diff", "good.yaml"}} {
		if got := process(t, files(t, policies), "", args...); strings.Contains(got.out+got.err, "\x1b") {
			t.Errorf("%q has escape sequences: %q", args, got.out)
		}
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	for _, args := range []string{
		"codes", "explain", "policy check", "policy print", "policy diff", "policy schema", "fake", "man", "version",
	} {
		got := runIn(t, t.TempDir(), append(strings.Fields(args), "--help")...)
		if got.code != 0 || !strings.Contains(got.out, "Examples:\n") || !strings.Contains(got.out, "Usage:\n  oktaretry "+args) {
			t.Errorf("%s --help: %+v", args, got)
		}
	}
}

func TestManWritesAPageForEachCommand(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	if got := runIn(t, "", "man", dir); got.code != 0 || got.out != "" {
		t.Fatalf("%+v", got)
	}
	for _, page := range []string{"oktaretry.1", "oktaretry-explain.1", "oktaretry-policy-check.1", "oktaretry-fake.1"} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Contains(text, []byte(`.TH "OKTARETRY`)) {
			t.Errorf("%s is no page: %.200s", page, text)
		}
	}
}

func TestCompletionOffersCodesAndScenarios(t *testing.T) {
	for args, want := range map[string]string{
		"explain E00000":      "E0000047\tToo many requests exception",
		"fake --scenario out": "outage",
		"codes --class ser":   "server-error",
		"poli":                "policy\t",
	} {
		if got := runIn(t, "", append([]string{"__complete"}, strings.Fields(args)...)...); got.code != 0 || !strings.Contains(got.out, want) {
			t.Errorf("completing %q: %+v, want %q", args, got, want)
		}
	}
}
