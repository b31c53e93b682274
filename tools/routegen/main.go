// Command routegen writes the table of package route: the path templates of Okta's API, each with its rate-limit bucket
// and its marks.
//
//	go -C tools run ./routegen -o ../internal/route/table.go          writes the table
//	go -C tools run ./routegen -o ../internal/route/table.go -check   exits 1 if the table is not up to date
//
// It must run in the tools module, whose go.mod pins the version of Okta's OpenAPI description. Its output depends on that
// description, on the lists under paths and on rules.go, and on nothing else.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"

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
		fmt.Fprintln(os.Stderr, "routegen:", err)
		os.Exit(1)
	}
}

func run(file string, check bool) error {
	table, err := generate()
	if err != nil {
		return err
	}
	if check {
		return compare(file, table)
	}
	return os.WriteFile(file, table, 0o644)
}

// compare returns an error unless the file holds the table.
func compare(file string, table []byte) error {
	current, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Equal(current, table) {
		return fmt.Errorf("%s is not up to date: run go generate in internal/route", file)
	}
	return nil
}

// generate returns the Go source of the table.
func generate() ([]byte, error) {
	management, err := description.Management()
	if err != nil {
		return nil, err
	}
	described, err := parsePaths(management)
	if err != nil {
		return nil, err
	}
	listed, err := listedPaths(pathLists)
	if err != nil {
		return nil, err
	}
	trie, err := newTrie(slices.Concat(described, listed), rules{bucketRules, tokenEndpoints, factorEndpoints, loginEndpoints})
	if err != nil {
		return nil, err
	}
	return emit(trie.automaton(), burstBuckets)
}
