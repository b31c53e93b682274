// This file tests what Parse accepts, and what it reports of the rest.

package policyfile_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/policyfile"
)

// TestParseReadsWhatTheJSONMeans compares each YAML with the JSON that means the same.
func TestParseReadsWhatTheJSONMeans(t *testing.T) {
	for name, c := range map[string]struct{ yaml, json string }{
		"members":            {"serverError:\n  maxAttempts: 6\n  maxElapsed: 1m\n", `{"serverError": {"maxAttempts": 6, "maxElapsed": "1m"}}`},
		"flow style":         {"serverError: {maxAttempts: 6, maxElapsed: 1m}\n", `{"serverError": {"maxAttempts": 6, "maxElapsed": "1m"}}`},
		"one member":         {"pollFactors: true", `{"pollFactors": true}`},
		"nothing":            {"{}\n", `{}`},
		"codes unquoted":     {"codes:\n  408: {action: fail-fast}\n  E0000112: {action: backoff}\n", `{"codes": {"408": {"action": "fail-fast"}, "E0000112": {"action": "backoff"}}}`},
		"codes quoted":       {"codes:\n  \"408\": {action: fail-fast}\n", `{"codes": {"408": {"action": "fail-fast"}}}`},
		"buckets":            {"pace:\n  bucketRates:\n    GET /api/v1/users/{id}: 2.5\n", `{"pace": {"bucketRates": {"GET /api/v1/users/{id}": 2.5}}}`},
		"a list":             {"pace:\n  refusalsOnlyBuckets:\n  - GET /api/v1/users\n  - \"GET /api/v1/groups\"\n", `{"pace": {"refusalsOnlyBuckets": ["GET /api/v1/users", "GET /api/v1/groups"]}}`},
		"numbers":            {"pace: {maxUtilization: .5, maxRate: +5., burst: 1}\nbudget: {ratio: 5e-1}\n", `{"pace": {"maxUtilization": 0.5, "maxRate": 5, "burst": 1}, "budget": {"ratio": 0.5}}`},
		"bools in capitals":  {"pollFactors: True\n", `{"pollFactors": true}`},
		"comments":           {"# why\nserverError: # and why\n  # more\n  jitter: 0 # none\n", `{"serverError": {"jitter": 0}}`},
		"a text in lines":    {"serverError:\n  maxElapsed: >-\n    1m\n", `{"serverError": {"maxElapsed": "1m"}}`},
		"a document start":   {"---\npollFactors: true\n...\n", `{"pollFactors": true}`},
		"a YAML version":     {"%YAML 1.2\n---\npollFactors: true\n", `{"pollFactors": true}`},
		"a byte order mark":  {"\ufeffpollFactors: true\n", `{"pollFactors": true}`},
		"line ends of CRLF":  {"serverError:\r\n  maxElapsed: 1m\r\n  jitter: 0\r\n", `{"serverError": {"maxElapsed": "1m", "jitter": 0}}`},
		"JSON with tabs":     {"{\n\t\"serverError\":{\"maxElapsed\":\"1m\",\n\t\t\"jitter\":0}}", `{"serverError": {"maxElapsed": "1m", "jitter": 0}}`},
		"JSON with escapes":  {`{"serverError":{"maxElapsed":"\u0031m"},"pace":{"bucketRates":{"GET \/api":1}}}`, `{"serverError": {"maxElapsed": "1m"}, "pace": {"bucketRates": {"GET /api": 1}}}`},
		"JSON with a schema": {`{"$schema": "https://example.com/policy.schema.json", "pollFactors": true}`, `{"pollFactors": true}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := policyfile.Parse("policy.yaml", []byte(c.yaml))
			if err != nil {
				t.Fatal(err)
			}
			want, err := oktaretry.ParsePolicy([]byte(c.json))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%s\nwant\n%s", asJSON(t, got), asJSON(t, want))
			}
		})
	}
}

func asJSON(t *testing.T, p oktaretry.Policy) string {
	t.Helper()
	text, err := json.MarshalIndent(p, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestParseReportsEachProblemAtItsPlace has one problem in each line that is marked: "# is 3, want 4".
func TestParseReportsEachProblemAtItsPlace(t *testing.T) {
	const text = `serverErorr: {}              # 1: serverErorr is unknown
ServerError: {}              # 1: ServerError is unknown, want serverError (case counts)
serverError:
  maxAttempts: 1.5           # 16: serverError.maxAttempts is 1.5, want a whole number
  maxElapsed: 30             # 15: serverError.maxElapsed is 30, want a duration such as "30s"
  initialWait: 1:30          # 16: serverError.initialWait is "1:30", want a duration
  jitter: 2                  # 11: serverError.jitter is 2, want 0 to 1
  anyMethod: yes             # 14: serverError.anyMethod is "yes", want true or false
  multiplier: 1_000          # 15: serverError.multiplier is 1_000, which not all readers of YAML take for the same
  trips: Host                # 10: serverError.trips is "Host", want
  maxAttempts: 7             # 3: serverError.maxAttempts is given twice, first in line 4
  minWait:                   # 11: serverError.minWait has no value
network: 3                   # 10: network is 3, want an object
pending:
  action: backoff            # 11: pending.action is backoff
clientError:                 # 1: clientError.maxWait is 30s, less than initialWait 9m0s
  initialWait: 9m
codes:
  E12: {action: poll}        # 3: codes.E12 is no error code or status
  E0000047: {action: retry}  # 22: codes.E0000047.action is "retry", want
  408: {maxwait: 3s}         # 9: codes.408.maxwait is unknown, want maxWait (case counts)
  E0000109: &x {jitter: 0}   # 13: codes.E0000109 has an anchor
  E0000112: *x               # 13: codes.E0000112 is an alias
  E0000113:
    <<: *x                   # 5: codes.E0000113 has a merge key
  E0000114: !!map {}         # 13: codes.E0000114 has a tag
  E0000118: null             # 13: codes.E0000118 has no value
  E0000119: ~                # 13: codes.E0000119 has no value
pace:
  maxUtilization: .inf       # 19: pace.maxUtilization is .inf, which is no number
  maxRate: .NaN              # 12: pace.maxRate is .NaN, which is no number
  maxWait: 2026-11-28        # 12: pace.maxWait is "2026-11-28", want a duration
  bucketRates:
    "GET /api/v1/users": -1  # 26: pace.bucketRates["GET /api/v1/users"] is -1, want more than 0
    GET /api/v1/güte: fast   # 23: pace.bucketRates["GET /api/v1/güte"] is "fast", want a number
  refusalsOnlyBuckets:
  - on                       # fine: a string
  - 3                        # 5: pace.refusalsOnlyBuckets.1 is 3, want a string
breaker: []                  # 10: breaker is an array, want an object
attemptTimeout: -3s          # 17: attemptTimeout is -3s, want 0 or more
maxCapture: 0x100            # 13: maxCapture is 0x100, which not all readers
retryBodies: 010             # 14: retryBodies is 010, which not all readers
pollFactors: "true"          # 14: pollFactors is "true", want true or false
`
	for _, ends := range []string{"\n", "\r\n"} {
		_, err := policyfile.Parse("policy.yaml", []byte("\ufeff"+strings.ReplaceAll(text, "\n", ends)))
		list, ok := errors.AsType[policyfile.Errors](err)
		if !ok {
			t.Fatalf("error %v, want Errors", err)
		}
		byLine := make(map[int][]string)
		for _, e := range list {
			byLine[e.Line] = append(byLine[e.Line], fmt.Sprintf("policy.yaml:%d:%s", e.Line, strings.TrimPrefix(e.Error(), fmt.Sprintf("policy.yaml:%d:", e.Line))))
		}
		for i, line := range strings.Split(text, "\n") {
			_, comment, _ := strings.Cut(line, "# ")
			got := strings.Join(byLine[i+1], "\n")
			if comment == "" || strings.HasPrefix(comment, "fine") {
				if got != "" {
					t.Errorf("line %d, %q, is fine, but: %s", i+1, line, got)
				}
				continue
			}
			if want := fmt.Sprintf("policy.yaml:%d:%s", i+1, comment); !strings.HasPrefix(got, want) {
				t.Errorf("line %d: got\n%s\nwant\n%s", i+1, got, want)
			}
		}
	}
}

func TestParseRefusesWhatIsNoPolicy(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":           {"", "p:1:1: the file is empty"},
		"white space":       {" \n\n", "p:1:1: the file is empty"},
		"comments alone":    {"# nothing\n# yet\n", "p:1:1: the file is empty"},
		"a list":            {"- a\n- b\n", "p:1:1: the file is an array, want an object"},
		"a word":            {"policy\n", `p:1:1: the file is "policy", want an object`},
		"null":              {"null\n", "p:1:1: the file has no value"},
		"two documents":     {"pollFactors: true\n---\npollFactors: false\n", "p:2:1: the file has a second document here"},
		"a tab":             {"serverError:\n\tjitter: 0\n", "p:2:1: the file is no YAML: "},
		"a wrong indent":    {"serverError:\n  jitter: 0\n maxElapsed: 1m\n", "p:3:2: the file is no YAML: "},
		"an open brace":     {"serverError: {jitter: 0\n", "p:1:14: the file is no YAML: "},
		"an open quote":     {"attemptTimeout: \"1m\n", "p:1:17: the file is no YAML: "},
		"no space":          {"serverError:\n  jitter:0\n", `p:2:3: serverError is "jitter:0", want an object`},
		"a template":        {"pollFactors: {{ .Values.poll }}\n", "p:1:1"},
		"UTF-16":            {"\xff\xfea\x00", "p:1:1: the file is UTF-16: save it as UTF-8"},
		"Latin-1":           {"# f\xfcr\n", "p:1:4: the file has a byte 0xfc"},
		"a control byte":    {"attemptTimeout: \x00\n", "p:1:17: the file has a byte 0x00"},
		"too long":          {strings.Repeat("# x\n", 40_000), "p:1:1: the file has more than 131072 bytes"},
		"too many members":  {manyMembers(), "more than 20000 tokens"},
		"too deep":          {strings.Repeat("[", 100_000), "p:1:33: the file is no YAML: nested deeper than 32 levels"},
		"too deep in items": {strings.Repeat("- ", 60_000), "p:1:65: the file is no YAML: nested deeper than 32 levels"},
		"too many keys":     {strings.Repeat("? ", 60_000), "p:1:65: the file is no YAML: nested deeper than 32 levels"},
		"a billion laughs":  {laughs, "p:2:4: "},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := policyfile.Parse("p", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error\n%v\nwant\n%s", err, c.want)
			}
			if !isErrors(err) || !reflect.DeepEqual(p, oktaretry.Policy{}) {
				t.Errorf("want Errors, and the zero Policy with them")
			}
			if one, ok := errors.AsType[*policyfile.Error](err); !ok || one.File != "p" || one.Line < 1 || one.Column < 1 {
				t.Errorf("%+v, want an Error with a place", one)
			}
		})
	}
}

func manyMembers() string {
	var b strings.Builder
	for i := range 8_000 {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	return b.String()
}

const laughs = `
a: &a [_, _, _, _, _, _, _, _, _, _]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]
g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]
h: &h [*g, *g, *g, *g, *g, *g, *g, *g, *g, *g]
i: &i [*h, *h, *h, *h, *h, *h, *h, *h, *h, *h]
`

func TestParseHasRoomForEveryCodeAndMember(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	for info := range oktaretry.Codes() {
		r := info.Rule
		r.MaxElapsed = 0 // some codes ask for a wait of days
		p.Codes[info.Code] = r
	}
	text := asJSON(t, p)
	got, err := policyfile.Parse("policy.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if asJSON(t, got) != text {
		t.Error("the policy that was read differs from the one written")
	}
}

func TestWarningsNameCodesThatTheCatalogueLacks(t *testing.T) {
	text := []byte("codes:\n  E0000112: {action: backoff}\n  E0999999: {action: backoff}\n  \"408\": {action: fail-fast}\n  acess_denied: {action: backoff}\n")
	if _, err := policyfile.Parse("p", text); err != nil {
		t.Fatal(err)
	}
	const want = "p:3:3: codes.E0999999 is a code that the catalogue lacks\np:5:3: codes.acess_denied is a code that the catalogue lacks"
	if got := policyfile.Warnings("p", text).Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if w := policyfile.Warnings("p", []byte("x: 1")); w != nil {
		t.Errorf("of a text that is refused: %v, want none", w)
	}
}

func TestReadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if _, err := policyfile.Read(path); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("without the file: %v", err)
	}
	write(t, path, "pollFactors: maybe\n")
	if _, err := policyfile.Read(path); err == nil || !strings.HasPrefix(err.Error(), path+":1:14: pollFactors is") {
		t.Errorf("of a bad file: %v", err)
	}
	if _, err := policyfile.Read(filepath.Dir(path)); err == nil {
		t.Error("of a directory: no error")
	}
	write(t, path, "pollFactors: true\n")
	if p, err := policyfile.Read(path); err != nil || !p.PollFactors {
		t.Errorf("of a good file: %v, %v", p.PollFactors, err)
	}
}

func TestFromEnvReadsTheFileThatTheEnvironmentNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	t.Setenv(policyfile.EnvVar, "")
	if p, err := policyfile.FromEnv(); err != nil || !reflect.DeepEqual(p, oktaretry.DefaultPolicy()) {
		t.Errorf("without the variable: %v, want the default policy", err)
	}
	t.Setenv(policyfile.EnvVar, path)
	if _, err := policyfile.FromEnv(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), policyfile.EnvVar) {
		t.Errorf("without the file: %v, want an error that names the variable", err)
	}
	write(t, path, "pollFactors: true\n")
	if p, err := policyfile.FromEnv(); err != nil || !p.PollFactors {
		t.Errorf("of a good file: %v, %v", p.PollFactors, err)
	}
}

// FuzzParse: no text makes Parse panic, each problem has a place, and JSON means to Parse
// what it means to ParsePolicy.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"serverError:\n  maxAttempts: 6 # why\n", `{"codes": {"408": {"action": "fail-fast"}}, "pace": {"bucketRates": {"a\u00e9": 1e-1}}}`,
		laughs, "a: |\n  x\n? y\n: - z\n", "---\n...\n%YAML 1.2\n", "\"\\ud83d\\ude00\": [1, +.5, 0x1, ~]", "- - - {a: [b, {c: d}]}", "<<: {a: 1}\n!!str a: &b c\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := policyfile.Parse("p", text)
		if list, ok := errors.AsType[policyfile.Errors](err); err != nil {
			if !ok || len(list) == 0 {
				t.Fatalf("error %v, want Errors", err)
			}
			for _, e := range list {
				if e.Line < 1 || e.Column < 1 || e.Line > 1+strings.Count(string(text), "\n")+strings.Count(string(text), "\r") || e.Message == "" {
					t.Errorf("%+v is nowhere in the text", e)
				}
			}
		}
		if want, wrong := oktaretry.ParsePolicy(text); wrong == nil && len(text) < 4096 {
			if err != nil || !reflect.DeepEqual(p, want) {
				t.Errorf("JSON %q: error %v, want the policy of ParsePolicy", text, err)
			}
		}
	})
}

func TestMain(m *testing.M) {
	os.Unsetenv(policyfile.EnvVar)
	flag.Set("test.parallel", "8") // more than there are cores, for tests of Watch wait; unless -parallel is given
	os.Exit(m.Run())
}
