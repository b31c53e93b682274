// This file checks Match against a search through all templates, on paths that a fuzzer makes up.

package route_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/oktaretry/oktaretry/internal/route"
)

// FuzzMatch needs templates and marks only: the search is slow, and too simple to be wrong in the same way as Match.
func FuzzMatch(f *testing.F) {
	templates := slices.Collect(route.Templates())
	for _, template := range templates {
		f.Add("GET", fill(template, "00u1"))
	}
	for _, path := range []string{
		"", "//", "/api/v1/users/", "/api/v1/users//", "/api/v1/users/{userId}", "/api/v1/users/*", "/api/v1/groups/rules/users/x",
		"/api/v1/apps/google/users", "/api/v1/users/me/factors/x/verify", "/poll", "/api/v1/users/../logs", "/oauth2/v1/v1/token",
		"/%2e%2e/%2F", "/api/v1/users/\x00", strings.Repeat("/me", 200), strings.Repeat("/", 200),
	} {
		f.Add("POST", path)
	}

	known := map[string]bool{"/*": true}
	for _, template := range templates {
		known[template] = true
		for i := range template {
			if template[i] == '/' {
				known[template[:i]+"/*"] = true
			}
		}
		known[template+"/*"] = true
	}
	buckets := map[string]bool{}
	for bucket := range route.Buckets() {
		buckets[bucket] = true
	}

	f.Fuzz(func(t *testing.T, method, path string) {
		got := route.Match(method, path)
		if !known[got.Template] {
			t.Errorf("%q: template %q is none of the known set", path, got.Template)
		}
		if !buckets[got.Bucket] {
			t.Errorf("%q: bucket %q is none of the known set", path, got.Bucket)
		}
		want := search(templates, path)
		if want == "" {
			start, unknown := strings.CutSuffix(got.Template, "/*")
			if !unknown {
				t.Errorf("%q: template %q, want none", path, got.Template)
			} else if s := split(path); start != "" && !fits(start, s[:min(len(s), strings.Count(start, "/"))]) {
				t.Errorf("%q does not start like %q", path, start)
			}
		} else if got.Template != want {
			t.Errorf("%q: template %q, want %q", path, got.Template, want)
		}
		if got.Known != (want != "") {
			t.Errorf("%q: known %t, template %q", path, got.Known, got.Template)
		}
		if got.Token != strings.HasSuffix(want, "/v1/token") {
			t.Errorf("%q: token %t", path, got.Token)
		}
		if want := isLogin(split(path)); got.Login != want {
			t.Errorf("%q: login %t, want %t", path, got.Login, want)
		}
		if got.Poll != strings.HasSuffix(strings.TrimSuffix(path, "/"), "/poll") {
			t.Errorf("%q: poll %t", path, got.Poll)
		}
		if got.Factor && want == "" {
			t.Errorf("%q: factor of no known endpoint", path)
		}
		if !strings.HasSuffix(path, "/") && path != "" {
			if slashed := route.Match(method, path+"/"); slashed != got {
				t.Errorf("%q: %+v, with a slash at its end %+v", path, got, slashed)
			}
		}
		if slashed := route.Match(method, "/"+path); strings.HasPrefix(path, "/") && slashed != got {
			t.Errorf("%q: %+v, with a slash more at its start %+v", path, got, slashed)
		}
	})
}

// search returns the template that fits the path, and of several the one with the first literal; "" if none does.
func search(templates []string, path string) string {
	best := ""
	for _, template := range templates {
		if fits(template, split(path)) && (best == "" || moreLiteral(template, best)) {
			best = template
		}
	}
	return best
}

// isLogin reports whether the segments are those of a login endpoint.
func isLogin(path []string) bool {
	for _, below := range []string{
		"/api/v1/authn", "/api/v1/sessions", "/idp/idx", "/login", "/oauth2/v1/authorize", "/oauth2/{as}/v1/authorize",
	} {
		if fits(below, path[:min(len(path), strings.Count(below, "/"))]) {
			return true
		}
	}
	return slices.ContainsFunc([]string{
		"/oauth2/v1/interact", "/oauth2/{as}/v1/interact", "/oauth2/v1/token", "/oauth2/{as}/v1/token",
		"/api/v1/users/{id}/factors/{id}/lifecycle/activate", "/api/v1/users/{id}/factors/{id}/resend",
		"/api/v1/users/{id}/factors/{id}/verify",
	}, func(template string) bool { return fits(template, path) })
}

func fits(template string, path []string) bool {
	return slices.EqualFunc(split(template), path, func(t, p string) bool {
		return t == p || strings.HasPrefix(t, "{") && p != ""
	})
}

func moreLiteral(a, b string) bool {
	as, bs := split(a), split(b)
	for i := range as {
		if p, q := strings.HasPrefix(as[i], "{"), strings.HasPrefix(bs[i], "{"); p != q {
			return q
		}
	}
	return false
}

func split(path string) []string {
	path = strings.TrimLeft(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(path, "/"), "/")
}
