package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCheckFindsWhatOnePlatformLacks fails when what compiles on one platform
// only, or in a test only, is not found.
func TestCheckFindsWhatOnePlatformLacks(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example.com/m\n\ngo 1.26.0\n",
		"m.go":          "package m\n\nvar stop = pause\n",
		"m_linux.go":    "package m\n\nvar pause = 1\n",
		"large_test.go": "package m\n\nvar large int = 1 << 40\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOWORK", "off")
	for platform, fails := range map[string]bool{"linux/amd64": false, "windows/386": true} {
		n, wrong, err := check(platform, []string{"./..."})
		if err != nil || n == 0 || (wrong > 1) != fails {
			t.Errorf("%s: %d packages, %d errors, %v", platform, n, wrong, err)
		}
	}
	if _, _, err := check("windows", []string{"./..."}); err == nil {
		t.Error("a platform without an architecture is taken")
	}
}
