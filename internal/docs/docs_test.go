// Package docs holds the documents of this repository to what is so: links, anchors,
// the length of the README, and the code in them. It holds tests only. They are in
// this module since go test notices changed files of the tested module only.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

const (
	root        = "../.."
	readmeLines = 170
)

// documents returns the paths of all Markdown files of the repository, from root.
func documents(t *testing.T) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root && d.Name() != ".github" || d.Name() == "testdata"):
			return fs.SkipDir
		case filepath.Ext(path) == ".md":
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) < 10 {
		t.Fatalf("found %d documents only: %v", len(paths), paths)
	}
	return paths
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the bodies of the fenced blocks of a language, and the text without
// any fenced block.
func blocks(text, language string) (bodies []string, rest string) {
	var inside, wanted bool
	var body, outside strings.Builder
	for line := range strings.Lines(text) {
		switch fence, is := strings.CutPrefix(strings.TrimSpace(line), "```"); {
		case is && !inside:
			inside, wanted = true, fence == language
			body.Reset()
		case is:
			if wanted {
				bodies = append(bodies, body.String())
			}
			inside = false
		case inside:
			body.WriteString(line)
		default:
			outside.WriteString(line)
		}
	}
	return bodies, outside.String()
}

func TestReadmeIsRead(t *testing.T) {
	if n := strings.Count(read(t, root+"/README.md"), "\n"); n > readmeLines {
		t.Errorf("README.md has %d lines, want %d at most: what else is to say has a page in docs", n, readmeLines)
	}
}

var (
	codeSpan = regexp.MustCompile("`[^`]*`")
	link     = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	linkText = regexp.MustCompile(`!?\[([^\]]*)\]\([^)]*\)`)
)

// anchors returns those that GitHub gives the headings of a document.
func anchors(text string) (names []string) {
	_, text = blocks(text, "")
	for line := range strings.Lines(text) {
		title, is := strings.CutPrefix(strings.TrimLeft(line, "#"), " ")
		if !is || !strings.HasPrefix(line, "#") {
			continue
		}
		title = strings.ToLower(strings.TrimSpace(linkText.ReplaceAllString(title, "$1")))
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return r
			}
			return -1
		}, title)
		plain := name
		for i := 1; slices.Contains(names, name); i++ {
			name = fmt.Sprintf("%s-%d", plain, i)
		}
		names = append(names, name)
	}
	return names
}

// broken returns the relative links of a document that lead nowhere.
func broken(t *testing.T, path string) (bad []string) {
	_, text := blocks(read(t, path), "")
	for _, found := range link.FindAllStringSubmatch(codeSpan.ReplaceAllString(text, "code"), -1) {
		target := found[1]
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		file, anchor, has := strings.Cut(target, "#")
		to := path
		if file != "" {
			to = filepath.Join(filepath.Dir(path), file)
		}
		if _, err := os.Stat(to); err != nil {
			bad = append(bad, target)
			continue
		}
		if has && !slices.Contains(anchors(read(t, to)), anchor) {
			bad = append(bad, target)
		}
	}
	return bad
}

func TestLinksLeadSomewhere(t *testing.T) {
	for _, path := range documents(t) {
		for _, target := range broken(t, path) {
			t.Errorf("%s: a link to %s, which does not exist", path, target)
		}
	}
}

func TestLinksThatLeadNowhereAreFound(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"other.md": "# A title, with `code`\n\n## Twice\n\n## Twice\n\n```\n# not a heading\n```\n",
		"page.md": "[a](other.md) [b](other.md#a-title-with-code) [c](other.md#twice-1) [d](#here) [e](https://example.com/none)\n\n# Here\n\n" +
			"`[f](code.md)`\n\n```\n[g](fenced.md)\n```\n\n" +
			"[1](missing.md) [2](other.md#twice-2) [3](other.md#not-a-heading) ![4](missing.svg) [5](#there) [`code`](missing.go)\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"missing.md", "other.md#twice-2", "other.md#not-a-heading", "missing.svg", "#there", "missing.go"}
	if got := broken(t, filepath.Join(dir, "page.md")); !slices.Equal(got, want) {
		t.Errorf("broken are %q, want %q", got, want)
	}
}

// unindented returns text without the white space at the beginning of its lines, and
// without empty lines.
func unindented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

func TestCodeOfTheDocumentsCompiles(t *testing.T) {
	compiled := "\n"
	files, err := filepath.Glob(root + "/examples/internal/snippets/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []string{"examples/sdkv6/readme_test.go", "contract/contract_test.go", "oktatest/recipes_test.go", "benchmarks/internal/peers/migrating.go"} {
		files = append(files, filepath.Join(root, run))
	}
	for _, file := range files {
		compiled += unindented(read(t, file))
	}
	paths, err := filepath.Glob(root + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, path := range append(paths, root+"/README.md") {
		code, _ := blocks(read(t, path), "go")
		for _, block := range code {
			checked++
			if !strings.Contains(compiled, "\n"+unindented(block)) {
				t.Errorf("%s: this code stands in none of the files that are compiled, line for line:\n%s", path, block)
			}
		}
	}
	if checked < 10 {
		t.Errorf("found %d blocks of code only", checked)
	}
}

// The files are those that the test of examples/fake runs.
func TestTestingShowsTheFilesOfItsExample(t *testing.T) {
	text := read(t, root+"/docs/testing.md")
	for language, file := range map[string]string{"yaml": "org.yaml", "python": "test_sync.py"} {
		shown, _ := blocks(text, language)
		if len(shown) != 1 || !strings.Contains(unindented(read(t, root+"/examples/fake/"+file)), unindented(shown[0])) {
			t.Errorf("docs/testing.md shows %q, which does not stand in examples/fake/%s", shown, file)
		}
	}
}

// The output is that of TestQuickstart, which compares the same file with what the
// program prints.
func TestReadmeShowsTheOutputOfTheQuickstart(t *testing.T) {
	shown, _ := blocks(read(t, root+"/README.md"), "text")
	if len(shown) != 1 || shown[0] != read(t, root+"/examples/quickstart/testdata/readme.txt") {
		t.Errorf("README.md shows %q, want the text of examples/quickstart/testdata/readme.txt", shown)
	}
}
