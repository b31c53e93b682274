// This file holds how the page puts what is shown: its verdict, its figures in words,
// and the lines that a call's time is made of.

package debug

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html page.css page.js
var files embed.FS

var (
	style, script = file("page.css"), file("page.js")

	page = template.Must(template.New("page.html").Funcs(template.FuncMap{
		"since": since, "seconds": seconds, "percent": percent, "clock": clock, "stamp": stamp, "count": count, "whole": whole,
	}).ParseFS(files, "page.html"))

	// The page's own style and script are all that a browser applies, by their hashes:
	// a name that were taken for markup could still do nothing.
	contentSecurityPolicy = "default-src 'none'; style-src " + hash(style) + "; script-src " + hash(script) +
		"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// file returns an embedded file, which is there.
func file(name string) string {
	b, err := files.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// pageData is what the template is given.
type pageData struct {
	At       time.Time
	Level    string // the worst of the transports'
	Title    string
	Icon     template.URL
	Style    template.CSS
	Script   template.JS
	Refresh  int // seconds; 0: it does not
	Toggle   string
	JSON     string
	All      []shownTransport
	Severals bool
}

// shownTransport is a transport with what the page makes of it.
type shownTransport struct {
	transport
	ID      string
	Number  int
	Notices []notice
	Tiles   []tile
	Calls   []shownCall
}

// notice is something that an operator should know.
type notice struct {
	Level, Text, Link string
}

type tile struct {
	Name, Value, Note, Level string
}

const (
	fine = "fine"
	warn = "warn"
	bad  = "bad"
)

func worse(a, b string) string {
	if a == bad || b == bad {
		return bad
	}
	if a == warn || b == warn {
		return warn
	}
	return fine
}

func pageOf(v view, q query, at *url.URL) pageData {
	d := pageData{
		At: v.At, Level: fine, Style: template.CSS(style), Script: template.JS(script), Refresh: q.refresh,
		JSON: with(at, "format", "json"), Severals: len(v.Transports) > 1,
	}
	d.Toggle = with(at, "refresh", "0")
	if q.refresh == 0 {
		d.Toggle = with(at, "refresh", strconv.Itoa(defaultRefresh))
	}
	troubles := 0
	for i, t := range v.Transports {
		s := shownTransport{transport: t, ID: fmt.Sprintf("t%d", i+1), Number: i + 1}
		s.Notices = noticesOf(&t, s.ID, v.At)
		s.Tiles = tilesOf(&t, v.At)
		keys := map[string]int{}
		for n := range t.GivenUp {
			c := shown(&t.GivenUp[n])
			c.Key = s.ID + "-" + c.Key
			if keys[c.Key]++; keys[c.Key] > 1 {
				c.Key += "-" + strconv.Itoa(keys[c.Key])
			}
			s.Calls = append(s.Calls, c)
		}
		for _, n := range s.Notices {
			d.Level = worse(d.Level, n.Level)
			troubles++
		}
		d.All = append(d.All, s)
	}
	d.Title = map[bool]string{true: "all well", false: plural(troubles, "notice", "notices")}[troubles == 0]
	d.Icon = icon(d.Level)
	return d
}

// with returns the page's own address, relative, with a value of its query set.
func with(at *url.URL, key, value string) string {
	values := at.Query()
	values.Set(key, value)
	return "?" + values.Encode()
}

// icon is a disc in the colour of a level.
func icon(level string) template.URL {
	colour := map[string]string{fine: "2e9e5b", warn: "d98a00", bad: "d5392f"}[level]
	return template.URL("data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' fill='%23" + colour + "'/%3E%3C/svg%3E")
}

// recently is how long a call that came to nothing is worth a notice.
const recently = 5 * time.Minute

// noticesOf returns what is wrong, the worst first.
func noticesOf(t *transport, id string, now time.Time) (all []notice) {
	add := func(level, section, format string, args ...any) {
		all = append(all, notice{level, fmt.Sprintf(format, args...), "#" + id + "-" + section})
	}
	sum := &t.totals
	if n := sum.hostsOpen; n > 0 {
		add(bad, "circuits", "%s: calls are refused without being sent.", plural(n, "host's circuit is open", "hosts' circuits are open"))
	}
	if n := sum.open; n > 0 {
		add(bad, "circuits", "%s: calls to it are refused without being sent.", plural(n, "endpoint's circuit is open", "endpoints' circuits are open"))
	}
	if n := sum.halfOpen; n > 0 {
		add(warn, "circuits", "%s: the next answers decide.", plural(n, "circuit is half-open", "circuits are half-open"))
	}
	if n := sum.held; n > 0 {
		add(warn, "buckets", "%s after a 429, until Okta takes calls again.", plural(n, "bucket is held", "buckets are held"))
	}
	if n := sum.waiting; n > 0 {
		add(warn, "buckets", "%s for a rate limit.", plural(n, "call waits", "calls wait"))
	}
	if b := sum.fullest; b != nil && b.usage() >= 0.9 && sum.held == 0 {
		add(warn, "buckets", "%s of %s is used to %s.", b.Name, b.Host, percent(b.usage()))
	}
	if len(t.Budgets) > 0 && t.Budgets[0].Left < 1 {
		add(bad, "budget", "No resend is left for %s: errors go to the program at once.", t.Budgets[0].Host)
	}
	if t.Store != nil && t.Store.Lost {
		add(bad, "store", "The shared store is lost: this process goes by what it knows itself.")
	}
	if n := recentlyGivenUp(t, now); n > 0 {
		add(warn, "given-up", "%s to nothing in the last 5 minutes.", plural(n, "call came", "calls came"))
	}
	slices.SortStableFunc(all, func(a, b notice) int { return strings.Compare(a.Level, b.Level) }) // bad, warn
	return all
}

func recentlyGivenUp(t *transport, now time.Time) (n int) {
	for i := range t.GivenUp {
		if g := &t.GivenUp[i]; now.Sub(g.end()) < recently {
			n += g.Times
		}
	}
	return n
}

// end is when the call ended; of several, the latest.
func (g *givenUp) end() time.Time { return g.Start.Add(asDuration(g.Elapsed)) }

func tilesOf(t *transport, now time.Time) []tile {
	sum := &t.totals
	tiles := []tile{
		{"In flight", count(sum.inFlight), "sent and not answered", fine},
		{"Waiting", count(sum.waiting), "for a rate limit", mark(sum.waiting > 0, warn)},
	}
	fullest := tile{"Fullest bucket", "–", plural(sum.buckets, "bucket", "buckets"), fine}
	if b := sum.fullest; b != nil {
		fullest.Value, fullest.Note, fullest.Level = percent(b.usage()), b.Name, mark(b.usage() >= 0.9, warn)
	}
	open := sum.open + sum.hostsOpen
	circuits := tile{"Circuits open", count(open), "of " + count(sum.circuits), mark(open > 0, bad)}
	if sum.halfOpen > 0 {
		circuits.Note += ", " + count(sum.halfOpen) + " half-open"
		circuits.Level = worse(circuits.Level, warn)
	}
	tiles = append(tiles, fullest, circuits)
	if len(t.Budgets) > 0 {
		b := &t.Budgets[0]
		tiles = append(tiles, tile{"Resends left", whole(b.Left), b.Host, mark(b.Left < 1, bad)})
	}
	switch {
	case t.Store == nil:
	case t.Store.Lost:
		tiles = append(tiles, tile{"Shared store", "lost", t.Store.LastError, bad})
	default:
		tiles = append(tiles, tile{"Shared store", "works", "asked in batches", fine})
	}
	n := recentlyGivenUp(t, now)
	return append(tiles, tile{"Given up", count(n), "in the last 5 minutes", mark(n > 0, warn)})
}

func mark(if_ bool, level string) string {
	if if_ {
		return level
	}
	return fine
}

// The methods below are for the template.

// UsedWidth is the width of a bucket's bar, of 100.
func (b bucket) UsedWidth() float64 { return 100 * min(max(b.usage(), 0), 1) }

// Level is how a bucket's bar looks.
func (b bucket) Level() string {
	switch {
	case b.Held > 0:
		return bad
	case b.usage() >= 0.9:
		return warn
	}
	return fine
}

// Level is how a circuit's state looks.
func (c circuit) Level() string {
	return map[string]string{"open": bad, "half-open": warn}[c.State]
}

// Over reports whether the window that is known is over.
func (b bucket) Over() bool { return b.Known && b.Reset <= 0 }

// shownCall is a call that was given up, with the lines of its time.
type shownCall struct {
	givenUp
	Key   string // the same from one refresh to the next
	End   time.Time
	Lines []line
}

// line is a wait or an attempt, in its place of the call's time.
type line struct {
	Kind, Text, Note string // Kind: wait, attempt or failed
	At, Width        float64
	Seconds          float64
}

func shown(g *givenUp) shownCall {
	s := shownCall{givenUp: *g, Key: strconv.FormatInt(g.Start.UnixNano(), 36), End: g.end()}
	if len(g.Attempts) == 0 {
		s.Key = "refused-" + g.Stop // the latest of several comes to stand for them
	}
	add := func(kind, text, note string, at, took float64) {
		whole := max(g.Elapsed, 1e-9)
		s.Lines = append(s.Lines, line{kind, text, note, 100 * min(max(at/whole, 0), 0.995), 100 * min(max(took/whole, 0.005), 1), took})
	}
	waits := func(all []wait, from float64) {
		for _, w := range all {
			add("wait", "wait: "+w.Reason, "", from, w.Seconds)
			from += w.Seconds
		}
	}
	end := 0.0
	for i, a := range g.Attempts {
		before := 0.0
		for _, w := range a.Waits {
			before += w.Seconds
		}
		waits(a.Waits, a.Start-before)
		kind, name := "failed", "attempt"
		if a.Class == "success" || a.Class == "pending" {
			kind = "attempt"
		}
		if a.Poll {
			name = "poll"
		}
		add(kind, fmt.Sprintf("%s %d: %s", name, i+1, a.answer()), a.RequestID, a.Start, a.Duration)
		end = a.Start + a.Duration
	}
	waits(g.Waits, end)
	return s
}

// More is what the call would have needed, in words.
func (g givenUp) More() string {
	switch {
	case g.Needed <= 0:
		return ""
	case g.Stop == "circuit-open":
		return "tries again in " + seconds(g.Needed)
	}
	return "needed " + seconds(g.Needed) + " more"
}

// answer is what an attempt brought, in a few words.
func (a *attempt) answer() string {
	switch {
	case a.Status == 0 && a.Error != "":
		return a.Error
	case a.Status == 0:
		return "no answer"
	}
	return strings.TrimSpace(strconv.Itoa(a.Status) + " " + a.Code)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// count returns a number with its thousands apart.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func whole(f float64) string { return count(int(math.Floor(f))) }

// percent rounds down: 100 % is all of it.
func percent(f float64) string { return strconv.Itoa(int(math.Floor(100*f+1e-9))) + " %" }

func asDuration(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// seconds returns a duration as people write it.
func seconds(s float64) string {
	switch d := asDuration(s).Round(time.Millisecond); {
	case d <= 0:
		return "0 s"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < 2*time.Minute:
		return strconv.Itoa(int(math.Round(d.Seconds()))) + " s"
	case d < 2*time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

// since returns how long ago a moment is.
func since(t, now time.Time) string { return seconds(now.Sub(t).Round(time.Second).Seconds()) + " ago" }

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
