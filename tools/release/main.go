// Command release prepares and tags releases of all modules of this repository: they have one version, and are tagged
// together, each after those that it requires.
//
//	go -C tools run ./release -check          checks that everything names the version in oktaretry.Version
//	go -C tools run ./release -begin v0.2.0   begins it: Version, what go.mod files require, a CHANGELOG entry; commit that
//	go -C tools run ./release -tag            dates the CHANGELOG's entry, commits that, and tags it for each module
//
// It pushes nothing: at the end it prints the command that does.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	dir := flag.String("root", "..", "the `directory` of the root module")
	check := flag.Bool("check", false, "check that everything names one version")
	begin := flag.String("begin", "", "begin a `version`")
	tag := flag.Bool("tag", false, "commit and tag the version that was begun")
	flag.Parse()
	if err := run(*dir, *check, *begin, *tag); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(dir string, check bool, begin string, tag bool) error {
	r, err := open(dir)
	if err != nil {
		return err
	}
	switch {
	case begin != "":
		return r.begin(begin)
	case tag:
		tags, err := r.tag(time.Now())
		if err != nil {
			return err
		}
		fmt.Println("git push --atomic origin HEAD " + strings.Join(tags, " "))
		return nil
	case check:
		return r.check()
	}
	flag.Usage()
	os.Exit(2)
	return nil
}
