package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const small = `
openapi: 3.0.3
paths:
  /things/{id}:
    get:
      parameters:
      - {in: query, name: limit, schema: {type: integer, default: 20, maximum: 50}}
      responses:
        "404": {description: none}
        "200": {content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}}
    delete:
      responses: {"204": {description: gone}}
  /logo:
    post:
      requestBody: {required: true, content: {multipart/form-data: {schema: {type: object}}}}
      responses:
        "201": {description: made}
        "200": {content: {application/json: {schema: {$ref: '#/components/schemas/Missing'}}}}
  /later: {}
components:
  schemas:
    Base:
      type: object
      required: [name]
      properties:
        id: {type: string, readOnly: true}
        name: {type: string}
        kind: {$ref: '#/components/schemas/Kind'}
      discriminator: {propertyName: kind, mapping: {A: '#/components/schemas/Thing'}}
    Kind: {type: string, enum: [A, B]}
    Thing:
      allOf:
      - $ref: '#/components/schemas/Base'
      - type: object
        required: [parts]
        properties:
          parts: {type: array, items: {$ref: '#/components/schemas/Thing'}}
          secret: {type: string, writeOnly: true}
    Base: &twice
      type: object
      required: [name]
      properties:
        id: {type: string, readOnly: true}
        name: {type: string, x-okta-known-values: [first, second]}
        kind: {allOf: [{$ref: '#/components/schemas/Kind'}], readOnly: true}
`

func TestTable(t *testing.T) {
	doc, err := parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	b := newBuilder()
	if err := b.add(doc); err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(b.table)
	for _, part := range []string{
		`{"m":"GET","p":"/things/{id}","s":200,"q":-1,"r":0,"a":true,"l":20,"x":50}`,
		`{"m":"DELETE","p":"/things/{id}","s":204,"q":-1,"r":-1}`,
		`{"m":"POST","p":"/logo","s":200,"q":-2,"r":5,"b":true}`,
		`{"n":"Thing","k":"object","p":[{"n":"id","t":1,"g":2},{"n":"name","t":2,"g":1},{"n":"kind","t":3,"g":2},{"n":"parts","t":4,"g":1},{"n":"secret","t":1,"g":4}]}`,
		`{"k":"string","s":"first"}`,
		`{"n":"Kind","k":"string","e":["A","B"]}`,
		`{"k":"array","i":0}`,
		`{"n":"Missing","k":"any"}`,
	} {
		if !strings.Contains(string(got), part) {
			t.Errorf("no %s in %s", part, got)
		}
	}
	if n := len(b.table.Operations); n != 3 {
		t.Errorf("%d operations, want 3", n)
	}
}

func TestCorrectionsMustChangeSomething(t *testing.T) {
	all := []*operated{}
	for _, c := range corrections {
		all = append(all, &operated{Method: c.method, Path: c.path, Status: 299})
	}
	if err := correct(all); err != nil {
		t.Error(err)
	}
	if err := correct(all); err == nil {
		t.Error("corrections of what is right already are accepted")
	}
}

func TestCompareReadsWhatPackWrites(t *testing.T) {
	file := filepath.Join(t.TempDir(), "api.json.gz")
	packed, err := pack([]byte("text"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, packed, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := compare(file, []byte("text")); err != nil {
		t.Error(err)
	}
	if err := compare(file, []byte("other")); err == nil {
		t.Error("another text is up to date")
	}
}
