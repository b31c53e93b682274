// This file holds the routes of the control API.

package control

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oktaretry/oktaretry/oktatest"
)

// route is one of them, as GET /_oktatest/ lists it.
type route struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	About  string `json:"about"`
	do     func(*request) (any, error)
}

// pattern is the route's path as a ServeMux takes it.
func (r route) pattern() string {
	if r.Path == Prefix {
		return Prefix + "{$}"
	}
	return r.Path
}

// routes lists them. The package comment has the same list.
func routes() []route {
	return []route{
		{"GET", "/_oktatest/", "this list, as JSON", list},
		{"GET", "/_oktatest/health", "whether the fake serves", health},
		{"POST", "/_oktatest/reset", "back to the beginning: seed, limits, clock, an empty journal", reset},
		{"POST", "/_oktatest/seed", "add users, groups and more: a seed as of oktatest.ParseSeed", plant},
		{"GET", "/_oktatest/scripts", "the scripts made here, and how many requests each waits for", scripts},
		{"POST", "/_oktatest/scripts", `answer the next requests of a pattern: {"pattern", "steps"}`, lay},
		{"DELETE", "/_oktatest/scripts", "drop all scripts", clearScripts},
		{"GET", "/_oktatest/days", "the bad days by name, and those that are on", days},
		{"POST", "/_oktatest/days/{name}", `begin one: {"on", "from", "fromFirst", "for", "every", "chance", "seed"}`, begin},
		{"DELETE", "/_oktatest/days/{name}", "end one", end},
		{"DELETE", "/_oktatest/days", "end all", end},
		{"GET", "/_oktatest/limits", "the limits as they stand", limits},
		{"PUT", "/_oktatest/limits", `set limits: {"GET /api/v1/users": 50}`, setLimits},
		{"POST", "/_oktatest/limits/taken", `take places as another program would: {"GET /api/v1/users": 20}`, take},
		{"PUT", "/_oktatest/latency", `{"latency": "200ms"}`, setLatency},
		{"PUT", "/_oktatest/lag", `have lists lag behind writes: {"seed", "reads": [{"patterns", "chance", "upTo"}]}`, setLag},
		{"DELETE", "/_oktatest/lag", "have them be up to date", endLag},
		{"PUT", "/_oktatest/factors", `how pushes end: {"result": "REJECTED", "polls": 2}`, setFactors},
		{"GET", "/_oktatest/passcode", "what a user would type for a factor; ?user=ann@example.com&factor=sms1", passcode},
		{"GET", "/_oktatest/clock", "how far the fake's clock is ahead", clock},
		{"PUT", "/_oktatest/clock", `set that: {"skew": "5m"}`, setClock},
		{"POST", "/_oktatest/clock", `let time pass for the fake: {"advance": "60s"}`, advance},
		{"GET", "/_oktatest/journal", "what arrived; ?pattern=POST /api/v1/users&status=429&last=10", journal},
		{"DELETE", "/_oktatest/journal", "forget it", forget},
		{"GET", "/_oktatest/assertions", "what oktatest's assertions find in the journal; ?peak=5", assertions},
		{"GET", "/_oktatest/unserved", "endpoints that were asked for and are not served", unserved},
	}
}

// request is one call of the control API.
type request struct {
	*http.Request
	h *Handler
	s *state // that it is about
}

// done is the answer where there is nothing to say.
type done struct{}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request, do func(*request) (any, error)) {
	v, err := do(&request{r, h, h.state.Load()})
	switch bad, is := errors.AsType[problems](err); {
	case is:
		reply(w, http.StatusBadRequest, bad)
	case err != nil:
		reply(w, http.StatusBadRequest, problems{{Problem: err.Error()}})
	default:
		reply(w, http.StatusOK, v)
	}
}

func list(*request) (any, error) {
	return map[string]any{"about": "the control API of a fake Okta: package oktatest/control of oktaretry describes it", "routes": routes()}, nil
}

func health(r *request) (any, error) {
	return map[string]any{"status": "ok", "users": len(r.s.UserIDs()), "groups": len(r.s.GroupIDs()), "arrived": r.s.Arrived()}, nil
}

func reset(r *request) (any, error) {
	r.h.Reset()
	return done{}, nil
}

func plant(r *request) (any, error) {
	text, err := readText(r.Request)
	if err != nil {
		return nil, err
	}
	var seed oktatest.Seed
	if err = seed.UnmarshalJSON(text); err == nil {
		err = r.s.Plant(seed)
	}
	if err == nil {
		return done{}, nil
	}
	var list problems
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() { // as both promise
		if e, ok := errors.AsType[*oktatest.SeedError](err); ok {
			list = append(list, problem{e.Path, e.Problem, e.Line, e.Column})
		}
	}
	return nil, list
}

