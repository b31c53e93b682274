// This file finds the directories whose changes can change what a path leads to.

package policyfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// directories are those whose changes are reported.
type directories struct {
	notices *fsnotify.Watcher
	watched []string
}

// follow watches the directories that path leads through now, and no others. It looks
// again after it has begun to watch one, for what changed before. It fails if the first
// cannot be watched; of the others, some may be closed to the program.
func (d *directories) follow(path string) error {
	const tries = 10 // a path that changes all the time: the recheck must do
	for range tries {
		want := through(path)
		var failed error
		changed := false
		for i, dir := range want {
			if slices.Contains(d.watched, dir) {
				continue
			}
			switch err := d.notices.Add(dir); {
			case err == nil:
				d.watched, changed = append(d.watched, dir), true
			case errors.Is(err, fs.ErrNotExist):
				changed = true // gone since
			case i == 0:
				failed = fmt.Errorf("policyfile: watching %s: %w", dir, err)
			}
		}
		d.forget(want)
		if !changed || failed != nil {
			return failed
		}
	}
	return nil
}

// forget ends the watch of directories that are not wanted, or are gone.
func (d *directories) forget(want []string) {
	alive := d.notices.WatchList()
	d.watched = slices.DeleteFunc(d.watched, func(dir string) bool {
		if slices.Contains(want, dir) && slices.Contains(alive, dir) {
			return false
		}
		d.notices.Remove(dir) // an error means that it is gone
		return true
	})
}

// maxLinks bounds the symbolic links of a path, as Linux does.
const maxLinks = 40

// through returns the directories that decide what path leads to: of the file itself
// and of each symbolic link on the way, with the directory above each, for it may be
// replaced itself. What does not exist is represented by what exists above it. The first
// is that in which changes show most: the file's.
func through(path string) (dirs []string) {
	defer func() { slices.Reverse(dirs) }()
	add := func(dir string) {
		for _, dir := range []string{filepath.Dir(dir), dir} {
			dirs = slices.DeleteFunc(dirs, func(d string) bool { return d == dir })
			dirs = append(dirs, dir)
		}
	}
	at, rest := root(path)
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			add(at)
			return dirs
		case info.Mode()&fs.ModeSymlink != 0:
			add(at)
			target, err := os.Readlink(next)
			if links++; err != nil || links > maxLinks {
				return dirs
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(at, target)
			}
			var names []string
			at, names = root(target)
			rest = append(names, rest[1:]...)
		case len(rest) == 1:
			add(at)
			return dirs
		default:
			at, rest = next, rest[1:]
		}
	}
	return dirs
}

// root splits an absolute path into its root and the names below it.
func root(path string) (string, []string) {
	path = filepath.Clean(path)
	volume := filepath.VolumeName(path)
	names := strings.FieldsFunc(path[len(volume):], func(r rune) bool { return os.IsPathSeparator(uint8(r)) })
	return volume + string(filepath.Separator), names
}
