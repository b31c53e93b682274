// This file tests the text form, where the values of the other packages do not show it.

package show

import "testing"

// A name that the user's function gave can hold anything: each value stays on its line.
func TestLineQuotesWhatWouldBreakIt(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "name=plain", "two words": `name="two words"`, "a\nb": `name="a\nb"`, "a\tb": `name="a\tb"`,
		"/api/v1/users (limit 50)": `name="/api/v1/users (limit 50)"`, "a=b": `name="a=b"`, "\x1b[1m": `name="\x1b[1m"`,
	} {
		var a Attrs
		a.Text("name", text)
		if got := a.Line(); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
