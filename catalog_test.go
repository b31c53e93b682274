// This file holds the catalogue against Okta's tables of error codes.

package oktaretry_test

import (
	"encoding/csv"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/oktaretry/oktaretry"
)

// documented is a line of testdata/codes.tsv: what two of Okta's tables, the
// list that the library began with and the one of release 2026.08.1, say of a
// code. A status of 0: not in that table.
type documented struct {
	code              string
	seedStatus, today int
	name              string
}

func (d documented) status() int {
	if d.today != 0 {
		return d.today
	}
	return d.seedStatus
}

func documentedCodes(t *testing.T) []documented {
	t.Helper()
	f, err := os.Open("testdata/codes.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.FieldsPerRecord = '\t', 4
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	number := func(s string) int {
		if s == "-" {
			return 0
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	var all []documented
	seed := 0
	for _, row := range rows[1:] {
		d := documented{row[0], number(row[1]), number(row[2]), row[3]}
		if d.seedStatus != 0 {
			seed++
		}
		all = append(all, d)
	}
	if len(all) != 251 || seed != 145 {
		t.Fatalf("testdata holds %d codes, %d of them of the first list; want 251 and 145", len(all), seed)
	}
	return all
}

// fromExamples are the codes of Okta's OpenAPI documents that its tables lack, with
// their status; 0: not documented.
var fromExamples = map[string]int{"E0000169": 0, "E0000216": 400}

var oauthErrors = map[string]oktaretry.Class{
	"access_denied":             oktaretry.ClassClientError,
	"invalid_client":            oktaretry.ClassClientError,
	"invalid_request":           oktaretry.ClassClientError,
	"invalid_scope":             oktaretry.ClassClientError,
	"login_required":            oktaretry.ClassClientError,
	"server_error":              oktaretry.ClassServerError,
	"temporarily_unavailable":   oktaretry.ClassServerError,
	"unauthorized_client":       oktaretry.ClassClientError,
	"unsupported_response_mode": oktaretry.ClassClientError,
	"unsupported_response_type": oktaretry.ClassClientError,
	"user_canceled_request":     oktaretry.ClassClientError,
}

// flowErrors are steps of a flow of the caller's: client errors in the catalogue,
// while an answer with one goes by its status.
var flowErrors = []string{"authorization_pending", "invalid_dpop_proof", "slow_down", "use_dpop_nonce"}

func mustLookup(t *testing.T, code string) oktaretry.CodeInfo {
	t.Helper()
	info, ok := oktaretry.Lookup(code)
	if !ok {
		t.Fatalf("Lookup(%q) knows nothing of it", code)
	}
	return info
}

func TestCatalogHoldsEveryCodeOfBothTables(t *testing.T) {
	for _, d := range documentedCodes(t) {
		info := mustLookup(t, d.code)
		if info.Code != d.code || info.Status != d.status() || info.Name != d.name {
			t.Errorf("%s: got %q, %d, %q; documented are %d, %q", d.code, info.Code, info.Status, info.Name, d.status(), d.name)
		}
	}
	for code, status := range fromExamples {
		if info := mustLookup(t, code); info.Status != status || info.Class != oktaretry.ClassClientError {
			t.Errorf("%s: got %+v, want a client error of status %d", code, info, status)
		}
	}
	for _, code := range flowErrors {
		if info := mustLookup(t, code); info.Class != oktaretry.ClassClientError || info.Rule.Action != oktaretry.FailFast {
			t.Errorf("%s: got %+v, want a client error that fails fast", code, info)
		}
	}
	for code := range oauthErrors {
		if info := mustLookup(t, code); info.Code != code || info.Status != 0 || info.Name == "" {
			t.Errorf("%s: got %+v, want the code, a name and no status", code, info)
		}
	}
}

func TestCatalogClassFollowsText(t *testing.T) {
	for _, d := range documentedCodes(t) {
		want := oktaretry.ClassClientError
		switch status := d.status(); {
		case d.code == "E0000150", d.code == "E0000151":
			// 403 in one of the tables, and "you have reached the limit" in both.
			want = oktaretry.ClassRateLimited
		case d.code == "E0000070":
			want = oktaretry.ClassPending
		case status == 429:
			want = oktaretry.ClassRateLimited
		case status >= 500:
			want = oktaretry.ClassServerError
		}
		if got := mustLookup(t, d.code).Class; got != want {
			t.Errorf("%s (%d): class %v, want %v", d.code, d.status(), got, want)
		}
	}
	for code, want := range oauthErrors {
		if got := mustLookup(t, code).Class; got != want {
			t.Errorf("%s: class %v, want %v", code, got, want)
		}
	}
}

func TestCodesIsSortedAndComplete(t *testing.T) {
	var okta, oauth []string
	for info := range oktaretry.Codes() {
		again := mustLookup(t, info.Code)
		if again != info {
			t.Errorf("%s: Codes has %+v, Lookup %+v", info.Code, info, again)
		}
		if strings.HasPrefix(info.Code, "E") {
			if len(oauth) > 0 {
				t.Errorf("%s comes after the OAuth errors", info.Code)
			}
			okta = append(okta, info.Code)
		} else {
			oauth = append(oauth, info.Code)
		}
	}
	for _, codes := range [][]string{okta, oauth} {
		if !slices.IsSorted(codes) || len(slices.Compact(slices.Clone(codes))) != len(codes) {
			t.Errorf("not sorted, or one code twice: %v", codes)
		}
	}
	if want := len(documentedCodes(t)) + len(fromExamples); len(okta) != want || len(oauth) != len(oauthErrors)+len(flowErrors) {
		t.Errorf("%d of Okta's codes and %d OAuth errors, want %d and %d", len(okta), len(oauth), want, len(oauthErrors)+len(flowErrors))
	}
}

func TestCodesStopsWhenAsked(t *testing.T) {
	for range oktaretry.Codes() {
		break // a sequence that goes on yielding panics here
	}
	next, stop := iter.Pull(oktaretry.Codes())
	defer stop()
	if first, ok := next(); !ok || first.Code != "E0000001" {
		t.Errorf("the first code is %q", first.Code)
	}
}

func TestAdviceIsOurOwn(t *testing.T) {
	given := 0
	for info := range oktaretry.Codes() {
		a := info.Advice
		if a == "" {
			if info.Class != oktaretry.ClassClientError {
				t.Errorf("%s is a %v without advice", info.Code, info.Class)
			}
			continue
		}
		given++
		if n := utf8.RuneCountInString(a); n > 140 {
			t.Errorf("%s: advice of %d characters, want 140 at most", info.Code, n)
		}
		if strings.EqualFold(a, info.Name) {
			t.Errorf("%s: the advice repeats the name", info.Code)
		}
		if strings.Contains(strings.ToLower(a), "http") || strings.ContainsAny(a, "\n\t{}") {
			t.Errorf("%s: advice with a link, a placeholder or more than a line: %q", info.Code, a)
		}
		if strings.TrimSpace(a) != a || strings.HasSuffix(a, ".") || strings.ToUpper(a[:1]) != a[:1] {
			t.Errorf("%s: advice starts with a capital and ends without a full stop: %q", info.Code, a)
		}
	}
	if given < 120 {
		t.Errorf("advice for %d codes only", given)
	}
}

func TestLookupUnknown(t *testing.T) {
	for _, code := range []string{
		"", "E", "E000004", "E00000047", "E0000000", "E0000106", "E0000128", "E0000270", "E9999999",
		"e0000047", "E000004x", "E-000047", "E00000 7", " E0000047", "E0000047 ", "0000047", "E000004\x00",
		"SERVER_ERROR", "server_error ", "E０００００4",
		// These hang on their status.
		"invalid_grant", "too_many_user_codes",
	} {
		if info, ok := oktaretry.Lookup(code); ok || info != (oktaretry.CodeInfo{}) {
			t.Errorf("Lookup(%q) = %+v, %v; want nothing", code, info, ok)
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	for _, code := range []string{"E0000047", "E0000269", "server_error", "E0000106", "invalid_grant", strings.Repeat("x", 4096)} {
		if n := testing.AllocsPerRun(100, func() { oktaretry.Lookup(code) }); n != 0 {
			t.Errorf("Lookup(%.20q) allocates %v times", code, n)
		}
	}
}

// The periods that Okta's texts name, and for those that say "later" the
// library's own.
func TestCatalogWaitsAsLongAsOktasText(t *testing.T) {
	want := map[string]time.Duration{
		"E0000109": 30 * time.Second,
		"E0000133": 30 * time.Second,
		"E0000118": 5 * time.Second,
		"E0000146": 24 * time.Hour,
		"E0000147": 24 * time.Hour,
		"E0000186": 30 * 24 * time.Hour,
		"E0000150": time.Minute,
		"E0000151": time.Minute,
		"E0000204": time.Minute,
		"E0000205": time.Minute,
		"E0000112": 2 * time.Minute,
		"E0000249": 10 * time.Second,
		"E0000253": 10 * time.Second,
		"E0000254": 2 * time.Second,
		"E0000268": 2 * time.Second,
	}
	for info := range oktaretry.Codes() {
		if info.Rule.MinWait != want[info.Code] {
			t.Errorf("%s: waits at least %v, want %v", info.Code, info.Rule.MinWait, want[info.Code])
		}
	}
}

func TestCatalogLocalLimits(t *testing.T) {
	local := []string{
		"E0000109", "E0000118", "E0000133", "E0000146", "E0000147", "E0000150", "E0000151", "E0000186", "E0000204", "E0000205",
	}
	var got []string
	for info := range oktaretry.Codes() {
		if info.Local {
			got = append(got, info.Code)
			if info.Class != oktaretry.ClassRateLimited {
				t.Errorf("%s is local and a %v", info.Code, info.Class)
			}
		}
	}
	if !slices.Equal(got, local) {
		t.Errorf("local are %v, want %v", got, local)
	}
}

func TestCatalogServerErrorsSpareTheHost(t *testing.T) {
	type fate struct {
		action oktaretry.Action
		trips  oktaretry.Scope
	}
	retried := fate{oktaretry.Backoff, oktaretry.TripsEndpoint}
	hopeless := fate{oktaretry.FailFast, oktaretry.TripsNothing}
	want := map[string]fate{
		"E0000009": retried, "E0000010": retried, "E0000049": retried, "E0000051": retried, "E0000065": retried,
		"E0000067": retried, "E0000100": retried, "E0000115": retried, "E0000134": retried, "E0000137": retried,
		"E0000138": retried, "E0000139": retried, "E0000240": retried, "E0000241": retried,
		"server_error": retried, "temporarily_unavailable": retried,
		"E0000052": hopeless, "E0000060": hopeless, "E0000181": {oktaretry.Backoff, oktaretry.TripsNothing}, "E0000261": hopeless,
	}
	seen := 0
	for info := range oktaretry.Codes() {
		got := fate{info.Rule.Action, info.Rule.Trips}
		if info.Class == oktaretry.ClassServerError {
			seen++
			if w, ok := want[info.Code]; !ok || got != w {
				t.Errorf("%s: %v, trips %v; want %v, trips %v", info.Code, got.action, got.trips, w.action, w.trips)
			}
		} else if got.trips != oktaretry.TripsNothing {
			t.Errorf("%s is a %v and trips %v", info.Code, info.Class, got.trips)
		}
	}
	if seen != len(want) {
		t.Errorf("%d server errors, want %d", seen, len(want))
	}
}

func TestCatalogClientErrorsFailFastButForThePolicyLock(t *testing.T) {
	for info := range oktaretry.Codes() {
		if info.Class != oktaretry.ClassClientError {
			continue
		}
		if r := info.Rule; (r.Action == oktaretry.Backoff) != (info.Code == "E0000239") {
			t.Errorf("%s: %v", info.Code, r.Action)
		}
	}
	want := oktaretry.DefaultPolicy().ClientError
	want.Action, want.AnyMethod, want.MaxAttempts = oktaretry.Backoff, true, 0
	if r := mustLookup(t, "E0000239").Rule; r != want {
		t.Errorf("E0000239 has the rule %+v, want %+v", r, want)
	}
}

// Deletes that answer E0000009 succeed by themselves after up to 21 s.
func TestCatalogRetriesE0000009ForAllOfItsMaxElapsed(t *testing.T) {
	want := oktaretry.DefaultPolicy().ServerError
	want.MaxAttempts, want.Trips = 0, oktaretry.TripsEndpoint
	if r := mustLookup(t, "E0000009").Rule; r != want {
		t.Errorf("the rule is %+v, want %+v", r, want)
	}
	c := oktaretry.Classification{Class: oktaretry.ClassServerError, Code: "E0000009", Status: 500}
	for name, change := range map[string]func(*oktaretry.Rule){
		"a number of attempts of the user's": func(r *oktaretry.Rule) { r.MaxAttempts = 3 },
		"no other bound":                     func(r *oktaretry.Rule) { r.MaxElapsed = 0 },
		"no attempts":                        func(r *oktaretry.Rule) { r.Action = oktaretry.FailFast },
	} {
		p := oktaretry.DefaultPolicy()
		change(&p.ServerError)
		want := p.ServerError
		if got := p.RuleFor(c); got.Action != want.Action || got.MaxElapsed != want.MaxElapsed || want.MaxAttempts == 3 && got.MaxAttempts != 3 || want.MaxElapsed == 0 && got.MaxAttempts != 4 {
			t.Errorf("%s: %+v, want the class's %+v", name, got, want)
		}
	}
}

// Whoever switches retrying of client errors on may resend any method only
// where Okta said that it did nothing and that trying again is worth it.
func TestCatalogConflictsThatPassMayBeResent(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	p.ClientError.Action = oktaretry.Backoff
	passes := []string{"E0000112", "E0000239", "E0000249", "E0000253", "E0000254", "E0000268"}
	for info := range oktaretry.Codes() {
		if info.Class != oktaretry.ClassClientError {
			continue
		}
		r := p.RuleFor(oktaretry.Classification{Class: info.Class, Code: info.Code, Status: info.Status})
		if want := slices.Contains(passes, info.Code); r.AnyMethod != want || r.Action != oktaretry.Backoff {
			t.Errorf("%s: %v, any method %v; want backoff, %v", info.Code, r.Action, r.AnyMethod, want)
		}
	}
}

func TestCatalogNarrowsNeverWidens(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	p.ServerError.Trips = oktaretry.TripsNothing
	p.RateLimited.MinWait = time.Minute
	if r := p.RuleFor(oktaretry.Classification{Class: oktaretry.ClassServerError, Code: "E0000009", Status: 500}); r.Trips != oktaretry.TripsNothing {
		t.Errorf("a class that trips nothing trips %v for E0000009", r.Trips)
	}
	if r := p.RuleFor(oktaretry.Classification{Class: oktaretry.ClassRateLimited, Code: "E0000118", Status: 429}); r.MinWait != time.Minute {
		t.Errorf("a class's least wait of 1m became %v for E0000118", r.MinWait)
	}
}

// A rule for the code itself stands, but for a least wait that it leaves open.
func TestCatalogYieldsToTheUsersRule(t *testing.T) {
	p := oktaretry.DefaultPolicy()
	open := oktaretry.Rule{Action: oktaretry.Backoff, MaxAttempts: 3, Trips: oktaretry.TripsHost}
	set := open
	set.MinWait = time.Second
	p.Codes = map[string]oktaretry.Rule{"E0000109": open, "E0000133": set, "E0000052": open}
	for code, want := range map[string]time.Duration{"E0000109": 30 * time.Second, "E0000133": time.Second, "E0000052": 0} {
		info := mustLookup(t, code)
		got := p.RuleFor(oktaretry.Classification{Class: info.Class, Code: code, Status: info.Status})
		wanted := open
		wanted.MinWait = want
		if got != wanted {
			t.Errorf("%s: got %+v, want %+v", code, got, wanted)
		}
	}
}

func TestBareStatusTripsHostOrEndpoint(t *testing.T) {
	for _, tt := range []struct {
		status int
		action oktaretry.Action
		trips  oktaretry.Scope
	}{
		{500, oktaretry.Backoff, oktaretry.TripsEndpoint},
		{501, oktaretry.FailFast, oktaretry.TripsNothing},
		{502, oktaretry.Backoff, oktaretry.TripsHost},
		{503, oktaretry.Backoff, oktaretry.TripsHost},
		{504, oktaretry.Backoff, oktaretry.TripsHost},
		{505, oktaretry.Backoff, oktaretry.TripsEndpoint},
		{507, oktaretry.Backoff, oktaretry.TripsEndpoint},
		{508, oktaretry.Backoff, oktaretry.TripsEndpoint},
		{520, oktaretry.Backoff, oktaretry.TripsEndpoint},
		{599, oktaretry.Backoff, oktaretry.TripsEndpoint},
	} {
		r := oktaretry.DefaultPolicy().RuleFor(oktaretry.Classification{Class: oktaretry.ClassServerError, Status: tt.status})
		if r.Action != tt.action || r.Trips != tt.trips {
			t.Errorf("%d: %v, trips %v; want %v, trips %v", tt.status, r.Action, r.Trips, tt.action, tt.trips)
		}
	}
}
