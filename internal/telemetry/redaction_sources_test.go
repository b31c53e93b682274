// This file tests that no error of net/http, of x/net/http2 or of what they are made
// of brings out what it quotes: each is made as their sources make it.

package telemetry_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/internal/rig"
	"github.com/oktaretry/oktaretry/internal/rig/recorders"
	"github.com/oktaretry/oktaretry/internal/rig/script"
)

func TestErrorsOfNetHTTPHideTheirInput(t *testing.T) {
	root := command(t, "go", "env", "GOROOT")
	for _, dir := range []string{"net/http", "net/textproto", "net/url", "net", "crypto/tls", "vendor/golang.org/x/net"} {
		t.Run(dir, func(t *testing.T) { hideInput(t, filepath.Join(root, "src", dir), dir != "net") })
	}
}

func TestErrorsOfXNetHTTP2HideTheirInput(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/net").Output()
	root := strings.TrimSpace(string(out))
	if err != nil || root == "" {
		t.Skip("golang.org/x/net is not among the modules at hand: it is of the workspace, and no dependency of this module")
	}
	for _, dir := range []string{"http2", "http", "idna"} {
		t.Run(dir, func(t *testing.T) { hideInput(t, filepath.Join(root, dir), true) })
	}
}

func command(t *testing.T, name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// hideInput makes each error that the sources in dir make of input, with a secret for
// the input, and has a base return it: by itself, and in what net/http puts around it.
func hideInput(t *testing.T, dir string, deep bool) {
	s := secrets{}
	secret := s.mark("input of an error")
	made := 0
	var step script.Step
	tr := rig.Over(t, script.Func(func(req *http.Request) (*http.Response, error) { return step.Respond(req) }), func(p *oktaretry.Policy) {
		p.Breaker.Disabled = true
	})
	for _, err := range errorsOf(t, dir, deep, secret) {
		for _, err := range []error{
			err,
			fmt.Errorf("net/http: HTTP/1.x transport connection broken: %w", err),
			fmt.Errorf("net/http: HTTP/1.x transport connection broken: %v", err),
			fmt.Errorf("http2: Transport: cannot retry err [%v] after Request.Body was written; define Request.GetBody to avoid this error", err),
			&net.OpError{Op: "read", Net: "tcp", Err: err},
		} {
			made++
			step = script.Fail(err)
			ctx, rec := oktaretry.WithRecorder(oktaretry.WithNoRetry(t.Context()))
			_, got := tr.RoundTrip(rig.Request(t, ctx, http.MethodGet, "/api/v1/users", nil))
			if got == nil {
				t.Fatalf("no error for %v", err)
			}
			out, _ := rec.Outcome()
			for _, text := range []string{got.Error(), fmt.Sprintf("%#v", got), out.Err.Error(), out.Attempts[0].Err.Error()} {
				if len(s.find(text)) > 0 {
					t.Errorf("%q of %q", text, err)
				}
			}
		}
	}
	if made == 0 {
		t.Error("no error was found in ", dir)
	}
}

// errorsOf returns the errors that the sources in dir make of something, with secret
// in its place: by a format, by "+", or by a function that is given a text and what it
// is about.
func errorsOf(t *testing.T, dir string, deep bool, secret string) (all []error) {
	seen := make(map[string]bool)
	add := func(err error) {
		text := err.Error()
		if text == "tls: "+secret { // an alert: the text is of a table in crypto/tls
			return
		}
		if strings.Contains(text, secret) && !seen[text] {
			seen[text] = true
			all = append(all, err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != dir && (!deep || entry.Name() == "testdata"):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		case strings.HasPrefix(entry.Name(), "tables"): // Unicode's: large, and no code
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				for _, err := range ofCall(n, secret) {
					add(err)
				}
			case *ast.BinaryExpr:
				if text, whole := concatenated(n, secret); whole {
					add(errors.New(text))
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What net/http refuses, or cannot read, over HTTP/1.1, HTTP/2 and through a proxy.
func TestRefusedRequestsAndAnswersHideTheirInput(t *testing.T) {
	s := secrets{}
	var answer atomic.Value // of the raw server
	raw := rig.Serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			io.WriteString(conn, answer.Load().(string))
			conn.Close()
		}
	})
	h2 := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	h2.EnableHTTP2 = true
	h2.StartTLS()
	t.Cleanup(h2.Close)
	address, err := url.Parse(raw.URL)
	if err != nil {
		t.Fatal(err)
	}
	const h1, http2, proxy = "HTTP/1.1", "HTTP/2", "proxy"
	bases := map[string]*http.Transport{
		h1: {DisableKeepAlives: true}, http2: h2.Client().Transport.(*http.Transport),
		proxy: {DisableKeepAlives: true, Proxy: http.ProxyURL(address)},
	}
	urls := map[string]string{h1: raw.URL, http2: h2.URL, proxy: "https://example.okta.com"}
	requests := map[string]func(*http.Request){
		"header value":      func(r *http.Request) { r.Header.Set("X-Mine", s.mark("header")+"\n") },
		"header name":       func(r *http.Request) { r.Header["X-"+s.mark("header")+":"] = []string{"1"} },
		"trailer":           func(r *http.Request) { r.Trailer = http.Header{s.mark("trailer") + ": ": {"1"}} },
		"trailer name":      func(r *http.Request) { r.Trailer = http.Header{"Content-Length": {s.mark("trailer")}} },
		"host":              func(r *http.Request) { r.Host = s.mark("host") + "\u00e9 /" },
		"method":            func(r *http.Request) { r.Method = "G " + s.mark("method") },
		"opaque path":       func(r *http.Request) { r.URL.Opaque = s.mark("path") + "\x01" },
		"relative path":     func(r *http.Request) { r.URL.Opaque = s.mark("path") },
		"upgrade":           func(r *http.Request) { r.Header.Set("Upgrade", s.mark("upgrade")) },
		"connection":        func(r *http.Request) { r.Header.Set("Connection", s.mark("connection")) },
		"transfer encoding": func(r *http.Request) { r.Header.Set("Transfer-Encoding", s.mark("encoding")) },
	}
	answers := map[string]string{
		"content length": "HTTP/1.1 200 OK\r\nContent-Length: " + s.mark("length") + "\r\n\r\n",
		"two lengths":    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: " + s.mark("length") + "\r\n\r\n",
		"encoding":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + s.mark("encoding") + "\r\n\r\n",
		"two encodings":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: " + s.mark("encoding") + "\r\n\r\n",
		"status line":    "HTTP/1.1 403 " + s.mark("status") + "\r\nContent-Length: 0\r\n\r\n",
		"no status line": s.mark("status") + "\r\n\r\n",
		"trailer":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length, " + s.mark("trailer") + "\r\n\r\n",
	}
	failed := map[string]int{}
	try := func(wire string, edit func(*http.Request)) {
		r := recorders.Observe(t, nil, script.Do(bases[wire].RoundTrip))
		ctx, rec := oktaretry.WithRecorder(oktaretry.WithNoRetry(t.Context()))
		req := rig.Request(t, ctx, "POST", urls[wire]+"/api/v1/users", strings.NewReader("x"))
		edit(req)
		resp, err := r.Transport.RoundTrip(req)
		if err == nil {
			resp.Body.Close()
			return
		}
		failed[wire]++
		wantNoSecrets(t, s, reportedTexts(t, r, rec.Outcomes(), err))
	}
	for wire := range urls {
		answer.Store("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		for _, edit := range requests {
			try(wire, edit)
		}
		for _, text := range answers {
			answer.Store(text)
			if wire != http2 {
				try(wire, func(*http.Request) {})
			}
		}
	}
	for wire, least := range map[string]int{h1: 8, http2: 6, proxy: 8} {
		if failed[wire] < least {
			t.Errorf("%s: %d requests and answers were refused, want %d at least", wire, failed[wire], least)
		}
	}
}

var verbs = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

// ofCall returns what a call with a literal text may make of the secret.
func ofCall(call *ast.CallExpr, secret string) (all []error) {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	for i, arg := range call.Args {
		text, ok := literal(arg)
		switch {
		case !ok:
		case name == "Errorf" || name == "Sprintf":
			var args []any
			for _, verb := range verbs.FindAllString(strings.ReplaceAll(text, "%%", ""), -1) {
				switch verb[len(verb)-1] {
				case 'd', 'x', 'X', 'c', 'U':
					args = append(args, 7)
				case 'w':
					args = append(args, errors.New(secret))
				default:
					args = append(args, secret)
				}
			}
			all = append(all, fmt.Errorf(text, args...))
		case strings.Contains(strings.ToLower(name), "err") && i < len(call.Args)-1:
			for _, glue := range []string{"", " ", ": "} {
				all = append(all, errors.New(text+glue+secret), errors.New(text+glue+strconv.Quote(secret)))
			}
		}
	}
	return all
}

// concatenated returns the sum of texts with secret for what is no literal; whole is
// false if the first one is none.
func concatenated(n ast.Expr, secret string) (text string, whole bool) {
	if sum, ok := n.(*ast.BinaryExpr); ok && sum.Op == token.ADD {
		left, ok := concatenated(sum.X, secret)
		right, _ := concatenated(sum.Y, secret)
		return left + right, ok
	}
	if text, ok := literal(n); ok {
		return text, true
	}
	return secret, false
}

func literal(n ast.Expr) (string, bool) {
	lit, ok := n.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}
