// Package debug shows what goes on inside of transports, on a page for operators: how
// much of each rate limit is used and who waits for it, which circuits are open and
// what opened them, how many retries are left, and the last calls that came to nothing
// with the waits and attempts they were made of.
//
//	http.Handle("/debug/oktaretry", debug.Handler(transport)) // beside net/http/pprof
//
// Mount it where net/http/pprof is, behind the same door: it shows hosts, endpoints,
// codes and request ids of Okta. It shows nothing private: templates instead of paths,
// no query, no body, no text of an answer, and of a credential a short hash that means
// nothing outside of the process. Names that the program gave itself, with WithBuckets
// and WithCircuits, are shown as they are.
//
// This file holds the handler; view.go what the page and the JSON show; words.go how the
// page puts it.
package debug

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry"
)

// Handler returns a handler that shows transports, in the order given; nil ones are
// left out. It answers GET and HEAD under any path:
//
//   - a page in HTML, which needs no JavaScript and nothing from elsewhere, and
//     refreshes itself every 5 s;
//   - JSON, if the query says format=json, if the path ends in ".json", or if the Accept
//     header prefers application/json to text/html. Times are in RFC 3339, durations in
//     seconds. Fields may be added; none changes its meaning.
//
// The query may also say refresh=N, the seconds between refreshes (at most 3600; 0: it
// does not), and rows=N, the most buckets and circuits that are shown of each
// transport, the busiest first (50 by default, at most 10000). What is left out is
// counted.
//
// A request costs the transports a [oktaretry.Transport.Snapshot] each, which holds up
// no call. The handler is safe for concurrent use.
func Handler(transports ...*oktaretry.Transport) http.Handler {
	return handler(slices.DeleteFunc(slices.Clone(transports), func(t *oktaretry.Transport) bool { return t == nil }))
}

type handler []*oktaretry.Transport

const (
	defaultRefresh = 5
	maxRefresh     = 3600
	defaultRows    = 50
	maxRows        = 10000
)

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	header.Set("Vary", "Accept")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	q, err := parse(r)
	if err != "" {
		http.Error(w, err, http.StatusBadRequest)
		return
	}
	v := viewOf(h, q, time.Now())
	var body bytes.Buffer
	if q.json {
		header.Set("Content-Type", "application/json; charset=utf-8")
		e := json.NewEncoder(&body)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			http.Error(w, "the state cannot be encoded", http.StatusInternalServerError)
			return
		}
	} else {
		header.Set("Content-Type", "text/html; charset=utf-8")
		if err := page.Execute(&body, pageOf(v, q, r.URL)); err != nil {
			http.Error(w, "the page cannot be made", http.StatusInternalServerError)
			return
		}
	}
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	if r.Method == http.MethodGet {
		w.Write(body.Bytes())
	}
}

// query is what a request asks for.
type query struct {
	json          bool
	refresh, rows int
}

// parse returns what a request asks for, or what is wrong with it.
func parse(r *http.Request) (q query, problem string) {
	values := r.URL.Query()
	switch format := values.Get("format"); format {
	case "json":
		q.json = true
	case "html":
	case "":
		q.json = strings.HasSuffix(r.URL.Path, ".json") || prefersJSON(r.Header.Values("Accept"))
	default:
		return q, "format: html or json"
	}
	number := func(name string, fallback, least, most int) int {
		s := values.Get(name)
		if s == "" {
			return fallback
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < least || n > most {
			problem = name + ": a number from " + strconv.Itoa(least) + " to " + strconv.Itoa(most)
		}
		return n
	}
	q.refresh = number("refresh", defaultRefresh, 0, maxRefresh)
	q.rows = number("rows", defaultRows, 1, maxRows)
	return q, problem
}

// prefersJSON reports whether an Accept header prefers JSON to HTML. What names neither,
// as */* does, gets the page.
func prefersJSON(accept []string) bool {
	return quality(accept, "application/json") > quality(accept, "text/html")
}

// quality returns how much an Accept header wants a media type that it names; 0 if it
// does not name it.
func quality(accept []string, media string) float64 {
	for _, element := range strings.Split(strings.Join(accept, ","), ",") {
		name, parameters, _ := strings.Cut(element, ";")
		if !strings.EqualFold(strings.TrimSpace(name), media) {
			continue
		}
		for _, p := range strings.Split(parameters, ";") {
			if key, value, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(key, "q") {
				q, err := strconv.ParseFloat(value, 64)
				if err != nil {
					return 0
				}
				return q
			}
		}
		return 1
	}
	return 0
}