// script is a script made here.
type script struct {
	pattern string
	script  *oktatest.Script
}

func scripts(r *request) (any, error) {
	type laid struct {
		Pattern string `json:"pattern"`
		Left    int    `json:"left"`
	}
	all := []laid{}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, s := range r.s.scripts {
		all = append(all, laid{s.pattern, s.script.Left()})
	}
	return map[string]any{"scripts": all}, nil
}

func lay(r *request) (any, error) {
	var in struct {
		Pattern string `json:"pattern"`
		Steps   []step `json:"steps"`
	}
	b, err := read(r.Request, &in)
	switch {
	case err != nil:
		return nil, err
	case in.Pattern == "":
		return nil, b.at(`is missing: want "GET /api/v1/users", or "*" for all requests`, "pattern")
	case len(in.Steps) == 0:
		return nil, b.at("are missing: want one at least", "steps")
	}
	var steps []oktatest.Step
	for i, s := range in.Steps {
		made, err := s.build()
		if err != nil {
			return nil, b.at(err.Error(), "steps", strconv.Itoa(i))
		}
		steps = append(steps, made)
	}
	var laid *oktatest.Script
	if says := refusal(func() { laid = r.s.Script(in.Pattern, steps...) }); says != "" {
		return nil, b.at(says)
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.scripts = append(r.s.scripts, script{in.Pattern, laid})
	return map[string]int{"left": laid.Left()}, nil
}

func clearScripts(r *request) (any, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.scripts = nil
	r.s.ClearScripts()
	return done{}, nil
}

func days(r *request) (any, error) {
	type day struct {
		Name  string `json:"name"`
		About string `json:"about"`
	}
	known, on := []day{}, []string{}
	for _, name := range oktatest.DayNames() {
		d, _ := oktatest.DayNamed(name)
		known = append(known, day{d.Name(), d.About()})
	}
	for _, d := range r.s.Days() {
		on = append(on, d.Name())
	}
	return map[string]any{"days": known, "on": on}, nil
}

// playing is how a day is to go.
type playing struct {
	On        []string `json:"on"`
	From      span     `json:"from"`
	FromFirst span     `json:"fromFirst"`
	For       span     `json:"for"`
	Every     int      `json:"every"`
	Chance    float64  `json:"chance"` // NaN, which JSON lacks: not given
	Seed      int64    `json:"seed"`
}

func (p playing) shape(day oktatest.Day) oktatest.Day {
	if len(p.On) > 0 {
		day = day.On(p.On...)
	}
	if p.From.given {
		day = day.From(p.From.Duration)
	}
	if p.FromFirst.given {
		day = day.FromFirst(p.FromFirst.Duration)
	}
	if p.For.given {
		day = day.For(p.For.Duration)
	}
	if p.Every != 0 {
		day = day.Every(p.Every)
	}
	if !math.IsNaN(p.Chance) {
		day = day.Chance(p.Chance)
	}
	return day.Seed(uint64(p.Seed))
}

func begin(r *request) (any, error) {
	in := playing{Chance: math.NaN()}
	b, err := read(r.Request, &in)
	if err != nil {
		return nil, err
	}
	day, ok := oktatest.DayNamed(r.PathValue("name"))
	if !ok {
		return nil, b.at("names no day: want one of " + strings.Join(oktatest.DayNames(), ", "))
	}
	says := refusal(func() { r.s.Begin(in.shape(day)) })
	if says != "" {
		return nil, b.at(says)
	}
	return done{}, nil
}

func end(r *request) (any, error) {
	var names []string
	if name := r.PathValue("name"); name != "" {
		names = append(names, name)
	}
	return map[string]int{"ended": r.s.EndDays(names...)}, nil
}

// quota is a limit as it stands.
type quota struct {
	Name     string     `json:"name"`
	Limit    int        `json:"limit"` // negative: none
	InFlight int        `json:"inFlight,omitempty"`
	Used     int        `json:"used"`
	Reset    *time.Time `json:"reset,omitempty"`
}

func limits(r *request) (any, error) {
	all := []quota{}
	for _, q := range r.s.Quotas() {
		shown := quota{q.Name, q.Limit, q.InFlight, q.Used, nil}
		if !q.Reset.IsZero() {
			shown.Reset = new(q.Reset.UTC())
		}
		all = append(all, shown)
	}
	return map[string]any{"limits": all}, nil
}

func setLimits(r *request) (any, error) {
	return r.eachLimit(math.MinInt, r.s.SetLimit)
}

func take(r *request) (any, error) {
	taken := map[string]int{}
	_, err := r.eachLimit(0, func(name string, n int) { taken[name] = r.s.Consume(name, n) })
	return map[string]any{"taken": taken}, err
}

// eachLimit calls do for each limit that the body names; for none, if one of them is not
// there or its number is below least.
func (r *request) eachLimit(least int, do func(name string, n int)) (any, error) {
	var in map[string]int
	b, err := read(r.Request, &in)
	if err != nil {
		return nil, err
	}
	for name, n := range in {
		if n < least {
			return nil, b.at(fmt.Sprintf("is below %d", least), name)
		}
		if says := refusal(func() { r.s.Used(name) }); says != "" {
			return nil, b.at("names no limit: "+says, name)
		}
	}
	for name, n := range in {
		do(name, n)
	}
	return done{}, nil
}

func setLatency(r *request) (any, error) {
	var in struct {
		Latency span `json:"latency"`
	}
	b, err := read(r.Request, &in)
	switch {
	case err != nil:
		return nil, err
	case !in.Latency.given || in.Latency.Duration < 0:
		return nil, b.at("is missing or below 0", "latency")
	}
	r.s.SetLatency(in.Latency.Duration)
	return done{}, nil
}

func setLag(r *request) (any, error) {
	type late struct {
		Patterns []string `json:"patterns"`
		Chance   float64  `json:"chance"`
		UpTo     span     `json:"upTo"`
	}
	var in struct {
		Seed  int64  `json:"seed"`
		Reads []late `json:"reads"`
	}
	b, err := read(r.Request, &in)
	if err != nil {
		return nil, err
	}
	var reads []oktatest.LateReads
	for _, l := range in.Reads {
		reads = append(reads, oktatest.LateReads{Patterns: l.Patterns, Chance: l.Chance, UpTo: l.UpTo.Duration})
	}
	if says := refusal(func() { r.s.SetLag(uint64(in.Seed), reads...) }); says != "" {
		return nil, b.at(says)
	}
	return done{}, nil
}

func endLag(r *request) (any, error) {
	r.s.EndLag()
	return done{}, nil
}

// results are those that a factor's verification can have.
var results = []string{"SUCCESS", "REJECTED", "TIMEOUT", "CANCELLED", "FAILED", "ERROR"}

func passcode(r *request) (any, error) {
	q := r.URL.Query()
	code, ok := r.s.Passcode(q.Get("user"), q.Get("factor"))
	if !ok {
		return nil, problems{{Problem: "the user has no such factor, or there is nothing to type for it"}}
	}
	return map[string]string{"passCode": code}, nil
}

func setFactors(r *request) (any, error) {
	in := struct {
		Result string `json:"result"`
		Polls  int    `json:"polls"`
	}{Polls: 2}
	b, err := read(r.Request, &in)
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains(results, in.Result):
		return nil, b.at("is missing or unknown, want one of "+strings.Join(results, ", "), "result")
	case in.Polls < 0:
		return nil, b.at("is below 0", "polls")
	}
	r.s.SetFactorResult(in.Result, in.Polls)
	return done{}, nil
}

func clock(r *request) (any, error) {
	skew := r.s.ClockSkew()
	return map[string]any{"now": time.Now().Add(skew).UTC(), "skew": skew.String()}, nil
}

func setClock(r *request) (any, error) {
	var in struct {
		Skew span `json:"skew"`
	}
	b, err := read(r.Request, &in)
	switch {
	case err != nil:
		return nil, err
	case !in.Skew.given:
		return nil, b.at("is missing", "skew")
	}
	r.s.SetClockSkew(in.Skew.Duration)
	return clock(r)
}

func advance(r *request) (any, error) {
	var in struct {
		Advance span `json:"advance"`
	}
	b, err := read(r.Request, &in)
	switch {
	case err != nil:
		return nil, err
	case in.Advance.Duration <= 0:
		return nil, b.at("is missing or not above 0", "advance")
	}
	if !r.s.advance(in.Advance.Duration) {
		return nil, b.at("is too far ahead", "advance")
	}
	return clock(r)
}

// advance moves the fake's clock ahead, and reports whether a Duration holds that much.
func (s *state) advance(by time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	skew := s.ClockSkew()
	if skew > math.MaxInt64-by {
		return false
	}
	s.SetClockSkew(skew + by)
	return true
}
