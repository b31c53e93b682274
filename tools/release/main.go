// Command release prepares and tags releases of all modules of this repository: they have one version, and are tagged
// together, each after those that it requires.
//
//	go -C tools run ./release -check          checks that everything names the version in oktaretry.Version
//	go -C tools run ./release -begin v0.2.0   begins it: Version, what go.mod files require, images' tags, a CHANGELOG entry
//	go -C tools run ./release -tag            dates the CHANGELOG's entry, commits that, and tags it for each module
//
// It pushes nothing: at the end it prints the command that does, and the one that undoes it all.
//
// The tags of commands are on a commit of their own, in which go.mod has no replace directive: go install path@version
// refuses those. The commit after it has them again.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
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
	if err := run(os.Stdout, *dir, *check, *begin, *tag); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run takes one step, and prints what comes next.
func run(w io.Writer, dir string, check bool, begin string, tag bool) error {
	r, err := open(dir)
	if err != nil {
		return err
	}
	switch {
	case begin != "" && !tag && !check:
		if err := r.begin(begin); err != nil {
			return err
		}
		fmt.Fprintf(w, "Everything names %s. Commit that, list what changes in %s, and release it with -tag.\n", begin, changelogFile)
		return nil
	case tag && begin == "" && !check:
		branch, tags, err := r.tag(time.Now())
		if err != nil {
			return err
		}
		all := strings.Join(tags, " ")
		fmt.Fprintf(w, "%s is tagged. Look at the tags with git tag -n, and push them:\n\ngit push --atomic origin %s %s\n\n"+
			"Or take them back:\n\ngit reset --hard %s~ && git tag -d %s\n", r.version, branch, all, r.version, all)
		return nil
	case check && begin == "" && !tag:
		if err := r.check(); err != nil {
			return err
		}
		fmt.Fprintf(w, "%d modules name %s (%s in %s). -tag makes the tags %s\n",
			len(r.modules), r.version, r.entryDate, changelogFile, strings.Join(r.tags(r.modules, r.version), " "))
		return nil
	}
	return errors.New("give one of -check, -begin and -tag; -help describes them")
}
