// This file looks at the page in a browser: Debian's package chromium, or what
// CHROMIUM names. Without one it says so, and fails where CI is set.

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/oktaretry/oktaretry"
	"github.com/oktaretry/oktaretry/debug"
	"github.com/oktaretry/oktaretry/oktatest"
)

var (
	pictures = flag.String("pictures", "", "the `directory` for a picture of each view")
	update   = flag.Bool("update", false, "write the pictures of docs/img")
	full     = flag.Bool("full", false, "look at the page in all widths, in both schemes, and without scripts")
)

// last is what TestMain calls when all tests have ended, the last first.
var last struct {
	sync.Mutex
	calls []func()
}

// atEnd adds to what is called last.
func atEnd(calls ...func()) {
	last.Lock()
	defer last.Unlock()
	last.calls = append(last.calls, calls...)
}

// TestMain lets all tests run at once, for they wait: for the browser, for the day to get
// bad, and for the page to refresh.
func TestMain(m *testing.M) {
	flag.Set("test.parallel", "8") // unless -parallel is given
	code := m.Run()
	for _, f := range slices.Backward(last.calls) {
		f()
	}
	os.Exit(code)
}

// chromium returns the browser's path; "" where there is none.
func chromium() string {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// browser returns the browser of all tests.
func browser(t *testing.T) context.Context {
	t.Helper()
	if chromium() == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is missing: install Debian's package, or set CHROMIUM")
		}
		t.Skip("LEFT OUT: the page was not looked at in a browser, for chromium is missing")
	}
	go hostileDay() // it gets bad while the browser starts
	ctx, err := startBrowser()
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

var startBrowser = sync.OnceValues(func() (context.Context, error) {
	dir, err := os.MkdirTemp("", "chromium")
	if err != nil {
		return nil, err
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(chromium()), chromedp.NoSandbox, chromedp.UserDataDir(dir),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.WSURLReadTimeout(2*time.Minute))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(ctx)
	atEnd(func() { os.RemoveAll(dir) }, stop, end)
	return ctx, chromedp.Do(ctx)
})

