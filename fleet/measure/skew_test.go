package measure

// This file builds workers whose clock can be set: their time.Now is off by as
// many seconds as the environment says. Nothing else lets one process of a
// machine have another time than its neighbour.

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const skewKey = "OKTARETRY_MEASURE_SKEW"

// skewable builds this test's binary with a package time of its own.
func skewable(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("no go command: ", err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Skip("the sources of the standard library are not installed: ", err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	changed := strings.Replace(string(text), now, now+"\tsec += skewed\n", 1) + `
var skewed = func() (n int64) {
	text, _ := syscall.Getenv("` + skewKey + `")
	sign := int64(1)
	for _, c := range text {
		if c == '-' {
			sign = -1
		} else {
			n = 10*n + int64(c-'0')
		}
	}
	return sign * n
}()
`
	changed = strings.Replace(changed, "import (", "import (\n\t\"syscall\"", 1)
	if strings.Count(changed, "sec += skewed") != 1 {
		t.Skip("time.Now looks different in " + runtime.Version())
	}
	dir := t.TempDir()
	replaced := filepath.Join(dir, "time.go")
	overlay, _ := json.Marshal(map[string]map[string]string{"Replace": {source: replaced}})
	binary := filepath.Join(dir, "worker")
	for path, content := range map[string][]byte{replaced: []byte(changed), filepath.Join(dir, "overlay.json"): overlay} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("go", "test", "-c", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}
