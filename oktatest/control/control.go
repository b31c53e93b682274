// Package control lets programs in any language steer a fake Okta: a handler that
// serves the fake of package oktatest, and under /_oktatest/ a JSON API over its
// methods.
//
//	handler := control.New(func() *oktatest.Okta { return oktatest.New(oktatest.WithUsers(3)) })
//	http.ListenAndServe("127.0.0.1:8090", handler)
//
// [NewServer] does that for a test in Go that runs a program in another language, and the
// command oktaretry fake for all others.
//
// Calls of the control API are no calls of Okta's: they take no place in any limit, meet
// no script and no bad day, and are not in the journal.
//
//	GET    /_oktatest/              this list, as JSON
//	GET    /_oktatest/health        whether the fake serves
//	POST   /_oktatest/reset         back to the beginning: seed, limits, clock, an empty journal
//	POST   /_oktatest/seed          add users, groups and more: a seed as of oktatest.ParseSeed
//	GET    /_oktatest/scripts       the scripts made here, and how many requests each waits for
//	POST   /_oktatest/scripts       answer the next requests of a pattern: {"pattern", "steps"}
//	DELETE /_oktatest/scripts       drop all scripts
//	GET    /_oktatest/days          the bad days by name, and those that are on
//	POST   /_oktatest/days/{name}   begin one: {"on", "from", "fromFirst", "for", "every", "chance", "seed"}
//	DELETE /_oktatest/days/{name}   end one
//	DELETE /_oktatest/days          end all
//	GET    /_oktatest/limits        the limits as they stand
//	PUT    /_oktatest/limits        set limits: {"GET /api/v1/users": 50}
//	POST   /_oktatest/limits/taken  take places as another program would: {"GET /api/v1/users": 20}
//	PUT    /_oktatest/latency       {"latency": "200ms"}
//	PUT    /_oktatest/lag           have lists lag behind writes: {"seed", "reads": [{"patterns", "chance", "upTo"}]}
//	DELETE /_oktatest/lag           have them be up to date
//	PUT    /_oktatest/factors       how pushes end: {"result": "REJECTED", "polls": 2}
//	GET    /_oktatest/passcode      what a user would type for a factor; ?user=ann@example.com&factor=sms1
//	GET    /_oktatest/clock         how far the fake's clock is ahead
//	PUT    /_oktatest/clock         set that: {"skew": "5m"}
//	POST   /_oktatest/clock         let time pass for the fake: {"advance": "60s"}
//	GET    /_oktatest/journal       what arrived; ?pattern=POST /api/v1/users&status=429&last=10
//	DELETE /_oktatest/journal       forget it
//	GET    /_oktatest/assertions    what oktatest's assertions find in the journal; ?peak=5
//	GET    /_oktatest/unserved      endpoints that were asked for and are not served
//
// A body is strict JSON: what is unknown, given twice, null or of another type is refused
// with 400 and {"problems": [{"path", "problem", "line", "column"}]}. Durations are
// strings such as "1m30s".
//
// # Steps
//
// A step of a script says what happens to one request, by one of these members:
//
//	{"pass": true}                    answered normally
//	{"code": "E0000009"}              one of Okta's errors; "status" overrides its status
//	{"status": 503}                   that status, an empty body
//	{"edgePage": 503}                 HTML from what stands in front of Okta
//	{"rateLimited": "2s"}             429, and the window is over in 2 s
//	{"concurrencyLimited": true}      429 with 0/0: too many in flight
//	{"oauthError": "invalid_client"}  OAuth's form; "status" if it is not 400
//	{"challenge": "DPoP", "oauthError": "use_dpop_nonce"}  in WWW-Authenticate, 401
//	{"fault": "reset"}                or "hang", "eof", "eof-mid-headers", "eof-mid-body",
//	                                  "reset-mid-body", "refused"
//
// Beside an answer can stand "headers", "withoutHeaders", "body" with "contentType", and
// beside a code "summary", "causes" and "poll"; beside any step "delay", "slowBody",
// "cutBody", "stallBody", "gzip", "early", and "times": 3 or "always": true.
package control

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/oktaretry/oktaretry/oktatest"
)

