// This file tests what is rewritten, what is not, and that the borders of reads make no
// difference.

package rewrite

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

const org, short, long = "https://acme.okta.com", "http://127.0.0.1:80", "http://oktaretry.tools.example:8080"

func rewritten(t testing.TB, l Links, src io.Reader) string {
	t.Helper()
	got, err := io.ReadAll(l.Body(io.NopCloser(src)))
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestHrefsPointToTheOtherOrigin(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"a link", `{"_links":{"next":{"href":"https://acme.okta.com/api/v1/x"}}}`, `{"_links":{"next":{"href":"TO/api/v1/x"}}}`},
		{"several", `[{"href":"https://acme.okta.com/1"},{"href":"https://acme.okta.com/2"}]`, `[{"href":"TO/1"},{"href":"TO/2"}]`},
		{"white space", "{\"href\" \n:\t \"https://acme.okta.com/\"}", "{\"href\" \n:\t \"TO/\"}"},
		{"escaped slashes", `{"href":"https:\/\/acme.okta.com\/api"}`, `{"href":"TO\/api"}`},
		{"one escaped slash", `{"href":"https:/\/acme.okta.com/api"}`, `{"href":"TO/api"}`},
		{"escaped characters", `{"href":"https\u003A\u002f\u002Facme.okta.com/api"}`, `{"href":"TO/api"}`},
		{"capitals", `{"href":"HTTPS://Acme.Okta.com/api"}`, `{"href":"TO/api"}`},
		{"the origin alone", `{"href":"https://acme.okta.com"}`, `{"href":"TO"}`},
		{"a query", `{"href":"https://acme.okta.com?x=https://acme.okta.com/"}`, `{"href":"TO?x=https://acme.okta.com/"}`},
		{"a template", `{"href":"https://acme.okta.com/{id}"}`, `{"href":"TO/{id}"}`},

		{"a longer host", `{"href":"https://acme.okta.com.evil.example/"}`, ""},
		{"a port", `{"href":"https://acme.okta.com:8443/"}`, ""},
		{"a user", `{"href":"https://acme.okta.com@evil.example/"}`, ""},
		{"another org", `{"href":"https://acme2.okta.com/"}`, ""},
		{"another scheme", `{"href":"http://acme.okta.com/"}`, ""},
		{"an issuer", `{"issuer":"https://acme.okta.com/oauth2/default"}`, ""},
		{"a value of that name", `{"rel":"href","url":"https://acme.okta.com/"}`, ""},
		{"text within a string", `{"note":"\"href\":\"https://acme.okta.com/\""}`, ""},
		{"a name that ends so", `{"x\"href":"https://acme.okta.com/"}`, ""},
		{"a string that ends in a backslash", `{"note":"\\","href":"x"}`, ""},
		{"not at the beginning", `{"href":"x https://acme.okta.com/"}`, ""},
		{"no string", `{"href":null,"href":{"https://acme.okta.com/":1}}`, ""},
		{"cut off", `{"href":"https://acme.okta.com`, ""},
		{"cut off earlier", `{"href" :`, ""},
		{"nothing", ``, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, to := range []string{short, long} {
				l := New(org, to)
				want := strings.ReplaceAll(tt.want, "TO", to)
				if tt.want == "" {
					want = tt.in
				}
				for size := 1; size <= len(tt.in)+1; size++ {
					got := rewritten(t, l, &inPieces{tt.in, size})
					if !equalJSON(got, want) {
						t.Fatalf("in pieces of %d, to %s:\n got %s\nwant %s", size, to, got, want)
					}
					if l.KeepsLength() && len(got) != len(tt.in) {
						t.Fatalf("in pieces of %d: %d bytes, were %d", size, len(got), len(tt.in))
					}
				}
			}
		})
	}
}

// inPieces is a text of which each Read has so many bytes.
type inPieces struct {
	text string
	size int
}

func (r *inPieces) Read(p []byte) (int, error) {
	if r.text == "" {
		return 0, io.EOF
	}
	n := copy(p, r.text[:min(r.size, len(r.text))])
	r.text = r.text[n:]
	return n, nil
}

// equalJSON compares documents that may differ in white space; what is no document must
// be the same.
func equalJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	return reflect.DeepEqual(x, y)
}

func TestALongBodyIsRewrittenInPartsAsItComes(t *testing.T) {
	var in, want strings.Builder
	for range 20_000 {
		in.WriteString(`{"id":"00u","_links":{"self":{"href":"https://acme.okta.com/api/v1/users/00u"}}}` + "\n")
		want.WriteString(`{"id":"00u","_links":{"self":{"href":"` + long + `/api/v1/users/00u"}}}` + "\n")
	}
	if got := rewritten(t, New(org, long), iotest.DataErrReader(strings.NewReader(in.String()))); got != want.String() {
		t.Errorf("%d bytes, want %d", len(got), want.Len())
	}
}

