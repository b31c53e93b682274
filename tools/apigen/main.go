// Command apigen writes the operations of Okta's API, with the types of their requests and answers, as oktatest reads them.
//
//	go -C tools run ./apigen -o ../oktatest/internal/openapi/api.json.gz          writes the file
//	go -C tools run ./apigen -o ../oktatest/internal/openapi/api.json.gz -check   exits 1 if the file is not up to date
//
// It must run in the tools module, whose go.mod pins the versions of Okta's OpenAPI descriptions. Its output depends on them
// and on corrections.go, and on nothing else.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/oktaretry/oktaretry/tools/internal/description"
)

func main() {
	out := flag.String("o", "", "the `file` to write, or to compare with")
	check := flag.Bool("check", false, "write nothing; exit 1 if the file differs from what would be written")
	flag.Parse()
	if *out == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*out, *check); err != nil {
		fmt.Fprintln(os.Stderr, "apigen:", err)
		os.Exit(1)
	}
}

func run(file string, check bool) error {
	text, err := generate()
	if err != nil {
		return err
	}
	if check {
		return compare(file, text)
	}
	packed, err := pack(text)
	if err != nil {
		return err
	}
	return os.WriteFile(file, packed, 0o644)
}

// generate returns the table as JSON.
func generate() ([]byte, error) {
	b := newBuilder()
	for _, read := range []func() ([]byte, error){description.Management, description.Governance} {
		text, err := read()
		if err != nil {
			return nil, err
		}
		doc, err := parse(text)
		if err != nil {
			return nil, err
		}
		if err := b.add(doc); err != nil {
			return nil, err
		}
	}
	if err := correct(b.table.Operations); err != nil {
		return nil, err
	}
	return json.Marshal(b.table)
}

func pack(text []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// compare returns an error unless the file holds the table, however it is compressed: that differs between versions of Go.
func compare(file string, text []byte) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	current, err := io.ReadAll(z)
	if err != nil {
		return err
	}
	if !bytes.Equal(current, text) {
		return fmt.Errorf("%s is not up to date: run go generate in oktatest/internal/openapi", file)
	}
	return nil
}