// hostile is a bucket's name that tries to be markup.
const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`

// badDay serves the page of a transport that has seen all that the page shows. A bucket
// of it has a hostile name.
func badDay(t *testing.T) *httptest.Server {
	t.Helper()
	day, err := hostileDay()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(day)
	t.Cleanup(server.Close)
	return server
}

var hostileDay = sync.OnceValues(func() (http.Handler, error) { return startDay(hostile) })

// startDay starts a day that ends with all tests, and returns its page. The bucket of the
// groups has the name given, or its usual one if that is "".
func startDay(groups string) (http.Handler, error) {
	org := startOrg()
	atEnd(org.Close)
	org.Script("GET /api/v1/users/{id}", oktatest.EOF, oktatest.Pass)
	p := policy()
	p.Breaker.OpenFor = time.Hour // a browser may take long
	transport, err := oktaretry.NewTransport(nil, oktaretry.WithPolicy(p), oktaretry.WithShared(lostStore{}),
		oktaretry.WithBuckets(func(r *http.Request) string {
			if r.URL.Path == "/api/v1/groups" && r.Method == http.MethodGet {
				return groups
			}
			return ""
		}))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var day sync.WaitGroup
	atEnd(day.Wait, cancel)
	day.Go(func() { live(ctx, org, transport) })
	if err := worsen(ctx, org.URL, transport); err != nil {
		return nil, err
	}
	return debug.Handler(transport), nil
}

// worsen makes calls until a circuit is open and one has had no time to wait for its turn.
func worsen(ctx context.Context, org string, transport *oktaretry.Transport) error {
	call := func(token, path string, patience time.Duration) {
		ctx, cancel := context.WithTimeout(oktaretry.WithMaxAttempts(ctx, 1), patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, org+path, nil)
		if err != nil {
			return
		}
		req.Header.Set("Authorization", "SSWS "+token)
		if resp, err := transport.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}
	call("sync", "/api/v1/groups?limit=1", time.Minute)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		call("sync", "/api/v1/apps", time.Second)
		call("report", "/api/v1/users?search=y", 100*time.Millisecond)
		s := transport.Snapshot()
		if slices.ContainsFunc(s.Circuits, func(c oktaretry.CircuitState) bool { return c.State == "open" }) &&
			slices.ContainsFunc(s.GivenUp, func(g oktaretry.GivenUp) bool { return g.Outcome.Stop == oktaretry.StopDeadline }) {
			return nil
		}
	}
	return errors.New("the day does not get bad")
}

// complaints collects what the browser's console says of a tab.
func complaints(t *testing.T, ctx context.Context) func() []string {
	var (
		mu  sync.Mutex
		all []string
	)
	add := func(s string) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, s)
	}
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			add("exception: " + e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			add(fmt.Sprintf("console.%s", e.Type))
		case *log.EventEntryAdded:
			add(fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
		case *page.EventJavascriptDialogOpening:
			add("dialog: " + e.Message)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

// tab opens a tab of a browser, as wide as told, and closes it with the test.
func tab(t *testing.T, ctx context.Context, width int64, scheme string, script bool) (context.Context, func() []string) {
	ctx, stop := chromedp.NewContext(ctx)
	t.Cleanup(stop)
	said := complaints(t, ctx)
	call(t, ctx, log.Enable, cdp.Empty{})
	call(t, ctx, runtime.Enable, cdp.Empty{})
	call(t, ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: 1000, DeviceScaleFactor: 1, Mobile: width < 600,
	})
	call(t, ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	call(t, ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !script})
	return ctx, said
}

// call sends a command to a tab.
func call[P, R any](t *testing.T, ctx context.Context, cmd cdp.Command[P, R], params P) {
	t.Helper()
	if _, err := chromedp.Call(ctx, cmd, params); err != nil {
		t.Fatalf("%s: %v", cmd.Method, err)
	}
}

// do runs an action in a tab and returns what it returns.
func do[T any](t *testing.T, ctx context.Context, action chromedp.Action[T]) T {
	t.Helper()
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPageLooksRightInABrowser(t *testing.T) {
	t.Parallel()
	root := browser(t)
	server := badDay(t)
	for i, width := range []int64{400, 800, 1600} {
		for j, scheme := range []string{"light", "dark"} {
			for _, script := range []bool{(i+j)%2 == 0} { // each of two of them meets both of the third
				if !*full && (i > 0 || !script) {
					continue
				}
				name := fmt.Sprintf("%d-%s-script=%t", width, scheme, script)
				t.Run(name, func(t *testing.T) {
					ctx, said := tab(t, root, width, scheme, script)
					do(t, ctx, chromedp.Navigate(server.URL+"/debug/oktaretry?refresh=60"))
					// With scripts off a debugger can still evaluate.
					text := do(t, ctx, chromedp.Evaluate[string](`document.body.innerText`))
					overflow := do(t, ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
					background := do(t, ctx, chromedp.Evaluate[string](`getComputedStyle(document.body).backgroundColor`))
					for _, want := range []string{"circuit is open", "GET /api/v1/users/{id}", "E0000009", "deadline", "Shared store", "lost", "<script>alert(1)</script>"} {
						if !strings.Contains(text, want) {
							t.Errorf("the page does not show %q", want)
						}
					}
					if overflow > 0 {
						t.Errorf("the page is %d pixels too wide", overflow)
					}
					if light := background == "rgb(246, 247, 249)"; light != (scheme == "light") {
						t.Errorf("in the %s scheme the page is %s", scheme, background)
					}
					if *pictures != "" {
						picture(t, ctx, filepath.Join(*pictures, name+".png"))
					}
					if all := said(); len(all) > 0 {
						t.Errorf("the console says: %q", all)
					}
				})
			}
		}
	}
}

// picture writes what the browser shows.
func picture(t *testing.T, ctx context.Context, file string) {
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("section[id$=given-up] details").forEach((d, i) => d.open = i > 0 && i < 4)`))
	png := do(t, ctx, chromedp.FullScreenshot(100))
	if err := os.WriteFile(file, png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPicturesOfThePage writes those of the documents, if told to.
func TestPicturesOfThePage(t *testing.T) {
	if !*update {
		t.Skip("-update writes the pictures of docs/img")
	}
	root := browser(t)
	day, err := startDay("") // ordinary names, for that is what readers have
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(day)
	defer server.Close()
	for _, scheme := range []string{"light", "dark"} {
		ctx, _ := tab(t, root, 1200, scheme, true)
		do(t, ctx, chromedp.Navigate(server.URL+"/debug/oktaretry"))
		picture(t, ctx, "../../docs/img/debug-page-"+scheme+".png")
	}
}

// state is what a reader of the page has done to it, and when it is of.
const state = `({
	at: document.querySelector("#meta time").dateTime,
	scroll: scrollY,
	top: document.activeElement.getBoundingClientRect().top,
	height: document.documentElement.scrollHeight,
	open: [...document.querySelectorAll("details[open]")].map(d => d.id).join(),
	focus: document.activeElement.tagName,
	stale: !document.getElementById("stale").hidden,
	mark: window.mark || "",
})`

type seen struct {
	At, Open, Focus, Mark string
	Scroll, Top, Height   float64 // of the page; of what has the focus, in the window; of the page
	Stale                 bool
}

// until looks at the page until it is as wanted.
func until(t *testing.T, ctx context.Context, what string, wanted func(seen) bool) seen {
	t.Helper()
	for range 600 {
		// In the middle of a navigation there is nothing to see.
		if s, err := chromedp.Run(ctx, chromedp.Evaluate[seen](state)); err == nil && wanted(s) {
			return s
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("the page never %s", what)
	return seen{}
}

func TestPageRefreshesUnderItsReadersHand(t *testing.T) {
	t.Parallel()
	root := browser(t)
	server := badDay(t)
	ctx, said := tab(t, root, 800, "light", true)
	do(t, ctx, chromedp.Navigate(server.URL+"/debug/oktaretry?refresh=1"))
	do(t, ctx, chromedp.Evaluate[chromedp.Void](`{
		window.mark = "same";
		const d = [...document.querySelectorAll("section[id$=given-up] details")].at(-1);
		d.open = true;
		d.querySelector("summary").focus();
		document.querySelector("section[id$=policy] details").open = true;
		scrollTo(0, 500);
	}`))
	before := until(t, ctx, "showed", func(seen) bool { return true })
	if before.Scroll != 500 || before.Focus != "SUMMARY" || strings.Count(before.Open, ",") != 1 {
		t.Fatalf("the reader's hand failed: %+v", before)
	}
	after := until(t, ctx, "refreshed", func(s seen) bool { return s.At != before.At })
	// Where something above it grows, a browser scrolls along with what is read: by no more
	// than the page has grown. What has the focus is far below, and can be moved by more.
	scrolled, grown := after.Scroll-before.Scroll, after.Height-before.Height
	stays := scrolled == 0 || math.Abs(after.Top-before.Top) <= 1 || scrolled*grown > 0 && math.Abs(scrolled) <= math.Abs(grown)
	if after.Mark != "same" || !stays || after.Open != before.Open || after.Focus != before.Focus {
		t.Errorf("after a refresh %+v, before %+v", after, before)
	}
	if all := said(); len(all) > 0 {
		t.Errorf("the console says: %q", all)
	}
	server.Close()
	until(t, ctx, "noticed that the program is gone", func(s seen) bool { return s.Stale && s.Mark == "same" })
}

func TestPageRefreshesWithoutScripts(t *testing.T) {
	if !*full {
		t.Skip("left out: run it with -full")
	}
	t.Parallel()
	root := browser(t)
	server := badDay(t)
	ctx, _ := tab(t, root, 800, "light", false)
	do(t, ctx, chromedp.Navigate(server.URL+"/debug/oktaretry?refresh=1"))
	before := until(t, ctx, "showed", func(seen) bool { return true })
	until(t, ctx, "refreshed", func(s seen) bool { return s.At != before.At })

	do(t, ctx, chromedp.Navigate(server.URL+"/debug/oktaretry?refresh=0"))
	if n := do(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll("meta[http-equiv]").length`)); n != 0 {
		t.Error("a page that is paused refreshes")
	}
}

// Who hears the page has it table by table, with a name for each; who reads it can tell
// the text from what is behind it.
func TestPageIsAccessible(t *testing.T) {
	t.Parallel()
	root := browser(t)
	server := badDay(t)
	for _, scheme := range []string{"light", "dark"} {
		if scheme == "light" && !*full { // the other has the less contrast
			continue
		}
		ctx, _ := tab(t, root, 1600, scheme, true)
		do(t, ctx, chromedp.Navigate(server.URL+"/debug/oktaretry?refresh=0"))
		problems := do(t, ctx, chromedp.Evaluate[[]string](accessible))
		if len(problems) > 0 {
			t.Errorf("%s: %q", scheme, problems)
		}
	}
}

// accessible lists what is wrong with headings, tables, names and contrast (WCAG 2.2, AA).
const accessible = `(() => {
	const wrong = [];
	let level = 0;
	for (const h of document.querySelectorAll("h1, h2, h3")) {
		const n = Number(h.tagName[1]);
		if (n > level + 1) wrong.push("heading skips a level: " + h.textContent);
		level = n;
	}
	if (document.querySelectorAll("h1").length !== 1 || !document.querySelector("main") || !document.documentElement.lang) wrong.push("no h1, main or lang");
	for (const t of document.querySelectorAll("table")) {
		if (!t.caption || !t.tHead || t.tHead.querySelectorAll("th:not([scope=col])").length) wrong.push("a table without caption or heads");
		for (const r of t.tBodies[0].rows) if (!r.querySelector("th[scope=row]") && !r.matches(".story")) wrong.push("a row without head");
	}
	const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push("id twice: " + id);
	for (const a of document.querySelectorAll("a[href^='#']")) if (!document.getElementById(a.hash.slice(1))) wrong.push("link to nowhere: " + a.hash);
	const numbers = c => c.match(/[\d.]+/g).map(Number);
	const light = ([r, g, b]) => [r, g, b].map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = e => {
		for (; e; e = e.parentElement) {
			const c = numbers(getComputedStyle(e).backgroundColor);
			if (c.length < 4 || c[3] > 0) return c;
		}
		return [255, 255, 255];
	};
	const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n; (n = walk.nextNode());) {
		const e = n.parentElement;
		if (!n.textContent.trim() || e.closest("script, style") || !e.checkVisibility()) continue;
		const [a, b] = [light(numbers(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
		if ((a + 0.05) / (b + 0.05) < 4.5) wrong.push("contrast " + ((a + 0.05) / (b + 0.05)).toFixed(1) + ": " + n.textContent.trim().slice(0, 40));
	}
	return [...new Set(wrong)];
})()`
