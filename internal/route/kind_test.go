// This file tests what tells the requests of one bucket apart.

package route

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestKindIsMethodTemplateAndNamesOfQueryKeys(t *testing.T) {
	same := KindID("GET", "/api/v1/users", "limit=5&search=x")
	for _, query := range []string{"search=y&limit=5", "limit&search", "limit=1&limit=2&search=", "&limit=5&&search=x&", "%73earch=x&limit=5"} {
		if KindID("GET", "/api/v1/users", query) != same {
			t.Errorf("%q is another kind, want the same", query)
		}
	}
	for _, other := range [][3]string{
		{"PUT", "/api/v1/users", "limit=5&search=x"}, {"GET", "/api/v1/groups", "limit=5&search=x"},
		{"GET", "/api/v1/users", "limit=5"}, {"GET", "/api/v1/users", "search=x"}, {"GET", "/api/v1/users", ""},
		{"GET", "/api/v1/users", "limit=5&search=x&q"}, {"GET", "/api/v1/users", "limitsearch"}, {"GET", "/api/v1/users", "limit%26search"},
	} {
		if KindID(other[0], other[1], other[2]) == same {
			t.Errorf("%v is the same kind, want another", other)
		}
	}
}

func TestKindNameShowsOnlyOktasQueryKeys(t *testing.T) {
	for query, want := range map[string]string{
		"":                              "GET /api/v1/users",
		"search=jane&limit=200&after=x": "GET /api/v1/users?after&limit&search",
		"jane@example.com&ssn=1&q=jane": "GET /api/v1/users?q&_OTHER",
		"jane@example.com":              "GET /api/v1/users?_OTHER",
		"%zz=1":                         "GET /api/v1/users?_OTHER",
		"Search=x":                      "GET /api/v1/users?_OTHER",
	} {
		if got := KindName("GET", "/api/v1/users", query); got != want {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
	for _, key := range documentedKeys {
		if got := KindName("GET", "/", key+"=1"); got != "GET /?"+key {
			t.Errorf("%s is shown as %q", key, got)
		}
	}
}

func TestKindOfALongQueryIsBounded(t *testing.T) {
	var many strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&many, "key%05d=x&", i)
	}
	first := KindID("GET", "/", many.String()[:maxKeys*len("key00000=x&")])
	if KindID("GET", "/", many.String()) != first {
		t.Errorf("more than %d keys count", maxKeys)
	}
	long := strings.Repeat("a", maxKeyLength)
	if KindID("GET", "/", long) != KindID("GET", "/", long+"b=1") {
		t.Errorf("more than %d bytes of a key count", maxKeyLength)
	}
}

func TestKindIDAllocatesNothing(t *testing.T) {
	query := url.Values{"search": {"x"}, "limit": {"5"}, "after": {"y"}}.Encode()
	if n := testing.AllocsPerRun(100, func() { KindID("GET", "/api/v1/users", query) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestURLIDIsOfPathAndQuery(t *testing.T) {
	id := func(text string) uint64 {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return URLID(u)
	}
	first := id("https://a/api/v1/users?search=x")
	for _, same := range []string{"https://b/api/v1/users?search=x", "/api/v1/users?search=x", "https://a/api/v1/users?search=x#there"} {
		if id(same) != first {
			t.Errorf("%s has another ID", same)
		}
	}
	for _, other := range []string{"https://a/api/v1/users?search=y", "https://a/api/v1/users", "https://a/api/v1/users%3Fsearch=x/", "https://a/api/v1/user?search=x"} {
		if id(other) == first {
			t.Errorf("%s has the same ID", other)
		}
	}
}
