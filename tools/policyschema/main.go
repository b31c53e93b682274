// Command policyschema writes policyfile/policy.schema.json, the JSON Schema of policy files: from the types of package
// oktaretry, their comments, the catalogue of codes, and what ParsePolicy accepts.
//
//	go -C tools run ./policyschema > policyfile/policy.schema.json
//
// Its test fails where the file is stale.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/words"
)

func main() {
	dir := flag.String("root", "..", "the `directory` of the root module")
	flag.Parse()
	text, err := schema(*dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "policyschema:", err)
		os.Exit(1)
	}
	os.Stdout.Write(text)
}

// id is where the schema can be had.
const id = "https://raw.githubusercontent.com/oktaretry/oktaretry/main/policyfile/policy.schema.json"

// schema returns the text of the schema; dir holds the root package's sources.
func schema(dir string) ([]byte, error) {
	g, err := newGenerator(dir)
	if err != nil {
		return nil, err
	}
	root := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", id},
		{"title", "oktaretry policy"},
		{"description", "What oktaretry does after each class and code of answer. What a file leaves out is as in the default policy."},
	}
	root = append(root, g.structure(reflect.TypeFor[oktaretry.Policy](), nil)...)
	root = append(root, member{"$defs", object{
		{"rule", g.structure(reflect.TypeFor[oktaretry.Rule](), []string{"serverError"})},
		{"duration", object{
			{"type", "string"}, {"pattern", durationPattern},
			{"examples", []string{"500ms", "30s", "1m30s"}},
		}},
	}})
	if g.err != nil {
		return nil, g.err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(root)
	return b.Bytes(), err
}

// durationPattern is what time.ParseDuration accepts, without a minus sign.
const durationPattern = `^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`

// codes is the schema of Policy.Codes: the catalogue's codes by name, so that editors offer them, and the forms of others.
func (g *generator) codes() object {
	properties := object{}
	for info := range oktaretry.Codes() {
		properties = append(properties, member{info.Code, object{
			{"title", info.Name}, {"description", describe(info)}, {"$ref", "#/$defs/rule"},
		}})
	}
	return object{
		{"type", "object"},
		{"properties", properties},
		{"patternProperties", object{
			{"^[45][0-9][0-9]$", object{{"title", "answers of this status without a code"}, {"$ref", "#/$defs/rule"}}},
			{"^E[0-9]{7}$", object{{"$ref", "#/$defs/rule"}}},
			{"^[a-z_]{1,64}$", object{{"$ref", "#/$defs/rule"}}},
		}},
		{"propertyNames", object{{"not", object{{"enum", classNames()}}}}},
		{"additionalProperties", false},
	}
}

// classNames are names of classes that have the form of OAuth's errors.
func classNames() (names []string) {
	for class := oktaretry.ClassSuccess; class <= oktaretry.ClassNetwork; class++ {
		names = append(names, class.String())
	}
	return names
}

// describe says of a code what its class is, what happens by default, and what to do.
func describe(info oktaretry.CodeInfo) string {
	text := fmt.Sprintf("%s. Default: %s.", info.Class, plain(words.Does(info)))
	if info.Status != 0 {
		text = fmt.Sprintf("%d, %s", info.Status, text)
	}
	if info.Advice != "" {
		text += " " + info.Advice + "."
	}
	return text
}