func TestABodyIsNotHeldBack(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	body := New(org, short).Body(r)
	go io.WriteString(w, `{"first":1,"hre`)
	got := make([]byte, 100)
	n, err := body.Read(got)
	if string(got[:n]) != `{"first":1,` || err != nil {
		t.Errorf("read %q, %v", got[:n], err)
	}
}

func TestAnErrorComesAfterAllThatWasRead(t *testing.T) {
	broken := errors.New("broken")
	src := io.MultiReader(strings.NewReader(`{"href":"https://acme.okta`), iotest.ErrReader(broken))
	got, err := io.ReadAll(New(org, short).Body(io.NopCloser(src)))
	if string(got) != `{"href":"https://acme.okta` || !errors.Is(err, broken) {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestHeadersPointToTheOtherOrigin(t *testing.T) {
	l := New(org, short)
	for in, want := range map[string]string{
		`<https://acme.okta.com/api/v1/users?after=1&limit=2>; rel="next"`:             `<` + short + `/api/v1/users?after=1&limit=2>; rel="next"`,
		`<https://acme.okta.com/a>; rel="self", <https://ACME.okta.com/b>; rel="next"`: `<` + short + `/a>; rel="self", <` + short + `/b>; rel="next"`,
		`<https://acme.okta.com.evil.example/a>; rel="self"`:                           `<https://acme.okta.com.evil.example/a>; rel="self"`,
		`</api/v1/users>; rel="self"; title="https://acme.okta.com/"`:                  `</api/v1/users>; rel="self"; title="https://acme.okta.com/"`,
		`<https://other.okta.com/a>; rel="self"`:                                       `<https://other.okta.com/a>; rel="self"`,
		``:                                                                             ``,
	} {
		if got := l.Header(in); got != want {
			t.Errorf("Link: %s\n got %s\nwant %s", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"https://acme.okta.com/api/v1/x":                  short + "/api/v1/x",
		"https://acme.okta.com":                           short,
		"/api/v1/x":                                       "/api/v1/x",
		"https://app.example/cb?x=https://acme.okta.com/": "https://app.example/cb?x=https://acme.okta.com/",
	} {
		if got := l.URL(in); got != want {
			t.Errorf("Location %s: got %s, want %s", in, got, want)
		}
	}
}

// FuzzBody holds the rewriting of any valid document, in pieces of any size, against a
// parser: what it says afterwards differs in the origin of members "href" only.
func FuzzBody(f *testing.F) {
	f.Add(`{"_links":{"self":{"href":"https://acme.okta.com/"}}}`, uint8(3))
	f.Add(`{"a":"\\","href" : "https:\/\/acme.okta.com"}`, uint8(1))
	f.Add(`["href","https://acme.okta.com/",{"\u0068ref":"https://acme.okta.com/"}]`, uint8(7))
	f.Fuzz(func(t *testing.T, in string, size uint8) {
		for _, to := range []string{short, long} {
			l := New(org, to)
			got := rewritten(t, l, &inPieces{in, 1 + int(size)})
			if whole := rewritten(t, l, strings.NewReader(in)); got != whole {
				t.Fatalf("in pieces %q, as a whole %q", got, whole)
			}
			if l.KeepsLength() && len(got) != len(in) {
				t.Fatalf("%d bytes, were %d", len(got), len(in))
			}
			if !json.Valid([]byte(in)) {
				return
			}
			a, b := tokens(t, in), tokens(t, got)
			if len(a) != len(b) {
				t.Fatalf("other tokens: %q, were %q", b, a)
			}
			for i := range a {
				if a[i] != b[i] && !(i > 0 && a[i-1] == "href" && l.URL(a[i].(string)+"/") == b[i].(string)+"/") {
					t.Fatalf("token %q became %q", a[i], b[i])
				}
			}
		}
	})
}

func tokens(t *testing.T, doc string) (all []any) {
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return all
		}
		all = append(all, token)
	}
}

func BenchmarkBody(b *testing.B) {
	doc := bytes.Repeat([]byte(`{"id":"00u1ab2cd3ef4gh5ij6k7","status":"ACTIVE","profile":{"login":"a@example.com"},"_links":{"self":{"href":"https://acme.okta.com/api/v1/users/00u"}}},`), 700)
	buf := make([]byte, chunk)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		r := New(org, short).Body(io.NopCloser(bytes.NewReader(doc)))
		for {
			if _, err := r.Read(buf); err != nil {
				break
			}
		}
	}
}
