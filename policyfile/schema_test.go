// This file tests that the schema and Parse agree, and the examples by both.

package policyfile_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/policyfile"
)

func compiled(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(policyfile.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	must(t, c.AddResource("policy.schema.json", doc))
	s, err := c.Compile("policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// instance is text, which is YAML or JSON, as the validator takes it.
func instance(t *testing.T, text string) any {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaAgreesWithParse(t *testing.T) {
	s := compiled(t)
	for text, want := range map[string]bool{
		`{}`: true,
		`{"$schema": "https://example.com", "pollFactors": true}`:                            true,
		`{"serverError": {"maxAttempts": 6, "maxElapsed": "1m30s"}}`:                         true,
		`{"serverError": {"maxElapsed": ".5h", "initialWait": "500µs", "minWait": "0"}}`:     true,
		`{"codes": {"E0000112": {"action": "backoff"}, "408": {"trips": "endpoint"}}}`:       true,
		`{"codes": {"E9999999": {"jitter": 1}, "made_up": {}, "server_error": {}}}`:          true,
		`{"pace": {"bucketRates": {"GET /api/v1/users": 0.1}, "refusalsOnlyBuckets": []}}`:   true,
		`{"breaker": {"failureRatio": 1, "probes": 2}, "budget": {"ratio": 0, "ttl": "1s"}}`: true,
		`{"retryBodies": 0, "maxCapture": 1e6}`:                                              false, // Go reads no 1e6 as a whole number
		`{"serverErorr": {}}`:                                                                false,
		`{"ServerError": {}}`:                                                                false,
		`{"serverError": {"maxAttempts": -1}}`:                                               false,
		`{"serverError": {"maxAttempts": 1.5}}`:                                              false,
		`{"serverError": {"maxAttempts": "6"}}`:                                              false,
		`{"serverError": {"maxElapsed": 30}}`:                                                false,
		`{"serverError": {"maxElapsed": "30"}}`:                                              false,
		`{"serverError": {"maxElapsed": "soon"}}`:                                            false,
		`{"serverError": {"maxElapsed": "-1s"}}`:                                             false,
		`{"serverError": {"jitter": 1.1}}`:                                                   false,
		`{"serverError": {"multiplier": 0.5}}`:                                               false,
		`{"serverError": {"anyMethod": "yes"}}`:                                              false,
		`{"serverError": {"trips": "Host"}}`:                                                 false,
		`{"serverError": {"action": "retry"}}`:                                               false,
		`{"serverError": null}`:                                                              false,
		`{"serverError": []}`:                                                                false,
		`{"codes": {"E12": {}}}`:                                                             false,
		`{"codes": {"399": {}}}`:                                                             false,
		`{"codes": {"600": {}}}`:                                                             false,
		`{"codes": {"pending": {}}}`:                                                         false,
		`{"codes": {"E0000112": {"maxwait": "3s"}}}`:                                         false,
		`{"pace": {"maxUtilization": 70}}`:                                                   false,
		`{"pace": {"bucketRates": {"GET /api/v1/users": 0}}}`:                                false,
		`{"pace": {"bucketRates": {"": 1}}}`:                                                 false,
		`{"pace": {"refusalsOnlyBuckets": [""]}}`:                                            false,
		`{"pace": {"refusalsOnlyBuckets": [3]}}`:                                             false,
		`{"breaker": {"failureRatio": 0}}`:                                                   false,
		`{"breaker": {"minCalls": 0}}`:                                                       false,
		`{"breaker": {"probes": 0}}`:                                                         false,
		`{"budget": {"reserve": -0.1}}`:                                                      false,
		`{"attemptTimeout": null}`:                                                           false,
		`[]`:                                                                                 false,
	} {
		if _, err := policyfile.Parse("p", []byte(text)); (err == nil) != want {
			t.Errorf("%s: Parse says %v, want it to accept it: %t", text, err, want)
		}
		if err := s.Validate(instance(t, text)); (err == nil) != want && !strings.Contains(text, "1e6") {
			t.Errorf("%s: the schema says %v, want it to accept it: %t", text, err, want)
		}
	}
}

// A member that the types have, and the schema lacks, fails here: objects are closed.
func TestSchemaAcceptsWhatAPolicyIsWrittenAs(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	p.Pace.BucketRates = map[string]float64{"GET /api/v1/users": 5}
	p.Pace.RefusalsOnlyBuckets = []string{"GET /api/v1/groups"}
	for info := range oktaretry.Codes() {
		p.Codes[info.Code] = info.Rule
	}
	if err := compiled(t).Validate(instance(t, asJSON(t, p))); err != nil {
		t.Error(err)
	}
}

// And one that the schema has, and the types lack, fails here.
func TestSchemaHasTheMembersOfTheTypes(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	p.Pace.BucketRates = map[string]float64{"x": 5}
	p.Pace.RefusalsOnlyBuckets = []string{"x"}
	var written map[string]map[string]any
	text := asJSON(t, p)
	json.Unmarshal([]byte(text), &written) // numbers and such are no objects: left out
	var schema struct {
		Properties map[string]struct {
			Properties map[string]struct{ Description string } `json:"properties"`
		} `json:"properties"`
		Defs struct {
			Rule struct {
				Properties map[string]struct{ Description string } `json:"properties"`
			} `json:"rule"`
		} `json:"$defs"`
	}
	must(t, json.Unmarshal(policyfile.Schema(), &schema))
	has := func(object string, described map[string]struct{ Description string }, members map[string]any) {
		if len(described) != len(members) {
			t.Errorf("%s: the schema has %d members, the types %d", object, len(described), len(members))
		}
		for name, d := range described {
			if _, ok := members[name]; !ok || len(d.Description) < 20 {
				t.Errorf("%s.%s: not a member of the types, or without a description", object, name)
			}
		}
	}
	has("rule", schema.Defs.Rule.Properties, written["serverError"])
	for _, object := range []string{"pace", "breaker", "budget"} {
		has(object, schema.Properties[object].Properties, written[object])
	}
}

func TestExamplesAreGood(t *testing.T) {
	paths, err := filepath.Glob("../examples/policies/*.yaml")
	if err != nil || len(paths) < 3 {
		t.Fatalf("%d examples, %v", len(paths), err)
	}
	s := compiled(t)
	const first = "# yaml-language-server: $schema=https://raw.githubusercontent.com/oktaretry/oktaretry/main/policyfile/policy.schema.json\n"
	for _, path := range paths {
		text, err := os.ReadFile(path)
		must(t, err)
		if p, err := policyfile.Read(path); err != nil || asJSON(t, p) == asJSON(t, oktaretry.DefaultPolicy()) {
			t.Errorf("%s: %v, or it changes nothing", path, err)
		}
		if w := policyfile.Warnings(path, text); w != nil {
			t.Error(w)
		}
		if err := s.Validate(instance(t, string(text))); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if !strings.HasPrefix(string(text), first) {
			t.Errorf("%s does not name its schema in the first line", path)
		}
	}
}