// Prefix is the beginning of all paths of the control API.
const Prefix = "/_oktatest/"

// Handler serves a fake Okta and the control API. It is safe for concurrent use.
type Handler struct {
	make     func() *oktatest.Okta
	anywhere bool
	mux      *http.ServeMux
	state    atomic.Pointer[state]
	reset    sync.Mutex // held while a new state is made
}

// state is a fake and what goes with it: a reset makes a new one.
type state struct {
	*oktatest.Okta

	mu      sync.Mutex
	scripts []script
}

// Option sets up a Handler.
type Option func(*Handler)

// FromAnywhere lets the control API be called from other machines and containers, and by
// any name. By default only callers on the loopback interface are let in, which call it
// localhost or by a loopback address: it shows what arrived, tokens included, and lets
// everybody change what the fake answers. Pages that a browser has loaded from another host
// than this or the loopback are refused in both cases.
func FromAnywhere() Option { return func(h *Handler) { h.anywhere = true } }

// New makes a handler of the fake that make returns. make is called at once, and again for
// each reset: it returns a new fake each time, as it is to be at the beginning.
func New(make func() *oktatest.Okta, opts ...Option) *Handler {
	h := &Handler{make: make, mux: http.NewServeMux()}
	for _, opt := range opts {
		opt(h)
	}
	for _, r := range routes() {
		h.mux.HandleFunc(r.Method+" "+r.pattern(), func(w http.ResponseWriter, req *http.Request) {
			h.answer(w, req, r.do)
		})
	}
	h.Reset()
	return h
}

// Okta is the fake that is served at present, for its methods. A reset replaces it.
func (h *Handler) Okta() *oktatest.Okta { return h.state.Load().Okta }

// Reset replaces the fake by a new one. Requests under way are answered by the old one.
func (h *Handler) Reset() {
	h.reset.Lock()
	defer h.reset.Unlock()
	h.state.Store(&state{Okta: h.make()})
}

// ServeHTTP answers as the control API below Prefix, and else as the fake.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !strings.HasPrefix(r.URL.Path, Prefix):
		h.Okta().ServeHTTP(w, r)
	default:
		if says := h.keptOut(r); says != "" {
			reply(w, http.StatusForbidden, problems{{Problem: says}})
			return
		}
		h.mux.ServeHTTP(&plainErrors{ResponseWriter: w, request: r}, r)
	}
}

// keptOut is why a caller is not let in; "" if it is. What runs in a browser on this machine
// comes over the loopback interface as well: a page shows itself by its Origin, and one whose
// name was made to lead here by the Host that it asks for.
func (h *Handler) keptOut(r *http.Request) string {
	const opened = ", unless it is opened: oktaretry fake --control anywhere, in Go control.FromAnywhere"
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	switch origin := r.Header.Get("Origin"); {
	case !h.anywhere && (err != nil || !loopbackAddress(host)):
		return "the control API is for callers on the loopback interface only" + opened
	case !h.anywhere && r.Host != "" && !loopbackName(r.Host):
		return fmt.Sprintf("the control API is called by the name %q: want localhost or a loopback address%s", r.Host, opened)
	case origin != "" && !local(origin, r.Host):
		return fmt.Sprintf("the control API is for no page of %s", origin)
	}
	return ""
}

// local reports whether an Origin is a page of this machine's, or of the fake's own host.
func local(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && (u.Host == host || loopbackName(u.Host))
}

// loopbackName reports whether a host, with or without a port, means the loopback interface
// wherever it is looked up.
func loopbackName(host string) bool {
	u := url.URL{Host: host}
	name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || loopbackAddress(name)
}

func loopbackAddress(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// plainErrors puts the 404 and 405 of a ServeMux into JSON.
type plainErrors struct {
	http.ResponseWriter
	request *http.Request
	replied bool
}

func (w *plainErrors) WriteHeader(status int) {
	if w.Header().Get("Content-Type") == jsonType {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.replied = true
	reply(w.ResponseWriter, status, problems{{Problem: fmt.Sprintf("there is no %s %s here: GET %s lists what there is", w.request.Method, w.request.URL.Path, Prefix)}})
}

func (w *plainErrors) Write(b []byte) (int, error) {
	if w.replied {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}
