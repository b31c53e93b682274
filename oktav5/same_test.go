package oktav5_test

import (
	"os"
	"strings"
	"testing"
)

// TestFilesAreThoseOfOktav6: the two SDKs lose the same things in the same way, and
// each module stands alone. So what they have in common is written twice, and alike.
func TestFilesAreThoseOfOktav6(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"follow.go", "pages.go", "outcome.go", "follow_internal_test.go", "pages_test.go", "outcome_test.go",
	} {
		theirs, err := os.ReadFile("../oktav6/" + name)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.NewReplacer("oktav6", "oktav5", "golang/v6", "golang/v5").Replace(string(theirs))
		if string(ours) != want {
			t.Errorf("%s differs from ../oktav6/%s in more than the version", name, name)
		}
	}
}
